//! Logs a cause when something starts to fail, not each time that it does: in an outage the log
//! would otherwise grow with the traffic.

use std::{
    error::Error,
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

/// Whether something works, as far as its last use tells.
pub struct Condition {
    what: &'static str,
    fails: AtomicBool,
}

impl Condition {
    /// It works until the first failure.
    pub const fn new(what: &'static str) -> Self {
        Self { what, fails: AtomicBool::new(false) }
    }

    /// Notes a success.
    pub fn works(&self) {
        // Loading first keeps the cache line shared while all is well.
        if self.fails.load(Ordering::Relaxed) && self.fails.swap(false, Ordering::Relaxed) {
            tracing::info!(what = self.what, "works again");
        }
    }

    /// Notes a failure.
    pub fn fails(&self, cause: &(dyn Error + 'static)) {
        if !self.fails.swap(true, Ordering::Relaxed) {
            tracing::warn!(what = self.what, cause = %Chain(cause), "fails");
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

/// An error with what lies under it.
struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}

/// Something did not answer within its deadline.
#[derive(Debug, thiserror::Error)]
#[error("no answer in time")]
pub struct NoAnswer;

#[cfg(test)]
mod tests {
    use common::ports::store::StoreError;

    use super::*;

    #[test]
    fn a_cause_is_told_with_what_lies_under_it() {
        let error = StoreError::Unavailable("connection refused".into());
        assert_eq!(Chain(&error).to_string(), "the store is unavailable: connection refused");
    }
}
