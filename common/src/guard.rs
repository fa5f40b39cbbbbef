//! A limiter of one instance, by `governor`: quick, bounded in memory, and not exact. It guards each
//! instance before anything else is asked, and stands in for the exact limiter while that is away.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use governor::{
    RateLimiter,
    clock::Clock,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{
        StateStore,
        keyed::{HashMapStateStore, ShrinkableKeyedStateStore},
    },
};
use tokio::time::Instant;

use crate::ports::limits::{PartitionKey, Policy, Quota, Standing};

/// Keys at a time, halves of the clients' own, of some thirty bytes each. Beyond this, all clients share
/// 4,096 keys.
const KEYS_MAX: usize = 65_536;

/// Before so many keys can have come, sweeping is not worth while.
const SWEEP_MIN: usize = 1_024;

/// A token bucket for each client.
pub struct Guard {
    policy: Policy,
    quota: Quota,
    /// How much the bucket holds.
    burst: NonZeroU32,
    /// What one costs, in nanoseconds of refilling.
    period_ns: u64,
    clock: SinceStart,
    store: Store,
    limiter: RateLimiter<u64, Store, SinceStart, NoOpMiddleware<Nanos>>,
    keys_max: usize,
    /// How many may come until the next sweep.
    until_sweep: AtomicUsize,
    is_full: AtomicBool,
}

/// No room for the cost; how long until there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused(pub Duration);

impl Guard {
    /// Admits the whole quota at once and refills evenly, so up to twice the quota within a window
    /// that begins with a full bucket. For a limit that is wide anyway.
    #[must_use]
    pub fn smooth(policy: Policy, quota: Quota) -> Self {
        Self::new(policy, quota, quota.count, quota.count)
    }

    /// Admits at most the quota in any window: its bucket holds, and refills in a window, one more
    /// than that together. A third of it is the refill, so that whoever comes first after a pause
    /// meets most of the quota, and whoever goes on is not locked out for long.
    #[must_use]
    pub fn strict(policy: Policy, quota: Quota) -> Self {
        let refill = ((quota.count.saturating_add(1)) / 3).max(1);
        Self::new(policy, quota, (quota.count - refill).saturating_add(1), refill)
    }

    fn new(policy: Policy, quota: Quota, burst: u32, refill: u32) -> Self {
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let period = (quota.window / refill.max(1)).max(Duration::from_nanos(1));
        // A quota without a period is refused by the type; one of a nanosecond never is.
        let rate = governor::Quota::with_period(period)
            .unwrap_or_else(|| governor::Quota::per_second(NonZeroU32::MIN))
            .allow_burst(burst);
        let (clock, store) = (SinceStart(Instant::now()), Store::default());
        Self {
            policy,
            quota,
            burst,
            period_ns: Nanos::from(period).into(),
            limiter: RateLimiter::new(rate, store.clone(), clock),
            clock,
            store,
            keys_max: KEYS_MAX,
            until_sweep: AtomicUsize::new(SWEEP_MIN),
            is_full: AtomicBool::new(false),
        }
    }

    /// Takes the cost, or nothing if there is no room for all of it.
    pub fn take(&self, key: PartitionKey, cost: u32) -> Result<(), Refused> {
        let Some(cost) = NonZeroU32::new(cost) else { return Ok(()) };
        let key = self.counted(key);
        match self.limiter.check_key_n(&key, cost.min(self.burst)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(refusal)) => {
                let wait = refusal.wait_time_from(self.clock.now());
                Err(Refused(wait.max(Duration::from_nanos(1))))
            }
            // More than the bucket holds; ruled out above.
            Err(_) => Err(Refused(self.quota.window)),
        }
    }

    /// Takes as much of the cost as there is room for.
    pub fn charge(&self, key: PartitionKey, cost: u32) {
        let fitting = cost.min(self.standing(key, None).remaining);
        // Another may have taken it in between, and then it is gone.
        let _ = self.take(key, fitting);
    }

    /// Puts the cost back.
    pub fn give_back(&self, key: PartitionKey, cost: u32) {
        let refund = self.period_ns.saturating_mul(cost.into());
        let key = self.folded(key);
        // No state: nothing was taken.
        let _ = self.store.measure_and_replace(&key, |full_at| {
            let full_at = u64::from(full_at.ok_or(())?);
            Ok::<_, ()>(((), Nanos::from(full_at.saturating_sub(refund))))
        });
    }

    /// Where a client stands, and with what refusal, if there was one.
    pub fn standing(&self, key: PartitionKey, refused: Option<Refused>) -> Standing {
        let key = self.folded(key);
        let looked = self.store.measure_and_replace(&key, Err::<((), Nanos), _>);
        let full_at = looked.err().flatten().map_or(0, u64::from);
        let until_full = full_at.saturating_sub(self.clock.now().into());
        let taken = until_full.div_ceil(self.period_ns);
        let free = u64::from(self.burst.get()).saturating_sub(taken);
        Standing {
            policy: self.policy,
            quota: self.quota,
            remaining: u32::try_from(free).unwrap_or(u32::MAX),
            reset: Duration::from_nanos(until_full - taken.saturating_sub(1) * self.period_ns),
            retry_after: refused.map_or(Duration::ZERO, |Refused(wait)| wait),
        }
    }

    /// The key to count under, which may be the last before a sweep.
    fn counted(&self, key: PartitionKey) -> u64 {
        if self.until_sweep.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.limiter.retain_recent();
            let keys = self.limiter.len();
            self.is_full.store(keys >= self.keys_max, Ordering::Relaxed);
            // As many again as are left: what a sweep costs is then a few steps a request.
            self.until_sweep.store(keys.clamp(SWEEP_MIN, self.keys_max), Ordering::Relaxed);
        }
        self.folded(key)
    }

    fn folded(&self, key: PartitionKey) -> u64 {
        let key = if self.is_full.load(Ordering::Relaxed) { key.folded() } else { key };
        key.half()
    }
}

