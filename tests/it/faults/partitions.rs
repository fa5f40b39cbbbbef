//! Networks that are cut: packets get lost, connections look alive, and nobody is told.

use super::{RECOVERY, Told, assert_refused, post, until_ready};
use crate::api::metrics::Metrics;
use crate::bed::client::Client;
use crate::bed::form::Form;
use crate::bed::instance::Instance;
use crate::bed::namespace::Namespace;
use crate::bed::servers::{Backing, Cables, Servers};
use crate::bed::system::{TICKETS, TestSystem};
use crate::bed::wait::until;

/// A process on a network of its own.
struct Apart {
    instance: Instance,
    cables: Cables,
    _namespace: Namespace,
}

impl Apart {
    async fn start(role: &str, system: &TestSystem) -> Self {
        let namespace = Namespace::new().await;
        let (mut seen, cables) = system.backing().over_cables(&namespace).await;
        // The broker, too, notices a silent worker sooner than it would in production.
        seen.amqp_url += "?heartbeat=4";
        let instance = system.start_in(&namespace, role, &seen);
        instance.ready().await;
        Self { instance, cables, _namespace: namespace }
    }
}

async fn backing() -> Backing {
    Servers::shared().await.backing().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_cut_off_from_the_database_keeps_what_it_holds_until_it_is_back() {
    let system = TestSystem::distributed(backing().await).with_worker(0).await;
    let worker = Apart::start("worker", &system).await;
    let mut told = Told::default();
    told.submit_well(system.client(), 20).await;
    // In the middle of whatever it is doing.
    worker.cables.postgres.pull();
    told.submit_well(system.client(), 40).await;
    until(RECOVERY, "the worker misses the database", async || {
        // Or, of a lane that was just being opened, which holds nothing yet.
        let told = ["the store is away", "a lane lets go of its deliveries"];
        told.iter().any(|told| worker.instance.log().contains(told))
    })
    .await;
    told.submit_well(system.client(), 20).await;
    worker.cables.postgres.plug_in();
    told.becomes_tickets(&system).await;
    assert!(worker.instance.is_running());
}

/// Waits for what an edge shows of the whole installation.
async fn until_unaccounted(edge: &Client, what: &str, is_it: impl Fn(f64) -> bool) {
    until(RECOVERY, what, async || {
        is_it(Metrics::of(edge).await.sum("unaccounted_submissions", &[]))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_cut_off_from_the_database_holds_is_missed_until_it_is_a_ticket() {
    let plan = TestSystem::distributed(backing().await).with_worker(0);
    // One lane, which has room for all that comes while it is busy: nothing waits in the queue.
    let settings = [("SUPPORT_UNACCOUNTED_AFTER", "3s"), ("SUPPORT_WORKER_LANES", "1")];
    let system = plan.with_all(settings.map(|(name, value)| (name, value.to_owned()))).await;
    let worker = Apart::start("worker", &system).await;
    let mut told = Told::default();
    told.submit_well(system.client(), 20).await;
    told.are_stored(&system.backing().database_url).await;
    worker.cables.postgres.pull();
    told.submit_well(system.client(), 40).await;
    until_unaccounted(system.client(), "what is out of sight is missed", |it| it > 0.5).await;

    worker.cables.postgres.plug_in();
    told.becomes_tickets(&system).await;
    until_unaccounted(system.client(), "and then no more", |it| it.abs() < 0.5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_cut_off_from_the_broker_holds_is_stored_once_by_whoever_is_there() {
    let system = TestSystem::distributed(backing().await).with_worker(0).await;
    let worker = Apart::start("worker", &system).await;
    let mut told = Told::default();
    told.submit_well(system.client(), 40).await;
    // What it has stored it cannot acknowledge any more.
    worker.cables.rabbitmq.pull();
    told.submit_well(system.client(), 40).await;
    let other = system.start_on("worker", system.backing());
    other.ready().await;
    told.becomes_tickets(&system).await;

    worker.cables.rabbitmq.plug_in();
    other.stop_gracefully().await;
    told.submit_well(system.client(), 20).await;
    told.becomes_tickets(&system).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_cut_off_refuses_in_time_what_it_cannot_do_and_another_does_it() {
    let system = TestSystem::distributed(backing().await).await;
    let edge = Apart::start("ingest", &system).await;
    let (cut_off, whole) = (edge.instance.client(), system.client());
    let mut told = Told::default();
    told.submit_well(cut_off, 5).await;

    edge.cables.rabbitmq.pull();
    for _ in 0..4 {
        assert!(!told.submit(cut_off, &Form::valid()).await, "nobody can have confirmed it");
        told.submit_well(whole, 1).await;
    }
    until(RECOVERY, "it says that it is not ready", async || {
        cut_off.get("/readyz").send().await.status == 503
    })
    .await;
    edge.cables.rabbitmq.plug_in();
    until_ready(cut_off).await;

    edge.cables.postgres.pull();
    told.submit_well(cut_off, 3).await;
    let path = format!("{TICKETS}/{}", told.accepted.keys().next().unwrap());
    assert_refused(&cut_off.get(&path).send().await);
    assert_eq!(whole.get(&path).send().await.status, 200);
    edge.cables.postgres.plug_in();
    until(RECOVERY, "it finds tickets again", async || {
        cut_off.get(&path).send().await.status == 200
    })
    .await;

    edge.cables.redis.pull();
    told.submit_well(cut_off, 3).await;
    assert_eq!(post(cut_off, &Form::valid().name("")).await.status, 422);
    edge.cables.redis.plug_in();
    told.becomes_tickets(&system).await;
}
