//! What is on record from its beginning, and the seals over it. There is one writer, so positions alone
//! are the order, and nothing that can be read is preceded by anything new.

use async_trait::async_trait;
use common::{
    domain::Record,
    ports::{
        actions::RecordedAction,
        events::Cursor,
        records::{Content, RecordEntry, RecordedChange, Records, SealSetter, TicketNames},
        store::StoreError,
    },
    seals::Seal,
};
use sqlx::{
    FromRow, Sqlite, SqliteConnection,
    sqlite::{SqliteArguments, SqliteRow},
};

use super::{
    Store,
    actions::ActionRow,
    corrupt,
    events::{place, signed},
    failure, read, time_text,
    writer::Work,
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
        let id = ticket.id.map(|id| id.to_string());
        match record {
            Record::Tickets => {
                let statement = include_str!("../../sql/read_changes_of_ticket.sql");
                let query = placed(statement, after, limit).bind(id);
                let rows: Vec<ChangeRow> = self.fetch(query).await?;
                rows.into_iter().map(RecordEntry::try_from).collect()
            }
            Record::Actions => {
                let statement = include_str!("../../sql/read_actions_on_ticket.sql");
                let number = ticket.number.as_ref().map(ToString::to_string);
                let query = placed(statement, after, limit).bind(id).bind(number);
                let rows: Vec<PlacedActionRow> = self.fetch(query).await?;
                rows.into_iter().map(RecordEntry::try_from).collect()
            }
        }
    }

    async fn seals(&self, record: Record, after: u64, limit: u32) -> Result<Vec<Seal>, StoreError> {
        let rows: Vec<SealRow> = sqlx::query_as(include_str!("../../sql/read_seals.sql"))
            .bind(record.as_str())
            .bind(signed(after))
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(failure)?;
        rows.into_iter().map(Seal::try_from).collect()
    }

    async fn last_seal(&self, record: Record) -> Result<Option<Seal>, StoreError> {
        let row: Option<SealRow> = sqlx::query_as(include_str!("../../sql/last_seal.sql"))
            .bind(record.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(failure)?;
        row.map(Seal::try_from).transpose()
    }
}

#[async_trait]
impl SealSetter for Store {
    async fn set(&self, record: Record, seal: &Seal) -> Result<bool, StoreError> {
        self.write(Set { record, seal: seal.clone() }).await
    }
}

type Query<'q, R> = sqlx::query::QueryAs<'q, Sqlite, R, SqliteArguments>;

impl Store {
    async fn fetch<R: for<'r> FromRow<'r, SqliteRow> + Send + Unpin>(
        &self,
        query: Query<'_, R>,
    ) -> Result<Vec<R>, StoreError> {
        query.fetch_all(&self.readers).await.map_err(failure)
    }
}

/// A statement with its first two parameters.
fn placed<R: for<'r> FromRow<'r, SqliteRow>>(
    statement: &'static str,
    after: Cursor,
    limit: u32,
) -> Query<'static, R> {
    sqlx::query_as(statement).bind(behind(after)).bind(limit)
}

/// Before the first entry there is nothing, nor can anybody hide anything there.
fn behind(after: Cursor) -> i64 {
    if after == Cursor::START { i64::MIN } else { signed(after.position) }
}

struct Set {
    record: Record,
    seal: Seal,
}

impl Work for Set {
    type Answer = bool;

    async fn run(self, connection: &mut SqliteConnection) -> Result<bool, StoreError> {
        let Self { record, seal } = self;
        let done = sqlx::query(include_str!("../../sql/insert_seal.sql"))
            .bind(record.as_str())
            .bind(signed(seal.number))
            .bind(signed(seal.place.position))
            .bind(signed(seal.entries))
            .bind(seal.digest.to_vec())
            .bind(time_text(seal.sealed_at))
            .execute(connection)
            .await
            .map_err(failure)?;
        Ok(done.rows_affected() > 0)
    }
}

#[derive(FromRow)]
struct ChangeRow {
    position: i64,
    ticket_id: String,
    version: i64,
    kind: String,
    status: Option<String>,
    at: String,
    actor: String,
    address: Option<String>,
    request_id: String,
    traceparent: String,
    changes: Option<String>,
}

impl TryFrom<ChangeRow> for RecordEntry {
    type Error = StoreError;

    fn try_from(row: ChangeRow) -> Result<Self, StoreError> {
        let at = read("audit_entries", &row.position.to_string(), "at", &row.at)?;
        let change = RecordedChange {
            ticket_id: row.ticket_id,
            version: row.version,
            kind: row.kind,
            status: row.status,
            at,
            actor: row.actor,
            address: row.address,
            request_id: row.request_id,
            traceparent: row.traceparent,
            changes: row.changes,
        };
        Ok(Self { place: place(row.position)?, content: Content::Change(change) })
    }
}

#[derive(FromRow)]
struct PlacedActionRow {
    position: i64,
    #[sqlx(flatten)]
    action: ActionRow,
}

impl TryFrom<PlacedActionRow> for RecordEntry {
    type Error = StoreError;

    fn try_from(row: PlacedActionRow) -> Result<Self, StoreError> {
        let action = RecordedAction::try_from(row.action)?;
        Ok(Self { place: place(row.position)?, content: Content::Action(action) })
    }
}

#[derive(FromRow)]
struct SealRow {
    number: i64,
    position: i64,
    entries: i64,
    digest: Vec<u8>,
    sealed_at: String,
}

impl TryFrom<SealRow> for Seal {
    type Error = StoreError;

    fn try_from(row: SealRow) -> Result<Self, StoreError> {
        let number = row.number.to_string();
        let corrupt = |column| corrupt("audit_seals", &number, column);
        Ok(Self {
            number: row.number.try_into().map_err(|_| corrupt("number"))?,
            place: place(row.position)?,
            entries: row.entries.try_into().map_err(|_| corrupt("entries"))?,
            digest: row.digest.try_into().map_err(|_| corrupt("digest"))?,
            sealed_at: read("audit_seals", &number, "sealed_at", &row.sealed_at)?,
        })
    }
}
