//! The limiter, by a clock that the tests turn.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use common::clock::Clock;
use common::ports::limits::{
    Decision, Limiter, PartitionKey, Policy, Quota, Rule, Slot, Standing, Tally,
};
use futures_util::future::join_all;
use uuid::Uuid;

use super::installation::Installation;
use super::on_both_backends;
use crate::bed::seeded::Seeded;

on_both_backends! {
    at_most_the_quota_in_any_window,
    the_next_one_is_admitted_once_the_first_is_a_window_old,
    all_rules_of_a_request_are_taken_or_none,
    the_same_slot_counts_once,
    a_slot_given_back_is_free_again,
    a_charge_takes_what_is_left_and_refuses_nobody,
    a_rule_without_cost_only_looks,
    keys_and_policies_do_not_share_a_budget,
    ten_thousand_at_a_time_are_counted_as_well_as_one_after_the_other,
}

const CREATE: Rule = rule(Policy::Create, 3, 600);
const LOOKUP: Rule = rule(Policy::Lookup, 20, 300);

const fn rule(policy: Policy, count: u32, window_s: u64) -> Rule {
    Rule { policy, quota: Quota { count, window: Duration::from_secs(window_s) }, cost: 1 }
}

const fn costing(cost: u32, rule: Rule) -> Rule {
    Rule { cost, ..rule }
}

const fn key(number: u8) -> PartitionKey {
    PartitionKey::new([number; 16])
}

fn slot() -> Slot {
    Slot(Uuid::new_v4())
}

/// A clock that stands still until it is turned.
pub struct HandClock(Mutex<DateTime<Utc>>);

impl HandClock {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new("2026-11-22T10:30:00Z".parse().unwrap())))
    }

    fn turn(&self, milliseconds: i64) {
        *self.0.lock().unwrap() += TimeDelta::milliseconds(milliseconds);
    }
}

impl Clock for HandClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

/// As many limiters as there can be that count together, and their clock.
async fn limiters(it: &Installation) -> (Arc<HandClock>, Vec<Arc<dyn Limiter>>) {
    let clock = HandClock::new();
    let count = if it.has_instances() { 4 } else { 1 };
    let limiters = join_all((0..count).map(|_| it.limiter(clock.clone()))).await;
    (clock, limiters)
}

async fn limiter(it: &Installation) -> (Arc<HandClock>, Arc<dyn Limiter>) {
    let clock = HandClock::new();
    let limiter = it.limiter(clock.clone()).await;
    (clock, limiter)
}

/// What is left under each rule.
async fn left(limiter: &Arc<dyn Limiter>, key: PartitionKey, rules: &[Rule]) -> Vec<u32> {
    let look: Vec<_> = rules.iter().map(|rule| costing(0, *rule)).collect();
    let decision = limiter.take(key, &look, slot()).await;
    decision.standings.iter().map(|standing| standing.remaining).collect()
}

async fn at_most_the_quota_in_any_window(it: Installation) {
    let (clock, limiters) = limiters(&it).await;
    for count in [1, 2, 3, 7] {
        let rule = rule(Policy::Create, count, 600);
        let (mut dice, mut admitted) = (Seeded::new(count.into()), Vec::new());
        let who = PartitionKey::new([count.try_into().unwrap(); 16]);
        for step in 0..400 {
            // Now in a crowd, now after a pause; at times exactly at a window's end.
            let pause_ms = [0, 1, dice.within(0..=999), dice.within(0..=399_999)][step % 4];
            clock.turn(pause_ms.try_into().unwrap());
            let now = clock.now();
            let counted = admitted.iter().filter(|at| now - **at < TimeDelta::minutes(10)).count();
            let decision = limiters[step % limiters.len()].take(who, &[rule], slot()).await;
            assert_eq!(decision.tally, Tally::Exact);
            assert_eq!(decision.is_admitted(), counted < count as usize, "{step}: {decision:?}");
            if decision.is_admitted() {
                admitted.push(now);
            }
        }
        assert!(admitted.len() > 2 * count as usize);
    }
}

