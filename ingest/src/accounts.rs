//! What becomes of each submission that this edge has said yes to, as far as this process knows.
//!
//! One whose sender was told its number is accounted for. Any other is followed until its receipt
//! comes. One that stays unheard of is entered in the installation's ledger, where others look after
//! it: see `reconcile.rs`.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use common::{
    domain::SubmissionId,
    metrics::{ACCEPTED, ACCOUNTED, FOLLOWED, UNFOLLOWED},
    ports::ledger::Entry,
};
use tokio::time::Instant;

/// How long a receipt may take. Most come while the sender still waits.
const RECEIPT_WAIT: Duration = Duration::from_secs(2);

/// How many are followed: some ten megabytes of them.
const FOLLOWED_MAX: usize = 100_000;

/// Entries of the order that may be stale before they are looked through.
const STALE_MAX: usize = 1_024;

/// What a yes came to.
const STORED: [(&str, &str); 1] = [("fate", "stored")];
const DEAD_LETTERED: [(&str, &str); 1] = [("fate", "dead_lettered")];

/// Keeps them.
#[derive(Default)]
pub struct Accounts {
    followed: Mutex<Followed>,
}

#[derive(Default)]
struct Followed {
    since: HashMap<SubmissionId, Instant>,
    /// By age, those that have been heard of since included.
    order: VecDeque<(Instant, SubmissionId)>,
}

impl Accounts {
    /// A sender was told the number: accepted and stored at once.
    #[expect(clippy::unused_self, reason = "the counts are this edge's, wherever they are kept")]
    pub fn numbered(&self) {
        ACCEPTED.increment(&[]);
        ACCOUNTED.increment(&STORED);
    }

    /// A sender is told yes, and that it lies in the spool. It is not on its way before it is drained,
    /// and its way may be long: nobody could miss it until then.
    #[expect(clippy::unused_self, reason = "the counts are this edge's, wherever they are kept")]
    pub fn spooled(&self) {
        ACCEPTED.increment(&[]);
    }

    /// A sender is told yes, and no number: the submission is followed from now on.
    pub fn follow(&self, id: SubmissionId) {
        ACCEPTED.increment(&[]);
        self.follow_drained(id);
    }

    /// The same of one whose sender was told so when it was spooled, and that the queue has now.
    pub fn follow_drained(&self, id: SubmissionId) {
        let now = Instant::now();
        let mut followed = self.lock();
        followed.tidy();
        if followed.since.len() < FOLLOWED_MAX {
            followed.since.insert(id, now);
            followed.order.push_back((now, id));
        } else {
            UNFOLLOWED.increment(&[]);
        }
    }

    /// These have numbers.
    pub fn settle(&self, ids: impl IntoIterator<Item = SubmissionId>) {
        let known = self.forget(ids);
        ACCOUNTED.add(known, &STORED);
    }

    /// So many that were in the ledger have turned up as tickets.
    pub fn found(stored: u64) {
        ACCOUNTED.add(usize::try_from(stored).unwrap_or(usize::MAX), &STORED);
    }

    /// So many that were in the ledger are dead letters.
    pub fn buried(dead: u64) {
        ACCOUNTED.add(usize::try_from(dead).unwrap_or(usize::MAX), &DEAD_LETTERED);
    }

    /// Up to `count` of those whose receipt does not come, or of all, as entries for the ledger; the
    /// oldest first. They are followed until they are entered.
    pub fn overdue(&self, count: usize, now: DateTime<Utc>, all: bool) -> Vec<Entry> {
        let mut followed = self.lock();
        followed.tidy();
        let Followed { since, order } = &*followed;
        let still = order.iter().filter(|(then, id)| since.get(id) == Some(then));
        let overdue = still.take_while(|(then, _)| all || then.elapsed() >= RECEIPT_WAIT);
        let entry =
            |(then, id): &(Instant, _)| Entry { id: *id, accepted_at: now - then.elapsed() };
        overdue.take(count).map(entry).collect()
    }

    /// These are entered, so that nothing is lost with this process.
    pub fn entered(&self, entries: &[Entry]) {
        self.forget(entries.iter().map(|entry| entry.id));
    }

    /// Shows how many are followed.
    pub fn measure(&self) {
        #[expect(clippy::cast_precision_loss, reason = "at most a hundred thousand")]
        FOLLOWED.set(self.lock().since.len() as f64, &[]);
    }

    /// How many of these were followed.
    fn forget(&self, ids: impl IntoIterator<Item = SubmissionId>) -> usize {
        let mut followed = self.lock();
        ids.into_iter().filter(|id| followed.since.remove(id).is_some()).count()
    }

    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.lock().since.len()
    }

    /// Nothing that can panic runs under the lock.
    fn lock(&self) -> MutexGuard<'_, Followed> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Followed {
    /// Lets go of what the order holds in vain.
    fn tidy(&mut self) {
        let Self { since, order } = self;
        while order.front().is_some_and(|(then, id)| since.get(id) != Some(then)) {
            order.pop_front();
        }
        if order.len() > 2 * since.len() + STALE_MAX {
            order.retain(|(then, id)| since.get(id) == Some(then));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;
    use uuid::Uuid;

    use super::*;

    fn id(id: usize) -> SubmissionId {
        Uuid::from_u128(id as u128).into()
    }

    fn overdue(accounts: &Accounts) -> Vec<SubmissionId> {
        let now = DateTime::UNIX_EPOCH;
        accounts.overdue(10, now, false).into_iter().map(|entry| entry.id).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_heard_of_in_time_is_overdue_until_it_is_entered() {
        let accounts = Accounts::default();
        for number in 1..=3 {
            accounts.follow(id(number));
        }
        advance(RECEIPT_WAIT / 2).await;
        accounts.follow(id(4));
        // Sent again: its time begins anew.
        accounts.follow(id(1));
        accounts.settle([id(2), id(7)]);
        assert_eq!(overdue(&accounts), []);
        advance(RECEIPT_WAIT / 2).await;
        assert_eq!(overdue(&accounts), [id(3)]);
        let everything = accounts.overdue(10, DateTime::UNIX_EPOCH, true);
        assert_eq!(everything.len(), 3);
        assert_eq!(everything[0].accepted_at, DateTime::UNIX_EPOCH - RECEIPT_WAIT);
        accounts.entered(&everything[..1]);
        advance(RECEIPT_WAIT / 2).await;
        assert_eq!(overdue(&accounts), [id(4), id(1)]);
        assert_eq!(accounts.overdue(1, DateTime::UNIX_EPOCH, false).len(), 1);
        assert_eq!(accounts.count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_never_heard_of_holds_no_memory_for_the_others() {
        let accounts = Accounts::default();
        accounts.follow(id(0));
        for other in 1..10 * STALE_MAX {
            accounts.follow(id(other));
            accounts.settle([id(other)]);
        }
        let held = accounts.lock().order.len();
        assert_eq!(accounts.count(), 1);
        assert!(held <= STALE_MAX + 2, "{held}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_are_followed_than_there_is_room_for() {
        let accounts = Accounts::default();
        (0..FOLLOWED_MAX + 10).for_each(|other| accounts.follow(id(other)));
        assert_eq!(accounts.count(), FOLLOWED_MAX);
    }
}
