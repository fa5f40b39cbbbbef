//! What every role and every backend agrees on: the domain, the ports between roles and backends,
//! the envelope that travels through the queue, and telemetry.
//!
//! Nothing here knows HTTP, AMQP, SQL or Redis; a test reads the dependency graph to keep it so.

use std::{error::Error, iter};

use tokio::task::JoinError;

pub mod audit;
pub mod claims;
pub mod clock;
pub mod cloud_event;
pub mod config;
pub mod domain;
pub mod envelope;
#[cfg(debug_assertions)]
pub mod failpoint;
pub mod guard;
pub mod keys;
pub mod letters;
pub mod metrics;
pub mod people;
pub mod ports;
pub mod retry;
pub mod seals;
pub mod telemetry;
pub mod trace;

/// Comes past one of the points of [`failpoint`](mod@crate::failpoint), at which a test can make the process
/// fail. To a build without debug assertions it is nothing at all.
#[macro_export]
macro_rules! failpoint {
    ($point:literal) => {
        #[cfg(debug_assertions)]
        {
            const { assert!($crate::failpoint::is_known($point)) };
            $crate::failpoint::pass($point).await;
        }
    };
}

/// The cause of a failure, kept for the log and for [`std::error::Error::source`].
pub type Cause = Box<dyn Error + Send + Sync>;

/// An error with its causes, on one line. Some libraries' errors write several lines, and some
/// repeat their cause, which is then left out.
#[must_use]
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> String {
    let causes = iter::successors(Some(error), |&error: &&'a (dyn Error + 'static)| error.source());
    causes.fold(String::new(), |line, error| {
        let text = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        match line {
            line if line.contains(&text) => line,
            line if line.is_empty() => text,
            line => format!("{line}: {text}"),
        }
    })
}

/// How a task ended that did not finish. Not in a panic's own words, which [`JoinError`] has: they can
/// quote what somebody sent, as those of a text sliced out of bounds do.
#[must_use]
pub fn ended(error: &JoinError) -> &'static str {
    if error.is_panic() { "it panicked" } else { "it was cancelled" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::store::StoreError;

    #[tokio::test]
    async fn how_a_task_ended_is_not_told_in_a_panics_words() {
        let panicked = tokio::spawn(async { panic!("at {}", "personal") }).await.unwrap_err();
        assert!(panicked.to_string().contains("personal"), "or it need not be kept from the log");
        assert_eq!(ended(&panicked), "it panicked");
        let cancelled = tokio::spawn(std::future::pending::<()>());
        cancelled.abort();
        assert_eq!(ended(&cancelled.await.unwrap_err()), "it was cancelled");
    }

    #[test]
    fn an_error_is_one_line_and_says_nothing_twice() {
        let error = StoreError::Unavailable("no\nroute".into());
        assert_eq!(chain(&error), "the store is unavailable: no route");
        let repeating = StoreError::Unavailable(Box::new(error));
        assert_eq!(chain(&repeating), "the store is unavailable: no route");
    }
}
