//! The audit entries as an outbox.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use common::{
    domain::{Email, Event, EventId, Name},
    ports::{
        events::{Cursor, EventLog, Outbox, Page},
        store::StoreError,
    },
    trace::Trace,
};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Store, bounded};

/// A dump was restored into another server, whose transactions have numbers of their own. Going on,
/// what is written now would be taken for published.
const FOREIGN: &str =
    "relay, of another server: see \"After restoring a dump\" in the operators' document";

#[async_trait]
impl EventLog for Store {
    async fn after(&self, cursor: Cursor, limit: u32) -> Result<Page, StoreError> {
        let query = sqlx::query_as::<_, EntryRow>(include_str!("../../sql/read_events.sql"))
            .bind(cursor.transaction.to_string())
            .bind(signed(cursor.position))
            .bind(i64::from(limit));
        let rows = bounded(async { query.fetch_all(&mut *self.lend().await?).await }).await?;
        let next = rows.last().map_or(Ok(cursor), EntryRow::cursor)?;
        let has_more = rows.len() == limit as usize;
        let events = rows.into_iter().filter_map(EntryRow::event).collect::<Result<_, _>>()?;
        Ok(Page { events, next, has_more })
    }
}

#[async_trait]
impl Outbox for Store {
    async fn lease(&self, holder: &str, ttl: Duration) -> Result<Option<Cursor>, StoreError> {
        let query = sqlx::query_as::<_, PlaceRow>(include_str!("../../sql/take_lease.sql"));
        let query = query.bind(holder).bind(ttl.as_secs_f64());
        let row = bounded(async { query.fetch_optional(&mut *self.lend().await?).await }).await?;
        row.map(Cursor::try_from).transpose()
    }

    async fn advance(
        &self,
        holder: &str,
        cursor: Cursor,
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        let query = sqlx::query(include_str!("../../sql/advance_relay.sql"))
            .bind(holder)
            .bind(cursor.transaction.to_string())
            .bind(signed(cursor.position))
            .bind(ttl.as_secs_f64());
        let done = bounded(async { query.execute(&mut *self.lend().await?).await }).await?;
        Ok(done.rows_affected() > 0)
    }

    async fn release(&self, holder: &str) -> Result<(), StoreError> {
        let query = sqlx::query(include_str!("../../sql/release_lease.sql")).bind(holder);
        bounded(async { query.execute(&mut *self.lend().await?).await }).await?;
        Ok(())
    }
}

#[derive(FromRow)]
pub(super) struct PlaceRow {
    transaction_id: i64,
    position: i64,
    is_foreign: bool,
}

impl TryFrom<PlaceRow> for Cursor {
    type Error = StoreError;

    fn try_from(row: PlaceRow) -> Result<Self, StoreError> {
        if row.is_foreign {
            return Err(StoreError::Corrupt(FOREIGN.to_owned()));
        }
        place(row.transaction_id, row.position)
    }
}

#[derive(FromRow)]
struct EntryRow {
    transaction_id: i64,
    position: i64,
    ticket_id: Uuid,
    version: i32,
    kind: String,
    status: Option<String>,
    at: DateTime<Utc>,
    request_id: String,
    traceparent: String,
    changes: Option<String>,
    number: Option<String>,
    name: Option<String>,
    email: Option<String>,
    subject: Option<String>,
    priority: Option<String>,
    submitted_at: Option<DateTime<Utc>>,
}

impl EntryRow {
    fn cursor(&self) -> Result<Cursor, StoreError> {
        place(self.transaction_id, self.position)
    }

    /// `None` when its ticket was erased.
    fn event(self) -> Option<Result<Event, StoreError>> {
        let number = self.number.clone()?;
        let position = self.position;
        let event = self.of_ticket(&number);
        Some(event.ok_or_else(|| StoreError::Corrupt(format!("audit_entries {position}"))))
    }

    fn of_ticket(self, number: &str) -> Option<Event> {
        let ticket_id = self.ticket_id.into();
        let version = self.version.try_into().ok()?;
        Some(Event {
            id: EventId::of(ticket_id, version),
            ticket_id,
            number: number.parse().ok()?,
            version,
            // A later release may have written one that this one cannot tell.
            kind: self.kind.parse().ok()?,
            name: Name::stored(self.name?),
            email: Email::stored(self.email?),
            subject: self.subject?.parse().ok()?,
            status: self.status?.parse().ok()?,
            priority: self.priority?.parse().ok()?,
            at: self.at,
            submitted_at: self.submitted_at?,
            trace: Trace { request_id: self.request_id, traceparent: self.traceparent },
            changes: self.changes.and_then(|it| serde_json::from_str(&it).ok()),
        })
    }
}

pub(super) fn place(transaction: i64, position: i64) -> Result<Cursor, StoreError> {
    let unsigned = |value: i64| u64::try_from(value).ok();
    let cursor = unsigned(transaction)
        .zip(unsigned(position))
        .map(|(transaction, position)| Cursor { transaction, position });
    cursor.ok_or_else(|| StoreError::Corrupt("a place in the outbox".to_owned()))
}

/// Positions are signed there, and never so large.
pub(super) fn signed(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
