//! Submissions of an import on their way into the queue.
//!
//! An import must not be what forms wait behind. So it has few envelopes on their way, and one is on
//! its way until workers have answered for all that is in it, not only until the queue has it: what
//! waits in the queue because of an import is never more than that, however long the file.

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use common::{
    chain,
    domain::{Submission, SubmissionId, Ticket},
    ports::{
        backend::IntakePorts,
        queue::{Publisher, Receipt},
        store::TicketReader,
    },
};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::task::AbortOnDropHandle;

/// Envelopes on their way at a time.
const WINDOW: usize = 4;

/// Submissions in an envelope, and text, in bytes, from which on it takes no more: as at the edge.
const SUBMISSIONS_MAX: usize = 200;
const TEXT_BYTES_FULL: usize = 256 * 1024;

/// Where there is a rate, an envelope holds what is due in this part of a second.
const ENVELOPES_A_SECOND: u32 = 10;

/// How long workers may take to answer. Who hears nothing by then goes on: an answer is a courtesy.
const RECEIPT_WAIT: Duration = Duration::from_secs(2);

/// How long the store may take to say what it has. It is asked for a better answer, and to spare the
/// queue what is there; what is sent again is stored once all the same.
const STORE_WAIT: Duration = Duration::from_secs(2);

/// Between two tries at a queue that does not take an envelope, at first and at most.
const RETRY_DELAY_MIN: Duration = Duration::from_millis(50);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(2);

/// How long the queue may take to confirm: longer than it takes on a bad day, for an envelope that is
/// given up is sent again.
const CONFIRM_WAIT: Duration = Duration::from_secs(30);

/// Submissions that go together, each with the line that it stands on.
pub struct Chunk {
    submissions: Vec<(u64, Submission)>,
    text_bytes: usize,
    submissions_max: usize,
}

impl Chunk {
    /// As many as go together at this rate.
    pub fn within(rate: Option<NonZeroU32>) -> Self {
        let due = rate.map(|rate| (rate.get() / ENVELOPES_A_SECOND).max(1) as usize);
        let submissions_max = due.map_or(SUBMISSIONS_MAX, |due| due.min(SUBMISSIONS_MAX));
        Self { submissions: Vec::new(), text_bytes: 0, submissions_max }
    }

    pub fn add(&mut self, line: u64, submission: Submission) {
        self.text_bytes += submission.form.text_bytes();
        self.submissions.push((line, submission));
    }

    pub const fn is_full(&self) -> bool {
        self.submissions.len() >= self.submissions_max || self.text_bytes >= TEXT_BYTES_FULL
    }

    /// What it holds; it is empty then.
    pub fn take(&mut self) -> Vec<(u64, Submission)> {
        self.text_bytes = 0;
        std::mem::take(&mut self.submissions)
    }
}

/// What became of some submissions.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// The queue has them.
    pub accepted: u64,
    /// They were there before.
    pub known: u64,
    /// The lines of those under whose name another one is stored.
    pub contradicted: Vec<u64>,
    /// The queue did not take them.
    pub unsent: u64,
}

impl Delivered {
    fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.known += other.known;
        self.contradicted.extend(other.contradicted);
        self.unsent += other.unsent;
    }
}

/// Sends what is read.
pub struct Delivery {
    tools: Arc<Tools>,
    on_their_way: JoinSet<Delivered>,
    rate: Option<NonZeroU32>,
    /// When the next envelope is due.
    next_at: Instant,
    _hearing: AbortOnDropHandle<()>,
}

struct Tools {
    publisher: Arc<dyn Publisher>,
    tickets: Arc<dyn TicketReader>,
    settling: Arc<Settling>,
    patience: Duration,
}

impl Delivery {
    pub fn new(ports: IntakePorts, rate: Option<NonZeroU32>, patience: Duration) -> Self {
        let IntakePorts { publisher, receipts, tickets } = ports;
        let settling = Arc::<Settling>::default();
        let hearing = tokio::spawn(Arc::clone(&settling).hear(receipts));
        Self {
            tools: Arc::new(Tools { publisher, tickets, settling, patience }),
            on_their_way: JoinSet::new(),
            rate,
            next_at: Instant::now(),
            _hearing: AbortOnDropHandle::new(hearing),
        }
    }

    /// Sends these once there is room for them, and tells what became of others meanwhile.
    pub async fn send(&mut self, chunk: Vec<(u64, Submission)>) -> Delivered {
        let mut delivered = Delivered::default();
        if chunk.is_empty() {
            return delivered;
        }
        while self.on_their_way.len() >= WINDOW {
            delivered.add(self.next_delivered().await);
        }
        if let Some(rate) = self.rate {
            sleep_until(self.next_at).await;
            let count = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
            self.next_at =
                self.next_at.max(Instant::now()) + Duration::from_secs(1) * count / rate.get();
        }
        self.on_their_way.spawn(Arc::clone(&self.tools).deliver(chunk));
        delivered
    }