/// Tokio's clock: it stands still in a test that says so.
#[derive(Debug, Clone, Copy)]
struct SinceStart(Instant);

impl Clock for SinceStart {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.elapsed().into()
    }
}

/// What `governor` remembers, shared with it, so that it can be looked at and put right.
#[derive(Clone, Default)]
struct Store(Arc<HashMapStateStore<u64>>);

impl StateStore for Store {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.0.measure_and_replace(key, f)
    }
}

impl ShrinkableKeyedStateStore<u64> for Store {
    fn retain_recent(&self, drop_below: Nanos) {
        self.0.retain_recent(drop_below);
        self.0.shrink_to_fit();
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const WINDOW: Duration = Duration::from_mins(10);

    fn quota(count: u32) -> Quota {
        Quota { count, window: WINDOW }
    }

    fn key(number: u64) -> PartitionKey {
        let mut hash = [0; 16];
        hash[..8].copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
        PartitionKey::new(hash)
    }

    #[tokio::test(start_paused = true)]
    async fn a_strict_guard_admits_at_most_the_quota_in_any_window() {
        for count in 1..=40 {
            let guard = Guard::strict(Policy::Create, quota(count));
            let mut admitted = Vec::new();
            while guard.take(key(1), 1).is_ok() {
                admitted.push(Instant::now());
            }
            assert!(admitted.len() * 3 >= count as usize * 2, "{} at once", admitted.len());
            // Pressed for three windows, at a pace that is no part of any period.
            for _ in 0..3_000 {
                if guard.take(key(1), 1).is_ok() {
                    admitted.push(Instant::now());
                }
                advance(Duration::from_millis(613)).await;
            }
            let most = admitted.iter().map(|begin| {
                admitted.iter().filter(|it| *it >= begin && **it < *begin + WINDOW).count()
            });
            assert!(most.max().unwrap() <= count as usize, "{count}");
            assert!(admitted.len() > count as usize, "{count}: it refills");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_says_when_to_come_back() {
        let guard = Guard::smooth(Policy::Attempts, quota(300));
        assert_eq!(guard.standing(key(1), None).remaining, 300);
        assert!((0..300).all(|_| guard.take(key(1), 1).is_ok()));
        let refused = guard.take(key(1), 1).unwrap_err();
        assert_eq!(refused, Refused(Duration::from_secs(2)));
        let standing = guard.standing(key(1), Some(refused));
        assert_eq!((standing.remaining, standing.reset), (0, Duration::from_secs(2)));
        assert!(standing.is_violated() && guard.take(key(2), 1).is_ok());
        advance(Duration::from_secs(2)).await;
        assert_eq!(guard.standing(key(1), None).remaining, 1);
        assert!(guard.take(key(1), 1).is_ok() && guard.take(key(1), 1).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_back_can_be_taken_and_a_charge_takes_what_is_left() {
        let guard = Guard::strict(Policy::Create, quota(3));
        assert!(guard.take(key(1), 3).is_ok() && guard.take(key(1), 1).is_err());
        guard.give_back(key(1), 2);
        guard.give_back(key(2), 2);
        assert_eq!(guard.standing(key(1), None).remaining, 2);
        assert_eq!(guard.standing(key(2), None).remaining, 3);
        assert!(guard.take(key(1), 3).is_err(), "all of it or nothing");
        guard.charge(key(1), 3);
        assert_eq!(guard.standing(key(1), None).remaining, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_nobody_goes_uncounted_when_it_is_full() {
        let guard = Guard { keys_max: 2_000, ..Guard::strict(Policy::Create, quota(1)) };
        let admitted = (0..100_000).filter(|it| guard.take(key(*it), 1).is_ok()).count();
        assert!(guard.limiter.len() <= 2 * 2_000 + 4_096, "{}", guard.limiter.len());
        assert!(admitted <= guard.limiter.len() + SWEEP_MIN, "{admitted}");
        advance(WINDOW * 2).await;
        let swept = (0..10_000).filter(|_| guard.take(key(1), 1).is_ok()).count();
        assert_eq!((swept, guard.limiter.len()), (2, 2), "folded, and after the sweep itself");
    }
}
