//! A broker that is out of memory or disk, and says so; and one whose queue answers nobody for a while.

use lapin::options::BasicGetOptions;

use super::{RECOVERY, Told, until_ready};
use crate::bed::form::Form;
use crate::bed::rabbitmq::RabbitMq;
use crate::bed::servers::Servers;
use crate::bed::stranger::Stranger;
use crate::bed::system::TestSystem;
use crate::bed::wait::{eventually, until};

const INTAKE: &str = "support.intake";

/// How often the lanes of a worker try to open before it is looked at what that has cost.
const TRIES: usize = 16;

/// How to raise an alarm, and how to end it.
const ALARMS: [([&str; 2], [&str; 2]); 2] = [
    (["set_vm_memory_high_watermark", "0"], ["set_vm_memory_high_watermark", "0.4"]),
    (["set_disk_free_limit", "900000000000000"], ["set_disk_free_limit", "50MB"]),
];

async fn on_a_broker_of_its_own() -> (RabbitMq, TestSystem) {
    let rabbitmq = RabbitMq::start().await;
    let backing = Servers::shared().await.backing().await.with_broker(&rabbitmq).await;
    (rabbitmq, TestSystem::distributed(backing).await)
}

/// The process at the broker that answers for a queue.
struct Leader<'a> {
    name: String,
    rabbitmq: &'a RabbitMq,
}

impl<'a> Leader<'a> {
    fn of(queue: &str, rabbitmq: &'a RabbitMq, system: &TestSystem) -> Self {
        Self { name: format!("'{}_{queue}'", system.backing().vhost), rabbitmq }
    }

    async fn tell(&self, what: &str) {
        let Self { name, rabbitmq } = self;
        rabbitmq.control().run(&["eval", &format!("sys:{what}({name}).")]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_under_an_alarm_takes_nothing_in_time_and_is_drained_all_the_same() {
    let (rabbitmq, system) = on_a_broker_of_its_own().await;
    let mut told = Told::default();
    for (raise, end) in ALARMS {
        system.worker(0).stop_gracefully().await;
        told.submit_well(system.client(), 30).await;
        rabbitmq.control().run(&raise).await;
        for _ in 0..5 {
            assert!(!told.submit(system.client(), &Form::valid()).await, "{raise:?}: accepted");
        }
        is_told_as_unavailable(&system).await;
        // A worker that starts now reads and acknowledges, though it can answer nobody.
        system.worker(0).start_again().await;
        is_drained(&system, &told).await;
        assert_eq!(system.client().get("/readyz").send().await.status, 503, "{raise:?}");

        rabbitmq.control().run(&end).await;
        until_ready(system.client()).await;
        told.submit_well(system.client(), 1).await;
    }
    told.becomes_tickets(&system).await;
}

/// As a queue does that has no leader.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_answers_late_leaves_no_consumer_that_nobody_reads() {
    let (rabbitmq, system) = on_a_broker_of_its_own().await;
    let leader = Leader::of(INTAKE, &rabbitmq, &system);
    let mut told = Told::default();
    told.submit_well(system.client(), 5).await;
    leader.tell("suspend").await;
    until(RECOVERY, "the worker has asked in vain", async || {
        system.worker(0).client().get("/readyz").send().await.status == 503
    })
    .await;
    leader.tell("resume").await;
    system.worker(0).ready().await;
    until_ready(system.client()).await;
    told.submit_well(system.client(), 20).await;
    told.becomes_tickets(&system).await;
}

/// A lane that can read the one of its queues and not the other gives everything back that it was handed
/// meanwhile, and each time counts as a delivery, of which an envelope has twenty.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_answers_nobody_uses_up_no_delivery_of_another() {
    let (rabbitmq, system) = on_a_broker_of_its_own().await;
    let leader = Leader::of("support.unrouted", &rabbitmq, &system);
    let mut told = Told::default();
    told.submit_well(system.client(), 5).await;
    // One that is new: of what another leaves behind, the broker goes on to hand out for a while.
    system.worker(0).stop_gracefully().await;
    leader.tell("suspend").await;
    told.submit_well(system.client(), 20).await;
    system.worker(0).relaunch();
    until(RECOVERY, "the worker has asked in vain, again and again", async || {
        system.worker(0).log().matches("a lane cannot start yet").count() >= TRIES
    })
    .await;

    let stranger = Stranger::at(system.backing()).await;
    let (mut waiting, mut deliveries) = (0, 0);
    eventually(RECOVERY, "all that was accepted waits at the broker", async || {
        let options = BasicGetOptions::default();
        let message = stranger.channel.basic_get(INTAKE.into(), options).await.unwrap();
        if let Some(message) = message {
            let headers = message.properties.headers().as_ref();
            let count =
                headers.and_then(|it| it.inner().get("x-delivery-count")?.as_long_long_int());
            deliveries += count.unwrap_or_default();
            waiting += 1;
        }
        if waiting == 20 { Ok(()) } else { Err(waiting) }
    })
    .await;
    // The broker may answer the first tries before it notices.
    assert!(deliveries <= 6, "{deliveries} deliveries in vain");

    drop(stranger);
    leader.tell("resume").await;
    system.worker(0).ready().await;
    told.becomes_tickets(&system).await;
}

async fn is_told_as_unavailable(system: &TestSystem) {
    let edge = system.client();
    until(RECOVERY, "the edge is not ready", async || {
        edge.get("/readyz").send().await.status == 503
    })
    .await;
    let health = system.health().await;
    assert_eq!((health.status.as_u16(), &health.json()["status"]), (503, &"unavailable".into()));
}

/// Waits until all that was accepted is a ticket and acknowledged.
async fn is_drained(system: &TestSystem, told: &Told) {
    for id in told.accepted.keys() {
        until(RECOVERY, "it is a ticket", async || {
            system.look_up(id).await.json()["data"]["ticketNumber"].is_string()
        })
        .await;
    }
    eventually(RECOVERY, "the queue is empty", async || {
        let queues = system.backing().queues().await;
        let intake = queues.iter().find(|(name, _)| name == INTAKE).cloned();
        if intake.as_ref().is_some_and(|(_, messages)| *messages == 0) {
            Ok(())
        } else {
            Err(intake)
        }
    })
    .await;
}
