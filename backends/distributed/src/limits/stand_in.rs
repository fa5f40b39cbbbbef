//! What limits while Redis is away: a guard for each policy, counting this instance's clients alone.
//!
//! It follows along while Redis answers, so that an outage hands nobody a fresh budget. It does not
//! know slots: one that is taken twice counts twice.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use common::{
    guard::Guard,
    ports::limits::{Decision, PartitionKey, Policy, Quota, Rule, Tally},
};

use super::Verb;

#[derive(Default)]
pub(super) struct StandIn(Mutex<HashMap<(Policy, Quota), Arc<Guard>>>);

impl StandIn {
    /// One for each policy; as many as there are settings.
    fn guard(&self, rule: &Rule) -> Arc<Guard> {
        // Nothing panics half-way through a change of these.
        let mut guards = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let guard = guards
            .entry((rule.policy, rule.quota))
            .or_insert_with(|| Arc::new(Guard::strict(rule.policy, rule.quota)));
        Arc::clone(guard)
    }

    /// Decides in the place of Redis.
    pub(super) fn decide(&self, verb: Verb, key: PartitionKey, rules: &[Rule]) -> Decision {
        let guards: Vec<_> = rules.iter().map(|rule| self.guard(rule)).collect();
        let mut refusals = Vec::with_capacity(rules.len());
        for (rule, guard) in rules.iter().zip(&guards) {
            refusals.push(match verb {
                Verb::Take => guard.take(key, rule.cost).err(),
                Verb::Charge => {
                    guard.charge(key, raise(rule.cost));
                    None
                }
                Verb::GiveBack => {
                    guard.give_back(key, rule.cost);
                    None
                }
            });
        }
        if refusals.iter().any(Option::is_some) {
            for ((rule, guard), refusal) in rules.iter().zip(&guards).zip(&refusals) {
                if refusal.is_none() {
                    guard.give_back(key, rule.cost);
                }
            }
        }
        // As far as it knows.
        let has_changed =
            refusals.iter().all(Option::is_none) && rules.iter().any(|rule| rule.cost > 0);
        let standings = guards.iter().zip(refusals).map(|(guard, it)| guard.standing(key, it));
        Decision { standings: standings.collect(), has_changed, tally: Tally::StandIn }
    }

    /// Counts along what Redis has decided.
    pub(super) fn follow(
        &self,
        verb: Verb,
        key: PartitionKey,
        rules: &[Rule],
        decision: &Decision,
    ) {
        for (rule, standing) in rules.iter().zip(&decision.standings) {
            let guard = self.guard(rule);
            match verb {
                // Refused by what other instances have counted, too: nothing is left here either.
                _ if standing.is_violated() => guard.charge(key, rule.quota.count),
                _ if !decision.has_changed => {}
                Verb::Take => guard.charge(key, rule.cost),
                Verb::Charge => guard.charge(key, raise(rule.cost)),
                Verb::GiveBack => guard.give_back(key, rule.cost),
            }
        }
    }
}

/// What a charge adds to a slot. It is not known here what the slot costs by now; whoever raises it
/// has taken it before, for one.
const fn raise(cost: u32) -> u32 {
    cost.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use common::ports::limits::Standing;

    use super::*;

    const QUOTA: Quota = Quota { count: 20, window: Duration::from_mins(5) };
    const KEY: PartitionKey = PartitionKey::new([7; 16]);

    const fn rule(cost: u32) -> Rule {
        Rule { policy: Policy::Lookup, quota: QUOTA, cost }
    }

    fn left(stand_in: &StandIn) -> u32 {
        stand_in.decide(Verb::Take, KEY, &[rule(0)]).standings[0].remaining
    }

    type Count<'a> = &'a dyn Fn(&StandIn, Verb, u32);

    /// What Redis says when it has room.
    fn decision(has_changed: bool) -> Decision {
        let (reset, retry_after) = (QUOTA.window, Duration::ZERO);
        let (policy, quota) = (Policy::Lookup, QUOTA);
        let standings = vec![Standing { policy, quota, remaining: 9, reset, retry_after }];
        Decision { standings, has_changed, tally: Tally::Exact }
    }

    #[tokio::test(start_paused = true)]
    async fn a_take_that_is_raised_to_four_costs_four_whoever_has_counted_what() {
        let redis = |stand_in: &StandIn, verb, cost| {
            stand_in.follow(verb, KEY, &[rule(cost)], &decision(true));
        };
        let itself = |stand_in: &StandIn, verb, cost| {
            stand_in.decide(verb, KEY, &[rule(cost)]);
        };
        let counts: [Count<'_>; 2] = [&redis, &itself];
        for take in counts {
            for charge in counts {
                let stand_in = StandIn::default();
                let before = left(&stand_in);
                take(&stand_in, Verb::Take, 1);
                assert_eq!(left(&stand_in), before - 1);
                charge(&stand_in, Verb::Charge, 4);
                assert_eq!(left(&stand_in), before - 4);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_redis_had_counted_before_is_not_counted_again() {
        let stand_in = StandIn::default();
        let before = left(&stand_in);
        for has_changed in [true, false, false] {
            stand_in.follow(Verb::Take, KEY, &[rule(1)], &decision(has_changed));
        }
        assert_eq!(left(&stand_in), before - 1);
        for has_changed in [true, false] {
            stand_in.follow(Verb::GiveBack, KEY, &[rule(1)], &decision(has_changed));
        }
        assert_eq!(left(&stand_in), before);
    }
}
