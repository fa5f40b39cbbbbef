//! The spool's folder: segments in order, the lock that says whose they are, and how much there is.
//!
//! Everything here blocks, on a disk that may be slow.

use std::{
    collections::VecDeque,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{self, Path, PathBuf},
};

use bytes::Bytes;
use common::chain;
use thiserror::Error;

use super::segment::{self, Content, OPENING_BYTES, Record};

/// A segment that has grown so large is closed. What an edge that is killed has drained of the one
/// that it was about to delete is sent again, so they are small.
const SEGMENT_BYTES: u64 = 1024 * 1024;

/// What is written, and taken away again, to see whether a disk takes something.
const PROBE_BYTES: usize = 64 * 1024;

const SEGMENT: &str = "segment";
/// What is kept for somebody to look at, and never read again.
const DAMAGED: &str = "damaged";

/// Why a folder cannot be an edge's spool, in one line for the operator.
#[derive(Debug, Error)]
pub enum SpoolError {
    /// It cannot be made, read or written.
    #[error("cannot use the spool folder {} (--spool-dir): {source}", path.display())]
    Unusable {
        /// The folder, or the file in it.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Two edges on one folder would drain each other's segments.
    #[error(
        "the spool folder {} (--spool-dir) is in use by another process; each edge needs one of its own",
        path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
}

/// Why something is not spooled. It is not acknowledged, whatever is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSpooled {
    /// As much lies there as may.
    Full,
    /// The disk does not take it.
    Failed,
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    pub segments: usize,
    pub submissions: u64,
    pub bytes: u64,
    pub oldest_at_ms: Option<i64>,
    /// Segments that somebody should look at.
    pub set_aside: usize,
}

struct Segment {
    number: u64,
    bytes: u64,
    submissions: u64,
    oldest_at_ms: i64,
}

/// The folder, which is this process's alone for as long as the value lives.
pub struct Files {
    path: PathBuf,
    _lock: File,
    bytes_max: u64,
    /// The oldest first.
    segments: VecDeque<Segment>,
    /// The newest of them, if more may go into it.
    open: Option<File>,
    next_number: u64,
    set_aside: usize,
}

/// A segment's content, to be drained.
pub struct Front {
    pub number: u64,
    pub records: Vec<Record>,
    /// Not all that is in it can be read.
    pub is_damaged: bool,
}

