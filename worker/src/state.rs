//! What the outside may know of a worker.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// A handle that tells how a worker is doing. Clones tell of the same one.
#[derive(Debug, Clone, Default)]
pub struct State {
    consuming: Arc<AtomicUsize>,
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
        self.consuming.load(Ordering::Relaxed) > 0
    }

    /// Counts a lane as consuming until the guard is dropped, by a panic too.
    pub(crate) fn consuming(&self) -> Consuming {
        self.consuming.fetch_add(1, Ordering::Relaxed);
        Consuming(self.clone())
    }
}

pub(crate) struct Consuming(State);

impl Drop for Consuming {
    fn drop(&mut self) {
        self.0.consuming.fetch_sub(1, Ordering::Relaxed);
    }
}
