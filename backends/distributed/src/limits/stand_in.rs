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
                    guard.charge(key, rule.cost);
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
        let standings = guards.iter().zip(refusals).map(|(guard, it)| guard.standing(key, it));
        Decision { standings: standings.collect(), tally: Tally::StandIn }
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
                Verb::Take if !decision.is_admitted() => {}
                Verb::Take | Verb::Charge => guard.charge(key, rule.cost),
                Verb::GiveBack => guard.give_back(key, rule.cost),
            }
        }
    }
}