    /// Waits for all that is on its way.
    pub async fn finish(&mut self) -> Delivered {
        let mut delivered = Delivered::default();
        while !self.on_their_way.is_empty() {
            delivered.add(self.next_delivered().await);
        }
        delivered
    }

    async fn next_delivered(&mut self) -> Delivered {
        match self.on_their_way.join_next().await {
            Some(Ok(delivered)) => delivered,
            // Of what died nothing is known, so it counts as not sent.
            Some(Err(_)) => Delivered { unsent: 1, ..Delivered::default() },
            None => Delivered::default(),
        }
    }
}

impl Tools {
    async fn deliver(self: Arc<Self>, chunk: Vec<(u64, Submission)>) -> Delivered {
        let (new, mut delivered) = self.sift(chunk).await;
        if new.is_empty() {
            return delivered;
        }
        let ids: Vec<_> = new.iter().map(|submission| submission.id).collect();
        let count = new.len() as u64;
        self.settling.expect(&ids);
        if self.publish(new).await {
            self.settling.settled(&ids).await;
            delivered.accepted += count;
        } else {
            delivered.unsent += count;
        }
        self.settling.forget(&ids);
        delivered
    }

    /// Leaves out what is there already. Of a store that does not say, nothing is known.
    async fn sift(&self, chunk: Vec<(u64, Submission)>) -> (Vec<Submission>, Delivered) {
        let ids: Vec<_> = chunk.iter().map(|(_, submission)| submission.id).collect();
        let stored = timeout(STORE_WAIT, self.tickets.by_ids(&ids)).await;
        let stored = stored.ok().and_then(Result::ok).unwrap_or_default();
        // Of what was erased nobody can say any more whether it said the same. It stays what it is.
        let form = |ticket: Ticket| {
            (ticket.id, (!ticket.is_erased()).then(|| ticket.form.core_fingerprint()))
        };
        let mut there: HashMap<_, _> = stored.into_iter().flatten().map(form).collect();
        let (mut new, mut delivered) = (Vec::new(), Delivered::default());
        for (line, submission) in chunk {
            let fingerprint = submission.form.core_fingerprint();
            match there.get(&submission.id) {
                Some(same) if same.is_none_or(|same| same == fingerprint) => delivered.known += 1,
                Some(_) => delivered.contradicted.push(line),
                None => {
                    there.insert(submission.id, Some(fingerprint));
                    new.push(submission);
                }
            }
        }
        (new, delivered)
    }

    /// Tries until the queue has them; whether it does. That it may have them after a failure as well
    /// does no harm.
    async fn publish(&self, submissions: Vec<Submission>) -> bool {
        let (begun, mut delay) = (Instant::now(), RETRY_DELAY_MIN);
        loop {
            let published =
                timeout(CONFIRM_WAIT, self.publisher.publish(submissions.clone())).await;
            match published {
                Ok(Ok(())) => return true,
                Ok(Err(error)) => tracing::debug!(error = chain(&error), "an import has to wait"),
                Err(_) => tracing::debug!("an import has to wait: nothing was confirmed in time"),
            }
            if begun.elapsed() + delay >= self.patience {
                return false;
            }
            sleep(delay).await;
            if delay < RETRY_DELAY_MAX && 2 * delay >= RETRY_DELAY_MAX {
                tracing::warn!("the queue takes nothing; an import waits for it");
            }
            delay = (2 * delay).min(RETRY_DELAY_MAX);
        }
    }
}

/// Whose receipts are waited for.
#[derive(Default)]
struct Settling {
    awaited: Mutex<HashSet<SubmissionId>>,
    changed: Notify,
}

impl Settling {
    /// Notes receipts as they come.
    async fn hear(self: Arc<Self>, mut receipts: mpsc::Receiver<Vec<Receipt>>) {
        while let Some(batch) = receipts.recv().await {
            self.forget(&batch.iter().map(|receipt| receipt.id).collect::<Vec<_>>());
            self.changed.notify_waiters();
        }
    }

    fn expect(&self, ids: &[SubmissionId]) {
        self.awaited().extend(ids);
    }

    fn forget(&self, ids: &[SubmissionId]) {
        let mut awaited = self.awaited();
        for id in ids {
            awaited.remove(id);
        }
    }

    /// Waits for all of these, for as long as they may take.
    async fn settled(&self, ids: &[SubmissionId]) {
        let settling = async {
            loop {
                let changed = self.changed.notified();
                let is_settled = {
                    let awaited = self.awaited();
                    !ids.iter().any(|id| awaited.contains(id))
                };
                if is_settled {
                    return;
                }
                changed.await;
            }
        };
        drop(timeout(RECEIPT_WAIT, settling).await);
    }

    fn awaited(&self) -> MutexGuard<'_, HashSet<SubmissionId>> {
        // Nothing panics under this lock.
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
