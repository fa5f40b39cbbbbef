//! A process that runs until it is told to stop, told so with any signal.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::Settings;
use crate::bed::client::Client;
use crate::bed::instance::supportline;
use crate::bed::port::Port;
use crate::bed::process::{Process, Signal};
use crate::bed::wait::eventually;

const START: Duration = Duration::from_secs(30);
/// A little more than the grace, within which it must have ended.
const STOP: Duration = Duration::from_secs(30);

/// One role on an address of its own.
pub struct Running {
    process: Process,
    port: Port,
}

impl Running {
    /// Starts it and waits until it is ready.
    pub async fn start(role: &str, folder: &Path, settings: &Settings) -> Self {
        let port = Port::free();
        let mut command = supportline(settings);
        command.arg(role).env("SUPPORT_LISTEN", port.address().to_string());
        let process = Process::new(&format!("{role}-{}", port.number()), folder, command);
        let running = Self { process, port };
        running.start_again().await;
        running
    }

    /// Starts it after its end and waits until it is ready.
    pub async fn start_again(&self) {
        self.process.start();
        let client = self.client();
        eventually(START, "/readyz says 200", async || {
            assert!(self.process.is_running(), "it ended: {}", self.process.log());
            let answer = client.get("/readyz").try_send().await;
            match answer.map(|answer| answer.status.as_u16()) {
                Ok(200) => Ok(()),
                Ok(status) => Err(status.to_string()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }

    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// A client with connections of its own.
    pub fn client(&self) -> Client {
        Client::new(self.port.address())
    }

    pub fn kill(&self) {
        self.process.kill();
    }

    /// Sends the signal and waits for the end: its status, and how long it took.
    pub async fn stop(&self, signal: Signal) -> (ExitStatus, Duration) {
        let asked_at = Instant::now();
        self.process.signal(signal);
        (self.process.wait(STOP).await, asked_at.elapsed())
    }

    pub fn stdout(&self) -> String {
        self.process.stdout()
    }

    pub fn stderr(&self) -> String {
        self.process.stderr()
    }

    /// All that it has written, over all its lives.
    pub fn log(&self) -> String {
        self.process.log()
    }
}
