//! The audit entries as an outbox. One process serves a folder, so the lease is in its memory, and
//! whoever serves the folder next need not wait for it to run out.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use common::{
    domain::{Email, Event, EventId, Name},
    ports::{
        events::{Cursor, EventLog, Outbox, Page},
        store::StoreError,
    },
    trace::Trace,
};
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use super::{Store, failure, writer::Work};

/// Who relays events now.
#[derive(Default)]
pub(super) struct RelayLease(Mutex<Option<Held>>);

struct Held {
    holder: String,
    ends_at: Instant,
}

impl RelayLease {
    /// Takes or renews it, unless another holds it.
    fn take(&self, holder: &str, ttl: Duration) -> bool {
        let now = Instant::now();
        let mut held = self.held();
        if held.as_ref().is_some_and(|it| it.holder != holder && it.ends_at > now) {
            return false;
        }
        *held = Some(Held { holder: holder.to_owned(), ends_at: now + ttl });
        true
    }

    /// Renews it if it is the holder's, be it run out.
    fn renew(&self, holder: &str, ttl: Duration) -> bool {
        let mut held = self.held();
        let Some(held) = held.as_mut().filter(|it| it.holder == holder) else { return false };
        held.ends_at = Instant::now() + ttl;
        true
    }

    fn release(&self, holder: &str) {
        self.held().take_if(|it| it.holder == holder);
    }

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        // Nothing panics half-way through a change of it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EventLog for Store {
    async fn after(&self, cursor: Cursor, limit: u32) -> Result<Page, StoreError> {
        let rows: Vec<EntryRow> = sqlx::query_as(include_str!("../../sql/read_events.sql"))
            .bind(signed(cursor.position))
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(failure)?;
        let next = rows.last().map_or(Ok(cursor), |row| place(row.position))?;
        let has_more = rows.len() == limit as usize;
        let events = rows.into_iter().filter_map(EntryRow::event).collect::<Result<_, _>>()?;
        Ok(Page { events, next, has_more })
    }
}

#[async_trait]
impl Outbox for Store {
    async fn lease(&self, holder: &str, ttl: Duration) -> Result<Option<Cursor>, StoreError> {
        if !self.relay_lease.take(holder, ttl) {
            return Ok(None);
        }
        let position: i64 = sqlx::query_scalar(include_str!("../../sql/read_relay.sql"))
            .fetch_one(&self.readers)
            .await
            .map_err(failure)?;
        place(position).map(Some)
    }

    async fn advance(
        &self,
        holder: &str,
        cursor: Cursor,
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        if !self.relay_lease.renew(holder, ttl) {
            return Ok(false);
        }
        self.write(Advance { position: signed(cursor.position) }).await
    }

    async fn release(&self, holder: &str) -> Result<(), StoreError> {
        self.relay_lease.release(holder);
        Ok(())
    }
}

struct Advance {
    position: i64,
}

impl Work for Advance {
    type Answer = bool;

    async fn run(self, connection: &mut SqliteConnection) -> Result<bool, StoreError> {
        let done = sqlx::query(include_str!("../../sql/advance_relay.sql"))
            .bind(self.position)
            .execute(connection)
            .await
            .map_err(failure)?;
        Ok(done.rows_affected() > 0)
    }
}

#[derive(FromRow)]
struct EntryRow {
    position: i64,
    ticket_id: String,
    version: u32,
    kind: String,
    status: Option<String>,
    at: String,
    request_id: String,
    traceparent: String,
    changes: Option<String>,
    number: Option<String>,
    name: Option<String>,
    email: Option<String>,
    subject: Option<String>,
    priority: Option<String>,
    submitted_at: Option<String>,
}

impl EntryRow {
    /// `None` when its ticket was erased.
    fn event(self) -> Option<Result<Event, StoreError>> {
        let number = self.number.clone()?;
        let position = self.position;
        let event = self.of_ticket(&number);
        Some(event.ok_or_else(|| StoreError::Corrupt(format!("audit_entries {position}"))))
    }

    fn of_ticket(self, number: &str) -> Option<Event> {
        let ticket_id = self.ticket_id.parse::<Uuid>().ok()?.into();
        Some(Event {
            id: EventId::of(ticket_id, self.version),
            ticket_id,
            number: number.parse().ok()?,
            version: self.version,
            // A later release may have written one that this one cannot tell.
            kind: self.kind.parse().ok()?,
            name: Name::stored(self.name?),
            email: Email::stored(self.email?),
            subject: self.subject?.parse().ok()?,
            status: self.status?.parse().ok()?,
            priority: self.priority?.parse().ok()?,
            at: self.at.parse().ok()?,
            submitted_at: self.submitted_at?.parse().ok()?,
            trace: Trace { request_id: self.request_id, traceparent: self.traceparent },
            changes: self.changes.and_then(|it| serde_json::from_str(&it).ok()),
        })
    }
}

/// There is one writer, so positions alone are the order.
pub(super) fn place(position: i64) -> Result<Cursor, StoreError> {
    let position = u64::try_from(position);
    let position = position.map_err(|_| StoreError::Corrupt("relay.position".to_owned()))?;
    Ok(Cursor { transaction: 0, position })
}

/// Positions are signed there, and never so large.
pub(super) fn signed(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
