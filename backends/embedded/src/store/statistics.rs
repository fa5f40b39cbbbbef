//! The counts, as they are kept; the tickets are never scanned for them.

use async_trait::async_trait;
use chrono::{DateTime, Days, NaiveDate, Utc};
use common::{
    domain::{DAYS_MAX, Statistics},
    ports::{statistics::StatisticsReader, store::StoreError},
};
use sqlx::FromRow;

use super::{Store, corrupt, failure, read};

#[async_trait]
impl StatisticsReader for Store {
    async fn statistics(&self, now: DateTime<Utc>) -> Result<Statistics, StoreError> {
        let rows: Vec<CountRow> = sqlx::query_as(include_str!("../../sql/read_statistics.sql"))
            .bind(first_day(now).to_string())
            .fetch_all(&self.readers)
            .await
            .map_err(failure)?;
        let mut statistics = Statistics { generated_at: now, ..Statistics::default() };
        for row in rows {
            row.add_to(&mut statistics)?;
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

impl CountRow {
    fn add_to(&self, statistics: &mut Statistics) -> Result<(), StoreError> {
        let count = u64::try_from(self.count)
            .map_err(|_| corrupt("statistics", &self.dimension, "count"))?;
        match self.dimension.as_str() {
            "status" => drop(statistics.by_status.insert(self.value()?, count)),
            "priority" => drop(statistics.by_priority.insert(self.value()?, count)),
            "subject" => drop(statistics.by_subject.insert(self.value()?, count)),
            "created_on" => statistics.daily.entry(self.value()?).or_default().created = count,
            "resolved_on" => statistics.daily.entry(self.value()?).or_default().resolved = count,
            _ => return Err(corrupt("statistics", &self.dimension, "dimension")),
        }
        Ok(())
    }

    fn value<T: std::str::FromStr>(&self) -> Result<T, StoreError> {
        read("statistics", &self.dimension, "value", &self.value)
    }
}
