//! Logs a cause when something starts to fail, not each time that it does: in an outage the log
//! would otherwise grow with the traffic.

use std::{
    error::Error,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use common::{chain, ports::store::StoreError};
use tokio::time::timeout;

/// How long the store may take, so that a caller has the answer within two seconds.
pub const STORE_WAIT: Duration = Duration::from_millis(1_800);

/// Whether something works, as far as its last use tells.
pub struct Condition {
    what: &'static str,
    fails: AtomicBool,
    has_worked: AtomicBool,
}

impl Condition {
    /// It works until the first failure.
    #[must_use]
    pub const fn new(what: &'static str) -> Self {
        Self { what, fails: AtomicBool::new(false), has_worked: AtomicBool::new(false) }
    }

    /// Notes a success.
    pub fn works(&self) {
        // Loading first keeps the cache line shared while all is well.
        if !self.has_worked.load(Ordering::Relaxed) {
            self.has_worked.store(true, Ordering::Relaxed);
        }
        if self.fails.load(Ordering::Relaxed) && self.fails.swap(false, Ordering::Relaxed) {
            tracing::info!(what = self.what, "works");
        }
    }

    /// Notes a failure.
    pub fn fails(&self, cause: &(dyn Error + 'static)) {
        if self.fails.swap(true, Ordering::Relaxed) {
            return;
        }
        if self.has_worked.load(Ordering::Relaxed) {
            tracing::warn!(what = self.what, cause = chain(cause), "fails");
        } else {
            // At a start the parts come up in any order.
            tracing::info!(what = self.what, cause = chain(cause), "does not work yet");
        }
    }

    /// Notes how a use went, and passes it on.
    pub fn note<T, E: Error + 'static>(&self, result: Result<T, E>) -> Result<T, E> {
        match &result {
            Ok(_) => self.works(),
            Err(error) => self.fails(error),
        }
        result
    }
}

/// What the store says, if it says so within [`STORE_WAIT`].
pub async fn in_time<T>(
    answer: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let answer = timeout(STORE_WAIT, answer).await;
    answer.unwrap_or_else(|_| Err(StoreError::Unavailable(NoAnswer.into())))
}

/// Something did not answer within its deadline.
#[derive(Debug, thiserror::Error)]
#[error("no answer in time")]
pub struct NoAnswer;
