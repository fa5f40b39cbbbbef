//! The benchmark: what the product does a second, beside what the machine and the libraries could do at
//! best, in one run and interleaved, since only ratios within a run mean anything on a shared machine.
//!
//! `make bench` starts everything itself: Postgres, RabbitMQ and Redis with their data flushed to disk,
//! the product's processes with every feature on, the floors, and wrk beside them.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    reason = "a benchmark ends by panicking when a part of it fails, and prints its figures"
)]

#[path = "../tests/it/bed/mod.rs"]
mod bed;

mod floors;
mod latencies;
mod machine;
mod many;
mod raw;
mod report;
mod stage;
mod suite;
mod usage;
mod wrk;

use clap::{Parser, Subcommand};

/// As the product: the floors must not lose by their allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the product against its floors.
#[derive(Parser)]
pub struct Arguments {
    /// How long each load lasts, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How often everything is measured, one after the other.
    #[arg(long, default_value_t = 3)]
    repetitions: u32,
    /// Connections at once.
    #[arg(long, default_value_t = 1_000)]
    connections: u32,
    /// Submissions that lie in the queue when the worker starts on them.
    #[arg(long, default_value_t = 500_000)]
    backlog: usize,
    /// Tickets that are stored before anything is measured.
    #[arg(long, default_value_t = 0)]
    tickets: u64,
    /// Only what has this in its name.
    #[arg(long)]
    only: Option<String>,
    /// Where to write the figures (`performance.json`, `performance.svg`).
    #[arg(long, default_value = "target/bench")]
    to: std::path::PathBuf,
    /// What cargo says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// One of the floors, as a process of its own; which, its environment tells.
    Floor,
}

fn main() {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match arguments.role {
        Some(Role::Floor) => runtime.block_on(floors::serve()),
        None => runtime.block_on(suite::run(&arguments)),
    }
}
