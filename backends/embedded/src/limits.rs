//! The limiter, in this process's memory. What its twin does in a script on Redis is written out
//! here; a test plays thousands of random requests against both and compares every answer.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use common::{
    clock::Clock,
    ports::limits::{Decision, Limiter, PartitionKey, Policy, Quota, Rule, Slot, Standing, Tally},
};

/// Logs at a time, each a client's under a policy, and as many as their table holds before it doubles.
/// Beyond this, clients that come new share 4,096 logs. With one entry a log has some 130 bytes: 30 MB at
/// most of clients that come once, which may be 380 a second.
const LOGS_MAX: usize = 229_376;

/// Before so many logs can have come, sweeping is not worth while.
const SWEEP_MIN: usize = 1_024;

/// An exact sliding log for each client and policy.
pub struct MemoryLimiter {
    clock: Arc<dyn Clock>,
    logs_max: usize,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    logs: HashMap<(Policy, PartitionKey), Log>,
    /// Since the last sweep.
    requests: usize,
}

/// What was taken and when, the oldest first; no more than the quota.
struct Log {
    window: TimeDelta,
    entries: VecDeque<Entry>,
}

struct Entry {
    at: DateTime<Utc>,
    slot: Slot,
    /// Which unit of its slot's cost, from zero.
    unit: u32,
}

impl Log {
    fn new(quota: Quota) -> Self {
        // Most clients come once.
        Self { window: window(quota), entries: VecDeque::with_capacity(1) }
    }

    /// Forgets what is a window old.
    fn slide(&mut self, now: DateTime<Utc>) {
        while self.entries.front().is_some_and(|entry| entry.at + self.window <= now) {
            self.entries.pop_front();
        }
    }

    fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.entries.back().is_none_or(|entry| entry.at + self.window <= now)
    }

    /// What the verb does with the slot under this rule.
    fn plan(&self, verb: Verb, rule: &Rule, slot: Slot) -> Plan {
        let counted =
            |unit: &u32| self.entries.iter().any(|it| it.slot == slot && it.unit == *unit);
        let cost = rule.cost.min(rule.quota.count);
        let mut units: Vec<u32> =
            (0..cost).filter(|unit| counted(unit) == verb.gives_back()).collect();
        let room = rule.quota.count.saturating_sub(self.used()) as usize;
        let beyond = units.len().saturating_sub(room);
        match verb {
            Verb::Take if beyond > 0 => {
                let excess = self.entries.len() + units.len() - rule.quota.count as usize;
                return Plan { units, excess };
            }
            Verb::Charge => units.truncate(room),
            Verb::Take | Verb::GiveBack => {}
        }
        Plan { units, excess: 0 }
    }

    fn apply(&mut self, verb: Verb, plan: &Plan, slot: Slot, at: DateTime<Utc>) {
        if verb.gives_back() {
            self.entries.retain(|it| it.slot != slot || !plan.units.contains(&it.unit));
        } else {
            self.entries.extend(plan.units.iter().map(|unit| Entry { at, slot, unit: *unit }));
        }
    }

    fn used(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    /// In how long so many of the oldest are a window old; zero for none.
    fn free_in(&self, count: usize, now: DateTime<Utc>) -> Duration {
        let last = count.min(self.entries.len()).checked_sub(1);
        let entry = last.and_then(|index| self.entries.get(index));
        entry.map_or(Duration::ZERO, |entry| {
            (entry.at + self.window - now).to_std().unwrap_or_default()
        })
    }

    /// Where the client stands when so much more is wanted than there is room for.
    fn standing(&self, rule: &Rule, excess: usize, now: DateTime<Utc>) -> Standing {
        Standing {
            policy: rule.policy,
            quota: rule.quota,
            remaining: rule.quota.count.saturating_sub(self.used()),
            reset: self.free_in(1, now),
            retry_after: self.free_in(excess, now),
        }
    }
}

fn window(quota: Quota) -> TimeDelta {
    TimeDelta::from_std(quota.window).unwrap_or(TimeDelta::MAX)
}

impl Memory {
    /// The client's log under the rule, brought up to date.
    fn log(&mut self, key: PartitionKey, rule: &Rule, now: DateTime<Utc>) -> &mut Log {
        let log = self.logs.entry((rule.policy, key)).or_insert_with(|| Log::new(rule.quota));
        log.window = window(rule.quota);
        log.slide(now);
        log
    }

    /// Now and then forgets the logs in which nothing counts any more: after as many requests as
    /// there are logs, so that what a sweep costs is a few steps a request.
    fn sweep(&mut self, now: DateTime<Utc>) {
        self.requests += 1;
        if self.requests >= self.logs.len().max(SWEEP_MIN) {
            self.requests = 0;
            self.logs.retain(|_, log| !log.is_over(now));
        }
    }

