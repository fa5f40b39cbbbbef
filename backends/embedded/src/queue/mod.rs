//! The queue in this process's memory: bounded, given back in order, durable in nothing but what
//! the worker makes of it.

mod audit;
mod consumer;
mod dead_letters;
mod publisher;
mod revival;

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use common::{
    domain::Submission,
    envelope::{self, Item, Unreadable},
    ports::queue::{PublishError, Receipt},
};
use tokio::sync::{Notify, futures::Notified, mpsc, oneshot};

pub(crate) use self::{
    audit::QueueInspector, consumer::Lanes, dead_letters::LetterTable, publisher::EdgePublisher,
};

/// Most submissions in the queue, those with a consumer included. About what the store takes in
/// the time a publisher waits, so a longer queue would hold submissions nobody waits for; at the
/// largest body it is some 600 MB, at a usual one 10.
pub(crate) const SUBMISSIONS_MAX: usize = 10_000;

/// Envelopes wait in the order they came.
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Something came, was given back, or the queue was closed.
    changed: Notify,
    submissions_max: usize,
    /// Whether somebody looks for letters to be tried again.
    revives: AtomicBool,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Entry>,
    /// Envelopes with a consumer.
    in_hand: usize,
    /// Submissions of both.
    submissions: usize,
    /// Open consumers.
    lanes: usize,
    next_id: u64,
    closed: bool,
}

/// An envelope.
pub(crate) struct Entry {
    id: u64,
    content: Content,
    /// How often it was given back.
    attempts: u32,
    /// A letter that is tried again has none.
    edge: Option<Edge>,
    fate: oneshot::Sender<Fate>,
}

/// What an envelope holds.
pub(crate) enum Content {
    /// What an edge offered.
    Submissions(Vec<Submission>),
    /// A dead letter that is tried again, or what an edge could not read: it may be anything.
    Bytes(Bytes),
}

impl Content {
    /// How much room it takes up.
    fn submissions(&self) -> usize {
        match self {
            Self::Submissions(submissions) => submissions.len(),
            Self::Bytes(_) => 1,
        }
    }

    /// A copy for a worker: the original comes back if the worker goes.
    fn copy(&self) -> Result<Vec<Item>, Unreadable> {
        match self {
            Self::Submissions(submissions) => Ok(submissions.iter().cloned().map(Ok).collect()),
            Self::Bytes(body) => envelope::decode(body),
        }
    }

    /// The bytes that it has, or would have on a broker.
    fn body(&self) -> Bytes {
        match self {
            Self::Submissions(submissions) => envelope::encode(submissions),
            Self::Bytes(body) => body.clone(),
        }
    }
}

/// Where receipts go.
pub(crate) type Edge = mpsc::Sender<Vec<Receipt>>;

/// How an envelope left the queue. One that is dropped without a word may have been stored.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Every submission of it is stored or buried.
    Settled,
    /// The queue was closed before any consumer saw it.
    Untouched,
}

/// How an offered envelope is followed. Whoever drops this no longer waits for it: the submitter
/// is told that nothing was stored, so nothing should be, if it can be helped.
pub(crate) struct Offered<'a> {
    queue: &'a Queue,
    id: u64,
    fate: oneshot::Receiver<Fate>,
}

impl Drop for Offered<'_> {
    fn drop(&mut self) {
        self.queue.withdraw(self.id);
    }
}

/// The queue was closed.
#[derive(Debug, thiserror::Error)]
#[error("the queue is closed")]
pub(crate) struct Closed;

/// How much there is to do, and who does it.
pub(crate) struct Load {
    /// Waiting, or with a consumer.
    pub(crate) envelopes: u64,
    /// Open consumers.
    pub(crate) lanes: u64,
}

