//! The submissions that were answered 202 and have not been heard of since.
//!
//! A figure for operators, not a ledger: receipts are a courtesy, and one that is lost leaves its
//! submission here for ten minutes although its ticket is there.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use common::{
    domain::SubmissionId,
    metrics::{UNACCOUNTED, UNACCOUNTED_AGE, UNACCOUNTED_EXPIRED},
};
use tokio::time::Instant;

/// How long one is followed. What a worker gets to at all, it gets to by then.
const FOLLOWED_FOR: Duration = Duration::from_mins(10);

/// How many are followed: some ten megabytes of them.
const FOLLOWED_MAX: usize = 100_000;

/// Entries of the order that may be stale before they are looked through.
const STALE_MAX: usize = 1_024;

/// Follows them.
#[derive(Default)]
pub struct Unaccounted {
    followed: Mutex<Followed>,
}

#[derive(Default)]
struct Followed {
    since: HashMap<SubmissionId, Instant>,
    /// By age, those that have been heard of since included.
    order: VecDeque<(Instant, SubmissionId)>,
}

impl Unaccounted {
    /// Follows a submission from now on.
    pub fn follow(&self, id: SubmissionId) {
        let now = Instant::now();
        let mut followed = self.lock();
        followed.expire(now);
        if followed.since.len() < FOLLOWED_MAX {
            followed.since.insert(id, now);
            followed.order.push_back((now, id));
        }
    }

    /// These have numbers.
    pub fn settle(&self, ids: impl IntoIterator<Item = SubmissionId>) {
        let mut followed = self.lock();
        for id in ids {
            followed.since.remove(&id);
        }
    }

    /// Shows how many there are, and how old.
    pub fn measure(&self) {
        let now = Instant::now();
        let (count, age) = {
            let mut followed = self.lock();
            followed.expire(now);
            let oldest = followed.order.front().map_or(now, |(since, _)| *since);
            (followed.since.len(), now - oldest)
        };
        #[expect(clippy::cast_precision_loss, reason = "at most a hundred thousand")]
        UNACCOUNTED.set(count as f64, &[]);
        UNACCOUNTED_AGE.set(age.as_secs_f64(), &[]);
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
    /// Lets go of what is too old, and of what the order holds in vain.
    fn expire(&mut self, now: Instant) {
        let mut expired = 0;
        while let Some((since, id)) = self.order.front().copied() {
            let is_followed = self.since.get(&id) == Some(&since);
            if is_followed && now - since < FOLLOWED_FOR {
                break;
            }
            if is_followed {
                self.since.remove(&id);
                expired += 1;
            }
            self.order.pop_front();
        }
        UNACCOUNTED_EXPIRED.add(expired, &[]);
        if self.order.len() > 2 * self.since.len() + STALE_MAX {
            let Self { since, order } = self;
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

    fn sizes(unaccounted: &Unaccounted) -> (usize, usize) {
        unaccounted.measure();
        let followed = unaccounted.lock();
        (followed.since.len(), followed.order.len())
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_heard_of_is_followed_for_ten_minutes() {
        let unaccounted = Unaccounted::default();
        unaccounted.follow(id(1));
        advance(FOLLOWED_FOR / 2).await;
        unaccounted.follow(id(2));
        unaccounted.follow(id(1));
        assert_eq!(sizes(&unaccounted).0, 2);
        advance(FOLLOWED_FOR / 2).await;
        assert_eq!(sizes(&unaccounted).0, 2, "the second answer of 1 counts");
        unaccounted.settle([id(1), id(7)]);
        assert_eq!(sizes(&unaccounted).0, 1);
        advance(FOLLOWED_FOR).await;
        assert_eq!(sizes(&unaccounted), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_never_heard_of_holds_no_memory_for_the_others() {
        let unaccounted = Unaccounted::default();
        unaccounted.follow(id(0));
        for other in 1..10 * STALE_MAX {
            unaccounted.follow(id(other));
            unaccounted.settle([id(other)]);
        }
        let (followed, held) = sizes(&unaccounted);
        assert_eq!(followed, 1);
        assert!(held <= STALE_MAX + 2, "{held}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_are_followed_than_there_is_room_for() {
        let unaccounted = Unaccounted::default();
        (0..FOLLOWED_MAX + 10).for_each(|other| unaccounted.follow(id(other)));
        assert_eq!(sizes(&unaccounted).0, FOLLOWED_MAX);
    }
}
