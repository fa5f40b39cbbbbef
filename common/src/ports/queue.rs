//! The queue between edge and worker.
//!
//! Guarantees:
//! - `a_published_submission_is_delivered`;
//! - `bytes_that_are_published_are_delivered_as_they_are`;
//! - `an_unsettled_delivery_comes_back`, counted in [`Delivery::attempts`], when its consumer is
//!   dropped or its process dies;
//! - `a_settled_delivery_does_not_come_back`;
//! - `a_careful_consumer_holds_one_delivery`, so that only that one comes back;
//! - `a_receipt_reaches_the_edge_that_published`, unless that edge or the connection is gone:
//!   receipts are a courtesy and the store is the truth;
//! - `a_dead_letter_keeps_its_bytes_and_its_reason`.
//!
//! What cannot hold in both backends is no part of the port: when a publish counts as durable
//! differs. On a broker it is the broker's confirm. In process it is the worker's settlement, since
//! there the store is the only durable thing.

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use thiserror::Error;

use crate::{
    Cause,
    domain::{DeadLetterCode, Submission, SubmissionId, TicketNumber},
    envelope::{Item, Unreadable},
};

/// Batches of receipts that may wait for an edge to read them. They are a courtesy: beyond this they
/// are dropped, and the edge answers 202.
pub const RECEIPT_BATCHES_MAX: usize = 1_024;

/// The edge's half.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Offers submissions as one envelope. `Ok` says that they are durable.
    ///
    /// Dropping the future leaves the outcome open, as [`PublishError::Unconfirmed`] does.
    async fn publish(&self, submissions: Vec<Submission>) -> Result<(), PublishError>;

    /// The same of the bytes of an envelope not all of which this release can read: whoever consumes
    /// it judges it.
    async fn publish_bytes(&self, body: Bytes) -> Result<(), PublishError>;

    /// Whether an envelope offered now would, as far as is known, be taken.
    fn is_ready(&self) -> bool;
}

/// Why an envelope is not known to be durable.
#[derive(Debug, Error)]
pub enum PublishError {
    /// The queue cannot be reached or takes nothing now; nothing was queued.
    #[error("the queue is unavailable")]
    Unavailable(#[source] Cause),
    /// The queue refused it, being full; nothing was queued.
    #[error("the queue refused the envelope")]
    Rejected,
    /// The queue did not say in time. The submissions may still become tickets, once each.
    #[error("the queue did not confirm the envelope")]
    Unconfirmed,
}

/// What a worker tells the edge about a submission that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Which submission.
    pub id: SubmissionId,
    /// The number of its ticket.
    pub number: TicketNumber,
    /// When the submission that is stored was accepted: perhaps not the one published here, if
    /// several edges took the same.
    pub submitted_at: DateTime<Utc>,
}

/// The worker's half: one consumer is one lane, used by one task.
///
/// Dropping it gives every unsettled delivery back to the queue.
#[async_trait]
pub trait Consumer: Send {
    /// Waits for a delivery, then takes along what else is there: at least one, and no more once
    /// they hold `submissions_max` submissions. Dropping the future loses none.
    async fn receive(&mut self, submissions_max: usize) -> Result<Vec<Delivery>, ConsumeError>;

    /// Settles deliveries in the order received: sends receipts, then puts down dead letters and,
    /// when those are durable, acknowledges. An error leaves open which deliveries are settled;
    /// those that are not will come back.
    async fn settle(&mut self, settlements: Vec<Settlement>) -> Result<(), ConsumeError>;
}

/// Opens consumers.
#[async_trait]
pub trait ConsumerSource: Send + Sync {
    /// Opens another consumer.
    async fn open(&self, prefetch: Prefetch) -> Result<Box<dyn Consumer>, ConsumeError>;
}

/// How much a consumer holds at a time. All that it holds when it dies counts as delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefetch {
    /// As much as keeps it busy.
    Many,
    /// One envelope, so that whatever that one does to its consumer, no other pays for it; and on a
    /// broker another of those that were not routed, if there are any.
    One,
}

/// The consumer lost its queue: drop it and open another.
#[derive(Debug, Error)]
#[error("the queue is unavailable")]
pub struct ConsumeError(#[source] pub Cause);

/// One envelope, delivered and not yet settled.
#[derive(Debug)]
pub struct Delivery {
    /// Names the delivery to its consumer.
    pub tag: u64,
    /// How often it was delivered before.
    pub attempts: u32,
    /// The submissions, or the reason why the body cannot be read at all.
    pub content: Result<Vec<Item>, Unreadable>,
}

/// What becomes of a delivery.
#[derive(Debug)]
pub struct Settlement {
    /// The delivery's name.
    pub tag: u64,
    /// Its outcome.
    pub outcome: Outcome,
}

/// Every submission of a delivery is accounted for.
#[derive(Debug)]
pub enum Outcome {
    /// Each is stored, or its place is taken by a dead letter.
    Done {
        /// For the stored ones.
        receipts: Vec<Receipt>,
        /// For the others.
        dead_letters: Vec<DeadLetter>,
    },
    /// The whole delivery is a dead letter, bytes and properties intact.
    Dead(DeadLetterReason),
}

/// One submission that cannot become a ticket.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The bytes as they came, or an envelope that holds just this submission.
    pub body: Bytes,
    /// Why.
    pub reason: DeadLetterReason,
}

/// Why something cannot become a ticket: a word for programs, a sentence for people, no personal
/// data in either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterReason {
    /// The word.
    pub code: DeadLetterCode,
    /// What exactly.
    pub detail: String,
}

/// A dead letter as it lies in the queue.
#[derive(Debug, Clone)]
pub struct BuriedLetter {
    /// The bytes as they came.
    pub body: Bytes,
    /// The word for programs: a [`DeadLetterCode`], unless somebody else buried it.
    pub code: String,
    /// The sentence for people.
    pub detail: String,
    /// When a worker gave it up.
    pub first_seen_at: DateTime<Utc>,
    /// How often it was delivered, the last time included.
    pub attempts: u32,
}