async fn the_next_one_is_admitted_once_the_first_is_a_window_old(it: Installation) {
    let (clock, limiter) = limiter(&it).await;
    let take = async || limiter.take(key(1), &[CREATE], slot()).await.standings[0];
    let told = |standing: Standing| {
        let seconds = (standing.reset.as_secs_f64(), standing.retry_after.as_secs_f64());
        (standing.remaining, seconds.0, seconds.1)
    };
    assert_eq!(told(take().await), (2, 600.0, 0.0));
    clock.turn(60_000);
    assert_eq!(told(take().await), (1, 540.0, 0.0));
    clock.turn(60_000);
    assert_eq!(told(take().await), (0, 480.0, 0.0));
    assert_eq!(told(take().await), (0, 480.0, 480.0));
    clock.turn(479_999);
    assert_eq!(told(take().await), (0, 0.001, 0.001));
    clock.turn(1);
    assert_eq!(told(take().await), (0, 60.0, 0.0), "ten minutes after the first");
    assert_eq!(told(take().await), (0, 60.0, 60.0));
    clock.turn(600_000);
    assert_eq!(left(&limiter, key(1), &[CREATE]).await, [3]);
}

async fn all_rules_of_a_request_are_taken_or_none(it: Installation) {
    let (_, limiter) = limiter(&it).await;
    let single = rule(Policy::Stats, 1, 60);
    let both = [CREATE, single];
    assert!(limiter.take(key(1), &both, slot()).await.is_admitted());
    let refused = limiter.take(key(1), &both, slot()).await;
    let violated: Vec<_> = refused.standings.iter().map(Standing::is_violated).collect();
    assert_eq!(violated, [false, true]);
    assert_eq!(left(&limiter, key(1), &both).await, [2, 0], "what is refused is charged nowhere");
    assert!(limiter.take(key(1), &[CREATE], slot()).await.is_admitted());
}

async fn the_same_slot_counts_once(it: Installation) {
    let (clock, limiters) = limiters(&it).await;
    let same = slot();
    for limiter in limiters.iter().cycle().take(8) {
        clock.turn(1_000);
        assert!(limiter.take(key(1), &[CREATE], same).await.is_admitted());
        assert_eq!(left(limiter, key(1), &[CREATE]).await, [2]);
    }
    for _ in 0..2 {
        assert!(limiters[0].take(key(1), &[CREATE], slot()).await.is_admitted());
    }
    assert!(!limiters[0].take(key(1), &[CREATE], slot()).await.is_admitted());
    assert!(limiters[0].take(key(1), &[CREATE], same).await.is_admitted(), "it has its place");
    // It is as old as when it was taken first, a second into the test.
    clock.turn(600_000 - 7_000);
    assert_eq!(left(&limiters[0], key(1), &[CREATE]).await, [1]);
}

async fn a_slot_given_back_is_free_again(it: Installation) {
    let (_, limiters) = limiters(&it).await;
    let (taker, giver) = (&limiters[0], limiters.last().unwrap());
    let slots = [slot(), slot(), slot()];
    for slot in slots {
        assert!(taker.take(key(1), &[CREATE], slot).await.is_admitted());
    }
    assert!(!taker.take(key(1), &[CREATE], slot()).await.is_admitted());
    for _ in 0..2 {
        let decision = giver.give_back(key(1), &[CREATE], slots[1]).await;
        assert_eq!(decision.standings[0].remaining, 1, "twice is once");
    }
    giver.give_back(key(1), &[CREATE], slot()).await;
    assert!(taker.take(key(1), &[CREATE], slot()).await.is_admitted());
    assert!(!taker.take(key(1), &[CREATE], slot()).await.is_admitted());
}

async fn a_charge_takes_what_is_left_and_refuses_nobody(it: Installation) {
    let (clock, limiter) = limiter(&it).await;
    let look_up = async || {
        let slot = slot();
        let decision = limiter.take(key(1), &[LOOKUP], slot).await;
        let charged = limiter.charge(key(1), &[costing(4, LOOKUP)], slot).await;
        assert!(charged.is_admitted());
        (decision.is_admitted(), charged.standings[0].remaining)
    };
    for left in [16, 12, 8, 4, 0] {
        assert_eq!(look_up().await, (true, left));
        clock.turn(1_000);
    }
    assert!(!limiter.take(key(1), &[LOOKUP], slot()).await.is_admitted());
    // The first one is over, all of it.
    clock.turn(295_000);
    assert_eq!(left(&limiter, key(1), &[LOOKUP]).await, [4]);
    let same = slot();
    for _ in 0..3 {
        limiter.charge(key(1), &[costing(2, LOOKUP)], same).await;
        assert_eq!(left(&limiter, key(1), &[LOOKUP]).await, [2], "raised to two, not by two");
    }
    limiter.charge(key(1), &[costing(9, LOOKUP)], same).await;
    assert_eq!(left(&limiter, key(1), &[LOOKUP]).await, [0]);
}

