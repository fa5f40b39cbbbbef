//! Where an export goes: the standard output, or a file that has its name only when it is whole.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process,
};

/// One of both.
pub enum Target {
    /// The standard output.
    Output(io::Stdout),
    /// A file.
    File(Half),
}

/// A file that is not whole yet. What is dropped so is removed.
pub struct Half {
    file: File,
    /// Its name until then.
    name: PathBuf,
    whole: PathBuf,
    is_whole: bool,
}

impl Target {
    /// Begins; a file that is there stays as it is until the new one is whole.
    pub fn open(path: Option<&Path>) -> io::Result<Self> {
        let Some(path) = path else { return Ok(Self::Output(io::stdout())) };
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
        // Beside it: only within a file system is renaming one step.
        let half = path.with_file_name(format!(".{name}.{}.part", process::id()));
        let mut options = OpenOptions::new();
        // What submitters wrote is for nobody else on this machine.
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&half)?;
        Ok(Self::File(Half { file, name: half, whole: path.to_owned(), is_whole: false }))
    }

    /// Appends.
    pub fn write(&mut self, text: &[u8]) -> io::Result<()> {
        match self {
            Self::Output(output) => output.write_all(text),
            Self::File(half) => half.file.write_all(text),
        }
    }

    /// Everything is written.
    pub fn finish(self) -> io::Result<()> {
        match self {
            Self::Output(mut output) => output.flush(),
            Self::File(mut half) => {
                half.file.sync_all()?;
                fs::rename(&half.name, &half.whole)?;
                half.is_whole = true;
                Ok(())
            }
        }
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        if !self.is_whole {
            // There is nobody to tell, and what is left says what it is by its name.
            drop(fs::remove_file(&self.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_has_its_name_only_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tickets.csv");
        fs::write(&path, "before").unwrap();
        let mut target = Target::open(Some(&path)).unwrap();
        target.write(b"half").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"before");
        drop(target);
        assert_eq!(names(folder.path()), ["tickets.csv"]);
        let mut target = Target::open(Some(&path)).unwrap();
        target.write(b"whole").unwrap();
        target.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(names(folder.path()), ["tickets.csv"]);
    }
}
