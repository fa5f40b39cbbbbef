//! The counts that `insert_tickets` and `commit_steps` keep; the tickets are never scanned for them.

use std::ops::Range;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use common::{
    domain::{
        BACKLOG_DAYS, DAYS_MAX, DAYS_RECENT, DAYS_TOLD, Statistics, Tallies, UnknownCount,
        days_before,
    },
    ports::{
        statistics::{Days, StatisticsReader},
        store::StoreError,
    },
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
        let first = |days: u16| days_before(now.date_naive(), days - 1).to_string();
        let query = sqlx::query_as::<_, CountRow>(include_str!("../../sql/read_statistics.sql"));
        let query = query.bind(first(DAYS_MAX)).bind(first(DAYS_RECENT));
        let query = query.bind(first(BACKLOG_DAYS)).bind(first(DAYS_TOLD));
        let rows = bounded(async { query.fetch_all(&mut *self.lend().await?).await }).await?;
        read(rows, now)
    }

    async fn days(&self, days: Range<NaiveDate>) -> Result<Days, StoreError> {
        let query = sqlx::query_as::<_, CountRow>(include_str!("../../sql/read_days.sql"));
        let query = query.bind(days.start.to_string()).bind(days.end.to_string());
        let rows = bounded(async { query.fetch_all(&mut *self.lend().await?).await }).await?;
        let Statistics { tallies: Tallies { days, .. }, .. } = read(rows, DateTime::UNIX_EPOCH)?;
        Ok(days)
    }
}

fn read(rows: Vec<CountRow>, now: DateTime<Utc>) -> Result<Statistics, StoreError> {
    let unknown = |unknown: UnknownCount| StoreError::Corrupt(format!("statistics: {unknown}"));
    let mut statistics = Statistics::as_of(now);
    for CountRow { dimension, value, count } in rows {
        statistics.set(&dimension, &value, count).map_err(unknown)?;
    }
    Ok(statistics)
}
