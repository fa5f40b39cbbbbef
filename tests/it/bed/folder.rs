//! Folders that take their inhabitants with them: every server of the bed lives in one, all of
//! them in the test binary's own, and a watchdog outside the binary removes that one whatever
//! the binary dies of.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The few lines of shell that know how to find, stop and end what lives in a folder.
const SCRIPT: &str = include_str!("folder.sh");

/// A temporary folder and whatever runs in it; both are gone when it is dropped.
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// A new, empty folder of this test binary; `name` is there for the human who looks.
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = home().join(format!("{name}-{number}"));
        std::fs::create_dir(&path).expect("create a folder of the test bed");
        open_to_other_users(&path);
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path inside it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The ids of the processes that live in it.
    pub fn inhabitants(&self) -> Vec<u32> {
        inhabitants(&self.path)
    }

    /// Whether nothing runs in it.
    pub fn is_deserted(&self) -> bool {
        self.inhabitants().is_empty()
    }

    /// Stops all that lives in it, as a frozen machine would.
    pub fn pause(&self) {
        ask("pause", &self.path);
    }

    /// Lets all that lives in it go on.
    pub fn resume(&self) {
        ask("resume", &self.path);
    }

    /// Kills all that lives in it, at once and without a last word; the files stay.
    pub fn kill(&self) {
        ask("kill", &self.path);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        ask("sweep", &self.path);
    }
}

/// The ids of the processes whose working directory is `path` or below it.
pub fn inhabitants(path: &Path) -> Vec<u32> {
    ask("list", path).lines().map(|id| id.parse().expect("a process id")).collect()
}

/// Starts the process that sweeps `path` as soon as its standard input ends: by being dropped,
/// or with the process that holds the other end, however that one dies.
pub fn watchdog(path: &Path) -> Child {
    script("watch", path)
        .current_dir("/")
        .process_group(0) // Ctrl-C ends the tests, not the one who cleans up after them.
        .stdin(Stdio::piped())
        .stdout(Stdio::null()) // A reader of the tests' output must not wait for the watchdog.
        .stderr(Stdio::null())
        .spawn()
        .expect("start the watchdog")
}

/// The test binary's own folder. A static is never dropped, hence the watchdog.
pub fn home() -> &'static Path {
    static HOME: OnceLock<(PathBuf, Child)> = OnceLock::new();
    let (path, _watchdog) = HOME.get_or_init(|| {
        let name = format!("supportline-it-{}-", std::process::id());
        let path = tempfile::Builder::new().prefix(&name).tempdir().expect("a folder").keep();
        open_to_other_users(&path);
        let watchdog = watchdog(&path);
        (path, watchdog)
    });
    path
}

/// Postgres refuses to run as root, so another user must be able to reach its data.
fn open_to_other_users(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o711)).expect("chmod");
}

fn ask(verb: &str, path: &Path) -> String {
    let output = script(verb, path).stdin(Stdio::null()).output().expect("run folder.sh");
    String::from_utf8(output.stdout).expect("folder.sh prints text")
}

fn script(verb: &str, path: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT, "folder.sh", verb]).arg(path);
    command
}
