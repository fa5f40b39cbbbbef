//! A seed says the same each time, and not too little.

use std::collections::BTreeSet;
use std::time::Duration;

use super::kinds::{Fault, Harm, Victim};
use super::manners::Manner;
use super::order::Order;
use super::plan::Plan;
use crate::bed::link::{Mode, Way};

const LENGTH: Duration = Duration::from_secs(12);

#[test]
fn a_seed_plans_the_same_run_each_time_and_another_seed_another() {
    let plans: Vec<_> = (0..50).map(|seed| Plan::of(seed, LENGTH, 1)).collect();
    for (seed, plan) in (0..).zip(&plans) {
        assert_eq!(*plan, Plan::of(seed, LENGTH, 1));
        let others = plans.iter().filter(|other| other.faults == plan.faults).count();
        assert_eq!(others, 1, "seed {seed}");
    }
}

#[test]
fn every_run_has_ten_faults_that_end_in_time_and_a_campaign_has_all_kinds() {
    let plans = || (0..100).map(|seed| Plan::of(seed, LENGTH, 1));
    for plan in plans() {
        assert!(plan.faults.len() >= 10, "{plan}");
        assert!(plan.faults.is_sorted_by_key(|planned| planned.at), "{plan}");
        assert!(plan.faults.iter().all(|planned| planned.at + planned.lasts <= LENGTH), "{plan}");
    }
    let kinds: BTreeSet<_> =
        plans().flat_map(|plan| plan.faults).map(|planned| planned.fault.kind()).collect();
    let mut expected = BTreeSet::new();
    for victim in ["edge", "worker", "postgres", "rabbitmq", "redis"] {
        expected.extend(["kill", "restart", "freeze"].map(|harm| format!("{harm} {victim}")));
    }
    for link in [
        "edge–clients",
        "edge–Postgres",
        "edge–RabbitMQ",
        "edge–Redis",
        "worker–Postgres",
        "worker–RabbitMQ",
        "worker–Redis",
    ] {
        let modes = ["delay", "cut", "black hole", "half-open", "truncate"];
        expected.extend(modes.map(|mode| format!("link {link}: {mode}")));
    }
    let others = [
        "memory alarm of RabbitMQ",
        "full queue",
        "foreign messages",
        "messages published again",
        "FLUSHALL of Redis",
        "Redis out of memory",
        "CLIENT PAUSE of Redis",
        "end of all Postgres sessions",
        "lock of all tickets",
        "wrong clock of edge",
        "wrong clock of worker",
    ];
    expected.extend(others.map(str::to_owned));
    assert_eq!(kinds, expected);
}

#[test]
fn a_broker_of_three_nodes_suffers_what_one_cannot() {
    let plans = (0..100).map(|seed| Plan::of(seed, LENGTH, 3));
    let faults: Vec<_> = plans.flat_map(|plan| plan.faults).map(|it| it.fault).collect();
    let is_there = |what: &dyn Fn(&Fault) -> bool| faults.iter().any(what);
    for harm in [Harm::Kill, Harm::Restart, Harm::Freeze] {
        assert!(is_there(&|it| matches!(it, Fault::Harm(Victim::RabbitMq(_), of) if *of == harm)));
        assert!(is_there(&|it| matches!(it, Fault::MajorityLost(_, of) if *of == harm)));
    }
    for mode in [Mode::Cut, Mode::Blackhole, Mode::HalfOpen(Way::Up)] {
        assert!(is_there(&|it| matches!(it, Fault::Split(_, of) if *of == mode)), "{mode:?}");
    }
    for node in 0..3 {
        assert!(faults.contains(&Fault::DiskLost(node)), "{node}");
        assert!(is_there(&|it| matches!(it, Fault::Harm(Victim::RabbitMq(of), _) if *of == node)));
    }
}

#[test]
fn a_seed_submits_the_same_each_time_and_all_of_it_differs() {
    let orders: Vec<_> = (0..2_000).map(|number| Order::of(7, number)).collect();
    for (number, order) in (0..).zip(&orders) {
        assert_eq!(*order, Order::of(7, number));
    }
    let addresses: BTreeSet<_> = orders.iter().map(|order| &order.form.email).collect();
    let messages: BTreeSet<_> = orders.iter().map(|order| &order.form.message).collect();
    assert_eq!((addresses.len(), messages.len()), (orders.len(), orders.len()));
    let longest = messages.iter().map(|message| message.chars().count()).max();
    assert!(longest.is_some_and(|longest| (9_000..=10_000).contains(&longest)), "{longest:?}");
    let is_there = |what: fn(&Order) -> bool| orders.iter().any(what);
    assert!(is_there(|it| it.key.is_none()) && is_there(|it| it.copies > 1));
    assert!(is_there(|it| it.is_hasty) && is_there(|it| it.hangs_up_after.is_some()));
    assert!(is_there(|it| matches!(it.manner, Manner::InPart(_))));
    assert!(is_there(|it| matches!(it.manner, Manner::Slow(_))));
}