impl Queue {
    pub(crate) fn new(submissions_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            changed: Notify::new(),
            submissions_max,
            revives: AtomicBool::default(),
        }
    }

    /// Puts an envelope at the end.
    fn offer(&self, content: Content, edge: Edge) -> Result<Offered<'_>, PublishError> {
        let (id, fate) = self.put(content, Some(edge))?;
        Ok(Offered { queue: self, id, fate })
    }

    /// Puts a dead letter at the end, to be tried again. Who follows it may go; it stays.
    fn revive(&self, body: Bytes) -> Result<oneshot::Receiver<Fate>, PublishError> {
        self.put(Content::Bytes(body), None).map(|(_, fate)| fate)
    }

    fn put(
        &self,
        content: Content,
        edge: Option<Edge>,
    ) -> Result<(u64, oneshot::Receiver<Fate>), PublishError> {
        let (fate, followed) = oneshot::channel();
        let mut state = self.state();
        if state.closed {
            return Err(PublishError::Unavailable(Closed.into()));
        }
        if state.submissions + content.submissions() > self.submissions_max {
            return Err(PublishError::Rejected);
        }
        let id = state.next_id;
        state.next_id += 1;
        state.submissions += content.submissions();
        state.waiting.push_back(Entry { id, content, attempts: 0, edge, fate });
        drop(state);
        self.changed.notify_waiters();
        Ok((id, followed))
    }

    /// Takes an envelope out again, unless a consumer has, or ever had, it.
    fn withdraw(&self, id: u64) {
        let mut state = self.state();
        let untouched = |entry: &Entry| entry.id == id && entry.attempts == 0;
        let index = state.waiting.iter().position(untouched);
        if let Some(entry) = index.and_then(|index| state.waiting.remove(index)) {
            state.submissions -= entry.content.submissions();
        }
    }

    /// Takes what is there, whole envelopes, and no more once it holds `submissions_max`
    /// submissions.
    fn take(&self, submissions_max: usize) -> Result<Vec<Entry>, Closed> {
        let mut state = self.state();
        if state.closed {
            return Err(Closed);
        }
        let mut taken = Vec::new();
        let mut submissions = 0;
        while submissions < submissions_max {
            let Some(entry) = state.waiting.pop_front() else { break };
            submissions += entry.content.submissions();
            taken.push(entry);
        }
        state.in_hand += taken.len();
        Ok(taken)
    }

    /// Puts envelopes, in their order, before all others, each with an attempt more.
    fn give_back(&self, entries: impl DoubleEndedIterator<Item = Entry>) {
        let mut state = self.state();
        for mut entry in entries.rev() {
            entry.attempts += 1;
            state.in_hand -= 1;
            if state.closed {
                state.submissions -= entry.content.submissions();
            } else {
                state.waiting.push_front(entry);
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Lets go of an envelope that is stored or buried, and tells its publisher.
    fn settle(&self, entry: Entry) {
        let mut state = self.state();
        state.in_hand -= 1;
        state.submissions -= entry.content.submissions();
        drop(state);
        // A publisher that no longer waits does not matter.
        drop(entry.fate.send(Fate::Settled));
    }

    /// Resolves at the next change after this call, even one before the first poll.
    fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    fn lane_opened(&self) -> Result<(), Closed> {
        let mut state = self.state();
        if state.closed {
            return Err(Closed);
        }
        state.lanes += 1;
        Ok(())
    }

    /// Whether this is the first time that somebody asks.
    fn begins_to_revive(&self) -> bool {
        !self.revives.swap(true, Ordering::Relaxed)
    }

    fn lane_closed(&self) {
        self.state().lanes -= 1;
    }

    /// Refuses everything from now on, and lets go of what waits. What consumers hold they can
    /// still settle.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        for entry in std::mem::take(&mut state.waiting) {
            state.submissions -= entry.content.submissions();
            if entry.attempts == 0 {
                drop(entry.fate.send(Fate::Untouched));
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Whether it takes at least one submission more.
    pub(crate) fn has_room(&self) -> bool {
        let state = self.state();
        !state.closed && state.submissions < self.submissions_max
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    pub(crate) fn load(&self) -> Load {
        let state = self.state();
        Load { envelopes: (state.waiting.len() + state.in_hand) as u64, lanes: state.lanes as u64 }
    }

    /// Submissions that take up room.
    #[cfg(test)]
    fn submissions(&self) -> usize {
        self.state().submissions
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
