//! Days that are over, each read once from the store and kept: there can be two years of them, and a read
//! of the counts has only the last few. How often a day was revised every read has, and a day that changes
//! after all is read again.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{Days, NaiveDate};
use common::{
    domain::{DAYS_TOLD, DayTally, Statistics, days_before},
    ports::{
        statistics::{DAYS_AT_ONCE, StatisticsReader},
        store::StoreError,
    },
};
use tokio::sync::Mutex;

use crate::condition::{Condition, in_time};

/// What is tallied of days, the earliest first; of some nothing is.
pub type Told = Vec<(NaiveDate, Arc<DayTally>)>;

/// The days that are over.
pub struct History {
    store: Arc<dyn StatisticsReader>,
    reads: Condition,
    /// Held while reading, so that many who ask share one read.
    kept: Mutex<BTreeMap<NaiveDate, Kept>>,
}

struct Kept {
    /// How often it had been revised, as was known before it was read: what is kept may be newer, and is
    /// never older.
    revised: u64,
    tally: Arc<DayTally>,
}

impl History {
    pub fn new(store: Arc<dyn StatisticsReader>) -> Self {
        Self { store, reads: Condition::new("statistics of earlier days"), kept: Mutex::default() }
    }

    /// The days from `first` on as of these counts. Where the store does not tell all in time, what it
    /// has told is kept for the next who asks.
    pub async fn since(
        &self,
        first: NaiveDate,
        statistics: &Statistics,
    ) -> Result<Told, StoreError> {
        self.reads.note(in_time(self.told(first, statistics)).await)
    }

    async fn told(&self, first: NaiveDate, statistics: &Statistics) -> Result<Told, StoreError> {
        let recent = statistics.recent_from();
        let mut kept = self.kept.lock().await;
        let revised =
            |date: NaiveDate| statistics.tallies.revised.get(&date).copied().unwrap_or_default();
        let is_known = |date: NaiveDate, kept: &BTreeMap<NaiveDate, Kept>| {
            kept.get(&date).is_some_and(|kept| kept.revised == revised(date))
        };
        for date in first.iter_days().take_while(|date| *date < recent) {
            let together = date.iter_days().take(DAYS_AT_ONCE).take_while(|date| *date < recent);
            let unknown: Vec<_> = together.take_while(|date| !is_known(*date, &kept)).collect();
            let Some(last) = unknown.last() else { continue };
            let mut days = self.store.days(date..*last + Days::new(1)).await?;
            for date in unknown {
                let tally = days.remove(&date).unwrap_or_default();
                kept.insert(date, Kept { revised: revised(date), tally });
            }
        }
        kept.retain(|date, _| *date > days_before(recent, DAYS_TOLD));
        let over = kept.range(first..recent.max(first));
        let over = over.map(|(date, kept)| (*date, Arc::clone(&kept.tally)));
        let now = statistics.tallies.days.range(first.max(recent)..);
        let now = now.map(|(date, tally)| (*date, Arc::clone(tally)));
        Ok(over.chain(now).collect())
    }
}
