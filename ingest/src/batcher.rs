//! Packs submissions into envelopes. Nothing is timed: a submission that comes alone leaves alone,
//! at once; while [`WINDOW`] envelopes are unconfirmed the next ones gather, so envelopes grow with
//! the load by themselves.

use std::sync::Arc;

use common::{
    domain::Submission,
    ports::queue::{PublishError, Publisher},
};
use thiserror::Error;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{condition::Condition, submit::DURABLE_WAIT};

/// Submissions that may wait for an envelope: a fifth of a second's worth at full load. One that
/// would have to wait behind more is better told so at once.
const OFFERS_MAX: usize = 4_096;

/// Envelopes unconfirmed at a time: enough to keep the broker busy while the confirms travel, few
/// enough for envelopes to fill when it is slow.
const WINDOW: usize = 8;

/// Submissions in an envelope. Above some hundred a larger one saves nothing, and it is what a
/// worker has to take at once.
const SUBMISSIONS_MAX: usize = 200;

/// Text in an envelope, in bytes, from which on no further submission is packed. The last one may
/// exceed it by 52 KiB and escaping can double it all: that is still well below the
/// [`common::envelope::BODY_BYTES_MAX`] that a worker reads.
const TEXT_BYTES_FULL: usize = 256 * 1024;

/// The submission is not on its way and never will be.
#[derive(Debug, Error)]
#[error("the submission was not taken")]
pub struct NotTaken;

/// What is known of a submission that was handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It is safe.
    Durable,
    /// It is not queued, and never will be.
    Refused,
    /// It may show up yet.
    Open,
}

impl From<&Result<(), PublishError>> for Durability {
    fn from(outcome: &Result<(), PublishError>) -> Self {
        match outcome {
            Ok(()) => Self::Durable,
            Err(PublishError::Unavailable(_) | PublishError::Rejected) => Self::Refused,
            Err(PublishError::Unconfirmed) => Self::Open,
        }
    }
}

struct Offer {
    submission: Submission,
    confirm: oneshot::Sender<Durability>,
}

/// Where handlers hand in submissions.
pub struct Intake {
    offers: mpsc::Sender<Offer>,
    publisher: Arc<dyn Publisher>,
}

impl Intake {
    /// Hands in a submission, unless the queue is known to be away or too many wait already.
    pub fn offer(&self, submission: Submission) -> Result<Confirmation, NotTaken> {
        if !self.publisher.is_ready() {
            return Err(NotTaken);
        }
        let (confirm, confirmation) = oneshot::channel();
        self.offers.try_send(Offer { submission, confirm }).map_err(|_| NotTaken)?;
        Ok(Confirmation(confirmation))
    }
}

/// Tells whether a submission that was handed in became durable. Dropping it takes back a
/// submission that is not packed yet.
pub struct Confirmation(oneshot::Receiver<Durability>);

impl Confirmation {
    /// Waits for the broker's word.
    pub async fn durability(&mut self) -> Durability {
        (&mut self.0).await.unwrap_or(Durability::Open)
    }
}

/// Makes both ends.
pub fn intake(publisher: Arc<dyn Publisher>) -> (Intake, Batcher) {
    let (sender, offers) = mpsc::channel(OFFERS_MAX);
    let intake = Intake { offers: sender, publisher: Arc::clone(&publisher) };
    let condition = Arc::new(Condition::new("publishing"));
    (intake, Batcher { offers, publisher, condition })
}

/// Takes what is handed in to the queue.
pub struct Batcher {
    offers: mpsc::Receiver<Offer>,
    publisher: Arc<dyn Publisher>,
    condition: Arc<Condition>,
}

impl Batcher {
    /// Runs until `drained` is cancelled and everything handed in is settled.
    pub async fn run(mut self, drained: CancellationToken) {
        // Tasks of their own, so that envelopes are encoded on every core.
        let mut unconfirmed = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                Some(_) = unconfirmed.join_next() => {}
                () = drained.cancelled(), if !self.offers.is_closed() => self.offers.close(),
                offer = self.offers.recv(), if unconfirmed.len() < WINDOW => {
                    let Some(first) = offer else { break };
                    let envelope = self.pack(first);
                    let (publisher, condition) = (self.publisher.clone(), self.condition.clone());
                    unconfirmed.spawn(envelope.publish(publisher, condition));
                }
            }
        }
        while unconfirmed.join_next().await.is_some() {}
    }

    /// Takes along whatever else waits.
    fn pack(&mut self, first: Offer) -> Envelope {
        let mut envelope = Envelope::default();
        envelope.add(first);
        while !envelope.is_full() {
            let Ok(offer) = self.offers.try_recv() else { break };
            envelope.add(offer);
        }
        envelope
    }
}

#[derive(Default)]
struct Envelope {
    submissions: Vec<Submission>,
    confirms: Vec<oneshot::Sender<Durability>>,
    text_bytes: usize,
}

impl Envelope {
    fn add(&mut self, offer: Offer) {
        // Whoever hung up, or was told 503, must not get a ticket after all if it can be helped.
        if !offer.confirm.is_closed() {
            self.text_bytes += offer.submission.form.text_bytes();
            self.submissions.push(offer.submission);
            self.confirms.push(offer.confirm);
        }
    }

    fn is_full(&self) -> bool {
        self.submissions.len() >= SUBMISSIONS_MAX || self.text_bytes >= TEXT_BYTES_FULL
    }

    async fn publish(self, publisher: Arc<dyn Publisher>, condition: Arc<Condition>) {
        if self.submissions.is_empty() {
            return;
        }
        // By then everybody who waited has been answered; the place in the window is worth more.
        let outcome = timeout(DURABLE_WAIT, publisher.publish(self.submissions)).await;
        let outcome = condition.note(outcome.unwrap_or(Err(PublishError::Unconfirmed)));
        for confirm in self.confirms {
            // Those who hung up need no word.
            let _ = confirm.send(Durability::from(&outcome));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use common::{clock::SystemEntropy, envelope, trace::Trace};
    use tokio::{task::JoinHandle, time::sleep};
    use uuid::Uuid;

    use super::*;
    use crate::{
        doubles::{FORM, Mood, ScriptedPublisher},
        payload,
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
        let (intake, batcher) = intake(publisher.clone());
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
            form: payload::parse(body.as_bytes()).unwrap(),
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
        let gathered = bed.offer_many(450, "x").await;
        assert_eq!(bed.publisher.sizes().len(), WINDOW);
        for mut confirmation in first.into_iter().chain(gathered) {
            assert_eq!(confirmation.durability().await, Durability::Durable);
        }
        assert_eq!(bed.publisher.sizes()[WINDOW..], [200, 200, 50]);
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
            assert!(confirmation.durability().await != Durability::Durable);
        }
        assert_eq!(bed.publisher.sizes()[WINDOW..], [30]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_publish_that_hangs_gives_its_place_back() {
        let bed = bed(Mood::Silent);
        let hung = bed.fill_window().await;
        *bed.publisher.mood.lock().unwrap() = Mood::Willing;
        let mut next = bed.offer("x");
        assert_eq!(next.durability().await, Durability::Durable);
        for mut confirmation in hung {
            assert!(confirmation.durability().await != Durability::Durable);
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
        assert!(bed.intake.offer(submission("x")).is_err());
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
}
