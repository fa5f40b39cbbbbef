//! The ledger held against the rest of the installation: what was accepted is a ticket, or a dead
//! letter, or on its way; anything else is unaccounted for.
//!
//! That something is on its way cannot be seen, only that it no longer can be: when the queue has
//! held nothing for a whole window, and broker and store have answered all the while, whoever was
//! given a submission before that window has had it for longer than storing it takes. Then it should
//! be a ticket.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use common::{
    Cause,
    clock::Clock,
    metrics::{IN_FLIGHT, UNACCOUNTED, UNACCOUNTED_AGE},
    ports::{
        audit::{Depths, QueueAudit},
        ledger::{Balance, Ledger},
    },
};
use futures_util::FutureExt;
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout};

use crate::{accounts::Accounts, condition::Condition};

/// How often the ledger is looked at. On an empty one that is one short query.
const PERIOD: Duration = Duration::from_secs(2);

/// How much longer than a look the pause after it lasts at least: a long ledger takes no more than a
/// tenth of one of the store's connections.
const PAUSE_FACTOR: u32 = 9;

/// Entries made at a time. More wait in memory: in a backlog of thousands a second the store has
/// better things to do.
const ENTRIES_MAX: usize = 2_000;

/// Up to so many dead letters are read to find whose submissions they hold. Of more none is, since
/// whatever lies in those beyond would be missed.
const LETTERS_MAX: u32 = 10_000;

/// How far the clocks of two edges may be apart.
const CLOCK_SKEW_MAX: TimeDelta = TimeDelta::seconds(5);

/// At the end, what is followed is entered within so long or lost sight of.
const FINISH_WAIT: Duration = Duration::from_secs(2);

/// Does it, as every edge does.
pub struct Reconciler {
    pub accounts: Arc<Accounts>,
    pub ledger: Arc<dyn Ledger>,
    pub queue: Arc<dyn QueueAudit>,
    pub clock: Arc<dyn Clock>,
    /// For how long the queue must have been empty.
    pub window: Duration,
}

/// What one look leaves for the next.
#[derive(Default)]
struct Seen {
    /// Since when every look found the queue empty.
    empty_since: Option<Instant>,
    /// How many dead letters there were when they were last read, all of them.
    dead: u64,
    /// Whether there are more than are read.
    are_too_many: bool,
}

/// For the log.
#[derive(Debug, Error)]
#[error(transparent)]
struct NotReconciled(Cause);

impl Reconciler {
    /// Looks again and again.
    pub async fn run(self: Arc<Self>) {
        let condition = Condition::new("the ledger");
        let mut seen = Seen::default();
        loop {
            let begun = Instant::now();
            // A defect in here must cost nobody a submission.
            let reconciled = AssertUnwindSafe(self.reconcile(&mut seen)).catch_unwind().await;
            let reconciled = reconciled.unwrap_or_else(|_| Err("it panicked".into()));
            if let Ok(balance) = condition.note(reconciled.map_err(NotReconciled)) {
                show(&balance, self.clock.now());
            } else {
                // Whatever was quiet before, something may have happened to it since.
                seen.empty_since = None;
                show_unknown();
            }
            sleep(PERIOD.max(begun.elapsed() * PAUSE_FACTOR)).await;
        }
    }

    /// Enters all that this process still follows. To be called when nothing more is accepted.
    pub async fn finish(&self) {
        let entering = async {
            while self.enter(true).await? > 0 {}
            Ok::<_, Cause>(())
        };
        if !matches!(timeout(FINISH_WAIT, entering).await, Ok(Ok(()))) {
            tracing::warn!("accepted submissions that have no number yet are lost sight of");
        }
    }

    /// Enters what is overdue, or everything; says how many.
    async fn enter(&self, all: bool) -> Result<usize, Cause> {
        let overdue = self.accounts.overdue(ENTRIES_MAX, self.clock.now(), all);
        if !overdue.is_empty() {
            self.ledger.enter(&overdue).await?;
            self.accounts.entered(&overdue);
        }
        Ok(overdue.len())
    }

    async fn reconcile(&self, seen: &mut Seen) -> Result<Balance, Cause> {
        self.enter(false).await?;
        let balance = self.ledger.balance().await?;
        if balance.stored > 0 {
            Accounts::found(self.ledger.strike_stored().await?);
        }
        if balance.in_flight + balance.unaccounted == 0 {
            *seen = Seen::default();
            return Ok(balance);
        }
        let depths = self.queue.depths().await?;
        if depths.queued + depths.unrouted > 0 {
            seen.empty_since = None;
            return Ok(balance);
        }
        let empty_since = *seen.empty_since.get_or_insert_with(Instant::now);
        if empty_since.elapsed() < self.window {
            return Ok(balance);
        }
        let horizon = self.clock.now() - self.window - CLOCK_SKEW_MAX;
        let is_due = balance.oldest_in_flight.is_some_and(|oldest| oldest < horizon);
        if is_due || depths.dead != seen.dead {
            let has_seen_all = self.strike_buried(depths, seen).await?;
            if has_seen_all && is_due {
                self.ledger.mark(horizon).await?;
            }
        }
        Ok(self.ledger.balance().await?)
    }

    /// Strikes out what lies in the dead letters. Says whether it came past every letter that there
    /// is: what it did not see may be what would be missed.
    async fn strike_buried(&self, depths: Depths, seen: &mut Seen) -> Result<bool, Cause> {
        let are_too_many = depths.dead > u64::from(LETTERS_MAX);
        if are_too_many && !seen.are_too_many {
            tracing::warn!(
                letters = depths.dead,
                letters_max = LETTERS_MAX,
                "too many dead letters to be read: until there are fewer, nothing more is found \
                 unaccounted for"
            );
        }
        seen.are_too_many = are_too_many;
        if are_too_many || depths.are_dead_held {
            return Ok(false);
        }
        let letters = self.queue.dead_submissions(LETTERS_MAX).await?;
        Accounts::buried(self.ledger.strike(&letters.concat()).await?);
        // Somebody may have taken letters in hand before the first one came, or the broker paused.
        let has_seen_all =
            letters.len() as u64 == depths.dead && self.queue.depths().await? == depths;
        if has_seen_all {
            seen.dead = depths.dead;
        }
        Ok(has_seen_all)
    }
}

fn show(balance: &Balance, now: DateTime<Utc>) {
    let age = balance.oldest_unaccounted.and_then(|oldest| (now - oldest).to_std().ok());
    #[expect(clippy::cast_precision_loss, reason = "millions at the very most")]
    {
        IN_FLIGHT.set(balance.in_flight as f64, &[]);
        UNACCOUNTED.set(balance.unaccounted as f64, &[]);
    }
    UNACCOUNTED_AGE.set(age.unwrap_or_default().as_secs_f64(), &[]);
}

fn show_unknown() {
    for gauge in [IN_FLIGHT, UNACCOUNTED, UNACCOUNTED_AGE] {
        gauge.set(f64::NAN, &[]);
    }
}

#[cfg(test)]
mod tests;
