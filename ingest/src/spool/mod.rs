//! Store and forward: where an edge puts what the queue does not take, and from where it drains once
//! the queue is back.
//!
//! Off unless `--spool-dir` names a folder. `files` has the disk and `segment` its format, `Writer`
//! appends whole groups at a time, `drain` publishes what lies there, the oldest first, and lets go of
//! a segment only when all of it is confirmed. `docs/adr/0017-spool.md` says why it is as it is.

pub mod drain;
mod files;
mod segment;

use std::{
    panic::AssertUnwindSafe,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use common::{
    chain,
    clock::Clock,
    domain::Submission,
    envelope, failpoint,
    metrics::{
        SPOOL_AGE, SPOOL_BYTES, SPOOL_BYTES_MAX, SPOOL_REFUSED, SPOOL_SET_ASIDE, SPOOL_SUBMISSIONS,
        SPOOLED,
    },
};
use futures_util::FutureExt;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::spawn_blocking,
    time::{Instant, sleep, timeout_at},
};

pub use files::SpoolError;
use files::{Figures, Files, Front, NotSpooled};
use segment::Record;

/// Envelopes that may wait for the disk: as many as are on their way at a time, and some.
const APPENDS_MAX: usize = 64;

/// So much is left over for there to be room: a form and what is written beside it.
const ROOM_BYTES: u64 = 128 * 1024;

/// How often a disk that takes nothing is asked whether it does again.
const PROBE_PERIOD: Duration = Duration::from_secs(1);

/// How often it is looked whether all is drained.
const LOOK_PERIOD: Duration = Duration::from_millis(20);

/// A spool's folder, opened by the process that will write there.
#[derive(Clone)]
pub struct SpoolDir(Arc<Mutex<Files>>);

impl SpoolDir {
    /// Makes the folder where there is none, takes its lock, and finds what lies in it; at most
    /// `bytes_max` will.
    pub fn open(path: &Path, bytes_max: u64) -> Result<Self, SpoolError> {
        let files = Files::open(path, bytes_max)?;
        let Figures { submissions, bytes, set_aside, .. } = files.figures();
        tracing::info!(submissions, bytes, set_aside, "the spool is open");
        Ok(Self(Arc::new(Mutex::new(files))))
    }
}

/// What the rest of the edge knows of its spool.
pub struct Spool {
    files: Arc<Mutex<Files>>,
    figures: Arc<Mutex<Figures>>,
    bytes_max: u64,
    appends: mpsc::Sender<Append>,
    /// Something was appended.
    filled: Notify,
    /// The queue did not take something, and has not confirmed anything since.
    is_queue_away: AtomicBool,
    /// The disk did not take something, and has not taken anything since.
    is_failing: AtomicBool,
    clock: Arc<dyn Clock>,
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is on the disk.
    Spooled,
    /// It is not, and never will be.
    Refused,
    /// The disk did not say, or could not take back what it had of it.
    Open,
}

struct Append {
    record: Record,
    written: oneshot::Sender<Result<(), NotSpooled>>,
}

/// Makes a spool of the folder, and the task that writes to it.
pub fn spool(SpoolDir(files): &SpoolDir, clock: Arc<dyn Clock>) -> (Arc<Spool>, Writer) {
    let (appends, receiver) = mpsc::channel(APPENDS_MAX);
    let (figures, bytes_max) = {
        let files = lock(files);
        (files.figures(), files.bytes_max())
    };
    let spool = Arc::new(Spool {
        files: Arc::clone(files),
        figures: Arc::new(Mutex::new(figures)),
        bytes_max,
        appends,
        filled: Notify::new(),
        // What was left there is drained before it is known that the queue is well.
        is_queue_away: AtomicBool::new(figures.segments > 0),
        is_failing: AtomicBool::new(false),
        clock,
    });
    (Arc::clone(&spool), Writer { spool, appends: receiver })
}

impl Spool {
    /// Whether a submission would probably find room.
    pub fn has_room(&self) -> bool {
        !self.is_failing.load(Ordering::Relaxed)
            && self.figures().bytes + ROOM_BYTES <= self.bytes_max
    }

    /// The same, of one that is refused if not.
    pub fn admits(&self) -> bool {
        let has_room = self.has_room();
        if !has_room {
            let is_failing = self.is_failing.load(Ordering::Relaxed);
            refuse(1, if is_failing { NotSpooled::Failed } else { NotSpooled::Full });
        }
        has_room
    }

    /// Whether what is offered now should not even be tried on the queue. Only as long as something
    /// lies here, which is what finds out that the queue is back, and only where it can be put: a disk
    /// that is sick may let nothing of it be drained, and nobody would find that out.
    pub fn is_first_choice(&self) -> bool {
        self.is_queue_away.load(Ordering::Relaxed) && !self.is_empty() && self.has_room()
    }

    /// Notes what the queue made of an envelope.
    pub fn note(&self, is_taken: bool) {
        self.is_queue_away.store(!is_taken, Ordering::Relaxed);
    }

    /// Spools an envelope, and says what is known of that by `until`.
    pub async fn append(&self, submissions: &[Submission], until: Instant) -> Appended {
        let record = Record {
            submissions: u32::try_from(submissions.len()).unwrap_or(u32::MAX),
            spooled_at_ms: self.clock.now().timestamp_millis(),
            body: envelope::encode(submissions),
        };
        let (written, word) = oneshot::channel();
        let appending = async {
            self.appends.send(Append { record, written }).await.map_err(|_| NotSpooled::Failed)?;
            word.await.unwrap_or(Err(NotSpooled::Failed))
        };
        let outcome = timeout_at(until, appending).await.unwrap_or_else(|_| {
            // A disk that does not answer is none with room; its next answer says otherwise.
            self.is_failing.store(true, Ordering::Relaxed);
            Err(NotSpooled::Failed)
        });
        let Err(reason) = outcome else {
            SPOOLED.add(submissions.len(), &[]);
            return Appended::Spooled;
        };
        refuse(submissions.len(), reason);
        match reason {
            NotSpooled::Full => Appended::Refused,
            NotSpooled::Failed => Appended::Open,
        }
    }

