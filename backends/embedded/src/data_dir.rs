//! The directory that holds everything, and the lock that says whose it is.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use thiserror::Error;

/// Why a data directory cannot be opened, in one line for the operator.
#[derive(Debug, Error)]
pub enum OpenError {
    /// It cannot be made, read or written.
    #[error(
        "cannot use the data directory {} (--data-dir): {source}; accepted: the path of a folder, \
         which is made if need be",
        path.display()
    )]
    Unusable {
        /// The directory, or the file in it.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// There is none to read, and what only reads makes none.
    #[error(
        "there is no installation in {} (--data-dir); accepted: the folder that a server keeps its data in",
        path.display()
    )]
    Absent {
        /// The directory.
        path: PathBuf,
    },
    /// Two servers on one directory would each number and count, and each believe to be alone.
    #[error("the data directory {} is in use by another process", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The file is there and is no database this program can open.
    #[error("cannot open the database {}: {source}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What `SQLite` says.
        source: sqlx::Error,
    },
    /// What would be read from it is not what was written.
    #[error(
        "the database {} is damaged, as a copy is that was made while a server wrote: {finding}; \
         copy it with `sqlite3 … \".backup\"`, or while the server is stopped",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The first thing that `SQLite` finds wrong.
        finding: String,
    },
}

/// A directory that this process alone serves, for as long as the value lives.
pub(crate) struct DataDir {
    path: PathBuf,
    /// Holds the [`identity`] of the database that was served here last.
    lock: File,
    /// Whether nobody has served this database here yet, and it was not made just now.
    is_copy: bool,
}

impl DataDir {
    /// Makes the directory and the empty database where there are none, and takes the lock.
    pub(crate) fn create(path: &Path) -> Result<Self, OpenError> {
        create_private_dir(path).map_err(unusable(path))?;
        // Absolute, so that SQLite never takes a name for a `file:` address.
        let path = path.canonicalize().map_err(unusable(path))?;
        let (mut lock, _) = open_private(&path.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::InUse { path: path.clone() },
            TryLockError::Error(source) => OpenError::Unusable { path: path.clone(), source },
        })?;
        // An empty file is an empty database. Made here, because SQLite would make it readable by
        // everybody; its companions inherit the mode.
        let (_, is_new) = open_private(&database(&path))?;
        sync_names(&path).map_err(unusable(&path))?;
        let mut served_last = String::new();
        // What cannot be read is no identity.
        drop(lock.read_to_string(&mut served_last));
        let is_copy = !is_new && identity(&database(&path)).is_some_and(|it| it != served_last);
        let mut data_dir = Self { path, lock, is_copy };
        if is_new {
            data_dir.recognise();
        }
        Ok(data_dir)
    }

    /// Whether the database was put here, and not made and served here: by somebody who copied files,
    /// perhaps from under a server. (A folder whose file system was mounted anew may look so, too.)
    pub(crate) fn is_copy(&self) -> bool {
        self.is_copy
    }

    /// Remembers the database as the one that is served here.
    pub(crate) fn recognise(&mut self) {
        let identity = identity(&self.database());
        // If that fails, as on a full disk, it only has to be looked at once more.
        let remembered = self.lock.set_len(0).and_then(|()| {
            self.lock.rewind()?;
            self.lock.write_all(identity.unwrap_or_default().as_bytes())
        });
        self.is_copy = remembered.is_err();
    }

    /// The database's file.
    pub(crate) fn database(&self) -> PathBuf {
        database(&self.path)
    }

    /// Lets another process open the directory.
    pub(crate) fn release(&self) {
        // The lock ends with the process anyway, and there is no one to tell.
        drop(self.lock.unlock());
    }
}

/// Where the database of a data directory lies.
pub(crate) fn database(data_dir: &Path) -> PathBuf {
    data_dir.join("supportline.db")
}

pub(crate) fn unusable(path: &Path) -> impl Fn(io::Error) -> OpenError {
    move |source| OpenError::Unusable { path: path.to_owned(), source }
}

fn create_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

/// A file survives a power cut only once its name in the directory does, and that one's in turn.
fn sync_names(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    for dir in path.ancestors().take(2) {
        match File::open(dir) {
            Ok(dir) => dir.sync_all()?,
            // One may use a directory whose parent one may not read; then it was there before.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Opens a file, or makes it; says whether it did.
fn open_private(path: &Path) -> Result<(File, bool), OpenError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened.map(|file| (file, false)).map_err(unusable(path)),
    }
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.create(true).truncate(false).open(path).map(|file| (file, true)).map_err(unusable(path))
}

/// Tells a file from its copies. (Without opening it: closing it again would take from `SQLite` what
/// locks this process has on it.)
#[cfg(unix)]
fn identity(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::metadata(path).ok()?;
    Some(format!("{}:{}", metadata.dev(), metadata.ino()))
}

/// Elsewhere a copy is trusted.
#[cfg(not(unix))]
fn identity(_path: &Path) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_serves_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDir::create(dir.path()).unwrap();
        let error = DataDir::create(dir.path()).err().unwrap();
        assert!(matches!(error, OpenError::InUse { .. }), "{error}");
        assert!(error.to_string().ends_with("is in use by another process"), "{error}");
        drop(first);
        let second = DataDir::create(dir.path()).unwrap();
        second.release();
        DataDir::create(dir.path()).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_copy_is_known_until_it_is_recognised() {
        let dir = tempfile::tempdir().unwrap();
        let (original, copy) = (dir.path().join("original"), dir.path().join("copy"));
        assert!(!DataDir::create(&original).unwrap().is_copy(), "made just now");
        assert!(!DataDir::create(&original).unwrap().is_copy(), "served before");
        fs::create_dir(&copy).unwrap();
        for name in ["supportline.db", "lock"] {
            fs::copy(original.join(name), copy.join(name)).unwrap();
        }
        assert!(DataDir::create(&copy).unwrap().is_copy(), "and whoever copied took the lock, too");
        let mut recognised = DataDir::create(&copy).unwrap();
        recognised.recognise();
        drop(recognised);
        assert!(!DataDir::create(&copy).unwrap().is_copy());
        fs::remove_file(copy.join("lock")).unwrap();
        assert!(DataDir::create(&copy).unwrap().is_copy(), "nothing says that it is not");
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_it() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        DataDir::create(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&database(&path))), (0o700, 0o600));
    }

    #[test]
    fn what_is_wrong_fits_on_a_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = DataDir::create(file.path()).err().unwrap().to_string();
        assert!(error.starts_with("cannot use the data directory /"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}
