use common::{clock::SystemEntropy, envelope, trace::Trace};
use tokio::{task::JoinHandle, time::sleep};
use uuid::Uuid;

use super::*;
use crate::{
    doubles::{FORM, Mood, ScriptedPublisher},
    form,
    outlet::Durability,
};

struct Bed {
    intake: Intake,
    publisher: Arc<ScriptedPublisher>,
    drained: CancellationToken,
    batcher: JoinHandle<()>,
}

fn bed(mood: Mood) -> Bed {
    let (publisher, _) = ScriptedPublisher::new();
    *publisher.mood.lock().unwrap() = mood;
    let (intake, batcher) = intake(Arc::new(Outlet::new(publisher.clone(), None)));
    let drained = CancellationToken::new();
    let batcher = tokio::spawn(batcher.run(drained.clone()));
    Bed { intake, publisher, drained, batcher }
}

impl Bed {
    fn offer(&self, message: &str) -> Confirmation {
        self.intake.offer(submission(message)).unwrap()
    }

    /// Offers so many and lets the batcher see them.
    async fn offer_many(&self, count: usize, message: &str) -> Vec<Confirmation> {
        let confirmations = (0..count).map(|_| self.offer(message)).collect();
        settle().await;
        confirmations
    }

    /// Fills the window, one envelope after the other.
    async fn fill_window(&self) -> Vec<Confirmation> {
        let mut confirmations = Vec::new();
        for _ in 0..WINDOW {
            confirmations.extend(self.offer_many(1, "x").await);
        }
        assert_eq!(self.publisher.sizes(), [1; WINDOW]);
        confirmations
    }
}

fn submission(message: &str) -> Submission {
    let body = FORM.replace("It is stuck", &message.replace('"', "\\\""));
    Submission {
        id: Uuid::from_u128(1).into(),
        key: None,
        submitted_at: "2026-11-22T10:30:00Z".parse().unwrap(),
        form: form::parse(body.as_bytes()).unwrap(),
        trace: Trace::of_request(Some(&"r".repeat(64)), None, &SystemEntropy),
    }
}

/// Paused time moves on only when every task waits.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

const SLOW: Mood = Mood::Slow(Duration::from_secs(1));

