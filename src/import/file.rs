//! A file, read piece by piece beside the runtime: a read may wait for long, as for a pipe.

use std::{
    fs,
    io::{self, Read},
    path::Path,
    thread,
};

use tokio::sync::mpsc;

/// Bytes read at a time.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces read ahead.
const PIECES_AHEAD: usize = 4;

/// One that is being read.
pub struct File {
    pieces: mpsc::Receiver<io::Result<Vec<u8>>>,
    bytes: Option<u64>,
}

impl File {
    /// Opens a file; `-` is the standard input.
    pub fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::reading(io::stdin(), None));
        }
        let file = fs::File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Self::reading(file, metadata.is_file().then_some(metadata.len())))
    }

    fn reading(mut source: impl Read + Send + 'static, bytes: Option<u64>) -> Self {
        let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
        // Nobody waits for it: at the program's end it may still wait for a pipe.
        thread::spawn(move || {
            loop {
                let mut piece = vec![0; PIECE_BYTES];
                let read = match source.read(&mut piece) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    read => read,
                };
                let is_last = !matches!(read, Ok(1..));
                let piece = read.map(|length| {
                    piece.truncate(length);
                    piece
                });
                let is_end = piece.as_ref().is_ok_and(Vec::is_empty);
                if is_end || sender.blocking_send(piece).is_err() || is_last {
                    return;
                }
            }
        });
        Self { pieces, bytes }
    }

    /// How long it is, where that is known.
    pub const fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// The next piece; none at the end.
    pub async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        self.pieces.recv().await
    }
}
