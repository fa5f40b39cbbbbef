//! Where the counts come from: a copy in this process, else the cache, else the store. In normal
//! running never more than a second behind, and at most one read at a time however many ask.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use common::{
    clock::Clock,
    domain::Statistics,
    ports::{
        statistics::{CacheError, StatisticsCache, StatisticsReader},
        store::StoreError,
    },
};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use crate::condition::{Condition, NoAnswer, in_time};

/// How long a copy serves everybody who asks: five reads a second, whatever the traffic.
const COPY_AGE_MAX: Duration = Duration::from_millis(200);
/// How far behind an answer may be.
const BEHIND_MAX: TimeDelta = TimeDelta::seconds(1);

/// A cache on the same network answers within a millisecond; this is long enough to be away.
const CACHE_WAIT: Duration = Duration::from_millis(50);
/// After so many failures in a row the cache is left alone for [`CACHE_PAUSE`]: waiting for one
/// that is away must not become part of every read.
const CACHE_FAILURES_MAX: u32 = 3;
const CACHE_PAUSE: Duration = Duration::from_secs(1);

/// Who told the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The cache beside the store.
    Cache,
    /// The store itself.
    Store,
}

/// The counts and who told them.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub statistics: Arc<Statistics>,
    pub source: Source,
    read_at: Instant,
}

/// Reads the counts.
pub struct Snapshots {
    cache: Arc<dyn StatisticsCache>,
    store: Arc<dyn StatisticsReader>,
    clock: Arc<dyn Clock>,
    reads: Condition,
    cache_reads: Condition,
    /// Held while reading, which is what makes it one read at a time.
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    copy: Option<Snapshot>,
    cache_failures: u32,
    cache_paused_until: Option<Instant>,
}

impl Snapshots {
    pub fn new(
        cache: Arc<dyn StatisticsCache>,
        store: Arc<dyn StatisticsReader>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (reads, cache_reads) =
            (Condition::new("statistics"), Condition::new("statistics cache"));
        Self { cache, store, clock, reads, cache_reads, shared: Mutex::default() }
    }

    /// The counts, or an error if not even the store told them in time.
    pub async fn latest(&self) -> Result<Snapshot, StoreError> {
        self.reads.note(in_time(self.read()).await)
    }

    async fn read(&self) -> Result<Snapshot, StoreError> {
        let mut shared = self.shared.lock().await;
        let now = self.clock.now();
        if let Some(copy) = &shared.copy
            && copy.read_at.elapsed() <= COPY_AGE_MAX
            && is_recent(&copy.statistics, now)
        {
            return Ok(copy.clone());
        }
        let cached = self.cached(&mut shared).await.filter(|cached| is_recent(cached, now));
        let (statistics, source) = match cached {
            Some(statistics) => (statistics, Source::Cache),
            None => (self.store.statistics(now).await?, Source::Store),
        };
        let read_at = Instant::now();
        let copy = Snapshot { statistics: Arc::new(statistics), source, read_at };
        shared.copy = Some(copy.clone());
        Ok(copy)
    }

    /// What the cache holds, unless it is away.
    async fn cached(&self, shared: &mut Shared) -> Option<Statistics> {
        if shared.cache_paused_until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let got = timeout(CACHE_WAIT, self.cache.get()).await;
        let got = self.cache_reads.note(got.unwrap_or_else(|_| Err(CacheError(NoAnswer.into()))));
        if got.is_ok() {
            shared.cache_failures = 0;
        } else {
            shared.cache_failures = shared.cache_failures.saturating_add(1);
        }
        if shared.cache_failures >= CACHE_FAILURES_MAX {
            shared.cache_paused_until = Some(Instant::now() + CACHE_PAUSE);
        }
        got.ok().flatten()
    }
}

/// Counts from the future by more than that come from a clock that is wrong, and prove nothing.
fn is_recent(statistics: &Statistics, now: DateTime<Utc>) -> bool {
    (now - statistics.generated_at).abs() <= BEHIND_MAX
}

#[cfg(test)]
mod tests {
    use common::domain::Status;
    use tokio::time::advance;

