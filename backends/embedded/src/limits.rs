//! The limiter, in this process's memory. What its twin does in a script on Redis is written out
//! here; a test plays thousands of random requests against both and compares every answer.

use std::{
    collections::HashMap,
    mem,
    num::NonZeroU32,
    slice,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use common::{
    clock::Clock,
    ports::limits::{Decision, Limiter, PartitionKey, Policy, Quota, Rule, Slot, Standing, Tally},
};

/// Logs at a time, each a client's under a policy. Beyond this, clients that come new share 4,096 logs of a
/// policy. With those they are half of what 2^19 places can hold: with more, a table full of what was removed
/// would double instead of being cleaned. With one entry a place has some 50 bytes, so that clients that come
/// once, up to 375 a second, take 26 MB; half as much again where they are counted under several policies.
const LOGS_MAX: usize = 229_376 - 4_096;

/// Before so many logs can have come, sweeping is not worth while.
const SWEEP_MIN: usize = 1_024;

/// An exact sliding log for each client and policy.
pub struct MemoryLimiter {
    clock: Arc<dyn Clock>,
    memory: Mutex<Memory>,
}

/// The last of them has the highest number.
const POLICIES: usize = Policy::Guesses as usize + 1;

struct Memory {
    logs_max: usize,
    policies: [Logs; POLICIES],
    /// Since the last sweep.
    requests: usize,
}

/// Of all clients under a policy.
#[derive(Default)]
struct Logs {
    /// The longest window that was asked about, in microseconds.
    window: i64,
    of_clients: HashMap<PartitionKey, Log>,
}

/// What was taken and when, the oldest first; no more than the quota. Most clients come once, so one entry
/// takes no memory of its own.
enum Log {
    One(Entry),
    Some(Vec<Entry>),
}

#[derive(Clone, Copy)]
struct Entry {
    /// In microseconds since 1970, as Redis counts them.
    at: i64,
    slot: Slot,
    /// Which unit of its slot's cost, from one.
    unit: NonZeroU32,
}

impl Default for Log {
    fn default() -> Self {
        Self::Some(Vec::new())
    }
}

impl Log {
    fn entries(&self) -> &[Entry] {
        match self {
            Self::One(entry) => slice::from_ref(entry),
            Self::Some(entries) => entries,
        }
    }

    fn push(&mut self, entry: Entry) {
        *self = match mem::take(self) {
            Self::Some(entries) if entries.is_empty() => Self::One(entry),
            Self::One(first) => Self::Some(vec![first, entry]),
            Self::Some(mut entries) => {
                entries.push(entry);
                Self::Some(entries)
            }
        };
    }

    /// Removes those of which it says no.
    fn retain(&mut self, keeps: impl Fn(&Entry) -> bool) {
        match self {
            Self::One(entry) if keeps(entry) => {}
            Self::One(_) => *self = Self::default(),
            Self::Some(entries) => entries.retain(keeps),
        }
    }

    /// Forgets what is a window old.
    fn slide(&mut self, window: i64, now: i64) {
        if self.entries().first().is_some_and(|entry| entry.ends(window) <= now) {
            self.retain(|entry| entry.ends(window) > now);
        }
    }

    fn is_over(&self, window: i64, now: i64) -> bool {
        self.entries().last().is_none_or(|entry| entry.ends(window) <= now)
    }

    /// What the verb does with the slot under this rule.
    fn plan(&self, verb: Verb, rule: &Rule, slot: Slot) -> Plan {
        let counted =
            |unit: &NonZeroU32| self.entries().iter().any(|it| it.slot == slot && it.unit == *unit);
        let cost = rule.cost.min(rule.quota.count);
        let units = (1..=cost).filter_map(NonZeroU32::new);
        let mut units: Vec<_> = units.filter(|unit| counted(unit) == verb.gives_back()).collect();
        let room = rule.quota.count.saturating_sub(self.used()) as usize;
        let beyond = units.len().saturating_sub(room);
        match verb {
            Verb::Take if beyond > 0 => {
                let excess = self.entries().len() + units.len() - rule.quota.count as usize;
                return Plan { units, excess };
            }
            Verb::Charge => units.truncate(room),
            Verb::Take | Verb::GiveBack => {}
        }
        Plan { units, excess: 0 }
    }

    fn apply(&mut self, verb: Verb, plan: &Plan, slot: Slot, at: i64) {
        if verb.gives_back() {
            self.retain(|it| it.slot != slot || !plan.units.contains(&it.unit));
        } else {
            plan.units.iter().for_each(|unit| self.push(Entry { at, slot, unit: *unit }));
        }
    }

    fn used(&self) -> u32 {
        u32::try_from(self.entries().len()).unwrap_or(u32::MAX)
    }

    /// In how long so many of the oldest are a window old; zero for none.
    fn free_in(&self, count: usize, quota: Quota, now: i64) -> Duration {
        let last = count.min(self.entries().len()).checked_sub(1);
        let entry = last.and_then(|index| self.entries().get(index));
        entry.map_or(Duration::ZERO, |entry| {
            let left = entry.ends(window(quota)).saturating_sub(now);
            Duration::from_micros(u64::try_from(left).unwrap_or_default())
        })
    }

    /// Where the client stands when so much more is wanted than there is room for.
    fn standing(&self, rule: &Rule, excess: usize, now: i64) -> Standing {
        Standing {
            policy: rule.policy,
            quota: rule.quota,
            remaining: rule.quota.count.saturating_sub(self.used()),
            reset: self.free_in(1, rule.quota, now),
            retry_after: self.free_in(excess, rule.quota, now),
        }
    }
}

impl Entry {
    /// When it is so old, in microseconds.
    const fn ends(&self, window: i64) -> i64 {
        self.at.saturating_add(window)
    }
}

fn window(quota: Quota) -> i64 {
    i64::try_from(quota.window.as_micros()).unwrap_or(i64::MAX)
}

impl Memory {
    fn of(logs_max: usize) -> Self {
        Self { logs_max, policies: <[Logs; POLICIES]>::default(), requests: 0 }
    }

    /// The client's log under the rule, brought up to date.
    fn log(&mut self, key: PartitionKey, rule: &Rule, now: i64) -> &mut Log {
        let key = self.key(key, rule);
        let logs = &mut self.policies[rule.policy as usize];
        let window = window(rule.quota);
        logs.window = logs.window.max(window);
        let log = logs.of_clients.entry(key).or_default();
        log.slide(window, now);
        log
    }

    fn count(&self) -> usize {
        self.policies.iter().map(|logs| logs.of_clients.len()).sum()
    }

    /// Now and then forgets the logs in which nothing counts any more: after as many requests as
    /// there are logs, so that what a sweep costs is a few steps a request.
    fn sweep(&mut self, now: i64) {
        self.requests += 1;
        if self.requests >= self.count().max(SWEEP_MIN) {
            self.requests = 0;
            for Logs { window, of_clients } in &mut self.policies {
                of_clients.retain(|_, log| !log.is_over(*window, now));
                // Each policy has a table. One that was large once would stay so.
                if of_clients.len() < of_clients.capacity() / 8 {
                    of_clients.shrink_to(2 * of_clients.len());
                }
            }
        }
    }

    /// Under which key the client's log is: its own, where it has one or there is room for another.
    fn key(&self, key: PartitionKey, rule: &Rule) -> PartitionKey {
        let is_known = self.policies[rule.policy as usize].of_clients.contains_key(&key);
        if is_known || self.count() < self.logs_max { key } else { key.folded() }
    }

    fn forget_empty(&mut self, key: PartitionKey, rules: &[Rule]) {
        for rule in rules {
            let key = self.key(key, rule);
            let logs = &mut self.policies[rule.policy as usize].of_clients;
            if logs.get(&key).is_some_and(|log| log.entries().is_empty()) {
                logs.remove(&key);
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
    units: Vec<NonZeroU32>,
    /// How many of the oldest must go before there is room.
    excess: usize,
}

impl MemoryLimiter {
    /// Goes by this clock, which must not jump.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, memory: Mutex::new(Memory::of(LOGS_MAX)) }
    }

    fn decide(&self, verb: Verb, key: PartitionKey, rules: &[Rule], slot: Slot) -> Decision {
        // Nothing panics half-way through a change of these.
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now().timestamp_micros();
        memory.sweep(now);
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

    use chrono::{DateTime, TimeDelta, Utc};
    use common::ports::limits::Policy::{Create, Guesses, Stats};
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
        (hand.clone(), MemoryLimiter { clock: hand, memory: Mutex::new(Memory::of(logs_max)) })
    }

    fn rule(policy: Policy, cost: u32) -> Rule {
        Rule { policy, quota: Quota { count: 1, window: Duration::from_mins(10) }, cost }
    }

    fn take(limiter: &MemoryLimiter, number: u128, rules: &[Rule]) -> bool {
        static SLOTS: AtomicU64 = AtomicU64::new(0);
        let slot = Slot(Uuid::from_u128(SLOTS.fetch_add(1, Ordering::Relaxed).into()));
        limiter.decide(Verb::Take, key(number), rules, slot).is_admitted()
    }

    fn key(number: u128) -> PartitionKey {
        let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) << 64;
        PartitionKey::new(Uuid::from_u128(spread).into_bytes())
    }

    #[test]
    fn memory_is_bounded_and_nobody_goes_uncounted_when_it_is_full() {
        let (hand, limiter) = limiter(5_000);
        let (all, once) = (20_000, [rule(Create, 1)]);
        let admitted = (0..all).filter(|number| take(&limiter, *number, &once)).count();
        let logs = || limiter.memory.lock().unwrap().count();
        assert_eq!(admitted, logs());
        assert!(logs() <= 5_000 + 4_096, "{}", logs());
        assert!((0..all).all(|number| !take(&limiter, number, &once)));
        hand.turn(600);
        assert_eq!((0..all).filter(|_| take(&limiter, 1, &once)).count(), 1);
        assert_eq!(logs(), 1, "what is over is forgotten");
    }

    #[test]
    fn who_has_a_log_under_one_rule_shares_none_under_it_when_memory_is_full() {
        let (_, limiter) = limiter(101);
        let (one, look) = (rule(Stats, 1), rule(Guesses, 0));
        assert!(take(&limiter, 0, &[one, look]));
        assert!((1..=100).all(|number| take(&limiter, number, &[rule(Guesses, 1)])));
        assert!(!take(&limiter, 0, &[one, look]), "what was counted before counts");
        let looked = limiter.decide(Verb::Take, key(1), &[one, look], Slot(Uuid::nil()));
        assert!(looked.is_admitted());
        assert_eq!(looked.standings[1].remaining, 0, "and so does what was guessed before");
    }

    #[test]
    fn clients_that_come_once_take_26_megabytes_however_many_and_however_long() {
        let (hand, limiter) = limiter(LOGS_MAX);
        for policy in [Stats, Guesses, Create] {
            for number in 0..2 * LOGS_MAX as u128 {
                take(&limiter, number, &[rule(policy, 1)]);
                if number % 100_000 == 0 {
                    hand.turn(150);
                }
            }
        }
        // A table has a byte more for each place, and fills seven of eight.
        let place_bytes = size_of::<(PartitionKey, Log)>() + 1;
        assert_eq!(place_bytes, 49);
        let memory = limiter.memory.lock().unwrap();
        let capacity = memory.policies.iter().map(|logs| logs.of_clients.capacity()).sum::<usize>();
        let bytes = capacity * 8 / 7 * place_bytes;
        assert!(bytes < 26_000_000, "{bytes}");
    }
}
