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
use sqlx::FromRow;
use uuid::Uuid;

use super::{Store, bounded};

#[async_trait]
impl Ledger for Store {
    async fn enter(&self, entries: &[Entry]) -> Result<(), StoreError> {
        let ids: Vec<Uuid> = entries.iter().map(|entry| entry.id.as_uuid()).collect();
        let times: Vec<DateTime<Utc>> = entries.iter().map(|entry| entry.accepted_at).collect();
        let query = sqlx::query(include_str!("../../sql/enter_ledger.sql"));
        let query = query.bind(ids).bind(times);
        bounded(async { query.execute(&mut *self.lend().await?).await }).await?;
        Ok(())
    }

    async fn strike_stored(&self) -> Result<u64, StoreError> {
        let query = sqlx::query(include_str!("../../sql/strike_stored.sql"));
        let struck = bounded(async { query.execute(&mut *self.lend().await?).await }).await?;
        Ok(struck.rows_affected())
    }

    async fn strike(&self, ids: &[SubmissionId]) -> Result<u64, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
        let query = sqlx::query(include_str!("../../sql/strike_entries.sql")).bind(ids);
        let struck = bounded(async { query.execute(&mut *self.lend().await?).await }).await?;
        Ok(struck.rows_affected())
    }

    async fn mark(&self, horizon: DateTime<Utc>) -> Result<(), StoreError> {
        let query = sqlx::query(include_str!("../../sql/mark_unaccounted.sql")).bind(horizon);
        bounded(async { query.execute(&mut *self.lend().await?).await }).await?;
        Ok(())
    }

    async fn balance(&self) -> Result<Balance, StoreError> {
        let query = sqlx::query_as::<_, BalanceRow>(include_str!("../../sql/read_ledger.sql"));
        let row = bounded(async { query.fetch_one(&mut *self.lend().await?).await }).await?;
        Ok(row.into())
    }
}

#[derive(FromRow)]
struct BalanceRow {
    stored: i64,
    in_flight: i64,
    oldest_in_flight: Option<DateTime<Utc>>,
    unaccounted: i64,
    oldest_unaccounted: Option<DateTime<Utc>>,
}

impl From<BalanceRow> for Balance {
    fn from(row: BalanceRow) -> Self {
        Self {
            stored: row.stored.unsigned_abs(),
            in_flight: row.in_flight.unsigned_abs(),
            oldest_in_flight: row.oldest_in_flight,
            unaccounted: row.unaccounted.unsigned_abs(),
            oldest_unaccounted: row.oldest_unaccounted,
        }
    }
}
