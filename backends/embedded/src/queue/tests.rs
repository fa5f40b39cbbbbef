use std::{sync::Arc, time::Duration};

use common::{
    clock::SystemClock,
    domain::DeadLetterCode,
    envelope,
    ports::{
        audit::QueueAudit,
        queue::{
            Consumer, ConsumerSource, DeadLetter, DeadLetterReason, Delivery, Outcome, Prefetch,
            Publisher, Settlement,
        },
        store::StoreError,
    },
};
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::timeout};

use super::*;
use crate::{
    store::Store,
    testing::{open, submission, ticket},
};

const DEADLINE: Duration = Duration::from_secs(10);

/// A queue over a real store, and one edge.
struct Bed {
    _dir: TempDir,
    queue: Arc<Queue>,
    store: Arc<Store>,
    edge: Edge,
    receipts: mpsc::Receiver<Vec<Receipt>>,
}

type Publishing = JoinHandle<Result<(), PublishError>>;

impl Bed {
    async fn with_room_for(submissions_max: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path()).await.store;
        let (edge, receipts) = mpsc::channel(1);
        Self { _dir: dir, queue: Arc::new(Queue::new(submissions_max)), store, edge, receipts }
    }

    fn publisher(&self) -> EdgePublisher {
        EdgePublisher::new(Arc::clone(&self.queue), self.edge.clone())
    }

    /// Starts publishing, and returns once the envelope is in the queue.
    async fn publish(&self, ids: impl IntoIterator<Item = u128>) -> Publishing {
        let envelopes = self.queue.load().envelopes;
        let publisher = self.publisher();
        let submissions = ids.into_iter().map(submission).collect();
        let publishing = tokio::spawn(async move { publisher.publish(submissions).await });
        self.until(|load| load.envelopes > envelopes).await;
        publishing
    }

    async fn until(&self, reached: impl Fn(Load) -> bool) {
        let poll = async {
            while !reached(self.queue.load()) {
                tokio::task::yield_now().await;
            }
        };
        timeout(DEADLINE, poll).await.unwrap();
    }

    async fn lane(&self) -> Box<dyn Consumer> {
        self.lane_with(Prefetch::Many).await
    }

    async fn lane_with(&self, prefetch: Prefetch) -> Box<dyn Consumer> {
        let lanes = Lanes {
            queue: Arc::clone(&self.queue),
            store: Arc::clone(&self.store),
            clock: Arc::new(SystemClock),
        };
        lanes.open(prefetch).await.unwrap()
    }

    fn inspector(&self) -> QueueInspector {
        QueueInspector { queue: Arc::clone(&self.queue), store: Arc::clone(&self.store) }
    }
}

/// Drops the future of a publish.
async fn give_up(publishing: Publishing) {
    publishing.abort();
    assert!(publishing.await.unwrap_err().is_cancelled());
}

fn done(delivery: &Delivery, numbers: &[u128]) -> Settlement {
    let receipt = |n: &u128| Receipt {
        id: submission(*n).id,
        number: ticket(*n).number,
        submitted_at: submission(*n).submitted_at,
    };
    let receipts = numbers.iter().map(receipt).collect();
    let outcome = Outcome::Done { receipts, dead_letters: vec![] };
    Settlement { tag: delivery.tag, outcome }
}

fn reason() -> DeadLetterReason {
    DeadLetterReason { code: DeadLetterCode::Rejected, detail: "for a test".to_owned() }
}

/// Ids of the first submissions, and attempts.
fn seen(deliveries: &[Delivery]) -> Vec<(u128, u32)> {
    let first = |delivery: &Delivery| {
        let item = delivery.content.as_ref().unwrap()[0].as_ref().unwrap();
        (item.id.as_uuid().as_u128(), delivery.attempts)
    };
    deliveries.iter().map(first).collect()
}