async fn a_rule_without_cost_only_looks(it: Installation) {
    let (_, limiter) = limiter(&it).await;
    for _ in 0..5 {
        let look = limiter.take(key(1), &[costing(0, CREATE)], slot()).await;
        assert!(look.is_admitted());
        assert_eq!((look.standings[0].remaining, look.standings[0].reset), (3, Duration::ZERO));
    }
    for _ in 0..3 {
        limiter.take(key(1), &[CREATE], slot()).await;
    }
    assert!(limiter.take(key(1), &[costing(0, CREATE)], slot()).await.is_admitted());
}

async fn keys_and_policies_do_not_share_a_budget(it: Installation) {
    let (_, limiter) = limiter(&it).await;
    let rules = [Policy::Create, Policy::Lookup, Policy::Stats].map(|it| rule(it, 1, 600));
    for who in [key(1), key(2), key(1).folded()] {
        for rule in rules {
            assert!(limiter.take(who, &[rule], slot()).await.is_admitted(), "{who} {rule:?}");
            assert!(!limiter.take(who, &[rule], slot()).await.is_admitted(), "{who} {rule:?}");
        }
    }
}

async fn ten_thousand_at_a_time_are_counted_as_well_as_one_after_the_other(it: Installation) {
    /// Where the processors are busy a call may be late, and be decided without Redis.
    const TRIES: u8 = 4;
    let (_, limiters) = limiters(&it).await;
    for who in (0..TRIES).map(key) {
        let (mut admitted, mut is_exact) = (0, true);
        // A hundred at a time: more would measure this machine alone.
        for _ in 0..100 {
            let takes = (0..100).map(|number| {
                let limiter = &limiters[number % limiters.len()];
                limiter.take(who, std::slice::from_ref(&CREATE), slot())
            });
            for decision in join_all(takes).await {
                is_exact &= decision.tally == Tally::Exact;
                admitted += u32::from(decision.is_admitted());
            }
        }
        if is_exact {
            assert_eq!(admitted, 3);
            return;
        }
    }
    panic!("never were all of them counted together");
}

/// One is written in Rust, the other in Lua: what they answer must not differ by a microsecond.
#[tokio::test(flavor = "multi_thread")]
async fn the_script_on_redis_decides_as_the_one_in_memory_does() {
    const QUOTAS: [Quota; 3] = [
        Quota { count: 1, window: Duration::from_mins(1) },
        Quota { count: 3, window: Duration::from_mins(10) },
        Quota { count: 8, window: Duration::from_secs(61) },
    ];
    const POLICIES: [Policy; 3] = [Policy::Create, Policy::Lookup, Policy::Stats];
    let it = Installation::distributed().await;
    let (clock, script) = limiter(&it).await;
    let memory = ::embedded::MemoryLimiter::new(clock.clone());
    let mut dice = Seeded::new(20_261_122);
    let mut refused = 0;
    for game in 0..40 {
        let slots = [slot(), slot(), slot(), slot(), slot()];
        for step in 0..150 {
            clock.turn([0, 1, 137, 9_000, 60_000, 61_000][dice.below(6)]);
            let rules: Vec<_> = (0..=dice.below(3))
                .map(|at| Rule {
                    policy: POLICIES[at.min(2)],
                    // Mostly the policy's own; at times another, as after a change of settings.
                    quota: QUOTAS[if dice.chance(5) { dice.below(3) } else { at.min(2) }],
                    cost: u32::try_from(dice.within(0..=4)).unwrap(),
                })
                .collect();
            let rules = &rules[..rules.len().min(3)];
            let (who, slot) = (key(game), slots[dice.below(5)]);
            let (ours, theirs) = match dice.below(4) {
                0 => both(script.charge(who, rules, slot), memory.charge(who, rules, slot)).await,
                1 => {
                    both(script.give_back(who, rules, slot), memory.give_back(who, rules, slot))
                        .await
                }
                _ => both(script.take(who, rules, slot), memory.take(who, rules, slot)).await,
            };
            assert_eq!(ours, theirs, "game {game}, step {step}: {rules:?}");
            refused += u32::from(!ours.is_admitted());
        }
    }
    assert!((500..4_000).contains(&refused), "{refused} of 6,000 refused: the games are no test");
}

async fn both(
    script: impl Future<Output = Decision>,
    memory: impl Future<Output = Decision>,
) -> (Decision, Decision) {
    (script.await, memory.await)
}
