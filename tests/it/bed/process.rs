//! One child process: started, signalled, waited for, started again, and read.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::wait::eventually;

/// The variables that children share with the tests. Everything else (`DATABASE_URL`,
/// `SUPPORT_…`, `PG…`, `RABBITMQ_…`) could lead a child to somebody's real installation.
const INHERITED: [&str; 3] = ["PATH", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"];

/// A signal that tests send.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    /// Please stop.
    Term,
    /// Stop now (what Ctrl-C sends; to Postgres: a fast shutdown).
    Int,
    /// Freeze.
    Stop,
    /// Go on.
    Cont,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Term => "TERM",
            Self::Int => "INT",
            Self::Stop => "STOP",
            Self::Cont => "CONT",
        }
    }
}

/// A command with nothing of the tests' environment but what every program needs.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LANG", "C.UTF-8");
    command.envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command
}

/// A command that runs as root: directly, or by a `sudo` that asks for no password.
pub fn as_root(program: &str) -> Command {
    if runs_as_root() {
        return command(program);
    }
    let mut sudo = command("sudo");
    sudo.args(["-n", program]);
    sudo
}

/// Whether the tests do.
pub fn runs_as_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// A child process that lives in a folder and writes its output there; killed when dropped.
/// It can be started again, with the same command, as often as a test likes.
pub struct Process {
    name: String,
    command: Mutex<Command>,
    child: Mutex<Option<Child>>,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Prepares the process without starting it. `name` names its two log files in `folder`.
    pub fn new(name: &str, folder: &Path, mut command: Command) -> Self {
        let stdout = folder.join(format!("{name}.stdout"));
        let stderr = folder.join(format!("{name}.stderr"));
        command
            .current_dir(folder) // How the watchdog knows it; see folder.sh.
            .process_group(0) // Ctrl-C reaches the tests alone, and the watchdog does the rest.
            .stdin(Stdio::null())
            .stdout(append_to(&stdout))
            .stderr(append_to(&stderr));
        let (command, child) = (Mutex::new(command), Mutex::new(None));
        Self { name: name.to_owned(), command, child, stdout, stderr }
    }

    /// Starts it, for the first time or again.
    pub fn start(&self) {
        assert!(!self.is_running(), "{} is running already", self.name);
        let spawned = lock(&self.command).spawn();
        let child = spawned.unwrap_or_else(|error| panic!("cannot start {}: {error}", self.name));
        *lock(&self.child) = Some(child);
    }

    /// Sets a variable for the lives to come.
    pub fn set_env(&self, name: &str, value: &str) {
        lock(&self.command).env(name, value);
    }

    /// Its id, until somebody has waited for its end.
    pub fn pid(&self) -> Option<u32> {
        lock(&self.child).as_ref().map(Child::id)
    }

    /// Whether it has been started and has not ended.
    pub fn is_running(&self) -> bool {
        let mut child = lock(&self.child);
        child.as_mut().is_some_and(|child| child.try_wait().expect("wait").is_none())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        // Under the lock nobody waits for the child, so its id cannot belong to another by now.
        let child = lock(&self.child);
        let child = child.as_ref().unwrap_or_else(|| panic!("{} is not running", self.name));
        let kill = ["-c", "kill -s $0 $1", signal.name(), &child.id().to_string()];
        let status = Command::new("sh").args(kill).status().expect("run kill");
        assert!(status.success(), "{} could not be sent {signal:?}", self.name);
    }

    /// Kills it (SIGKILL) and returns when it is dead. Nothing happens when it is not running.
    pub fn kill(&self) {
        if let Some(mut child) = lock(&self.child).take() {
            // Fails only when it has ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Waits for its end; fails the test at the deadline.
    pub async fn wait(&self, deadline: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        let status = eventually(deadline, &what, async || {
            let mut child = lock(&self.child);
            let child = child.as_mut().expect("wait for a process that was started");
            child.try_wait().expect("wait").ok_or("it is still running")
        });
        let status = status.await;
        *lock(&self.child) = None;
        status
    }

    /// What it has written to standard output, over all its lives.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// What it has written to standard error, over all its lives.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// All that it has written.
    pub fn log(&self) -> String {
        self.stdout() + &self.stderr()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a program that has ended leaves behind.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// Runs a program in `folder` to its end; fails the test at the deadline, not on its exit code.
pub async fn run(name: &str, folder: &Path, command: Command, deadline: Duration) -> Output {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let process = Process::new(&format!("{name}-{number}"), folder, command);
    process.start();
    let status = process.wait(deadline).await;
    Output { status, stdout: process.stdout(), stderr: process.stderr() }
}

/// As [`run`], and fails the test, with what the program said, when it did not succeed.
pub async fn run_well(name: &str, folder: &Path, command: Command, deadline: Duration) -> String {
    let output = run(name, folder, command, deadline).await;
    assert!(output.status.success(), "{name}: {output:?}");
    output.stdout
}

fn append_to(path: &Path) -> File {
    let file = File::options().create(true).append(true).open(path);
    file.unwrap_or_else(|error| panic!("cannot open {}: {error}", path.display()))
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

/// A test that panicked elsewhere must not hide its reason behind a poisoned lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
