//! The ledger of what was accepted and not heard of.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use common::{
    domain::SubmissionId,
    ports::{
        ledger::{Balance, Entry, Ledger},
        store::StoreError,
    },
};
use serde::Serialize;
use sqlx::{FromRow, SqliteConnection};

use super::{Store, failure, json, read, time_text, writer::Work};

#[async_trait]
impl Ledger for Store {
    async fn enter(&self, entries: &[Entry]) -> Result<(), StoreError> {
        let entries: Vec<_> = entries.iter().map(EntryRow::from).collect();
        let statement = include_str!("../../sql/enter_ledger.sql");
        self.write(Change { statement, parameter: Some(json(&entries)?) }).await.map(drop)
    }

    async fn strike_stored(&self) -> Result<u64, StoreError> {
        let statement = include_str!("../../sql/strike_stored.sql");
        self.write(Change { statement, parameter: None }).await
    }

    async fn strike(&self, ids: &[SubmissionId]) -> Result<u64, StoreError> {
        let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
        let statement = include_str!("../../sql/strike_entries.sql");
        self.write(Change { statement, parameter: Some(json(&ids)?) }).await
    }

    async fn mark(&self, horizon: DateTime<Utc>) -> Result<(), StoreError> {
        let statement = include_str!("../../sql/mark_unaccounted.sql");
        let parameter = Some(time_text(horizon));
        self.write(Change { statement, parameter }).await.map(drop)
    }

    async fn balance(&self) -> Result<Balance, StoreError> {
        let row: BalanceRow = sqlx::query_as(include_str!("../../sql/read_ledger.sql"))
            .fetch_one(&self.readers)
            .await
            .map_err(failure)?;
        row.try_into()
    }
}

/// A statement that changes the ledger; the answer is how many entries.
struct Change {
    statement: &'static str,
    parameter: Option<String>,
}

impl Work for Change {
    type Answer = u64;

    async fn run(self, connection: &mut SqliteConnection) -> Result<u64, StoreError> {
        let query = sqlx::query(self.statement);
        let query = self.parameter.into_iter().fold(query, sqlx::query::Query::bind);
        Ok(query.execute(connection).await.map_err(failure)?.rows_affected())
    }
}

#[derive(Serialize)]
struct EntryRow {
    id: String,
    accepted_at: String,
}

impl From<&Entry> for EntryRow {
    fn from(entry: &Entry) -> Self {
        Self { id: entry.id.to_string(), accepted_at: time_text(entry.accepted_at) }
    }
}

#[derive(FromRow)]
struct BalanceRow {
    stored: i64,
    in_flight: i64,
    oldest_in_flight: Option<String>,
    unaccounted: i64,
    oldest_unaccounted: Option<String>,
}

impl TryFrom<BalanceRow> for Balance {
    type Error = StoreError;

    fn try_from(row: BalanceRow) -> Result<Self, StoreError> {
        let time = |text: Option<String>| {
            text.map(|text| read("ledger", "an entry", "accepted_at", &text)).transpose()
        };
        Ok(Self {
            stored: row.stored.unsigned_abs(),
            in_flight: row.in_flight.unsigned_abs(),
            oldest_in_flight: time(row.oldest_in_flight)?,
            unaccounted: row.unaccounted.unsigned_abs(),
            oldest_unaccounted: time(row.oldest_unaccounted)?,
        })
    }
}
