//! A wall clock that a test turns while processes go by it. Their monotonic clocks stay the
//! machine's, as on a machine whose time is set.

use std::fs::{read_dir, rename, write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::folder::Folder;

/// What every process has whose environment is [`Clock::environment`].
pub struct Clock {
    folder: Folder,
    made_at: SystemTime,
}

impl Clock {
    /// One that shows the machine's time.
    #[expect(clippy::disallowed_methods, reason = "compared with the times of files")]
    pub fn new() -> Self {
        let clock = Self { folder: Folder::new("clock"), made_at: SystemTime::now() };
        clock.turn("+0");
        clock
    }

    /// From now on it shows the machine's time and so much more, or less: `+1d`, `-1h`.
    pub fn turn(&self, offset: &str) {
        // In one step: who reads it meanwhile must not read half of it.
        let next = self.folder.join("next");
        write(&next, offset).expect("write an offset");
        rename(next, self.file()).expect("turn the clock");
    }

    /// For a process that shall go by it.
    pub fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("LD_PRELOAD", library().display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file().display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    fn file(&self) -> PathBuf {
        self.folder.join("offset")
    }
}

/// A process that is killed leaves the library's shared memory behind.
impl Drop for Clock {
    fn drop(&mut self) {
        let left = read_dir("/dev/shm").into_iter().flatten().flatten().filter(|entry| {
            let name = entry.file_name().into_string().unwrap_or_default();
            let owner = name.rsplit_once('_').map(|(_, id)| Path::new("/proc").join(id));
            let made_at = entry.metadata().and_then(|it| it.modified());
            name.contains("faketime_")
                && owner.is_some_and(|owner| !owner.exists())
                && made_at.is_ok_and(|made_at| made_at >= self.made_at)
        });
        for entry in left {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// For programs with threads.
fn library() -> PathBuf {
    let places = read_dir("/usr/lib").into_iter().flatten().flatten();
    let libraries = places.map(|place| place.path().join("faketime/libfaketimeMT.so.1"));
    libraries.into_iter().find(|library| library.is_file()).unwrap_or_else(|| {
        panic!("faketime is not installed: `apt-get install faketime`, or let `make test` do it")
    })
}
