//! A Postgres of our own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use sqlx::{Connection, PgConnection};

use super::disk::Disk;
use super::folder::Folder;
use super::port::Port;
use super::process::{Process, Signal, command, run_well, runs_as_root};
use super::server::{PATIENCE, Server, program};
use super::wait::eventually;

const USER: &str = "supportline";
/// Every URL of the bed carries a password, so that a test can look for it in logs and answers.
pub const PASSWORD: &str = "postgres-secret";

/// Where in its folder its data are.
const DATA: &str = "data";

/// A Postgres server with a data folder of its own, as durable as in production.
pub struct Postgres {
    process: Process,
    port: Port,
    folder: Folder,
}

impl Postgres {
    /// Makes a new, empty server and starts it.
    pub async fn start() -> Self {
        Self::start_in(Folder::new("postgres"), &[]).await
    }

    /// The same with settings of its own, such as `work_mem=8MB`.
    pub async fn start_with(settings: &[&str]) -> Self {
        Self::start_in(Folder::new("postgres"), settings).await
    }

    /// The same with its data on a disk of so many mebibytes.
    pub async fn on_a_small_disk(mebibytes: u32) -> (Self, Disk) {
        let folder = Folder::new("postgres");
        let disk = Disk::mount(&folder, DATA, mebibytes).await;
        (Self::start_in(folder, &[]).await, disk)
    }

    async fn start_in(folder: Folder, settings: &[&str]) -> Self {
        initialise(&folder).await;
        let port = Port::free();
        let mut command = server_command(&folder, &port);
        // Of two that name the same, the last one counts.
        command.args(settings.iter().flat_map(|setting| ["-c", setting]));
        let process = Process::new("postgres", folder.path(), command);
        let postgres = Self { process, port, folder };
        postgres.launch().await;
        postgres
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD}@{}/{database}", self.port.address())
    }

    /// Creates an empty database and gives back its URL.
    pub async fn create_database(&self, name: &str) -> String {
        self.run("createdb", &[name]).await;
        self.url(name)
    }

    /// Removes a database that nobody needs any more.
    pub async fn drop_database(&self, name: &str) {
        self.run("dropdb", &["--force", name]).await;
    }

    /// Runs a program of Postgres's as the owner of everything.
    async fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = command(binary(program));
        command.args(["-h", "127.0.0.1", "-p", &self.port.number().to_string(), "-U", USER]);
        command.args(arguments).env("PGPASSWORD", PASSWORD);
        run_well(program, self.folder.path(), command, PATIENCE).await;
    }
}

impl Server for Postgres {
    fn folder(&self) -> &Folder {
        &self.folder
    }

    fn process(&self) -> &Process {
        &self.process
    }

    fn stop_signal(&self) -> Signal {
        Signal::Int // TERM would wait for the clients to leave.
    }

    async fn launch(&self) {
        self.process.start();
        let url = self.url("postgres");
        let connection = eventually(PATIENCE, "Postgres answers", async || {
            assert!(self.process.is_running(), "Postgres ended: {}", self.process.log());
            PgConnection::connect(&url).await
        });
        connection.await.close().await.expect("close the connection to Postgres");
    }
}

async fn initialise(folder: &Folder) {
    let password_file = folder.join("password");
    std::fs::write(&password_file, PASSWORD).expect("write Postgres's password");
    if runs_as_root() {
        let mut chown = command("chown");
        chown.args(["-R", "postgres:"]).arg(folder.path());
        run_well("chown", folder.path(), chown, PATIENCE).await;
    }
    let mut initdb = as_ordinary_user(&binary("initdb"));
    // Small pieces of log: on a small disk, large ones would leave room for nothing else.
    initdb.arg("--wal-segsize=4");
    // --no-sync spares only the syncing of the empty template; the server itself syncs.
    initdb.args(["--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--auth=md5", "-U", USER]);
    initdb.arg("-D").arg(folder.join(DATA)).arg("--pwfile").arg(password_file);
    run_well("initdb", folder.path(), initdb, PATIENCE).await;
}

fn server_command(folder: &Folder, port: &Port) -> Command {
    let mut postgres = as_ordinary_user(&binary("postgres"));
    postgres.arg("-D").arg(folder.join(DATA));
    postgres.args(["-h", "127.0.0.1", "-p", &port.number().to_string()]);
    for setting in [
        "fsync=on",                        // Durability is what the tests are about.
        "max_connections=300",             // One server for the whole test binary.
        "shared_buffers=32MB",             // The tests' data are small.
        "dynamic_shared_memory_type=mmap", // In the data folder, not left over in /dev/shm.
        "unix_socket_directories=",        // None: nobody needs it, nobody has to remove it.
    ] {
        postgres.args(["-c", setting]);
    }
    postgres
}

/// Postgres refuses to run as root; anybody else runs it as themselves.
fn as_ordinary_user(program: &Path) -> Command {
    if !runs_as_root() {
        return command(program);
    }
    let mut setpriv = command("setpriv");
    setpriv.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    setpriv
}

/// A program of the newest Postgres installed; Debian keeps them off the path.
fn binary(name: &str) -> PathBuf {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &PathBuf| path.file_name().and_then(OsStr::to_str)?.parse::<u32>().ok();
    let newest = installed.map(|entry| entry.path()).max_by_key(version).unwrap_or_default();
    program(name, &[&newest.join("bin")], "postgresql")
}
