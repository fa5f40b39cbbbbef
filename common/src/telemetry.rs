//! Logs: one subscriber, two formats.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// What is logged unless `RUST_LOG` says otherwise. lapin reports as errors what is its caller's to
/// judge, such as a broker that is away: whoever loses a connection of ours logs that once.
const DEFAULT_FILTER: &str = "info,lapin=off";

/// The same of a command whose own lines say how it went.
const QUIET_FILTER: &str = "warn,lapin=off";

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, for programs.
    Json,
    /// Aligned and coloured, for people.
    Pretty,
}

impl LogFormat {
    /// Pretty where somebody is reading, JSON where something is.
    #[must_use]
    pub fn of_terminal() -> Self {
        if io::stderr().is_terminal() { Self::Pretty } else { Self::Json }
    }
}

/// Sends log lines to standard error, from `info` up unless `RUST_LOG` says otherwise. Standard
/// output stays free for what a command was asked to print.
///
/// Calling it twice in a process keeps the first subscriber.
pub fn start(format: LogFormat) {
    start_with(format, DEFAULT_FILTER);
}

/// The same from `warn` up, for a command whose own lines say how it went.
pub fn start_quietly(format: LogFormat) {
    start_with(format, QUIET_FILTER);
}

fn start_with(format: LogFormat, default_filter: &str) {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_filter));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match format {
        LogFormat::Json => lines.json().flatten_event(true).with_ansi(false).try_init(),
        LogFormat::Pretty => lines.with_target(false).try_init(),
    };
    if started.is_err() {
        tracing::debug!("a subscriber is installed already");
    }
}
