//! The limiter: exact logs in Redis, common to all instances, and a stand-in while Redis is away.
//! Its twin does in memory what the script here does on the server.

mod stand_in;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use common::{
    clock::Clock,
    ports::limits::{Decision, Limiter, PartitionKey, Rule, Slot, Standing, Tally},
};
use deadpool_redis::redis::Script;

use self::stand_in::StandIn;
use crate::redis::{Away, Redis};

const SCRIPT: &str = include_str!("script.lua");

/// What is done with a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Take,
    Charge,
    GiveBack,
}

impl Verb {
    /// As the script knows it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Take => "take",
            Self::Charge => "charge",
            Self::GiveBack => "give-back",
        }
    }
}

/// Exact as long as Redis answers.
pub(crate) struct SharedLimiter {
    redis: Arc<Redis>,
    /// In the place of the server's clock, which is the same for all instances.
    clock: Option<Arc<dyn Clock>>,
    script: Script,
    stand_in: StandIn,
}

impl SharedLimiter {
    pub(crate) fn new(redis: Arc<Redis>, clock: Option<Arc<dyn Clock>>) -> Self {
        Self { redis, clock, script: Script::new(SCRIPT), stand_in: StandIn::default() }
    }

    async fn decide(&self, verb: Verb, key: PartitionKey, rules: &[Rule], slot: Slot) -> Decision {
        match self.ask(verb, key, rules, slot).await {
            Ok(decision) => {
                self.stand_in.follow(verb, key, rules, &decision);
                decision
            }
            Err(cause) => {
                tracing::debug!(cause = common::chain(&cause), "the stand-in decides");
                self.stand_in.decide(verb, key, rules)
            }
        }
    }

    async fn ask(
        &self,
        verb: Verb,
        key: PartitionKey,
        rules: &[Rule],
        slot: Slot,
    ) -> Result<Decision, Away> {
        let mut call = self.script.prepare_invoke();
        call.arg(verb.as_str()).arg(slot.0.simple().to_string());
        match &self.clock {
            Some(clock) => call.arg(clock.now().timestamp_micros()),
            None => call.arg(""),
        };
        for rule in rules {
            // In braces, by which a cluster keeps all of a client's logs on one node.
            call.key(format!("supportline:limit:{{{key}}}:{}", rule.policy.as_str()));
            call.arg(rule.quota.count).arg(microseconds(rule.quota.window)).arg(rule.cost);
        }
        let call = &call;
        let answer: Vec<u64> =
            self.redis.call(|mut it| async move { call.invoke_async(&mut it).await }).await?;
        let (changed, answers) =
            answer.split_first().map_or((0, &[][..]), |(it, rest)| (*it, rest));
        let standings = rules.iter().zip(answers.chunks_exact(3)).map(standing).collect();
        Ok(Decision { standings, has_changed: changed > 0, tally: Tally::Exact })
    }
}

/// What the script says of a rule.
fn standing((rule, answer): (&Rule, &[u64])) -> Standing {
    Standing {
        policy: rule.policy,
        quota: rule.quota,
        remaining: u32::try_from(answer[0]).unwrap_or(u32::MAX),
        reset: Duration::from_micros(answer[1]),
        retry_after: Duration::from_micros(answer[2]),
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[async_trait]
impl Limiter for SharedLimiter {
    async fn take(&self, key: PartitionKey, rules: &[Rule], slot: Slot) -> Decision {
        self.decide(Verb::Take, key, rules, slot).await
    }

    async fn charge(&self, key: PartitionKey, rules: &[Rule], slot: Slot) -> Decision {
        self.decide(Verb::Charge, key, rules, slot).await
    }

    async fn give_back(&self, key: PartitionKey, rules: &[Rule], slot: Slot) -> Decision {
        self.decide(Verb::GiveBack, key, rules, slot).await
    }
}
