//! A broker of three nodes, of which one is cut off, one loses its disk, and two are gone.

use std::cell::Cell;
use std::time::Duration;

use futures_util::future::join_all;

use super::{Told, until_ready};
use crate::bed::cluster::Cluster;
use crate::bed::form::Form;
use crate::bed::instance::Instance;
use crate::bed::link::Mode;
use crate::bed::server::Server;
use crate::bed::servers::Servers;
use crate::bed::system::TestSystem;
use crate::bed::wait::eventually;

/// Nodes that have heard nothing of each other for ten seconds part; a node that has seen the others
/// again, and those who use it, take some seconds more; on a busy machine, many.
const PARTING: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread")]
async fn three_brokers_lose_nothing_with_one_away_and_refuse_in_time_with_two() {
    let mut cluster = Cluster::start(3).await;
    let backing = Servers::shared().await.backing().await.with_cluster(&cluster).await;
    let system = TestSystem::distributed(backing.clone()).with_worker(2).await;
    let mut told = Told::default();
    told.submit_well(system.client(), 20).await;
    every_queue_is_everywhere(&cluster).await;

    let at_the_minority = system.start_on("ingest", &backing.at_node(cluster.node(2)));
    at_the_minority.ready().await;
    cluster.set_apart(2, Mode::Blackhole);
    refuses(&mut told, &at_the_minority).await;
    accepts(&mut told, system.edge(0)).await;
    cluster.set_apart(2, Mode::Pass);
    accepts(&mut told, &at_the_minority).await;

    lose_a_disk(&mut cluster, &mut told, &system).await;
    every_queue_is_everywhere(&cluster).await;

    for node in cluster.all_but(2) {
        tokio::task::block_in_place(|| node.kill());
    }
    for edge in [system.edge(0), &at_the_minority] {
        for _ in 0..5 {
            assert!(!told.submit(edge.client(), &Form::valid()).await, "accepted by a minority");
        }
    }
    join_all(cluster.all_but(2).map(Server::start_again)).await;
    for edge in [system.edge(0), &at_the_minority] {
        until_ready(edge.client()).await;
        accepts(&mut told, edge).await;
    }
    told.becomes_tickets(&system).await;
}

async fn every_queue_is_everywhere(cluster: &Cluster) {
    let members = cluster.control().members().await;
    assert_eq!(members.len(), 3, "{members:?}");
    assert!(members.iter().all(|(_, count)| *count == 3), "{members:?}");
}

/// Submits until it is refused, each time in time.
async fn refuses(told: &mut Told, edge: &Instance) {
    eventually(PARTING, "what a minority cannot do is refused", async || {
        let is_accepted = told.submit(edge.client(), &Form::valid()).await;
        if is_accepted { Err("accepted") } else { Ok(()) }
    })
    .await;
    for _ in 0..3 {
        assert!(!told.submit(edge.client(), &Form::valid()).await, "accepted by a minority");
    }
}

/// Submits until it is accepted, each time in time.
async fn accepts(told: &mut Told, edge: &Instance) {
    eventually(PARTING, "a submission is accepted", async || {
        let is_accepted = told.submit(edge.client(), &Form::valid()).await;
        if is_accepted { Ok(()) } else { Err("refused") }
    })
    .await;
    told.submit_well(edge.client(), 10).await;
}

/// While people go on to submit.
async fn lose_a_disk(cluster: &mut Cluster, told: &mut Told, system: &TestSystem) {
    let accepted = told.accepted.len();
    let is_over = Cell::new(false);
    let losing = async {
        cluster.lose_disk(1, Duration::from_secs(1)).await;
        is_over.set(true);
    };
    let submitting = async {
        while !is_over.get() {
            told.submit(system.client(), &Form::valid()).await;
        }
    };
    tokio::join!(losing, submitting);
    accepts(told, system.edge(0)).await;
    assert!(told.accepted.len() > accepted + 20, "hardly anything went on");
}
