//! The store held against itself. These statements scan, so they may take longer than others.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use common::ports::{
    audit::{Deviation, StoreAudit, StoredNumber},
    store::StoreError,
};
use sqlx::{FromRow, Postgres, pool::PoolConnection};

use super::{Store, failed};

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

impl Store {
    /// A connection of its own on which a statement may take its time. It is not given back: the
    /// limit lifted here must not be lifted for anybody else.
    async fn unhurried(&self) -> Result<sqlx::PgConnection, StoreError> {
        let connection: PoolConnection<Postgres> = self.pool.acquire().await.map_err(failed)?;
        let mut connection = connection.detach();
        sqlx::query("SET statement_timeout = 0").execute(&mut connection).await.map_err(failed)?;
        Ok(connection)
    }
}

#[async_trait]
impl StoreAudit for Store {
    async fn numbers(&self, after: &str, limit: u32) -> Result<Vec<StoredNumber>, StoreError> {
        let query = sqlx::query_as::<_, NumberRow>(include_str!("../../sql/audit_numbers.sql"));
        let query = query.bind(after).bind(i64::from(limit));
        let rows = query.fetch_all(&self.pool).await.map_err(failed)?;
        Ok(rows
            .into_iter()
            .map(|NumberRow { number, submitted_at }| StoredNumber { number, submitted_at })
            .collect())
    }

    async fn reserved(&self, year: u16) -> Result<u64, StoreError> {
        let query = sqlx::query_scalar::<_, i64>(include_str!("../../sql/audit_reserved.sql"));
        let next = query
            .bind(i32::from(year))
            .fetch_optional(&self.pool)
            .await
            .map_err(failed)?
            .unwrap_or_default();
        u64::try_from(next).map_err(|_| StoreError::Corrupt("ticket_counters.next".to_owned()))
    }

    async fn deviations(&self) -> Result<Vec<Deviation>, StoreError> {
        let query =
            sqlx::query_as::<_, DeviationRow>(include_str!("../../sql/audit_statistics.sql"));
        let mut connection = self.unhurried().await?;
        let rows = query.fetch_all(&mut connection).await.map_err(failed)?;
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
        let count = query.fetch_one(&mut connection).await.map_err(failed)?;
        u64::try_from(count).map_err(|_| StoreError::Corrupt("count".to_owned()))
    }
}
