//! Statistics, kept by the store and cached beside it.
//!
//! Guarantees:
//! - `statistics_equal_a_recount`, whatever was inserted in whatever order;
//! - `days_are_tallied_by_the_quarter_of_an_hour`, read with the counts or apart;
//! - `a_day_that_changes_when_it_is_over_is_revised`, so that whoever keeps one need not read it again;
//! - `what_staff_do_is_tallied_and_equals_a_recount`, whatever is undone;
//! - `a_snapshot_reads_back_as_it_was_put`;
//! - `one_refresher_at_a_time_holds_the_lease`, and another takes it over once it has run out.

use std::{collections::BTreeMap, ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use thiserror::Error;

use super::store::StoreError;
use crate::{
    Cause,
    domain::{DayTally, Statistics},
};

/// Tallies by day.
pub type Days = BTreeMap<NaiveDate, Arc<DayTally>>;

/// A few hundred rows a day, of each of up to sixteen shards: half a second for a database.
pub const DAYS_AT_ONCE: usize = 32;

/// Reads the counts that the store keeps; never scans the tickets.
#[async_trait]
pub trait StatisticsReader: Send + Sync {
    /// The counts as of `now`, with the days of the last [`crate::domain::DAYS_MAX`], the tallies of the
    /// last [`crate::domain::DAYS_RECENT`] and, of the last [`crate::domain::DAYS_TOLD`], how often they
    /// were revised.
    async fn statistics(&self, now: DateTime<Utc>) -> Result<Statistics, StoreError>;

    /// What is tallied of these days; those of which nothing is are left out. At most as many are
    /// asked for as can be read in one go, [`DAYS_AT_ONCE`].
    async fn days(&self, days: Range<NaiveDate>) -> Result<Days, StoreError>;
}

/// The cache did not answer in time; do without it.
#[derive(Debug, Error)]
#[error("the cache is unavailable")]
pub struct CacheError(#[source] pub Cause);

/// Keeps the latest snapshot where every edge can read it. Never the truth.
#[async_trait]
pub trait StatisticsCache: Send + Sync {
    /// The latest snapshot, if there is a readable one.
    async fn get(&self) -> Result<Option<Statistics>, CacheError>;

    /// Replaces it.
    async fn put(&self, statistics: &Statistics) -> Result<(), CacheError>;

    /// Takes or renews, for `ttl`, the right to refresh. False while another holds it.
    async fn lease(&self, holder: &str, ttl: Duration) -> Result<bool, CacheError>;
}