#[tokio::test]
async fn a_publish_ends_when_its_envelope_is_settled() {
    let mut bed = Bed::with_room_for(10).await;
    let publishing = bed.publish([1, 2]).await;
    let mut lane = bed.lane().await;
    let deliveries = lane.receive(10).await.unwrap();
    assert!(!publishing.is_finished());
    lane.settle(vec![done(&deliveries[0], &[1, 2])]).await.unwrap();
    publishing.await.unwrap().unwrap();
    assert_eq!(bed.receipts.recv().await.unwrap().len(), 2);
    assert_eq!(bed.queue.submissions(), 0);
    let again = lane.settle(vec![done(&deliveries[0], &[1, 2])]).await;
    assert!(again.is_err(), "settled twice");
}

#[tokio::test]
async fn a_full_queue_rejects_at_once_and_takes_more_when_there_is_room() {
    let bed = Bed::with_room_for(3).await;
    let first = bed.publish([1, 2]).await;
    let publisher = bed.publisher();
    let rejected = publisher.publish(vec![submission(3), submission(4)]).await;
    assert!(matches!(rejected, Err(PublishError::Rejected)), "{rejected:?}");
    let _second = bed.publish([5]).await;
    assert!(!publisher.is_ready());
    let mut lane = bed.lane().await;
    let deliveries = lane.receive(1).await.unwrap();
    assert!(!publisher.is_ready(), "an envelope with a consumer takes up room");
    lane.settle(vec![done(&deliveries[0], &[])]).await.unwrap();
    first.await.unwrap().unwrap();
    assert!(publisher.is_ready());
}

#[tokio::test]
async fn a_receipt_goes_to_its_edge_alone_and_a_full_edge_holds_nobody_up() {
    let mut bed = Bed::with_room_for(10).await;
    let _ours = [bed.publish([1]).await, bed.publish([2]).await];
    let (edge, mut receipts) = mpsc::channel(1);
    let _theirs = bed.queue.offer(Content::Submissions(vec![submission(3)]), edge).unwrap();
    let mut lane = bed.lane().await;
    let batch = lane.receive(10).await.unwrap();
    let settlements = [1, 2, 3].iter().zip(&batch).map(|(n, delivery)| done(delivery, &[*n]));
    lane.settle(settlements.collect()).await.unwrap();
    let ids = |receipts: Vec<Receipt>| -> Vec<_> {
        receipts.iter().map(|receipt| receipt.id.as_uuid().as_u128()).collect()
    };
    assert_eq!(ids(receipts.recv().await.unwrap()), [3]);

    let dropped = bed.publish([4]).await;
    let batch = lane.receive(10).await.unwrap();
    lane.settle(vec![done(&batch[0], &[4])]).await.unwrap();
    dropped.await.unwrap().unwrap();
    assert_eq!(ids(bed.receipts.recv().await.unwrap()), [1, 2]);
    assert!(bed.receipts.try_recv().is_err(), "4 found the channel full and was dropped");
}

#[tokio::test]
async fn what_a_dropped_consumer_held_comes_first_and_in_order() {
    let bed = Bed::with_room_for(10).await;
    let _publishing = [bed.publish([1]).await, bed.publish([2]).await, bed.publish([3]).await];
    let mut lane = bed.lane().await;
    assert_eq!(seen(&lane.receive(2).await.unwrap()), [(1, 0), (2, 0)]);
    assert_eq!(seen(&lane.receive(1).await.unwrap()), [(3, 0)]);
    let _last = bed.publish([4]).await;
    let mut other = bed.lane().await;
    drop(lane);
    assert_eq!(seen(&other.receive(10).await.unwrap()), [(1, 1), (2, 1), (3, 1), (4, 0)]);
    assert_eq!(bed.queue.load().lanes, 1);
}