    /// Waits until all is drained, at most so long, and says what is not.
    pub async fn drained(&self, wait: Duration) -> u64 {
        let until = Instant::now() + wait;
        while !self.is_empty() && Instant::now() < until {
            sleep(LOOK_PERIOD).await;
        }
        self.figures().submissions
    }

    /// Shows how much lies here.
    pub fn measure(&self) {
        let Figures { submissions, bytes, oldest_at_ms, set_aside, .. } = self.figures();
        let now_ms = self.clock.now().timestamp_millis();
        // A clock that was set back makes nothing younger than nothing.
        let age_ms = oldest_at_ms.map_or(0, |oldest_at_ms| (now_ms - oldest_at_ms).max(0));
        #[expect(clippy::cast_precision_loss, reason = "a disk holds less than that many bytes")]
        for (gauge, value) in [
            (SPOOL_SUBMISSIONS, submissions as f64),
            (SPOOL_BYTES, bytes as f64),
            (SPOOL_BYTES_MAX, self.bytes_max as f64),
            (SPOOL_AGE, age_ms as f64 / 1_000.0),
            (SPOOL_SET_ASIDE, set_aside as f64),
        ] {
            gauge.set(value, &[]);
        }
    }

    fn is_empty(&self) -> bool {
        self.figures().segments == 0
    }

    /// Waits until something lies here.
    async fn filled(&self) {
        while self.is_empty() {
            self.filled.notified().await;
        }
    }

    /// The oldest segment; none, if it cannot be read now.
    async fn front(&self) -> Option<Front> {
        let front = self.on_disk(Files::front).await?;
        front
            .inspect_err(|error| tracing::error!(cause = chain(error), "cannot read the spool"))
            .ok()?
    }

    async fn finish(&self, number: u64, is_damaged: bool) {
        self.on_disk(move |files| files.finish(number, is_damaged)).await;
    }

    async fn set_front_aside(&self) {
        self.on_disk(Files::set_front_aside).await;
    }

    async fn write(&self, records: Vec<Record>) -> Result<(), NotSpooled> {
        failpoint!("spool.before_append");
        let written = self.on_disk(move |files| files.append(&records)).await;
        failpoint!("spool.after_append");
        written.unwrap_or(Err(NotSpooled::Failed))
    }

    async fn probe(&self) {
        let is_well = self.on_disk(|files| files.probe().is_ok()).await.unwrap_or_default();
        if is_well {
            tracing::info!("the spool's disk takes something again");
            self.is_failing.store(false, Ordering::Relaxed);
        }
    }

    /// Does something with the files where it may take as long as the disk likes; `None` if it
    /// panicked.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Files) -> T + Send + 'static,
    ) -> Option<T> {
        let (files, figures) = (Arc::clone(&self.files), Arc::clone(&self.figures));
        let done = spawn_blocking(move || {
            let mut files = lock(&files);
            let done = work(&mut files);
            // Under the lock, so that the last word is the last one's.
            *lock(&figures) = files.figures();
            done
        });
        done.await.ok()
    }

    fn figures(&self) -> Figures {
        *lock(&self.figures)
    }
}

fn refuse(submissions: usize, reason: NotSpooled) {
    let reason = match reason {
        NotSpooled::Full => "full",
        NotSpooled::Failed => "disk",
    };
    SPOOL_REFUSED.add(submissions, &[("reason", reason)]);
}

/// What a panic under it has left undone is on the disk, or is not acknowledged.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Appends what is handed in, one flush for all that waits.
pub struct Writer {
    spool: Arc<Spool>,
    appends: mpsc::Receiver<Append>,
}

impl Writer {
    /// Runs for ever.
    pub async fn run(mut self) {
        loop {
            tokio::select! {
                Some(first) = self.appends.recv() => self.write(first).await,
                () = sleep(PROBE_PERIOD) => self.probe().await,
            }
        }
    }

    /// Looks here whether the disk is failing: whoever waits too long for it says so while this is
    /// idle, too.
    async fn probe(&self) {
        if self.spool.is_failing.load(Ordering::Relaxed) {
            self.spool.probe().await;
        }
    }

    async fn write(&mut self, first: Append) {
        let (mut records, mut waiting, mut next) = (Vec::new(), Vec::new(), Some(first));
        while let Some(Append { record, written }) = next {
            // Who was told 503 in the meantime must not get a ticket after all if it can be helped.
            if !written.is_closed() {
                records.push(record);
                waiting.push(written);
            }
            next = self.appends.try_recv().ok();
        }
        if records.is_empty() {
            return;
        }
        let written = AssertUnwindSafe(self.spool.write(records)).catch_unwind().await;
        let outcome = written.unwrap_or_else(|_| {
            tracing::error!("an append to the spool died");
            Err(NotSpooled::Failed)
        });
        let is_failing = outcome == Err(NotSpooled::Failed);
        self.spool.is_failing.store(is_failing, Ordering::Relaxed);
        // Also of what failed the disk may have something.
        self.spool.filled.notify_one();
        for written in waiting {
            // Whoever left was told that nothing is known.
            let _ = written.send(outcome);
        }
    }
}

#[cfg(test)]
mod tests;
