//! What is delivered for containers: `docker-compose.yml`, `deploy/` and `.env.example`.
//!
//! No container engine is needed. Docker Compose itself reads the file (which takes no engine) and
//! holds it against its schema; what it understood is then run as plain processes: the very
//! commands, environments and health checks, with nothing changed but names and ports.

mod addresses;
mod alerts;
mod build;
mod compose;
mod containers;
mod docker_compose;
mod dockerfile;
mod edges_local;
mod failover;
mod mute;
mod names;
mod systemd;
mod visitor;

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn path(name: &str) -> PathBuf {
    root().join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}
