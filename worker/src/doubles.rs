//! Scripted ports, for timings that no real backend can be made to have. What the real backends do
//! is proven elsewhere.

mod outbox;

use std::{
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use common::{
    clock::{Clock, SystemEntropy},
    domain::{ClientTimestamp, Email, Form, Message, Name, NewTicket, Subject, Submission},
    envelope::Unreadable,
    ports::{
        queue::{ConsumeError, Consumer, ConsumerSource, Delivery, Prefetch, Settlement},
        store::{Inserted, StoreError, TicketWriter},
    },
    trace::Trace,
};
use uuid::Uuid;

pub use self::outbox::{ScriptedOutbox, ScriptedPublisher, event};

const NOW: &str = "2026-11-22T10:30:00Z";

/// Stands still.
pub struct TestClock;

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        NOW.parse().unwrap()
    }
}

/// A store that is there or away.
#[derive(Default)]
pub struct ScriptedStore {
    pub is_away: AtomicBool,
    /// Its counters can be written and its tickets cannot.
    pub is_locked: AtomicBool,
    counter: AtomicU64,
}

#[async_trait]
impl TicketWriter for ScriptedStore {
    async fn reserve(&self, _: u16, count: u32) -> Result<Range<u64>, StoreError> {
        if self.is_away.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("away".into()));
        }
        let first = self.counter.fetch_add(count.into(), Ordering::Relaxed);
        Ok(first..first + u64::from(count))
    }

    async fn insert(&self, batch: &[NewTicket]) -> Result<Vec<Inserted>, StoreError> {
        if self.is_locked.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("locked".into()));
        }
        Ok(vec![Inserted::New; batch.len()])
    }
}

/// What a consumer of [`ScriptedQueue`] brings, in this order, before it waits for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// A submission.
    Submission,
    /// Something that nobody can read.
    Rubbish,
    /// A submission that cannot be settled.
    Unsettled,
    /// Its own end.
    Loss,
}

/// A queue every consumer of which brings the same.
#[derive(Default)]
pub struct ScriptedQueue {
    pub turns: Vec<Turn>,
    /// So many settlements fail before one does not.
    pub failing_settlements: AtomicUsize,
    pub opened: AtomicUsize,
    /// The consumers that are there.
    pub open: AtomicUsize,
    pub settled: AtomicUsize,
    /// With which the consumers were opened.
    pub prefetches: Mutex<Vec<Prefetch>>,
}

/// Where its consumers come from.
pub struct ScriptedSource(pub Arc<ScriptedQueue>);

#[async_trait]
impl ConsumerSource for ScriptedSource {
    async fn open(&self, prefetch: Prefetch) -> Result<Box<dyn Consumer>, ConsumeError> {
        self.0.prefetches.lock().unwrap().push(prefetch);
        self.0.opened.fetch_add(1, Ordering::Relaxed);
        self.0.open.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(ScriptedConsumer { queue: Arc::clone(&self.0), next: 0 }))
    }
}

struct ScriptedConsumer {
    queue: Arc<ScriptedQueue>,
    next: usize,
}

impl Drop for ScriptedConsumer {
    fn drop(&mut self) {
        self.queue.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl Consumer for ScriptedConsumer {
    async fn receive(&mut self, _: usize) -> Result<Vec<Delivery>, ConsumeError> {
        let Some(turn) = self.queue.turns.get(self.next) else {
            return std::future::pending().await;
        };
        self.next += 1;
        let content = match turn {
            Turn::Submission | Turn::Unsettled => Ok(vec![Ok(submission())]),
            Turn::Rubbish => Err(Unreadable::UnknownVersion(99)),
            Turn::Loss => return Err(ConsumeError("lost".into())),
        };
        Ok(vec![Delivery { tag: self.next as u64, attempts: 0, content }])
    }

    async fn settle(&mut self, settlements: Vec<Settlement>) -> Result<(), ConsumeError> {
        let failing = &self.queue.failing_settlements;
        let spend = |left: usize| left.checked_sub(1);
        let is_unsettled = self.queue.turns[self.next - 1] == Turn::Unsettled;
        if is_unsettled || failing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_ok()
        {
            return Err(ConsumeError("not settled".into()));
        }
        self.queue.settled.fetch_add(settlements.len(), Ordering::Relaxed);
        Ok(())
    }
}

fn submission() -> Submission {
    Submission {
        id: Uuid::from_u128(7).into(),
        key: None,
        submitted_at: NOW.parse().unwrap(),
        form: Form {
            name: Name::parse("Ada").unwrap(),
            email: Email::parse("ada@example.org").unwrap(),
            subject: Subject::Technical,
            message: Message::parse("It is stuck").unwrap(),
            timestamp: ClientTimestamp::parse(NOW).unwrap(),
            user_id: None,
            user_agent: None,
            url: None,
        },
        trace: Trace::of_request(None, None, &SystemEntropy),
    }
}
