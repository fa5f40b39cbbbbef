//! An outbox and where it is published.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use common::{
    domain::{Email, Event, EventId, EventKind, Name, Priority, Status, Subject},
    ports::{
        events::{Cursor, EventLog, EventPublishError, EventPublisher, Outbox, Page},
        store::StoreError,
    },
    trace::Trace,
};
use tokio::time::sleep;
use uuid::Uuid;

use super::NOW;

/// An outbox that holds an event of each of so many tickets.
#[derive(Default)]
pub struct ScriptedOutbox {
    pub events: u64,
    pub advanced_to: AtomicU64,
    pub holder: Mutex<Option<String>>,
}

/// The `position`-th event.
pub fn event(position: u64) -> Event {
    let ticket_id = Uuid::from_u128(position.into()).into();
    Event {
        changes: None,
        id: EventId::of(ticket_id, 1),
        ticket_id,
        number: "SUP-2026-483920".parse().unwrap(),
        version: 1,
        kind: EventKind::TicketCreated,
        name: Name::parse("Ada").unwrap(),
        email: Email::parse("ada@example.org").unwrap(),
        subject: Subject::Technical,
        status: Status::Open,
        priority: Priority::High,
        at: NOW.parse().unwrap(),
        submitted_at: NOW.parse().unwrap(),
        trace: Trace { request_id: "order-66".to_owned(), traceparent: "00-1-2-01".to_owned() },
    }
}

#[async_trait]
impl EventLog for ScriptedOutbox {
    async fn after(&self, cursor: Cursor, limit: u32) -> Result<Page, StoreError> {
        let end = self.events.min(cursor.position + u64::from(limit));
        let events = (cursor.position + 1..=end).map(event).collect();
        let next = Cursor { position: end, ..cursor };
        Ok(Page { events, next, has_more: end < self.events })
    }
}

#[async_trait]
impl Outbox for ScriptedOutbox {
    async fn lease(&self, holder: &str, _: Duration) -> Result<Option<Cursor>, StoreError> {
        *self.holder.lock().unwrap() = Some(holder.to_owned());
        let position = self.advanced_to.load(Ordering::Relaxed);
        Ok(Some(Cursor { position, ..Cursor::START }))
    }

    async fn advance(&self, _: &str, cursor: Cursor, _: Duration) -> Result<bool, StoreError> {
        self.advanced_to.store(cursor.position, Ordering::Relaxed);
        Ok(true)
    }

    async fn release(&self, _: &str) -> Result<(), StoreError> {
        *self.holder.lock().unwrap() = None;
        Ok(())
    }
}

/// Publishes to two queues, one of which can refuse an event.
#[derive(Default)]
pub struct ScriptedPublisher {
    /// How long each call takes.
    pub takes: Duration,
    /// The event that is refused, and how often.
    pub refused: Option<(EventId, AtomicUsize)>,
    /// What came to the queue that refuses nothing.
    pub heard: Mutex<Vec<EventId>>,
}

#[async_trait]
impl EventPublisher for ScriptedPublisher {
    async fn publish(&self, events: &[Event]) -> Result<(), EventPublishError> {
        sleep(self.takes).await;
        self.heard.lock().unwrap().extend(events.iter().map(|event| event.id));
        let Some((id, times)) = &self.refused else { return Ok(()) };
        let Some(published) = events.iter().position(|event| event.id == *id) else {
            return Ok(());
        };
        let spend = |left: usize| left.checked_sub(1);
        match times.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend) {
            Ok(_) => Err(EventPublishError { published, cause: "refused".into() }),
            Err(_) => Ok(()),
        }
    }
}
