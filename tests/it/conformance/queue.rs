//! The promises of `common::ports::queue`.

use std::sync::Arc;
use std::time::Duration;

use common::domain::{DeadLetterCode, Submission};
use common::envelope::{self, Unreadable};
use common::ports::backend::EdgePorts;
use common::ports::queue::{
    Consumer, DeadLetter, DeadLetterReason, Delivery, Outcome, Prefetch, PublishError, Receipt,
    Settlement,
};
use tokio::task::JoinHandle;

use super::installation::{Installation, submission};
use super::on_both_backends;
use crate::bed::server::Server;
use crate::bed::servers::Servers;
use crate::bed::wait::until;

const DEADLINE: Duration = Duration::from_secs(10);
/// In which what comes too early would have come.
const A_MOMENT: Duration = Duration::from_millis(100);

on_both_backends! {
    a_published_submission_is_delivered,
    bytes_that_are_published_are_delivered_as_they_are,
    a_publish_is_durable_once_its_delivery_is_settled,
    an_unsettled_delivery_comes_back,
    a_settled_delivery_does_not_come_back,
    a_partly_settled_batch_comes_back_in_part,
    a_careful_consumer_holds_one_delivery,
    a_receipt_reaches_the_edge_that_published,
    a_dead_letter_keeps_its_bytes_and_its_reason,
    a_whole_delivery_can_be_a_dead_letter,
    two_lanes_share_the_queue_and_no_delivery,
}

/// Waits until the edge can publish, then does so in the background.
async fn publish(
    edge: &EdgePorts,
    submissions: Vec<Submission>,
) -> JoinHandle<Result<(), PublishError>> {
    let publisher = Arc::clone(&edge.publisher);
    until(DEADLINE, "the publisher is ready", async || publisher.is_ready()).await;
    tokio::spawn(async move { publisher.publish(submissions).await })
}

/// Receives until there are as many deliveries as expected.
async fn receive(consumer: &mut dyn Consumer, count: usize) -> Vec<Delivery> {
    let receiving = async {
        let mut deliveries = Vec::new();
        while deliveries.len() < count {
            deliveries.extend(consumer.receive(1_000).await.unwrap());
        }
        deliveries
    };
    tokio::time::timeout(DEADLINE, receiving).await.expect("the deliveries come")
}

fn submissions_of(delivery: &Delivery) -> Vec<Submission> {
    let items = delivery.content.as_ref().expect("an envelope");
    items.iter().map(|item| item.as_ref().expect("a submission").clone()).collect()
}

fn done(delivery: &Delivery, receipts: Vec<Receipt>) -> Settlement {
    Settlement { tag: delivery.tag, outcome: Outcome::Done { receipts, dead_letters: Vec::new() } }
}

fn reason() -> DeadLetterReason {
    DeadLetterReason { code: DeadLetterCode::Invalid, detail: "for a test".to_owned() }
}

async fn a_published_submission_is_delivered(it: Installation) {
    let edge = it.backend.edge().await;
    let mut consumer = it.backend.worker().await.consumers.open(Prefetch::Many).await.unwrap();
    let sent: Vec<Vec<_>> = (0..10).map(|n| (0..=n).map(submission).collect()).collect();
    let mut publishing = Vec::new();
    for envelope in &sent {
        publishing.push(publish(&edge, envelope.clone()).await);
        // One after the other, or the order would be the scheduler's.
        publishing.push(publish(&edge, vec![submission(0)]).await);
        let deliveries = receive(consumer.as_mut(), 2).await;
        let first = deliveries.iter().map(submissions_of).find(|it| it == envelope);
        assert!(first.is_some(), "every field is as it was sent");
        assert!(deliveries.iter().all(|delivery| delivery.attempts == 0));
        let settlements = deliveries.iter().map(|it| done(it, Vec::new())).collect();
        consumer.settle(settlements).await.unwrap();
    }
    for published in publishing {
        published.await.unwrap().unwrap();
    }
}

