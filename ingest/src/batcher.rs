//! Packs submissions into envelopes. Nothing is timed: a submission that comes alone leaves alone,
//! at once; while [`WINDOW`] envelopes are unconfirmed the next ones gather, so envelopes grow with
//! the load by themselves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use common::{
    domain::Submission,
    metrics::{ENVELOPE_SUBMISSIONS, PUBLISH_DURATION},
    ports::queue::{PublishError, Publisher},
};
use thiserror::Error;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, timeout},
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

/// How long a submission may wait for its envelope. When one has, and more than one envelope's worth
/// waits behind it, the next would have its confirm too late: it is better told so at once.
const PACKING_WAIT_MAX: Duration = Duration::from_secs(1);

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
    offered_at: Instant,
    confirm: oneshot::Sender<Durability>,
}

/// Where handlers hand in submissions.
pub struct Intake {
    offers: mpsc::Sender<Offer>,
    publisher: Arc<dyn Publisher>,
    packing_wait_ms: Arc<AtomicU64>,
}

impl Intake {
    /// Submissions that wait for an envelope.
    pub fn waiting(&self) -> usize {
        self.offers.max_capacity() - self.offers.capacity()
    }

    /// Whether a submission that is not even read yet would probably wait in vain.
    pub fn is_saturated(&self) -> bool {
        let packing_wait = Duration::from_millis(self.packing_wait_ms.load(Ordering::Relaxed));
        let waiting = self.waiting();
        waiting >= OFFERS_MAX || (waiting > SUBMISSIONS_MAX && packing_wait > PACKING_WAIT_MAX)
    }

    /// Hands in a submission, unless the queue is known to be away or too many wait already.
    pub fn offer(&self, submission: Submission) -> Result<Confirmation, NotTaken> {
        if !self.publisher.is_ready() {
            return Err(NotTaken);
        }
        let (confirm, confirmation) = oneshot::channel();
        let offer = Offer { submission, offered_at: Instant::now(), confirm };
        self.offers.try_send(offer).map_err(|_| NotTaken)?;
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
    let packing_wait_ms = Arc::<AtomicU64>::default();
    let intake = Intake {
        offers: sender,
        publisher: Arc::clone(&publisher),
        packing_wait_ms: Arc::clone(&packing_wait_ms),
    };
    let condition = Arc::new(Condition::new("publishing"));
    (intake, Batcher { offers, publisher, condition, packing_wait_ms })
}

/// Takes what is handed in to the queue.
pub struct Batcher {
    offers: mpsc::Receiver<Offer>,
    publisher: Arc<dyn Publisher>,
    condition: Arc<Condition>,
    packing_wait_ms: Arc<AtomicU64>,
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
        let waited_ms = u64::try_from(first.offered_at.elapsed().as_millis());
        self.packing_wait_ms.store(waited_ms.unwrap_or(u64::MAX), Ordering::Relaxed);
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
        ENVELOPE_SUBMISSIONS.record_count(self.submissions.len(), &[]);
        let offered_at = Instant::now();
        // By then everybody who waited has been answered; the place in the window is worth more.
        let outcome = timeout(DURABLE_WAIT, publisher.publish(self.submissions)).await;
        let outcome = condition.note(outcome.unwrap_or(Err(PublishError::Unconfirmed)));
        PUBLISH_DURATION.record(offered_at.elapsed(), &[("outcome", word(&outcome))]);
        for confirm in self.confirms {
            // Those who hung up need no word.
            let _ = confirm.send(Durability::from(&outcome));
        }
    }
}

const fn word(outcome: &Result<(), PublishError>) -> &'static str {
    match outcome {
        Ok(()) => "confirmed",
        Err(PublishError::Unavailable(_)) => "unavailable",
        Err(PublishError::Rejected) => "rejected",
        Err(PublishError::Unconfirmed) => "unconfirmed",
    }
}

#[cfg(test)]
mod tests;