    /// The key itself, as long as there is room for another log.
    fn key(&self, key: PartitionKey, rules: &[Rule], logs_max: usize) -> PartitionKey {
        let is_known = rules.iter().all(|rule| self.logs.contains_key(&(rule.policy, key)));
        if is_known || self.logs.len() < logs_max { key } else { key.folded() }
    }

    fn forget_empty(&mut self, key: PartitionKey, rules: &[Rule]) {
        for rule in rules {
            let place = (rule.policy, key);
            if self.logs.get(&place).is_some_and(|log| log.entries.is_empty()) {
                self.logs.remove(&place);
            }
        }
    }
}

/// What is done with the slot in every log.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Take,
    Charge,
    GiveBack,
}

impl Verb {
    fn gives_back(self) -> bool {
        self == Self::GiveBack
    }
}

struct Plan {
    /// The units of the slot's cost to add or to remove.
    units: Vec<u32>,
    /// How many of the oldest must go before there is room.
    excess: usize,
}

impl MemoryLimiter {
    /// Goes by this clock, which must not jump.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, logs_max: LOGS_MAX, memory: Mutex::default() }
    }

    fn decide(&self, verb: Verb, key: PartitionKey, rules: &[Rule], slot: Slot) -> Decision {
        // Nothing panics half-way through a change of these.
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        memory.sweep(now);
        let key = memory.key(key, rules, self.logs_max);
        let plans: Vec<_> =
            rules.iter().map(|rule| memory.log(key, rule, now).plan(verb, rule, slot)).collect();
        let is_refused = plans.iter().any(|plan| plan.excess > 0);
        let has_changed = !is_refused && plans.iter().any(|plan| !plan.units.is_empty());
        let mut standings = Vec::with_capacity(rules.len());
        for (rule, plan) in rules.iter().zip(&plans) {
            let log = memory.log(key, rule, now);
            if !is_refused {
                log.apply(verb, plan, slot, now);
            }
            standings.push(log.standing(rule, plan.excess, now));
        }
        memory.forget_empty(key, rules);
        Decision { standings, has_changed, tally: Tally::Exact }
    }
}

#[async_trait]
impl Limiter for MemoryLimiter {
    async fn take(&self, key: PartitionKey, rules: &[Rule], slot: Slot) -> Decision {
        self.decide(Verb::Take, key, rules, slot)
    }

    async fn charge(&self, key: PartitionKey, rules: &[Rule], slot: Slot) -> Decision {
        self.decide(Verb::Charge, key, rules, slot)
    }

    async fn give_back(&self, key: PartitionKey, rules: &[Rule], slot: Slot) -> Decision {
        self.decide(Verb::GiveBack, key, rules, slot)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use common::ports::limits::Policy::Create;
    use uuid::Uuid;

    use super::*;

    struct Hand(Mutex<DateTime<Utc>>);

    impl Hand {
        fn turn(&self, seconds: i64) {
            *self.0.lock().unwrap() += TimeDelta::seconds(seconds);
        }
    }

    impl Clock for Hand {
        fn now(&self) -> DateTime<Utc> {
            *self.0.lock().unwrap()
        }
    }

    fn limiter(logs_max: usize) -> (Arc<Hand>, MemoryLimiter) {
        let hand = Arc::new(Hand(Mutex::new("2026-11-22T10:30:00Z".parse().unwrap())));
        (hand.clone(), MemoryLimiter { logs_max, ..MemoryLimiter::new(hand) })
    }

    fn rule() -> Rule {
        Rule { policy: Create, quota: Quota { count: 1, window: Duration::from_mins(10) }, cost: 1 }
    }

    fn take(limiter: &MemoryLimiter, number: u128) -> bool {
        static SLOTS: AtomicU64 = AtomicU64::new(0);
        let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) << 64;
        let key = PartitionKey::new(Uuid::from_u128(spread).into_bytes());
        let slot = Slot(Uuid::from_u128(SLOTS.fetch_add(1, Ordering::Relaxed).into()));
        limiter.decide(Verb::Take, key, &[rule()], slot).is_admitted()
    }

    #[test]
    fn memory_is_bounded_and_nobody_goes_uncounted_when_it_is_full() {
        let (hand, limiter) = limiter(5_000);
        let all = 20_000;
        let admitted = (0..all).filter(|number| take(&limiter, *number)).count();
        let logs = || limiter.memory.lock().unwrap().logs.len();
        assert_eq!(admitted, logs());
        assert!(logs() <= 5_000 + 4_096, "{}", logs());
        assert!((0..all).all(|number| !take(&limiter, number)));
        hand.turn(600);
        assert_eq!((0..all).filter(|_| take(&limiter, 1)).count(), 1);
        assert_eq!(logs(), 1, "what is over is forgotten");
    }
}