async fn bytes_that_are_published_are_delivered_as_they_are(it: Installation) {
    let edge = it.backend.edge().await;
    let mut consumer = it.backend.worker().await.consumers.open(Prefetch::Many).await.unwrap();
    let later = String::from_utf8(envelope::encode(&[submission(1)]).to_vec()).unwrap();
    let later = bytes::Bytes::from(later.replacen("\"v\":1", "\"v\":2", 1));
    let (publisher, body) = (Arc::clone(&edge.publisher), later.clone());
    until(DEADLINE, "the publisher is ready", async || publisher.is_ready()).await;
    let offered = tokio::spawn(async move { publisher.publish_bytes(body).await });
    let deliveries = receive(consumer.as_mut(), 1).await;
    assert_eq!(deliveries[0].content.as_ref().unwrap_err(), &Unreadable::UnknownVersion(2));
    let outcome = Outcome::Dead(reason());
    consumer.settle(vec![Settlement { tag: deliveries[0].tag, outcome }]).await.unwrap();
    offered.await.unwrap().unwrap();
    let letters = it.backend.audit().await.queue.dead_letters(10).await.unwrap();
    assert_eq!(letters[0].body, later);
}

async fn a_publish_is_durable_once_its_delivery_is_settled(it: Installation) {
    let edge = it.backend.edge().await;
    let mut consumer = it.backend.worker().await.consumers.open(Prefetch::Many).await.unwrap();
    let mut published = publish(&edge, vec![submission(1)]).await;
    let deliveries = receive(consumer.as_mut(), 1).await;
    if !it.has_instances() {
        // Its queue is memory, so that nothing is durable before the store has it.
        let early = tokio::time::timeout(A_MOMENT, &mut published).await;
        assert!(early.is_err(), "durable before it is stored: {early:?}");
    }
    consumer.settle(vec![done(&deliveries[0], Vec::new())]).await.unwrap();
    tokio::time::timeout(DEADLINE, published).await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_broker_has_not_confirmed_is_not_durable() {
    let mut servers = Servers::own().await;
    let edge = Installation::on(servers.backing().await).backend.edge().await;
    let published = publish(&edge, vec![submission(1)]).await;
    tokio::time::timeout(DEADLINE, published).await.unwrap().unwrap().unwrap();
    servers.rabbitmq.pause();
    let told = tokio::time::timeout(DEADLINE, edge.publisher.publish(vec![submission(2)])).await;
    assert!(told.expect("an edge does not wait for ever").is_err());
    servers.rabbitmq.resume();
}

async fn an_unsettled_delivery_comes_back(it: Installation) {
    let edge = it.backend.edge().await;
    let worker = it.backend.worker().await;
    let sent = vec![submission(1), submission(2)];
    let published = publish(&edge, sent.clone()).await;
    for attempts in 0..4 {
        let mut consumer = worker.consumers.open(Prefetch::Many).await.unwrap();
        let deliveries = receive(consumer.as_mut(), 1).await;
        assert_eq!(deliveries[0].attempts, attempts);
        assert_eq!(submissions_of(&deliveries[0]), sent);
        drop(consumer);
    }
    let mut consumer = worker.consumers.open(Prefetch::Many).await.unwrap();
    let deliveries = receive(consumer.as_mut(), 1).await;
    consumer.settle(vec![done(&deliveries[0], Vec::new())]).await.unwrap();
    published.await.unwrap().unwrap();
}

async fn a_settled_delivery_does_not_come_back(it: Installation) {
    let edge = it.backend.edge().await;
    let worker = it.backend.worker().await;
    let first = publish(&edge, vec![submission(1)]).await;
    let mut consumer = worker.consumers.open(Prefetch::Many).await.unwrap();
    let deliveries = receive(consumer.as_mut(), 1).await;
    consumer.settle(vec![done(&deliveries[0], Vec::new())]).await.unwrap();
    first.await.unwrap().unwrap();
    drop(consumer);

    let next = submission(2);
    let second = publish(&edge, vec![next.clone()]).await;
    let mut consumer = worker.consumers.open(Prefetch::Many).await.unwrap();
    let deliveries = receive(consumer.as_mut(), 1).await;
    assert_eq!(submissions_of(&deliveries[0]), [next], "the first is gone");
    consumer.settle(vec![done(&deliveries[0], Vec::new())]).await.unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(it.backend.audit().await.queue.depths().await.unwrap().queued, 0);
}

async fn a_partly_settled_batch_comes_back_in_part(it: Installation) {
    let edge = it.backend.edge().await;
    let worker = it.backend.worker().await;
    let mut publishing = Vec::new();
    for number in 0..5 {
        publishing.push(publish(&edge, vec![submission(number)]).await);
    }
    let mut consumer = worker.consumers.open(Prefetch::Many).await.unwrap();
    let deliveries = receive(consumer.as_mut(), 5).await;
    // The second and the fourth: nothing before them is settled.
    let settled = [&deliveries[1], &deliveries[3]];
    consumer.settle(settled.iter().map(|it| done(it, Vec::new())).collect()).await.unwrap();
    let settled: Vec<_> = settled.into_iter().flat_map(submissions_of).collect();
    drop(consumer);

    let mut consumer = worker.consumers.open(Prefetch::Many).await.unwrap();
    let back = receive(consumer.as_mut(), 3).await;
    assert_eq!(back.len(), 3);
    for delivery in &back {
        assert!(submissions_of(delivery).iter().all(|it| !settled.contains(it)));
    }
    consumer.settle(back.iter().map(|it| done(it, Vec::new())).collect()).await.unwrap();
    for published in publishing {
        published.await.unwrap().unwrap();
    }
}

async fn a_careful_consumer_holds_one_delivery(it: Installation) {
    let edge = it.backend.edge().await;
    let worker = it.backend.worker().await;
    let mut publishing = Vec::new();
    for number in 0..3 {
        publishing.push(publish(&edge, vec![submission(number)]).await);
    }
    let mut consumer = worker.consumers.open(Prefetch::One).await.unwrap();
    assert_eq!(receive(consumer.as_mut(), 1).await.len(), 1);
    let second = tokio::time::timeout(Duration::from_millis(300), consumer.receive(1_000)).await;
    assert!(second.is_err(), "nothing more before it is settled");
    drop(consumer);

    let mut consumer = worker.consumers.open(Prefetch::Many).await.unwrap();
    let deliveries = receive(consumer.as_mut(), 3).await;
    let mut attempts: Vec<_> = deliveries.iter().map(|delivery| delivery.attempts).collect();
    attempts.sort_unstable();
    assert_eq!(attempts, [0, 0, 1], "the one it held is the one that counts");
    consumer.settle(deliveries.iter().map(|it| done(it, Vec::new())).collect()).await.unwrap();
    for published in publishing {
        published.await.unwrap().unwrap();
    }
}

async fn a_receipt_reaches_the_edge_that_published(it: Installation) {
    let worker = it.backend.worker().await;
    let mut edges = [it.backend.edge().await, it.backend.edge().await];
    let sent = [submission(1), submission(2)];
    for (edge, submission) in edges.iter().zip(&sent) {
        publish(edge, vec![submission.clone()]).await;
    }
    let mut consumer = worker.consumers.open(Prefetch::Many).await.unwrap();
    let deliveries = receive(consumer.as_mut(), 2).await;
    let receipt = |id| Receipt {
        id,
        number: "SUP-2026-000042".parse().unwrap(),
        submitted_at: "2026-11-22T10:30:00.123Z".parse().unwrap(),
    };
    let settlements = deliveries
        .iter()
        .map(|delivery| done(delivery, vec![receipt(submissions_of(delivery)[0].id)]))
        .collect();
    consumer.settle(settlements).await.unwrap();
    for (edge, submission) in edges.iter_mut().zip(&sent) {
        let batch = tokio::time::timeout(DEADLINE, edge.receipts.recv()).await.unwrap().unwrap();
        assert_eq!(batch, [receipt(submission.id)], "its own, and no other");
    }
}

async fn a_dead_letter_keeps_its_bytes_and_its_reason(it: Installation) {
    let edge = it.backend.edge().await;
    let mut consumer = it.backend.worker().await.consumers.open(Prefetch::Many).await.unwrap();
    let published = publish(&edge, vec![submission(1), submission(2)]).await;
    let deliveries = receive(consumer.as_mut(), 1).await;
    let body = bytes::Bytes::from_static(b"\x00\xff not even text");
    let letter = DeadLetter { body: body.clone(), reason: reason() };
    let outcome = Outcome::Done { receipts: Vec::new(), dead_letters: vec![letter] };
    consumer.settle(vec![Settlement { tag: deliveries[0].tag, outcome }]).await.unwrap();
    published.await.unwrap().unwrap();

    let queue = it.backend.audit().await.queue;
    // Looking changes nothing, so it can be done twice.
    for _ in 0..2 {
        let letters = queue.dead_letters(10).await.unwrap();
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0].body, body);
        assert_eq!(
            (letters[0].code.as_str(), letters[0].detail.as_str()),
            ("invalid", "for a test")
        );
        assert!(letters[0].first_seen_at.timestamp() > 0);
        assert_eq!(letters[0].attempts, 1);
    }
    until(DEADLINE, "the depth shows it", async || queue.depths().await.unwrap().dead == 1).await;
}

