//! One `supportline` process that listens.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use super::client::Client;
use super::namespace::Namespace;
use super::port::Port;
use super::process::{Process, Signal, command};
use super::wait::{eventually, until};

/// From the start to the first 200 of `/readyz`, migrations and queues included. How fast a start is, is the
/// benchmark's to say: here it waits for a disk and servers that everybody shares.
const START: Duration = Duration::from_mins(2);
/// How much of a log tells why.
const LAST_WORDS: usize = 4_000;
/// A little more than the default of `--shutdown-grace`, within which it must have ended.
const STOP: Duration = Duration::from_secs(30);

/// Where the program under test is.
pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_supportline"))
}

/// The program under test, with nothing of the tests' own environment.
pub fn supportline(settings: &[(String, String)]) -> Command {
    let mut supportline = command(program());
    supportline.envs(settings.iter().map(|(name, value)| (name, value)));
    supportline
}

/// The same command of another program.
fn of_program(program: &Path, ours: &Command) -> Command {
    let mut command = command(program);
    command.args(ours.get_args());
    command.envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
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
    address: SocketAddr,
    client: Client,
    _port: Port,
}

impl Instance {
    /// Starts the role; [`Instance::ready`] tells when it is up.
    pub fn start(role: &str, folder: &Path, settings: &[(String, String)]) -> Self {
        let port = Port::free();
        let address = port.address();
        Self::launch(role, folder, settings, port, address, |command| command)
    }

    /// Starts the role of another program. What it answers is not held against today's document.
    pub fn start_program(
        program: &Path,
        role: &str,
        folder: &Path,
        settings: &[(String, String)],
    ) -> Self {
        let port = Port::free();
        let address = port.address();
        let place = |ours: Command| of_program(program, &ours);
        let instance = Self::launch(role, folder, settings, port, address, place);
        Self { client: Client::new(address), ..instance }
    }

    /// Starts the role in a place of its own on the network.
    pub fn start_in(
        namespace: &Namespace,
        role: &str,
        folder: &Path,
        settings: &[(String, String)],
    ) -> Self {
        let port = Port::free();
        let address = (namespace.address(), port.number()).into();
        Self::launch(role, folder, settings, port, address, |command| namespace.enter(&command))
    }

    fn launch(
        role: &str,
        folder: &Path,
        settings: &[(String, String)],
        port: Port,
        address: SocketAddr,
        place: impl FnOnce(Command) -> Command,
    ) -> Self {
        let mut command = supportline(settings);
        command.arg(role).env("SUPPORT_LISTEN", address.to_string());
        let name = format!("{role}-{}", port.number());
        let process = Process::new(&name, folder, place(command));
        process.start();
        // A worker has probes and no API.
        let is_edge = ["serve", "ingest"].contains(&role);
        let client = if is_edge { Client::of_the_api } else { Client::new }(address);
        Self { process, address, client, _port: port }
    }

    /// Waits for `/readyz` to say 200; fails the test, with the log, when the process ends.
    pub async fn ready(&self) {
        eventually(START, "/readyz says 200", async || {
            assert!(self.process.is_running(), "supportline ended: {}", self.log());
            let answer = self.client.get("/readyz").try_send().await;
            match answer {
                Ok(answer) if answer.status == 200 => Ok(()),
                answer => Err(Unready { answer: format!("{answer:?}"), instance: self }),
            }
        })
        .await;
    }

    /// Waits until it is so far that it answers: before, it does not know how to stop in good order.
    pub async fn answers(&self) {
        until(START, "/livez says 200", async || {
            let answer = self.client.get("/livez").try_send().await;
            answer.is_ok_and(|answer| answer.status == 200)
        })
        .await;
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client of it.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// What it holds in memory, as the kernel counts it (`VmRSS`), in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let pid = self.pid().expect("it is running");
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

    /// Sets a variable for the lives to come.
    pub fn set_env(&self, name: &str, value: &str) {
        self.process.set_env(name, value);
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

    /// Freezes it, and returns when it has no thread left that runs: what its files hold then, they
    /// held at one moment.
    pub async fn freeze(&self) {
        self.pause();
        let threads = format!("/proc/{}/task", self.process.pid().expect("it is running"));
        until(STOP, "every thread is stopped", async || {
            let threads = std::fs::read_dir(&threads).expect("its threads");
            threads.flatten().all(|thread| is_stopped(&thread.path()))
        })
        .await;
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

    /// As [`Instance::stop_gracefully`], but does not wait for longer than that: then it is killed.
    pub async fn stop_within(&self, limit: Duration) -> Option<Stopped> {
        let stopped = tokio::time::timeout(limit, self.stop_gracefully()).await.ok();
        self.kill();
        stopped
    }

    /// Starts it again after its end. [`Instance::ready`] tells when it is up.
    pub fn relaunch(&self) {
        self.process.start();
    }

    /// Starts it again after its end and waits until it is ready.
    pub async fn start_again(&self) {
        self.relaunch();
        self.ready().await;
    }
}

/// That it is not ready yet, and what it logged last, once somebody wants to know.
struct Unready<'a> {
    answer: String,
    instance: &'a Instance,
}

impl fmt::Debug for Unready<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = self.instance.log();
        let from = log.ceil_char_boundary(log.len().saturating_sub(LAST_WORDS));
        write!(out, "{}; its log ends:\n{}", self.answer, &log[from..])
    }
}

/// Whether a thread is in the state `T`, which stands behind its name.
fn is_stopped(thread: &Path) -> bool {
    let state = std::fs::read_to_string(thread.join("stat")).unwrap_or_default();
    state.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with('T'))
}