impl Files {
    /// Makes the folder where there is none, takes its lock and finds what was left in it.
    pub fn open(path: &Path, bytes_max: u64) -> Result<Self, SpoolError> {
        let path = made(path).map_err(unusable(path))?;
        let lock = private().create(true).open(path.join("lock")).map_err(unusable(&path))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => SpoolError::InUse { path: path.clone() },
            TryLockError::Error(source) => SpoolError::Unusable { path: path.clone(), source },
        })?;
        let mut files = Self {
            path,
            _lock: lock,
            bytes_max,
            segments: VecDeque::new(),
            open: None,
            next_number: 1,
            set_aside: 0,
        };
        files.find().map_err(unusable(&files.path.clone()))?;
        Ok(files)
    }

    /// Looks through what an edge before left.
    fn find(&mut self) -> io::Result<()> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let Some(number) = stem.and_then(|stem| stem.parse::<u64>().ok()) else { continue };
            self.next_number = self.next_number.max(number.saturating_add(1));
            match path.extension().and_then(|extension| extension.to_str()) {
                Some(SEGMENT) => numbers.push(number),
                Some(DAMAGED) => self.set_aside += 1,
                _ => {}
            }
        }
        numbers.sort_unstable();
        let newest = numbers.last().copied();
        for number in numbers {
            self.take_up(number, Some(number) == newest);
        }
        Ok(())
    }

    /// Takes up one segment, or leaves it where it is and says why.
    fn take_up(&mut self, number: u64, is_newest: bool) {
        let name = file_name(number, SEGMENT);
        let read = fs::read(self.path.join(&name)).map_err(|error| chain(&error));
        let read = read.and_then(|bytes| {
            let bytes = Bytes::from(bytes);
            let content = segment::read(&bytes, is_newest).map_err(|error| error.to_string())?;
            Ok((bytes.len(), content))
        });
        let (length, content) = match read {
            Ok(read) => read,
            Err(reason) => {
                tracing::error!(segment = name, reason, "of the spool a segment is left unread");
                self.set_aside += 1;
                return;
            }
        };
        let Content { records, torn_bytes, damaged_bytes } = content;
        if damaged_bytes > 0 {
            tracing::error!(segment = name, damaged_bytes, "of the spool a segment is damaged");
        }
        if torn_bytes > 0 {
            tracing::warn!(
                segment = name,
                torn_bytes,
                "of the spool the end of a write is missing"
            );
            // Or it would be damage when another segment is the newest.
            self.cut(number, (length - torn_bytes) as u64);
        }
        let segment = Segment {
            number,
            bytes: (length - torn_bytes) as u64,
            submissions: submissions(&records),
            oldest_at_ms: records.first().map_or(0, |record| record.spooled_at_ms),
        };
        self.segments.push_back(segment);
        if records.is_empty() {
            self.finish(number, damaged_bytes > 0);
        }
    }

    /// Appends, and returns when the disk has all of it; else, none of it counts.
    pub fn append(&mut self, records: &[Record]) -> Result<(), NotSpooled> {
        let added = records.iter().map(Record::bytes).sum::<u64>();
        if self.figures().bytes + added > self.bytes_max {
            return Err(NotSpooled::Full);
        }
        let written = self.writable().and_then(|mut file| write(&mut file, records).map(|()| file));
        match written {
            Ok(file) => {
                self.grow(file, added, records);
                Ok(())
            }
            Err(error) => {
                tracing::error!(cause = chain(&error), "the spool's disk takes nothing");
                self.abandon();
                Err(NotSpooled::Failed)
            }
        }
    }

    /// Takes what was written into account.
    fn grow(&mut self, file: File, added: u64, records: &[Record]) {
        let Some(segment) = self.segments.back_mut() else { return };
        if segment.submissions == 0 {
            segment.oldest_at_ms = records.first().map_or(0, |record| record.spooled_at_ms);
        }
        segment.bytes += added;
        segment.submissions += submissions(records);
        self.open = (segment.bytes < SEGMENT_BYTES).then_some(file);
    }

    /// The segment that is open, or a new one.
    fn writable(&mut self) -> io::Result<File> {
        if let Some(file) = self.open.take() {
            return Ok(file);
        }
        let number = self.next_number;
        self.next_number += 1;
        let mut file = private().create_new(true).open(self.segment(number))?;
        let bytes = OPENING_BYTES as u64;
        self.segments.push_back(Segment { number, bytes, submissions: 0, oldest_at_ms: 0 });
        file.write_all(&segment::opening())?;
        file.sync_all()?;
        // A file survives a power cut only once its name in the folder does.
        File::open(&self.path)?.sync_all()?;
        Ok(file)
    }

    /// Writes no more to the newest segment: what a failed write has left at its end is anybody's
    /// guess, and a second flush that succeeds would not say that the first bytes are there.
    fn abandon(&mut self) {
        self.open = None;
        let Some(segment) = self.segments.back() else { return };
        let (number, bytes) = (segment.number, segment.bytes);
        if segment.submissions == 0 {
            self.finish(number, false);
        } else {
            self.cut(number, bytes);
        }
    }

    /// Cuts off what does not count. If that fails, it is seen for what it is when it is next read.
    fn cut(&self, number: u64, bytes: u64) {
        let cut = private().open(self.segment(number)).and_then(|file| {
            file.set_len(bytes)?;
            file.sync_all()
        });
        if let Err(error) = cut {
            tracing::warn!(number, cause = chain(&error), "a segment of the spool cannot be cut");
        }
    }

    /// Reads the oldest segment, into which nothing more goes from then on.
    pub fn front(&mut self) -> io::Result<Option<Front>> {
        let Some(&Segment { number, bytes, .. }) = self.segments.front() else { return Ok(None) };
        if self.segments.len() == 1 {
            self.open = None;
        }
        let all = Bytes::from(fs::read(self.segment(number))?);
        // No more of it than is known to have been written.
        let known = all.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
        let content = segment::read(&all.slice(..known), false).unwrap_or_default();
        let sound = content.records.iter().map(Record::bytes).sum::<u64>() + OPENING_BYTES as u64;
        Ok(Some(Front { number, records: content.records, is_damaged: sound != bytes }))
    }

    /// Gives up the oldest segment for now, as it cannot be read. Not where nothing can be: while the
    /// folder is away, or this process may open no more files, that says nothing of the segment.
    pub fn set_front_aside(&mut self) {
        let Some(&Segment { number, submissions, .. }) = self.segments.front() else { return };
        if File::open(&self.path).is_err() {
            return;
        }
        if let Err(error) = self.set_aside(number) {
            let cause = chain(&error);
            // Nor where nothing else can be written: there it is the disk.
            if error.kind() != ErrorKind::NotFound && self.probe().is_err() {
                tracing::error!(number, cause, "a segment stays in the spool");
                return;
            }
            // Somebody deleted it, or the next start finds it again. Those behind it do not wait.
            tracing::error!(number, submissions, cause, "of the spool a segment is passed over");
            self.set_aside += 1;
        }
        self.segments.retain(|segment| segment.number != number);
    }

    fn set_aside(&mut self, number: u64) -> io::Result<()> {
        let aside = file_name(number, DAMAGED);
        fs::rename(self.segment(number), self.path.join(&aside))?;
        tracing::error!(file = aside, "of the spool a segment is set aside");
        self.set_aside += 1;
        Ok(())
    }

    /// Lets go of a segment of which nothing is left to do: deletes it, or sets it aside.
    pub fn finish(&mut self, number: u64, is_damaged: bool) {
        let done =
            if is_damaged { self.set_aside(number) } else { fs::remove_file(self.segment(number)) };
        if let Err(error) = done {
            // The next start finds it again, and sends again what the store has.
            tracing::warn!(number, cause = chain(&error), "a segment of the spool stays");
        }
        self.segments.retain(|segment| segment.number != number);
    }

    /// Whether the disk takes something.
    pub fn probe(&self) -> io::Result<()> {
        let path = self.path.join("probe");
        let mut file = private().create(true).open(&path)?;
        let written = file.write_all(&vec![1; PROBE_BYTES]).and_then(|()| file.sync_all());
        fs::remove_file(&path)?;
        written
    }

    pub fn figures(&self) -> Figures {
        let filled = self.segments.iter().find(|segment| segment.submissions > 0);
        Figures {
            segments: self.segments.len(),
            submissions: self.segments.iter().map(|segment| segment.submissions).sum(),
            bytes: self.segments.iter().map(|segment| segment.bytes).sum(),
            oldest_at_ms: filled.map(|segment| segment.oldest_at_ms),
            set_aside: self.set_aside,
        }
    }

    /// As much as may lie there.
    pub const fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    fn segment(&self, number: u64) -> PathBuf {
        self.path.join(file_name(number, SEGMENT))
    }
}

/// Makes the folder, and those above it that are missing. What is in a folder survives a power cut
/// only if its own name does.
fn made(path: &Path) -> io::Result<PathBuf> {
    let path = path::absolute(path)?;
    let missing = path.ancestors().take_while(|folder| !folder.exists()).count();
    DirBuilder::new().mode(0o700).recursive(true).create(&path)?;
    for parent in path.ancestors().skip(1).take(missing) {
        File::open(parent)?.sync_all()?;
    }
    path.canonicalize()
}

/// One write for all of them, and one flush.
fn write(file: &mut File, records: &[Record]) -> io::Result<()> {
    let mut bytes = Vec::new();
    for record in records {
        record.encode(&mut bytes);
    }
    file.write_all(&bytes)?;
    file.sync_data()
}

fn submissions(records: &[Record]) -> u64 {
    records.iter().map(|record| u64::from(record.submissions)).sum()
}

fn file_name(number: u64, extension: &str) -> String {
    format!("{number:020}.{extension}")
}

fn unusable(path: &Path) -> impl Fn(io::Error) -> SpoolError {
    move |source| SpoolError::Unusable { path: path.to_owned(), source }
}

/// What people sent is for nobody else's eyes.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

#[cfg(test)]
mod tests;
