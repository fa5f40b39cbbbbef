//! The store held against itself. Some of these statements scan, and may take longer than others.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use common::ports::{
    audit::{Deviation, OutboxAudit, StoreAudit, StoredNumber},
    events::Cursor,
    store::StoreError,
};
use sqlx::FromRow;

use super::{
    Store, bounded,
    events::{PlaceRow, signed},
    within,
};

/// A scan of all tickets takes minutes when there are a hundred million of them; a server that does
/// not say anything for longer is gone.
const SCAN_DEADLINE: Duration = Duration::from_mins(10);

#[derive(FromRow)]
struct NumberRow {
    number: String,
    submitted_at: DateTime<Utc>,
}

#[derive(FromRow)]
struct DeviationRow {
    dimension: String,
    value: String,
    kept: i64,
    recounted: i64,
}

#[async_trait]
impl StoreAudit for Store {
    async fn tickets(&self) -> Result<u64, StoreError> {
        let query = sqlx::query_scalar::<_, i64>(include_str!("../../sql/audit_tickets.sql"));
        let mut connection = self.unhurried().await?;
        let count = within(SCAN_DEADLINE, query.fetch_one(&mut connection)).await?;
        u64::try_from(count).map_err(|_| StoreError::Corrupt("count".to_owned()))
    }

    async fn numbers(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<StoredNumber>, StoreError> {
        let query = sqlx::query_as::<_, NumberRow>(include_str!("../../sql/audit_numbers.sql"));
        let query = query.bind(after).bind(i64::from(limit));
        let rows = bounded(async { query.fetch_all(&mut *self.lend().await?).await }).await?;
        Ok(rows
            .into_iter()
            .map(|NumberRow { number, submitted_at }| StoredNumber { number, submitted_at })
            .collect())
    }

    async fn reserved(&self, year: u16) -> Result<u64, StoreError> {
        let query = sqlx::query_scalar::<_, i64>(include_str!("../../sql/audit_reserved.sql"));
        let query = query.bind(i32::from(year));
        let next = bounded(async { query.fetch_optional(&mut *self.lend().await?).await }).await?;
        u64::try_from(next.unwrap_or_default())
            .map_err(|_| StoreError::Corrupt("ticket_counters.next".to_owned()))
    }

    async fn deviations(&self) -> Result<Vec<Deviation>, StoreError> {
        let query =
            sqlx::query_as::<_, DeviationRow>(include_str!("../../sql/audit_statistics.sql"));
        let mut connection = self.unhurried().await?;
        let rows = within(SCAN_DEADLINE, query.fetch_all(&mut connection)).await?;
        Ok(rows
            .into_iter()
            .map(|DeviationRow { dimension, value, kept, recounted }| Deviation {
                dimension,
                value,
                kept,
                recounted,
            })
            .collect())
    }

    async fn unaudited(&self) -> Result<u64, StoreError> {
        let query = sqlx::query_scalar::<_, i64>(include_str!("../../sql/audit_unaudited.sql"));
        let mut connection = self.unhurried().await?;
        let count = within(SCAN_DEADLINE, query.fetch_one(&mut connection)).await?;
        u64::try_from(count).map_err(|_| StoreError::Corrupt("count".to_owned()))
    }

    async fn untold(&self) -> Result<u64, StoreError> {
        let query = sqlx::query_scalar::<_, i64>(include_str!("../../sql/audit_untold.sql"));
        let mut connection = self.unhurried().await?;
        let count = within(SCAN_DEADLINE, query.fetch_one(&mut connection)).await?;
        u64::try_from(count).map_err(|_| StoreError::Corrupt("count".to_owned()))
    }
}

#[async_trait]
impl OutboxAudit for Store {
    async fn head(&self) -> Result<Cursor, StoreError> {
        let query = sqlx::query_as::<_, PlaceRow>(include_str!("../../sql/audit_outbox_head.sql"));
        let row = bounded(async { query.fetch_optional(&mut *self.lend().await?).await }).await?;
        row.map_or(Ok(Cursor::START), Cursor::try_from)
    }

    async fn unpublished(&self, through: Cursor) -> Result<u64, StoreError> {
        let query = sqlx::query_scalar::<_, i64>(include_str!("../../sql/audit_unpublished.sql"))
            .bind(through.transaction.to_string())
            .bind(signed(through.position));
        let mut connection = self.unhurried().await?;
        let count = within(SCAN_DEADLINE, query.fetch_one(&mut connection)).await?;
        u64::try_from(count).map_err(|_| StoreError::Corrupt("count".to_owned()))
    }
}
