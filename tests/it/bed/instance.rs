//! One `supportline` process that listens.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use super::client::Client;
use super::port::Port;
use super::process::{Process, Signal, command};
use super::wait::eventually;

/// From the start to the first 200 of `/readyz`, migrations included.
const START: Duration = Duration::from_secs(30);
/// A little more than the default of `--shutdown-grace`, within which it must have ended.
const STOP: Duration = Duration::from_secs(30);

/// The program under test, with nothing of the tests' own environment.
pub fn supportline(settings: &[(String, String)]) -> Command {
    let mut supportline = command(env!("CARGO_BIN_EXE_supportline"));
    supportline.envs(settings.iter().map(|(name, value)| (name, value)));
    supportline
}

/// How a process ended that was asked to.
#[derive(Clone, Copy, Debug)]
pub struct Stopped {
    /// Its exit status.
    pub status: ExitStatus,
    /// How long it took from the signal.
    pub took: Duration,
}

/// A running role: `serve`, `ingest`, `worker`, … on an address of its own, which stays the same
/// over all its lives.
pub struct Instance {
    process: Process,
    port: Port,
    client: Client,
}

impl Instance {
    /// Starts the role; [`Instance::ready`] tells when it is up.
    pub fn start(role: &str, folder: &Path, settings: &[(String, String)]) -> Self {
        let port = Port::free();
        let mut command = supportline(settings);
        command.arg(role).env("SUPPORT_LISTEN", port.address().to_string());
        let name = format!("{role}-{}", port.number());
        let process = Process::new(&name, folder, command);
        process.start();
        // A worker has probes and no API.
        let is_edge = ["serve", "ingest"].contains(&role);
        let client = if is_edge { Client::of_the_api } else { Client::new }(port.address());
        Self { process, port, client }
    }

    /// Waits for `/readyz` to say 200; fails the test, with the log, when the process ends.
    pub async fn ready(&self) {
        eventually(START, "/readyz says 200", async || {
            assert!(self.process.is_running(), "supportline ended: {}", self.log());
            let answer = self.client.get("/readyz").try_send().await;
            let answer = answer.map_err(|error| error.to_string())?;
            if answer.status == 200 { Ok(()) } else { Err(format!("{answer:?}")) }
        })
        .await;
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// A client of it.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What it holds in memory, as the kernel counts it (`VmRSS`), in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let pid = self.process.pid().expect("it is running");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a figure");
        let kibibytes = line.split_whitespace().nth(1).expect("a number").parse::<u64>();
        kibibytes.expect("a number") * 1_024
    }

    /// All that it has logged, over all its lives.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Whether it has ended by itself, or by us.
    pub fn is_running(&self) -> bool {
        self.process.is_running()
    }

    /// Kills it (SIGKILL).
    pub fn kill(&self) {
        self.process.kill();
        self.client.disconnect();
    }

    /// Freezes it.
    pub fn pause(&self) {
        self.process.signal(Signal::Stop);
    }

    /// Ends the pause.
    pub fn resume(&self) {
        self.process.signal(Signal::Cont);
    }

    /// Asks it to stop (SIGTERM) and waits until it has.
    pub async fn stop_gracefully(&self) -> Stopped {
        let asked_at = Instant::now();
        self.process.signal(Signal::Term);
        let status = self.process.wait(STOP).await;
        self.client.disconnect();
        Stopped { status, took: asked_at.elapsed() }
    }

    /// Starts it again after its end and waits until it is ready.
    pub async fn start_again(&self) {
        self.process.start();
        self.ready().await;
    }
}
