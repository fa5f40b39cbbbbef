//! Takes tickets in to be searched, behind their making.
//!
//! What a search needs costs as much as storing the ticket does. So it is not done on the way, and while
//! tickets come faster than both can be done it is the search that waits.

use std::{sync::Arc, time::Duration};

use backon::BackoffBuilder;
use common::{chain, ports::search::SearchWriter, retry::persistently};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{measure, state::State};

/// Entries taken in together. While a batch of them is written, events of younger transactions wait.
const BATCH: u32 = 256;

/// How long to wait for more entries.
const POLL: Duration = Duration::from_millis(400);

/// While a lane of its worker has submissions in hand the indexer rests so many times as long as it worked.
const YIELDING: u32 = 8;

/// The longest such rest.
const YIELDING_MAX: Duration = Duration::from_secs(2);

/// An indexer that is behind for so long yields no more: a flood that goes on may make new tickets be found
/// late, but not ever later because of that.
const YIELDING_FOR: Duration = Duration::from_mins(1);

/// The longest pause between two tries while the store is away.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(2);

/// One a worker; of all, one at a time has something to do.
pub(crate) struct Indexer {
    search: Arc<dyn SearchWriter>,
    /// What the worker's lanes do.
    state: State,
}

impl Indexer {
    pub(crate) fn new(search: Arc<dyn SearchWriter>, state: State) -> Self {
        Self { search, state }
    }

    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut pauses = persistently(RETRY_DELAY_MAX).build();
        let mut is_failing = false;
        let mut caught_up_at = Instant::now();
        while !stop.is_cancelled() {
            let begun_at = Instant::now();
            // Dropped half-way it is done whole or not at all.
            let taken_in = tokio::select! {
                () = stop.cancelled() => return,
                taken_in = self.search.take_in(BATCH) => taken_in,
            };
            // Once for each change, not once for each try.
            match (&taken_in, is_failing) {
                (Err(error), false) => {
                    warn!(error = chain(error), "new tickets cannot be searched");
                }
                (Ok(_), true) => info!("new tickets can be searched again"),
                _ => {}
            }
            is_failing = taken_in.is_err();
            if let Ok(Some(..BATCH)) = taken_in {
                caught_up_at = Instant::now();
            }
            let behind = caught_up_at.elapsed();
            measure::search(behind);
            let pause = if let Ok(entries) = taken_in {
                pauses = persistently(RETRY_DELAY_MAX).build();
                self.rest(entries.unwrap_or_default(), begun_at.elapsed(), behind)
            } else {
                pauses.next().unwrap_or(RETRY_DELAY_MAX)
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// How long to leave the store to others, when so many entries took so long: while there is more, as
    /// long as that, or a multiple of it where others have something to store.
    fn rest(&self, entries: u32, took: Duration, behind: Duration) -> Duration {
        if entries < BATCH {
            POLL
        } else if self.state.is_working() && behind < YIELDING_FOR {
            (took * YIELDING).min(YIELDING_MAX)
        } else {
            took.min(POLL)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;
    use chrono::DateTime;
    use common::ports::store::StoreError;
    use tokio::time::sleep;

    use super::*;

    /// A search that is behind by so many entries, and away for so many tries.
    struct Behind {
        entries: AtomicU32,
        away_for: AtomicU32,
        tries: AtomicU32,
    }

    #[async_trait]
    impl SearchWriter for Behind {
        async fn take_in(&self, entries_max: u32) -> Result<Option<u32>, StoreError> {
            self.tries.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_millis(10)).await;
            let less = |tries: u32| tries.checked_sub(1);
            if self.away_for.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
                return Err(StoreError::Unavailable("away".into()));
            }
            let entries = self.entries.load(Ordering::Relaxed).min(entries_max);
            self.entries.fetch_sub(entries, Ordering::Relaxed);
            Ok(Some(entries))
        }
    }

    async fn after(time: Duration, entries: u32, away_for: u32) -> Arc<Behind> {
        beside(&State::new(), time, entries, away_for).await
    }

    async fn beside(state: &State, time: Duration, entries: u32, away_for: u32) -> Arc<Behind> {
        let behind = Arc::new(Behind {
            entries: entries.into(),
            away_for: away_for.into(),
            tries: AtomicU32::default(),
        });
        let stop = CancellationToken::new();
        let indexer = Arc::new(Indexer::new(behind.clone(), state.clone()));
        let running = tokio::spawn(indexer.run(stop.clone()));
        sleep(time).await;
        stop.cancel();
        running.await.unwrap();
        behind
    }

    #[tokio::test(start_paused = true)]
    async fn a_backlog_is_taken_in_with_as_long_pauses_as_the_work_takes() {
        let behind = after(Duration::from_secs(1), 40 * BATCH, 0).await;
        assert_eq!(behind.entries.load(Ordering::Relaxed), 0);
        let behind = after(Duration::from_millis(500), 40 * BATCH, 0).await;
        assert_eq!(behind.tries.load(Ordering::Relaxed), 25);
    }

    #[tokio::test(start_paused = true)]
    async fn who_stores_comes_first() {
        let state = State::new();
        let working = state.working(Some(DateTime::UNIX_EPOCH));
        let behind = beside(&state, Duration::from_millis(900), 40 * BATCH, 0).await;
        assert_eq!(behind.tries.load(Ordering::Relaxed), 10);
        drop(working);
        let behind = beside(&state, Duration::from_millis(900), 40 * BATCH, 0).await;
        assert_eq!(behind.entries.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_is_behind_rests_longer_for_others_but_not_for_ever() {
        let state = State::new();
        let search = Behind { entries: 0.into(), away_for: 0.into(), tries: 0.into() };
        let indexer = Indexer::new(Arc::new(search), state.clone());
        let (short, long) = (Duration::from_millis(10), Duration::from_secs(1));
        let rests = |behind| {
            [(BATCH, short), (BATCH, long), (BATCH - 1, short)]
                .map(|(entries, took)| indexer.rest(entries, took, behind))
        };
        let alone = [short, POLL, POLL];
        assert_eq!(rests(Duration::ZERO), alone);
        let _working = state.working(Some(DateTime::UNIX_EPOCH));
        assert_eq!(rests(Duration::ZERO), [short * YIELDING, YIELDING_MAX, POLL]);
        assert_eq!(rests(YIELDING_FOR), alone);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_new_is_looked_for_within_a_second() {
        let behind = after(Duration::from_secs(10), 0, 0).await;
        assert!(behind.tries.load(Ordering::Relaxed) >= 20);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_away_is_tried_again_until_it_is_back() {
        let behind = after(Duration::from_mins(1), BATCH, 20).await;
        assert_eq!(behind.entries.load(Ordering::Relaxed), 0);
        assert!(behind.tries.load(Ordering::Relaxed) < 200);
    }
}
