//! What the outside may know of a worker.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use chrono::{DateTime, Utc};
use common::metrics::{LANES_CONSUMING, UNSETTLED_AGE};

/// A handle that tells how a worker is doing. Clones tell of the same one.
#[derive(Debug, Clone, Default)]
pub struct State {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    consuming: AtomicUsize,
    next_key: AtomicU64,
    /// When the oldest submission that a lane works on was submitted, for each that works.
    oldest: Mutex<BTreeMap<u64, DateTime<Utc>>>,
}

impl State {
    /// A worker that does not consume yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether at least one lane consumes.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shared.consuming.load(Ordering::Relaxed) > 0
    }

    /// Whether a lane has submissions in hand.
    pub(crate) fn is_working(&self) -> bool {
        !self.oldest().is_empty()
    }

    /// Shows how it is doing, as of `now`, among the metrics.
    pub fn measure(&self, now: DateTime<Utc>) {
        let oldest = self.oldest().values().min().copied();
        // By two machines' clocks, so it may seem to come from the future.
        let age = oldest.and_then(|oldest| (now - oldest).to_std().ok()).unwrap_or_default();
        UNSETTLED_AGE.set(age.as_secs_f64(), &[]);
        #[expect(clippy::cast_precision_loss, reason = "a worker has 32 lanes at most")]
        LANES_CONSUMING.set(self.shared.consuming.load(Ordering::Relaxed) as f64, &[]);
    }

    /// Counts a lane as consuming until the guard is dropped, by a panic too.
    pub(crate) fn consuming(&self) -> Consuming {
        self.shared.consuming.fetch_add(1, Ordering::Relaxed);
        Consuming(self.clone())
    }

    /// Counts submissions, the oldest of which is given, as worked on until the guard is dropped.
    pub(crate) fn working(&self, oldest: Option<DateTime<Utc>>) -> Working {
        let key = self.shared.next_key.fetch_add(1, Ordering::Relaxed);
        self.oldest().extend(oldest.map(|oldest| (key, oldest)));
        Working { key, state: self.clone() }
    }

    /// Nothing that can panic runs under the lock.
    fn oldest(&self) -> MutexGuard<'_, BTreeMap<u64, DateTime<Utc>>> {
        self.shared.oldest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Consuming(State);

impl Drop for Consuming {
    fn drop(&mut self) {
        self.0.shared.consuming.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(crate) struct Working {
    key: u64,
    state: State,
}

impl Drop for Working {
    fn drop(&mut self) {
        self.state.oldest().remove(&self.key);
    }
}
