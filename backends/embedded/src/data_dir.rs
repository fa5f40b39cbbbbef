//! The directory that holds everything, and the lock that says whose it is.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// Why a data directory cannot be opened, in one line for the operator.
#[derive(Debug, Error)]
pub enum OpenError {
    /// It cannot be made, read or written.
    #[error("cannot use the data directory {} (--data-dir): {source}", path.display())]
    Unusable {
        /// The directory, or the file in it.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
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
}

/// A directory that this process alone serves, for as long as the value lives.
pub(crate) struct DataDir {
    path: PathBuf,
    lock: File,
}

impl DataDir {
    /// Makes the directory and the empty database where there are none, and takes the lock.
    pub(crate) fn create(path: &Path) -> Result<Self, OpenError> {
        create_private_dir(path).map_err(unusable(path))?;
        // Absolute, so that SQLite never takes a name for a `file:` address.
        let path = path.canonicalize().map_err(unusable(path))?;
        let lock = open_private(&path.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::InUse { path: path.clone() },
            TryLockError::Error(source) => OpenError::Unusable { path: path.clone(), source },
        })?;
        // An empty file is an empty database. Made here, because SQLite would make it readable by
        // everybody; its companions inherit the mode.
        open_private(&database(&path))?;
        sync_names(&path).map_err(unusable(&path))?;
        Ok(Self { path, lock })
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

fn open_private(path: &Path) -> Result<File, OpenError> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.create(true).truncate(false).read(true).write(true).open(path).map_err(unusable(path))
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
