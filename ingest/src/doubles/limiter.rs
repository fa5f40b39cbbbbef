//! A limiter that decides as it is told.

use std::{sync::Mutex, time::Duration};

use async_trait::async_trait;
use common::{
    config,
    ports::limits::{Decision, Limiter, PartitionKey, Quota, Rule, Slot, Standing, Tally},
};

/// Admits everything, and remembers what it was asked; or refuses everything for so long.
#[derive(Default)]
pub struct ScriptedLimiter {
    pub refuses_for: Mutex<Option<Duration>>,
    pub asked: Mutex<Vec<(&'static str, Vec<Rule>, Slot)>>,
}

impl ScriptedLimiter {
    fn decide(&self, verb: &'static str, rules: &[Rule], slot: Slot) -> Decision {
        self.asked.lock().unwrap().push((verb, rules.to_vec(), slot));
        let refuses_for = *self.refuses_for.lock().unwrap();
        let standing = |rule: &Rule| Standing {
            policy: rule.policy,
            quota: rule.quota,
            remaining: if refuses_for.is_some() { 0 } else { rule.quota.count - rule.cost },
            reset: Duration::from_millis(430_001),
            retry_after: refuses_for
                .filter(|_| verb == "take" && rule.cost > 0)
                .unwrap_or_default(),
        };
        Decision { standings: rules.iter().map(standing).collect(), tally: Tally::Exact }
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
    }
}
