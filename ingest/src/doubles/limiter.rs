//! A limiter that decides as it is told.

use std::{
    collections::HashSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use common::{
    config,
    ports::limits::{Decision, Limiter, PartitionKey, Quota, Rule, Slot, Standing, Tally},
};

/// In how long more is left, by all that it says: not the time for which it refuses.
const RESET: Duration = Duration::from_millis(430_001);

/// Admits everything, and remembers what it was asked; or refuses everything for so long.
#[derive(Default)]
pub struct ScriptedLimiter {
    pub refuses_for: Mutex<Option<Duration>>,
    /// Admits the last one each time.
    pub is_used_up: AtomicBool,
    pub asked: Mutex<Vec<(&'static str, Vec<Rule>, Slot)>>,
    /// What is not given back.
    pub taken: Mutex<HashSet<Slot>>,
}

impl ScriptedLimiter {
    fn decide(&self, verb: &'static str, rules: &[Rule], slot: Slot) -> Decision {
        self.asked.lock().unwrap().push((verb, rules.to_vec(), slot));
        let refuses_for = *self.refuses_for.lock().unwrap();
        let is_used_up = refuses_for.is_some() || self.is_used_up.load(Ordering::Relaxed);
        let standing = |rule: &Rule| Standing {
            policy: rule.policy,
            quota: rule.quota,
            remaining: if is_used_up { 0 } else { rule.quota.count - rule.cost },
            reset: RESET,
            retry_after: refuses_for
                .filter(|_| verb == "take" && rule.cost > 0)
                .unwrap_or_default(),
        };
        let mut taken = self.taken.lock().unwrap();
        let has_changed = match verb {
            "take" if rules[0].cost == 0 || refuses_for.is_some() => false,
            "give back" => taken.remove(&slot),
            _ => taken.insert(slot),
        };
        let standings = rules.iter().map(standing).collect();
        Decision { standings, has_changed, tally: Tally::Exact }
    }
}

#[async_trait]
impl Limiter for ScriptedLimiter {
    async fn take(&self, _: PartitionKey, rules: &[Rule], slot: Slot) -> Decision {
        self.decide("take", rules, slot)
    }

    async fn charge(&self, _: PartitionKey, rules: &[Rule], slot: Slot) -> Decision {
        self.decide("charge", rules, slot)
    }

    async fn give_back(&self, _: PartitionKey, rules: &[Rule], slot: Slot) -> Decision {
        self.decide("give back", rules, slot)
    }
}

/// As by default, with a proxy that is trusted.
pub fn limits() -> config::Limits {
    let quota = |count, seconds| Some(Quota { count, window: Duration::from_secs(seconds) });
    config::Limits {
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        address_header: config::AddressHeader::XForwardedFor,
        create: quota(3, 600),
        lookup: quota(20, 300),
        stats: quota(30, 60),
        attempts: quota(300, 600),
        guesses: quota(20, 600),
    }
}
