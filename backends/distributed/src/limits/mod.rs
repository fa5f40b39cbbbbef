//! The limiter: exact logs in Redis, common to all instances, and a stand-in while Redis is away.
//! Its twin does in memory what the script here does on the server.

mod stand_in;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use common::{
    clock::Clock,
    ports::limits::{Decision, Limiter, PartitionKey, Rule, Slot, Standing, Tally},
};
use deadpool_redis::redis::{self, Script};

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
    /// The hash by which Redis knows the script.
    script: String,
    stand_in: StandIn,
}

impl SharedLimiter {
    pub(crate) fn new(redis: Arc<Redis>, clock: Option<Arc<dyn Clock>>) -> Self {
        Self {
            redis,
            clock,
            script: Script::new(SCRIPT).get_hash().to_owned(),
            stand_in: StandIn::default(),
        }
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
        let call = |script: (&str, &str)| {
            let mut call = redis::cmd(script.0);
            call.arg(script.1).arg(rules.len());
            for rule in rules {
                // In braces, by which a cluster keeps all of a client's logs on one node.
                call.arg(format!("supportline:limit:{{{key}}}:{}", rule.policy.as_str()));
            }
            call.arg(verb.as_str()).arg(slot.0.simple().to_string());
            match &self.clock {
                Some(clock) => call.arg(clock.now().timestamp_micros()),
                None => call.arg(""),
            };
            for rule in rules {
                call.arg(rule.quota.count).arg(microseconds(rule.quota.window)).arg(rule.cost);
            }
            call
        };
        let answer = match self.redis.call(call(("EVALSHA", &self.script))).await {
            // One that was restarted knows none.
            Err(Away::Failed(error)) if error.code() == Some("NOSCRIPT") => {
                self.redis.call(call(("EVAL", SCRIPT))).await
            }
            answer => answer,
        };
        let answer: Vec<u64> = answer?;
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
