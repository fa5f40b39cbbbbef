//! What is on record from its beginning, and the seals over it.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use common::{
    domain::{Record, SubmissionId},
    ports::{
        actions::RecordedAction,
        events::Cursor,
        records::{Content, RecordEntry, RecordedChange, Records, SealSetter, TicketNames},
        store::StoreError,
    },
    seals::Seal,
};
use sqlx::{
    FromRow, Postgres,
    postgres::{PgArguments, PgRow},
};

use super::{
    Store,
    actions::ActionRow,
    bounded,
    events::{place, signed},
};

#[async_trait]
impl Records for Store {
    async fn entries(
        &self,
        record: Record,
        after: Cursor,
        limit: u32,
    ) -> Result<Vec<RecordEntry>, StoreError> {
        match record {
            Record::Tickets => {
                let query = placed(include_str!("../../sql/read_changes.sql"), after, limit);
                let rows: Vec<ChangeRow> = self.fetch(query).await?;
                rows.into_iter().map(RecordEntry::try_from).collect()
            }
            Record::Actions => {
                let query = placed(include_str!("../../sql/read_actions.sql"), after, limit);
                let rows: Vec<PlacedActionRow> = self.fetch(query).await?;
                rows.into_iter().map(RecordEntry::try_from).collect()
            }
        }
    }

    async fn entries_of(
        &self,
        record: Record,
        ticket: &TicketNames,
        after: Cursor,
        limit: u32,
    ) -> Result<Vec<RecordEntry>, StoreError> {
        match record {
            Record::Tickets => {
                let statement = include_str!("../../sql/read_changes_of_ticket.sql");
                let query =
                    placed(statement, after, limit).bind(ticket.id.map(SubmissionId::as_uuid));
                let rows: Vec<ChangeRow> = self.fetch(query).await?;
                rows.into_iter().map(RecordEntry::try_from).collect()
            }
            Record::Actions => {
                let statement = include_str!("../../sql/read_actions_on_ticket.sql");
                let query = placed(statement, after, limit)
                    .bind(ticket.id.map(|id| id.to_string()))
                    .bind(ticket.number.as_ref().map(ToString::to_string));
                let rows: Vec<PlacedActionRow> = self.fetch(query).await?;
                rows.into_iter().map(RecordEntry::try_from).collect()
            }
        }
    }

    async fn seals(&self, record: Record, after: u64, limit: u32) -> Result<Vec<Seal>, StoreError> {
        let query = sqlx::query_as::<_, SealRow>(include_str!("../../sql/read_seals.sql"))
            .bind(record.as_str())
            .bind(signed(after))
            .bind(i64::from(limit));
        let rows = bounded(async { query.fetch_all(&mut *self.lend().await?).await }).await?;
        rows.into_iter().map(Seal::try_from).collect()
    }

    async fn last_seal(&self, record: Record) -> Result<Option<Seal>, StoreError> {
        let query = sqlx::query_as::<_, SealRow>(include_str!("../../sql/last_seal.sql"));
        let query = query.bind(record.as_str());
        let row = bounded(async { query.fetch_optional(&mut *self.lend().await?).await }).await?;
        row.map(Seal::try_from).transpose()
    }
}

#[async_trait]
impl SealSetter for Store {
    async fn set(&self, record: Record, seal: &Seal) -> Result<bool, StoreError> {
        let query = sqlx::query(include_str!("../../sql/insert_seal.sql"))
            .bind(record.as_str())
            .bind(signed(seal.number))
            .bind(seal.place.transaction.to_string())
            .bind(signed(seal.place.position))
            .bind(signed(seal.entries))
            .bind(seal.digest.as_slice())
            .bind(seal.sealed_at);
        let done = bounded(async { query.execute(&mut *self.lend().await?).await }).await?;
        Ok(done.rows_affected() > 0)
    }
}

type Query<'q, R> = sqlx::query::QueryAs<'q, Postgres, R, PgArguments>;

impl Store {
    async fn fetch<R: for<'r> FromRow<'r, PgRow> + Send + Unpin>(
        &self,
        query: Query<'_, R>,
    ) -> Result<Vec<R>, StoreError> {
        bounded(async { query.fetch_all(&mut *self.lend().await?).await }).await
    }
}

/// A statement with its first three parameters.
fn placed<R: for<'r> FromRow<'r, PgRow>>(
    statement: &'static str,
    after: Cursor,
    limit: u32,
) -> Query<'static, R> {
    sqlx::query_as(statement)
        .bind(after.transaction.to_string())
        .bind(behind(after))
        .bind(i64::from(limit))
}

/// Before the first entry there is nothing, nor can anybody hide anything there.
fn behind(after: Cursor) -> i64 {
    if after == Cursor::START { i64::MIN } else { signed(after.position) }
}

#[derive(FromRow)]
struct ChangeRow {
    transaction_id: i64,
    position: i64,
    ticket_id: String,
    version: i64,
    kind: String,
    status: Option<String>,
    at: DateTime<Utc>,
    actor: String,
    address: Option<String>,
    request_id: String,
    traceparent: String,
    changes: Option<String>,
}

impl TryFrom<ChangeRow> for RecordEntry {
    type Error = StoreError;

    fn try_from(row: ChangeRow) -> Result<Self, StoreError> {
        let change = RecordedChange {
            ticket_id: row.ticket_id,
            version: row.version,
            kind: row.kind,
            status: row.status,
            at: row.at,
            actor: row.actor,
            address: row.address,
            request_id: row.request_id,
            traceparent: row.traceparent,
            changes: row.changes,
        };
        let place = place(row.transaction_id, row.position)?;
        Ok(Self { place, content: Content::Change(change) })
    }
}

#[derive(FromRow)]
struct PlacedActionRow {
    transaction_id: i64,
    position: i64,
    #[sqlx(flatten)]
    action: ActionRow,
}

impl TryFrom<PlacedActionRow> for RecordEntry {
    type Error = StoreError;

    fn try_from(row: PlacedActionRow) -> Result<Self, StoreError> {
        let place = place(row.transaction_id, row.position)?;
        Ok(Self { place, content: Content::Action(RecordedAction::from(row.action)) })
    }
}

#[derive(FromRow)]
struct SealRow {
    number: i64,
    transaction_id: i64,
    position: i64,
    entries: i64,
    digest: Vec<u8>,
    sealed_at: DateTime<Utc>,
}

impl TryFrom<SealRow> for Seal {
    type Error = StoreError;

    fn try_from(row: SealRow) -> Result<Self, StoreError> {
        let corrupt =
            |column| StoreError::Corrupt(format!("audit_seals.{column} of {}", row.number));
        Ok(Self {
            number: row.number.try_into().map_err(|_| corrupt("number"))?,
            place: place(row.transaction_id, row.position)?,
            entries: row.entries.try_into().map_err(|_| corrupt("entries"))?,
            digest: row.digest.try_into().map_err(|_| corrupt("digest"))?,
            sealed_at: row.sealed_at,
        })
    }
}
