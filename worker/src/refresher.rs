//! Keeps the statistics snapshot in the cache fresh, so that asking for statistics costs the store
//! nothing however many ask.

use std::{sync::Arc, time::Duration};

use common::{
    Cause,
    clock::{Clock, Entropy},
    keys::hex,
    ports::statistics::{StatisticsCache, StatisticsReader},
};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Statistics may be a second old; this leaves room for a slow read.
const REFRESH_INTERVAL: Duration = Duration::from_millis(300);

/// A refresher that died is replaced after so long. Until then edges read the store.
const LEASE_TTL: Duration = Duration::from_secs(2);

/// One a worker; of all, the one with the lease works.
pub(crate) struct Refresher {
    statistics: Arc<dyn StatisticsReader>,
    cache: Arc<dyn StatisticsCache>,
    clock: Arc<dyn Clock>,
    name: String,
}

impl Refresher {
    pub(crate) fn new(
        statistics: Arc<dyn StatisticsReader>,
        cache: Arc<dyn StatisticsCache>,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
    ) -> Self {
        let mut name = [0; 8];
        entropy.fill(&mut name);
        Self { statistics, cache, clock, name: hex(&name) }
    }

    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = interval(REFRESH_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_failing = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let refreshed = self.refresh().await;
            // Once for each change, not once for each tick.
            match (&refreshed, is_failing) {
                (Err(error), false) => warn!(%error, "cannot refresh the statistics snapshot"),
                (Ok(()), true) => info!("the statistics snapshot is fresh again"),
                _ => {}
            }
            is_failing = refreshed.is_err();
        }
    }

    async fn refresh(&self) -> Result<(), Cause> {
        if self.cache.lease(&self.name, LEASE_TTL).await? {
            let statistics = self.statistics.statistics(self.clock.now()).await?;
            self.cache.put(&statistics).await?;
        }
        Ok(())
    }
}
