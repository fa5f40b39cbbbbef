//! The counts, as they are kept; the tickets are never scanned for them.

use async_trait::async_trait;
use chrono::{DateTime, Days, NaiveDate, Utc};
use common::{
    domain::{DAYS_MAX, Statistics},
    ports::{statistics::StatisticsReader, store::StoreError},
};
use sqlx::FromRow;

use super::{Store, failure};

#[async_trait]
impl StatisticsReader for Store {
    async fn statistics(&self, now: DateTime<Utc>) -> Result<Statistics, StoreError> {
        let rows: Vec<CountRow> = sqlx::query_as(include_str!("../../sql/read_statistics.sql"))
            .bind(first_day(now).to_string())
            .fetch_all(&self.readers)
            .await
            .map_err(failure)?;
        let mut statistics = Statistics::as_of(now);
        for CountRow { dimension, value, count } in rows {
            statistics
                .set(&dimension, &value, count)
                .map_err(|unknown| StoreError::Corrupt(format!("statistics: {unknown}")))?;
        }
        Ok(statistics)
    }
}

/// The first of the last [`DAYS_MAX`] days, today being the last.
fn first_day(now: DateTime<Utc>) -> NaiveDate {
    let today = now.date_naive();
    today.checked_sub_days(Days::new(u64::from(DAYS_MAX) - 1)).unwrap_or(today)
}

#[derive(FromRow)]
struct CountRow {
    dimension: String,
    value: String,
    count: i64,
}
