//! What was sent and what was answered, in a file that outlives whoever writes it.
//!
//! An attempt is on the disk before its first byte is sent: a ticket whose attempt is not in the
//! file was sent by nobody. An answer is written when it is there and flushed with what comes next:
//! it counts as told only by its line, so one that is lost with the machine is one that nobody was
//! told, which is true. Attempts that wait for the disk at the same time share a flush.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::order::{Form, Order};

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Line {
    /// It is about to be sent.
    Sent(Sent),
    /// What came of it.
    Told(Told),
}

/// An attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Counted from 0.
    pub attempt: u64,
    /// Under which key.
    pub key: Option<String>,
    /// Whether all of it was to be sent.
    pub is_whole: bool,
    /// All that was sent.
    pub form: Form,
}

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Which one.
    pub attempt: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// 2xx.
    Accepted {
        /// The submission's id.
        id: String,
        /// The ticket's number, if there was one already.
        number: Option<String>,
    },
    /// 503: not accepted, as far as the edge knows.
    Refused,
    /// No answer, for this reason.
    Unknown(String),
    /// An answer that nobody should get.
    Absurd(String),
}

struct Entry {
    line: Vec<u8>,
    durable: Option<oneshot::Sender<()>>,
}

/// The file while it is being written.
pub struct Ledger {
    entries: Sender<Entry>,
    writer: JoinHandle<()>,
    attempts: AtomicU64,
}

impl Ledger {
    /// Begins a new file.
    pub fn begin(path: &Path) -> Self {
        let file = File::create_new(path).expect("create a ledger");
        let (entries, receiver) = channel();
        let writer = std::thread::spawn(move || write_down(file, &receiver));
        Self { entries, writer, attempts: AtomicU64::new(0) }
    }

    /// Writes an attempt down, and returns its number when it is on the disk.
    pub async fn attempt(&self, order: &Order, is_whole: bool) -> u64 {
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed);
        let (durable, is_durable) = oneshot::channel();
        let (key, form) = (order.key.clone(), order.form.clone());
        self.write(&Line::Sent(Sent { attempt, key, is_whole, form }), Some(durable));
        is_durable.await.expect("the ledger's writer lives");
        attempt
    }

    /// Writes down how an attempt ended.
    pub fn told(&self, attempt: u64, outcome: Outcome) {
        self.write(&Line::Told(Told { attempt, outcome }), None);
    }

    fn write(&self, line: &Line, durable: Option<oneshot::Sender<()>>) {
        let mut line = serde_json::to_vec(line).expect("JSON");
        line.push(b'\n');
        self.entries.send(Entry { line, durable }).expect("the ledger's writer lives");
    }

    /// Ends the file; all of it is on the disk.
    pub fn end(self) {
        drop(self.entries);
        self.writer.join().expect("the ledger's writer ends well");
    }
}

fn write_down(mut file: File, entries: &Receiver<Entry>) {
    while let Ok(first) = entries.recv() {
        let (mut lines, mut waiting) = (first.line, Vec::from_iter(first.durable));
        for entry in entries.try_iter() {
            lines.extend(entry.line);
            waiting.extend(entry.durable);
        }
        file.write_all(&lines).expect("write the ledger");
        if !waiting.is_empty() {
            file.sync_data().expect("flush the ledger");
        }
        for durable in waiting {
            // Whoever asked may have been dropped meanwhile, and sends nothing then.
            let _ = durable.send(());
        }
    }
    file.sync_data().expect("flush the ledger");
}

/// The lines of a file.
pub fn read(path: &Path) -> impl Iterator<Item = Line> {
    let lines = BufReader::new(File::open(path).expect("open a ledger")).lines();
    lines.map(|line| serde_json::from_str(&line.expect("read a ledger")).expect("a ledger's line"))
}
