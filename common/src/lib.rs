//! What every role and every backend agrees on: the domain, the ports between roles and backends,
//! the envelope that travels through the queue, and telemetry.
//!
//! Nothing here knows HTTP, AMQP, SQL or Redis; a test reads the dependency graph to keep it so.

pub mod clock;
pub mod config;
pub mod domain;
pub mod envelope;
pub mod keys;
pub mod ports;
pub mod telemetry;
pub mod trace;

/// The cause of a failure, kept for the log and for [`std::error::Error::source`].
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An error and its causes, in a line for the log.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |error| error.source())
        .fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}
