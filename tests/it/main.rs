//! All integration tests, one binary: real processes, real servers, started and killed by `bed`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test fails by panicking, and so does the bed that it stands on"
)]

mod bed;
mod bed_tests;
mod conformance;
mod flow;