    use super::*;
    use crate::{
        condition::STORE_WAIT,
        doubles::{Mood, Stage},
    };

    fn milliseconds(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// Puts counts of that many milliseconds ago into the cache; negative: from the future.
    fn cache_counts(stage: &Stage, age_ms: i64) {
        let generated_at = stage.edge.clock.now() - TimeDelta::milliseconds(age_ms);
        let by_status = [(Status::Open, 7)].into();
        *stage.cache.statistics.lock().unwrap() =
            Some(Statistics { by_status, generated_at, ..Statistics::default() });
    }

    async fn source(stage: &Stage) -> Source {
        stage.edge.snapshots.latest().await.unwrap().source
    }

    #[tokio::test(start_paused = true)]
    async fn recent_counts_come_from_the_cache_and_others_from_the_store() {
        for (age_ms, expected) in [
            (0, Source::Cache),
            (1_000, Source::Cache),
            (1_001, Source::Store),
            (-1_000, Source::Cache),
            (-1_001, Source::Store),
        ] {
            let stage = Stage::new();
            cache_counts(&stage, age_ms);
            assert_eq!(source(&stage).await, expected, "{age_ms} ms old");
        }
        assert_eq!(source(&Stage::new()).await, Source::Store);
    }

    #[tokio::test(start_paused = true)]
    async fn a_copy_serves_for_200_milliseconds() {
        let stage = Stage::new();
        cache_counts(&stage, 0);
        for (elapse_ms, asked) in [(0, 1), (100, 1), (100, 1), (1, 2)] {
            advance(milliseconds(elapse_ms)).await;
            assert_eq!(source(&stage).await, Source::Cache);
            assert_eq!(stage.cache.asked(), asked);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_answer_is_more_than_a_second_behind() {
        let stage = Stage::new();
        cache_counts(&stage, 900);
        assert_eq!(source(&stage).await, Source::Cache);
        advance(milliseconds(150)).await;
        let snapshot = stage.edge.snapshots.latest().await.unwrap();
        assert_eq!(snapshot.source, Source::Store);
        assert_eq!(snapshot.statistics.generated_at, stage.edge.clock.now());
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_ask_at_once_share_one_read() {
        let stage = Stage::new();
        *stage.store.mood.lock().unwrap() = Mood::Slow(milliseconds(150));
        let reads = (0..50).map(|_| source(&stage));
        let sources = futures_util::future::join_all(reads).await;
        assert_eq!(sources, [Source::Store; 50]);
        assert_eq!((stage.store.asked(), stage.cache.asked()), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cache_that_is_away_is_left_alone_after_three_failures() {
        for mood in [Mood::Failing, Mood::Silent] {
            let stage = Stage::new();
            *stage.cache.mood.lock().unwrap() = mood;
            for asked in [1, 2, 3, 3, 3, 3] {
                let asked_at = Instant::now();
                assert_eq!(source(&stage).await, Source::Store);
                assert!(asked_at.elapsed() <= CACHE_WAIT);
                assert_eq!(stage.cache.asked(), asked, "{mood:?}");
                advance(milliseconds(201)).await;
            }
            // The pause is over. One failure begins the next one, one success ends it all.
            advance(CACHE_PAUSE).await;
            source(&stage).await;
            advance(milliseconds(201)).await;
            source(&stage).await;
            assert_eq!(stage.cache.asked(), 4);
            *stage.cache.mood.lock().unwrap() = Mood::Willing;
            advance(CACHE_PAUSE).await;
            cache_counts(&stage, 0);
            assert_eq!(source(&stage).await, Source::Cache);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_hangs_holds_nobody_longer_than_its_deadline() {
        let stage = Stage::new();
        *stage.store.mood.lock().unwrap() = Mood::Silent;
        let asked_at = Instant::now();
        let reads = (0..10).map(|_| stage.edge.snapshots.latest());
        let results = futures_util::future::join_all(reads).await;
        assert!(results.iter().all(Result::is_err));
        assert_eq!(asked_at.elapsed(), STORE_WAIT);
    }
}
