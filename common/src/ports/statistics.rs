//! Statistics, kept by the store and cached beside it.
//!
//! Guarantees:
//! - `statistics_equal_a_recount`, whatever was inserted in whatever order;
//! - `a_snapshot_reads_back_as_it_was_put`;
//! - `one_refresher_at_a_time_holds_the_lease`, and another takes it over once it has run out.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use thiserror::Error;

use super::store::StoreError;
use crate::{Cause, domain::Statistics};

/// Reads the counts that the store keeps; never scans the tickets.
#[async_trait]
pub trait StatisticsReader: Send + Sync {
    /// The counts as of `now`, with the days of the last [`crate::domain::DAYS_MAX`].
    async fn statistics(&self, now: DateTime<Utc>) -> Result<Statistics, StoreError>;
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
