//! wrk, which sends the next request as soon as one is answered: what a server can do at most.

use std::fs::write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde::Deserialize;
use tokio::task::spawn_blocking;

use crate::bed::folder::Folder;

/// One for each processor of the machines that this was made for.
const THREADS: u32 = 2;
/// Whatever takes longer counts as not answered.
const TIMEOUT: &str = "10s";

/// A load to put on a server.
pub struct Wrk {
    script: &'static str,
    arguments: Vec<String>,
}

/// What came of it.
#[derive(Clone, Debug, Deserialize)]
pub struct Outcome {
    pub requests: u64,
    /// How long it took, in microseconds.
    pub micros: u64,
    pub not_answered: u64,
    /// Answered with 400 or more.
    pub refused: u64,
    /// Microseconds.
    pub mean: f64,
    /// Microseconds.
    pub p99: f64,
}

impl Outcome {
    /// Answers a second.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub fn per_second(&self) -> f64 {
        self.requests as f64 * 1e6 / self.micros as f64
    }
}

impl Wrk {
    /// Forms, each from another client.
    pub fn forms(prefer: Option<&str>) -> Self {
        let arguments = prefer.map(str::to_owned).into_iter().collect();
        Self { script: include_str!("wrk/post.lua"), arguments }
    }

    /// These paths in turn, each time as another client.
    pub fn gets(paths: &[String], token: Option<&str>, folder: &Folder) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let file = folder.join(&format!("paths-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        write(&file, paths.join("\n")).expect("write paths");
        let mut arguments = vec![file.display().to_string()];
        arguments.extend(token.map(str::to_owned));
        Self { script: include_str!("wrk/get.lua"), arguments }
    }

    /// Puts it on the server.
    pub async fn run(&self, on: SocketAddr, connections: u32, seconds: u64, in_: &Path) -> Outcome {
        // Clients of one run are those of no other.
        static RUN: AtomicU32 = AtomicU32::new(1);
        let run = RUN.fetch_add(1, Ordering::Relaxed);
        let script = in_.join("load.lua");
        write(&script, format!("{}\n{}", self.script, include_str!("wrk/done.lua")))
            .expect("write");
        let mut wrk = Command::new("wrk");
        wrk.args(["-t", &THREADS.to_string(), "-c", &connections.to_string()]);
        wrk.args(["-d", &format!("{seconds}s"), "--timeout", TIMEOUT, "-s"]).arg(script);
        wrk.arg(format!("http://{on}")).arg("--").arg(run.to_string()).args(&self.arguments);
        wrk.stderr(Stdio::inherit());
        let output = spawn_blocking(move || wrk.output()).await.expect("no panic");
        let output = output.expect("wrk, which `make bench` installs");
        let said = String::from_utf8_lossy(&output.stdout);
        let line = said.lines().find(|line| line.starts_with('{'));
        let outcome = line.and_then(|line| serde_json::from_str(line).ok());
        outcome.unwrap_or_else(|| panic!("wrk said {said}"))
    }
}
