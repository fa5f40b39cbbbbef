//! What is told of a panic: where it was, and never its own words. They can quote what somebody sent.

use std::{panic, thread};

/// From now on panics are logged. Until then nothing that people sent is here.
pub fn are_logged() {
    panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string);
        let thread = thread::current();
        tracing::error!(at = at.as_deref(), thread = thread.name(), "a thread panicked");
    }));
}
