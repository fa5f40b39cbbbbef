//! Several intake queues in the place of one.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::stored;
use crate::bed::client::Client;
use crate::bed::form::Form;
use crate::bed::servers::{Backing, Servers};
use crate::bed::system::{TICKETS, TestSystem};
use crate::bed::wait::eventually;
use crate::faults::{RECOVERY, passes_the_audit};

const FOUR: (&str, &str) = ("SUPPORT_INTAKE_QUEUES", "4");
const QUEUES: [&str; 4] =
    ["support.intake", "support.intake.2", "support.intake.3", "support.intake.4"];

#[tokio::test(flavor = "multi_thread")]
async fn submissions_spread_over_four_queues_become_one_ticket_each() {
    const FORMS: usize = 300;
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing.clone()).with_ingest(2).with_worker(2);
    let system = system.with_env(FOUR.0, FOUR.1).await;
    let edges = [0, 1].map(|edge| system.edge(edge).client().clone());
    let answer = system.submit(&Form::valid()).await;
    assert!(answer.status.is_success(), "{answer:?}");
    system.settled(1).await;

    for worker in system.workers() {
        worker.stop_gracefully().await;
    }
    // Each edge numbers its envelopes, and one form at a time is one envelope.
    let told = join_all(edges.iter().map(|edge| queue(edge, FORMS / 2))).await.concat();
    let waiting = eventually(RECOVERY, "all envelopes wait", async || {
        let waiting = waiting(&backing).await;
        let all: u64 = waiting.iter().sum();
        if all == FORMS as u64 { Ok(waiting) } else { Err(waiting) }
    })
    .await;
    // Of 300 a fair share is 75; a hash is not fair, and none at all is another thing.
    assert!(waiting.iter().all(|envelopes| *envelopes >= 10), "{waiting:?}");
    // An edge looks once a second.
    eventually(RECOVERY, "health counts them all", async || {
        let health = system.health().await.json();
        let queued = health["components"]["broker"]["queued"].clone();
        if queued == FORMS { Ok(()) } else { Err(health) }
    })
    .await;

    system.worker(0).start_again().await;
    system.settled(FORMS as u64 + 1).await;
    let mut store = stored::connect(&backing.database_url).await;
    let tickets = stored::tickets(&mut store).await;
    let tickets: BTreeSet<_> = tickets.into_iter().map(|(id, ..)| id).collect();
    assert!(told.iter().all(|id| tickets.contains(id)) && tickets.len() == FORMS + 1);
    passes_the_audit(&system).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_goes_from_one_queue_to_four_and_nothing_is_lost() {
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing.clone()).await;
    let four = || [(FOUR.0, FOUR.1.to_owned())];
    submit(system.edge(0).client()).await;
    // Workers first: of what an edge spreads all has to be consumed.
    let worker = system.start_on_with("worker", &backing, four());
    worker.ready().await;
    system.worker(0).stop_gracefully().await;
    submit(system.edge(0).client()).await;
    let edge = system.start_on_with("ingest", &backing, four());
    edge.ready().await;
    submit(edge.client()).await;
    submit(system.edge(0).client()).await;
    system.settled(4 * SOME).await;
    passes_the_audit(&system).await;
}

/// Forms of one step.
const SOME: u64 = 20;

async fn submit(edge: &Client) {
    for _ in 0..SOME {
        let answer = edge.post(TICKETS).json(&Form::valid()).send().await;
        assert!(answer.status.is_success(), "{answer:?}");
    }
}

/// Forms one after the other, none of which waits for its number; gives back their ids.
async fn queue(edge: &Client, count: usize) -> Vec<String> {
    let mut ids = Vec::with_capacity(count);
    for _ in 0..count {
        let request = edge.post(TICKETS).header("prefer", "respond-async");
        let answer = request.json(&Form::valid()).send().await;
        assert_eq!(answer.status, 202, "{answer:?}");
        ids.push(answer.json()["data"]["id"].as_str().unwrap().to_owned());
    }
    ids
}

/// The envelopes in each queue.
async fn waiting(backing: &Backing) -> Vec<u64> {
    let all = backing.queues().await;
    let of = |queue: &&str| {
        let there = all.iter().find(|(name, _)| name == queue);
        there.unwrap_or_else(|| panic!("there is no {queue}: {all:?}")).1
    };
    QUEUES.iter().map(of).collect()
}
