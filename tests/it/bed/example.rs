//! The programs in `examples/`, run as their readers would run them.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{Process, command};

/// `examples/consumer.py`, consuming into its standard output.
pub fn python_consumer(folder: &Path, amqp_url: &str, queue: &str) -> Process {
    // Debian's own Python, which finds Debian's packages.
    let mut python = command("/usr/bin/python3");
    python.arg(root().join("examples/consumer.py")).args([amqp_url, queue]);
    started("consumer-py", folder, python)
}

/// `examples/consumer.rs`, consuming into its standard output.
pub fn rust_consumer(folder: &Path, amqp_url: &str, queue: &str) -> Process {
    let mut consumer = command(built("consumer"));
    consumer.args([amqp_url, queue]);
    started("consumer-rs", folder, consumer)
}

fn started(name: &str, folder: &Path, command: Command) -> Process {
    let process = Process::new(name, folder, command);
    process.start();
    process
}

/// Builds an example beside the program under test; cargo builds none for a single test binary.
fn built(name: &str) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--offline", "--workspace", "--example", name]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let status = cargo.current_dir(root()).status().expect("run cargo");
    assert!(status.success(), "the example {name} does not build");
    Path::new(env!("CARGO_BIN_EXE_supportline")).with_file_name("examples").join(name)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
