//! The latest snapshot, in this process's memory: its one edge and its one worker share it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use common::{
    domain::Statistics,
    ports::statistics::{CacheError, StatisticsCache},
};

#[derive(Default)]
pub(crate) struct MemoryCache(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    snapshot: Option<Statistics>,
    lease: Option<Lease>,
}

struct Lease {
    holder: String,
    ends_at: Instant,
}

impl MemoryCache {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing panics half-way through a change of these.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl StatisticsCache for MemoryCache {
    async fn get(&self) -> Result<Option<Statistics>, CacheError> {
        Ok(self.kept().snapshot.clone())
    }

    async fn put(&self, statistics: &Statistics) -> Result<(), CacheError> {
        self.kept().snapshot = Some(statistics.clone());
        Ok(())
    }

    async fn lease(&self, holder: &str, ttl: Duration) -> Result<bool, CacheError> {
        let now = Instant::now();
        let mut kept = self.kept();
        let held_by_another =
            kept.lease.as_ref().is_some_and(|lease| lease.holder != holder && lease.ends_at > now);
        if !held_by_another {
            kept.lease = Some(Lease { holder: holder.to_owned(), ends_at: now + ttl });
        }
        Ok(!held_by_another)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lease_is_renewed_by_its_holder_and_taken_over_when_it_has_run_out() {
        const LONG: Duration = Duration::from_hours(1);
        let cache = MemoryCache::default();
        assert!(cache.lease("a", LONG).await.unwrap());
        assert!(!cache.lease("b", LONG).await.unwrap());
        assert!(cache.lease("a", Duration::ZERO).await.unwrap());
        assert!(cache.lease("b", LONG).await.unwrap());
        assert!(!cache.lease("a", LONG).await.unwrap());
    }
}