#[tokio::test]
async fn a_receive_takes_whole_envelopes_until_it_holds_enough() {
    let bed = Bed::with_room_for(10).await;
    let _publishing =
        [bed.publish([1, 2]).await, bed.publish([3, 4]).await, bed.publish([5]).await];
    let mut lane = bed.lane().await;
    assert_eq!(lane.receive(3).await.unwrap().len(), 2);
    assert_eq!(lane.receive(0).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_careful_consumer_holds_one_delivery() {
    let bed = Bed::with_room_for(10).await;
    let first = bed.publish([1]).await;
    let _others = [bed.publish([2]).await, bed.publish([3]).await, bed.publish([4]).await];
    let mut careful = bed.lane_with(Prefetch::One).await;
    let batch = careful.receive(10).await.unwrap();
    assert_eq!(seen(&batch), [(1, 0)]);
    let second = timeout(Duration::from_millis(1), careful.receive(10)).await;
    assert!(second.is_err(), "a second one before the first was settled");
    careful.settle(vec![done(&batch[0], &[1])]).await.unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(seen(&careful.receive(10).await.unwrap()), [(2, 0)]);
    drop(careful);
    assert_eq!(seen(&bed.lane().await.receive(10).await.unwrap()), [(2, 1), (3, 0), (4, 0)]);
}

#[tokio::test]
async fn a_careful_consumer_that_holds_one_hears_that_the_queue_was_closed() {
    let bed = Bed::with_room_for(10).await;
    let _publishing = bed.publish([1]).await;
    let mut careful = bed.lane_with(Prefetch::One).await;
    careful.receive(1).await.unwrap();
    let receiving = tokio::spawn(async move { careful.receive(1).await.map(|got| seen(&got)) });
    tokio::task::yield_now().await;
    bed.queue.close();
    assert!(timeout(DEADLINE, receiving).await.unwrap().unwrap().is_err());
}

#[tokio::test]
async fn a_waiting_receive_is_woken_and_a_cancelled_one_loses_nothing() {
    let bed = Bed::with_room_for(10).await;
    let (mut first, mut second) = (bed.lane().await, bed.lane().await);
    let cancelled = timeout(Duration::from_millis(1), first.receive(1)).await;
    assert!(cancelled.is_err());
    let receiving = tokio::spawn(async move { second.receive(1).await.map(|got| seen(&got)) });
    tokio::task::yield_now().await;
    let _publishing = bed.publish([1]).await;
    let received = timeout(DEADLINE, receiving).await.unwrap().unwrap().unwrap();
    assert_eq!(received, [(1, 0)]);
    // Its lane was dropped with the task.
    assert_eq!(seen(&timeout(DEADLINE, first.receive(1)).await.unwrap().unwrap()), [(1, 1)]);
}

#[tokio::test]
async fn a_dead_letter_is_durable_before_its_publish_ends() {
    let bed = Bed::with_room_for(10).await;
    let whole = bed.publish([1, 2]).await;
    let part = bed.publish([3, 4]).await;
    let mut lane = bed.lane().await;
    let batch = lane.receive(10).await.unwrap();
    let letter = DeadLetter { body: envelope::encode(&[submission(3)]), reason: reason() };
    let outcomes = [
        Outcome::Dead(reason()),
        Outcome::Done { receipts: vec![], dead_letters: vec![letter.clone()] },
    ];
    let settlements = batch.iter().zip(outcomes);
    let settlements =
        settlements.map(|(delivery, outcome)| Settlement { tag: delivery.tag, outcome }).collect();
    lane.settle(settlements).await.unwrap();
    whole.await.unwrap().unwrap();
    part.await.unwrap().unwrap();
    let buried = bed.inspector().dead_letters(10).await.unwrap();
    assert_eq!(buried[0].body, envelope::encode(&[submission(1), submission(2)]));
    assert_eq!(buried[1].body, letter.body);
    for letter in &buried {
        assert_eq!((letter.code.as_str(), letter.detail.as_str()), ("rejected", "for a test"));
        assert_eq!(letter.attempts, 1);
    }
    assert_eq!(bed.inspector().depths().await.unwrap().dead, 2);
}

#[tokio::test]
async fn an_envelope_that_cannot_be_buried_is_not_settled() {
    let bed = Bed::with_room_for(10).await;
    let publishing = bed.publish([1]).await;
    let mut lane = bed.lane().await;
    let batch = lane.receive(1).await.unwrap();
    bed.store.close().await;
    let dead = Settlement { tag: batch[0].tag, outcome: Outcome::Dead(reason()) };
    let error = lane.settle(vec![dead]).await.unwrap_err();
    assert!(error.0.downcast_ref::<StoreError>().is_some(), "{error:?}");
    assert!(!publishing.is_finished());
    drop(lane);
    assert_eq!(seen(&bed.lane().await.receive(1).await.unwrap()), [(1, 1)]);
}

#[tokio::test]
async fn an_envelope_that_crashed_twenty_consumers_is_buried() {
    let bed = Bed::with_room_for(10).await;
    let publishing = bed.publish([1]).await;
    for attempts in 0..20 {
        assert_eq!(seen(&bed.lane().await.receive(1).await.unwrap()), [(1, attempts)]);
    }
    let innocent = bed.publish([2]).await;
    let mut lane = bed.lane().await;
    assert_eq!(seen(&lane.receive(10).await.unwrap()), [(2, 0)]);
    publishing.await.unwrap().unwrap();
    let buried = bed.inspector().dead_letters(10).await.unwrap();
    assert_eq!((buried[0].code.as_str(), buried[0].attempts, buried.len()), ("crashed", 20, 1));
    assert_eq!(buried[0].body, envelope::encode(&[submission(1)]));
    assert!(!innocent.is_finished());
}

#[tokio::test]
async fn a_dropped_publish_withdraws_what_no_consumer_has_taken() {
    let bed = Bed::with_room_for(10).await;
    give_up(bed.publish([1]).await).await;
    assert_eq!((bed.queue.load().envelopes, bed.queue.submissions()), (0, 0));
    let taken = bed.publish([2]).await;
    let mut lane = bed.lane().await;
    assert_eq!(seen(&lane.receive(1).await.unwrap()), [(2, 0)]);
    give_up(taken).await;
    drop(lane);
    let returned = bed.publish([3]).await;
    let mut lane = bed.lane().await;
    let batch = lane.receive(1).await.unwrap();
    assert_eq!(seen(&batch), [(2, 1)], "it may be stored, so it is not withdrawn");
    lane.settle(vec![done(&batch[0], &[2])]).await.unwrap();
    give_up(returned).await;
    assert_eq!((bed.queue.load().envelopes, bed.queue.submissions()), (0, 0));
}

#[tokio::test]
async fn nothing_to_publish_is_published() {
    let bed = Bed::with_room_for(0).await;
    bed.publisher().publish(vec![]).await.unwrap();
    assert_eq!(bed.queue.load().envelopes, 0);
}

#[tokio::test]
async fn a_closed_queue_takes_nothing_and_says_what_it_knows() {
    let bed = Bed::with_room_for(10).await;
    let taken = bed.publish([1]).await;
    let mut lane = bed.lane().await;
    lane.receive(1).await.unwrap();
    let waiting = bed.publish([2]).await;
    bed.queue.close();
    let waiting = waiting.await.unwrap();
    assert!(matches!(waiting, Err(PublishError::Unavailable(_))), "{waiting:?}");
    assert!(lane.receive(1).await.is_err());
    drop(lane);
    let taken = taken.await.unwrap();
    assert!(matches!(taken, Err(PublishError::Unconfirmed)), "{taken:?}");
    let refused = bed.publisher().publish(vec![submission(3)]).await;
    assert!(matches!(refused, Err(PublishError::Unavailable(_))), "{refused:?}");
    assert_eq!(bed.queue.submissions(), 0);
}
