//! The counts that `insert_tickets` keeps.

use async_trait::async_trait;
use chrono::{DateTime, Days, Utc};
use common::{
    domain::{DAYS_MAX, Statistics},
    ports::{statistics::StatisticsReader, store::StoreError},
};
use sqlx::FromRow;

use super::{Store, bounded};

#[derive(FromRow)]
struct CountRow {
    dimension: String,
    value: String,
    count: i64,
}

#[async_trait]
impl StatisticsReader for Store {
    async fn statistics(&self, now: DateTime<Utc>) -> Result<Statistics, StoreError> {
        let first_day = now.date_naive() - Days::new(u64::from(DAYS_MAX) - 1);
        let query = sqlx::query_as::<_, CountRow>(include_str!("../../sql/read_statistics.sql"));
        let query = query.bind(first_day.to_string());
        let rows = bounded(async { query.fetch_all(&mut *self.lend().await?).await }).await?;
        let mut statistics = Statistics::as_of(now);
        for CountRow { dimension, value, count } in rows {
            statistics
                .set(&dimension, &value, count)
                .map_err(|unknown| StoreError::Corrupt(format!("statistics: {unknown}")))?;
        }
        Ok(statistics)
    }
}
