//! What `verify` asks the store.

use async_trait::async_trait;
use common::ports::{
    audit::{Deviation, OutboxAudit, StoreAudit, StoredNumber},
    events::Cursor,
    store::StoreError,
};
use sqlx::FromRow;

use super::{
    Store, corrupt,
    events::{place, signed},
    failure, read,
};

#[async_trait]
impl StoreAudit for Store {
    async fn numbers(&self, after: &str, limit: u32) -> Result<Vec<StoredNumber>, StoreError> {
        let rows: Vec<NumberRow> = sqlx::query_as(include_str!("../../sql/audit_numbers.sql"))
            .bind(after)
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(failure)?;
        rows.into_iter().map(StoredNumber::try_from).collect()
    }

    async fn reserved(&self, year: u16) -> Result<u64, StoreError> {
        let next: Option<i64> = sqlx::query_scalar(include_str!("../../sql/audit_reserved.sql"))
            .bind(year)
            .fetch_optional(&self.readers)
            .await
            .map_err(failure)?;
        u64::try_from(next.unwrap_or_default())
            .map_err(|_| corrupt("ticket_counters", &year.to_string(), "next"))
    }

    async fn deviations(&self) -> Result<Vec<Deviation>, StoreError> {
        let rows: Vec<DeviationRow> =
            sqlx::query_as(include_str!("../../sql/audit_statistics.sql"))
                .fetch_all(&self.readers)
                .await
                .map_err(failure)?;
        Ok(rows.into_iter().map(Deviation::from).collect())
    }

    async fn unaudited(&self) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar(include_str!("../../sql/audit_unaudited.sql"))
            .fetch_one(&self.readers)
            .await
            .map_err(failure)?;
        Ok(count.unsigned_abs())
    }
}

#[async_trait]
impl OutboxAudit for Store {
    async fn head(&self) -> Result<Cursor, StoreError> {
        let position: Option<i64> =
            sqlx::query_scalar(include_str!("../../sql/audit_outbox_head.sql"))
                .fetch_optional(&self.readers)
                .await
                .map_err(failure)?;
        position.map_or(Ok(Cursor::START), place)
    }

    async fn unpublished(&self, through: Cursor) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar(include_str!("../../sql/audit_unpublished.sql"))
            .bind(signed(through.position))
            .fetch_one(&self.readers)
            .await
            .map_err(failure)?;
        Ok(count.unsigned_abs())
    }
}

#[derive(FromRow)]
struct NumberRow {
    number: String,
    submitted_at: String,
}

impl TryFrom<NumberRow> for StoredNumber {
    type Error = StoreError;

    fn try_from(row: NumberRow) -> Result<Self, StoreError> {
        let submitted_at = read("tickets", &row.number, "submitted_at", &row.submitted_at)?;
        Ok(Self { number: row.number, submitted_at })
    }
}

#[derive(FromRow)]
struct DeviationRow {
    dimension: String,
    value: String,
    kept: i64,
    recounted: i64,
}

impl From<DeviationRow> for Deviation {
    fn from(DeviationRow { dimension, value, kept, recounted }: DeviationRow) -> Self {
        Self { dimension, value, kept, recounted }
    }
}