async fn a_whole_delivery_can_be_a_dead_letter(it: Installation) {
    let edge = it.backend.edge().await;
    let mut consumer = it.backend.worker().await.consumers.open(Prefetch::Many).await.unwrap();
    let sent = vec![submission(1), submission(2)];
    let published = publish(&edge, sent.clone()).await;
    let deliveries = receive(consumer.as_mut(), 1).await;
    let outcome = Outcome::Dead(reason());
    consumer.settle(vec![Settlement { tag: deliveries[0].tag, outcome }]).await.unwrap();
    published.await.unwrap().unwrap();
    let letters = it.backend.audit().await.queue.dead_letters(10).await.unwrap();
    assert_eq!(letters[0].body, envelope::encode(&sent));
}

/// Embedded alone: on a broker a requeued letter is a message like any other.
#[tokio::test(flavor = "multi_thread")]
async fn a_requeued_letter_waits_for_no_other() {
    let it = Installation::embedded().await;
    let edge = it.backend.edge().await;
    let mut consumer = it.backend.worker().await.consumers.open(Prefetch::Many).await.unwrap();
    for number in 1..=2 {
        let sent = submission(number);
        let published = publish(&edge, vec![sent.clone()]).await;
        let tag = receive(consumer.as_mut(), 1).await[0].tag;
        let dead = Settlement { tag, outcome: Outcome::Dead(reason()) };
        consumer.settle(vec![dead]).await.unwrap();
        published.await.unwrap().unwrap();
        // The first is being tried, and never settled, when the second is asked for.
        it.tamper("UPDATE dead_letters SET requeued_at = first_seen_at").await;
        let again = receive(consumer.as_mut(), 1).await;
        assert_eq!(submissions_of(&again[0]), [sent]);
    }
}

async fn two_lanes_share_the_queue_and_no_delivery(it: Installation) {
    let edge = it.backend.edge().await;
    let worker = it.backend.worker().await;
    let mut lanes = [
        worker.consumers.open(Prefetch::Many).await.unwrap(),
        worker.consumers.open(Prefetch::Many).await.unwrap(),
    ];
    let mut publishing = Vec::new();
    for number in 0..40 {
        publishing.push(publish(&edge, vec![submission(number)]).await);
    }
    let mut seen = std::collections::HashSet::new();
    while seen.len() < 40 {
        for lane in &mut lanes {
            let received = tokio::time::timeout(Duration::from_millis(200), lane.receive(1)).await;
            for delivery in received.map(Result::unwrap).unwrap_or_default() {
                assert!(seen.insert(submissions_of(&delivery)[0].id), "delivered twice");
                lane.settle(vec![done(&delivery, Vec::new())]).await.unwrap();
            }
        }
    }
    for published in publishing {
        published.await.unwrap().unwrap();
    }
}
