//! What every server of the bed has in common: what a test can make it suffer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::folder::Folder;
use super::process::{Process, Signal};

/// No server takes this long to start or to stop, on the slowest machine we know.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A real server in a child process. Whoever can change it can break it; the servers that tests
/// share are handed out behind a shared reference, so that nobody can.
pub trait Server {
    /// Where it and its data live.
    fn folder(&self) -> &Folder;

    /// The process that is the server.
    fn process(&self) -> &Process;

    /// The signal at which it stops in good order.
    fn stop_signal(&self) -> Signal;

    /// Starts it and returns when it has answered a real client.
    async fn launch(&self);

    /// Stops it in good order.
    async fn stop(&mut self) {
        self.process().signal(self.stop_signal());
        self.process().wait(PATIENCE).await;
        self.folder().kill();
    }

    /// Kills it with everything it has started, at once, as a power cut would; the data stay.
    fn kill(&mut self) {
        self.folder().kill();
        self.process().kill();
    }

    /// Starts it again: the same port, the same data.
    async fn start_again(&mut self) {
        self.launch().await;
    }

    /// Freezes it: connections stay open and nothing answers.
    fn pause(&mut self) {
        self.folder().pause();
    }

    /// Ends the pause.
    fn resume(&mut self) {
        self.folder().resume();
    }
}

/// Finds a program in `places`, then on the path; fails the test with what to do when it is on
/// neither.
pub fn program(name: &str, places: &[&Path], package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path);
    let places = places.iter().map(|&place| place.to_owned());
    places.chain(on_path).map(|place| place.join(name)).find(|file| file.is_file()).unwrap_or_else(
        || panic!("{name} is not installed: `apt-get install {package}`, or let `make test` do it"),
    )
}