#[tokio::test(start_paused = true)]
async fn a_submission_that_comes_alone_leaves_alone_and_at_once() {
    let bed = bed(Mood::Willing);
    assert_eq!(bed.offer("x").durability().await, Durability::Durable);
    assert_eq!(bed.offer("x").durability().await, Durability::Durable);
    assert_eq!(bed.publisher.sizes(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn submissions_gather_while_the_window_is_full() {
    let bed = bed(SLOW);
    let first = bed.fill_window().await;
    let gathered = bed.offer_many(SUBMISSIONS_MAX - 1, "x").await;
    assert_eq!(bed.publisher.sizes().len(), WINDOW);
    for mut confirmation in first.into_iter().chain(gathered) {
        assert_eq!(confirmation.durability().await, Durability::Durable);
    }
    assert_eq!(bed.publisher.sizes()[WINDOW..], [SUBMISSIONS_MAX - 1]);
}

#[tokio::test(start_paused = true)]
async fn whole_envelopes_wait_for_no_confirm() {
    let bed = bed(SLOW);
    let mut confirmations = bed.fill_window().await;
    confirmations.extend(bed.offer_many(450, "x").await);
    assert_eq!(bed.publisher.sizes()[WINDOW..], [200, 200]);
    confirmations.extend(bed.offer_many(149, "x").await);
    assert_eq!(bed.publisher.sizes().len(), WINDOW + 2);
    confirmations.extend(bed.offer_many(1, "x").await);
    assert_eq!(bed.publisher.sizes()[WINDOW..], [200, 200, 200]);
    confirmations.extend(bed.offer_many(2_000, "x").await);
    assert_eq!(bed.publisher.sizes().len(), WINDOW_FULL, "so many and no more");
    for mut confirmation in confirmations {
        assert_eq!(confirmation.durability().await, Durability::Durable);
    }
}

#[tokio::test(start_paused = true)]
async fn an_envelope_always_fits_what_a_worker_reads() {
    let bed = bed(SLOW);
    let first = bed.fill_window().await;
    // Quotes double when they are escaped; characters of four bytes are the most text.
    let quotes = bed.offer_many(60, &"\"".repeat(10_000)).await;
    let emoji = bed.offer_many(60, &"👩".repeat(10_000)).await;
    for mut confirmation in first.into_iter().chain(quotes).chain(emoji) {
        assert_eq!(confirmation.durability().await, Durability::Durable);
    }
    let envelopes = bed.publisher.envelopes.lock().unwrap();
    assert!(envelopes.len() > WINDOW + 4, "{}", envelopes.len());
    for envelope in envelopes.iter() {
        assert!(envelope::encode(envelope).len() < envelope::BODY_BYTES_MAX);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_reaches_everybody_in_the_envelope() {
    let bed = bed(SLOW);
    let first = bed.fill_window().await;
    let doomed = bed.offer_many(30, "x").await;
    *bed.publisher.mood.lock().unwrap() = Mood::Failing;
    for mut confirmation in first {
        assert_eq!(confirmation.durability().await, Durability::Durable);
    }
    for mut confirmation in doomed {
        assert_eq!(confirmation.durability().await, Durability::Refused);
    }
    assert_eq!(bed.publisher.sizes()[WINDOW..], [30]);
}

#[tokio::test(start_paused = true)]
async fn what_the_queue_cannot_tell_is_open_at_once() {
    let bed = bed(Mood::Unsure);
    let offered_at = Instant::now();
    assert_eq!(bed.offer("x").durability().await, Durability::Open);
    assert_eq!(offered_at.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_publish_that_hangs_gives_its_place_back() {
    let bed = bed(Mood::Silent);
    let hung = bed.fill_window().await;
    *bed.publisher.mood.lock().unwrap() = Mood::Willing;
    let mut next = bed.offer("x");
    assert_eq!(next.durability().await, Durability::Durable);
    for mut confirmation in hung {
        assert_eq!(confirmation.durability().await, Durability::Open);
    }
}

#[tokio::test(start_paused = true)]
async fn who_hung_up_before_the_packing_is_not_published() {
    let bed = bed(SLOW);
    let first = bed.fill_window().await;
    drop(bed.offer_many(5, "x").await);
    let mut last = bed.offer("x");
    assert_eq!(last.durability().await, Durability::Durable);
    assert_eq!(bed.publisher.sizes()[WINDOW..], [1]);
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn one_more_than_may_wait_is_refused_at_once() {
    let bed = bed(Mood::Silent);
    let _hung = bed.fill_window().await;
    let _waiting: Vec<_> = (0..OFFERS_MAX).map(|_| bed.offer("x")).collect();
    assert!(bed.intake.is_saturated());
    assert!(bed.intake.offer(submission("x")).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_too_slow_for_its_load_is_saturated_before_it_is_full() {
    let bed = bed(Mood::Slow(Duration::from_secs(2)));
    let mut waiting = bed.fill_window().await;
    waiting.extend(bed.offer_many(4_000, "x").await);
    assert!(!bed.intake.is_saturated(), "it may be fast");
    sleep(Duration::from_millis(2_100)).await;
    assert!(bed.intake.is_saturated(), "who came first has waited for long");
    sleep(Duration::from_secs(2)).await;
    assert!(!bed.intake.is_saturated(), "it has caught up");
}

#[tokio::test(start_paused = true)]
async fn the_end_comes_when_everything_offered_is_settled() {
    let bed = bed(SLOW);
    let mut confirmations = bed.fill_window().await;
    confirmations.extend(bed.offer_many(300, "x").await);
    bed.drained.cancel();
    bed.batcher.await.unwrap();
    assert!(bed.intake.offer(submission("x")).is_err());
    for mut confirmation in confirmations {
        assert_eq!(confirmation.durability().await, Durability::Durable);
    }
}
