//! All integration tests, one binary: real processes, real servers, started and killed by `bed`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::print_stdout,
    reason = "a test fails by panicking, and so does the bed that it stands on; a long run prints its figures"
)]

mod api;
mod bed;
mod bed_tests;
mod chaos;
mod cli;
mod conformance;
mod deploy;
mod faults;
mod flow;
mod golden;
mod tidy;
mod upgrade;
