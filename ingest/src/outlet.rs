//! Where envelopes leave the edge: to the queue or, while that is away, to the spool, if there is one.

use std::{sync::Arc, time::Duration};

use common::{
    domain::Submission,
    metrics::PUBLISH_DURATION,
    ports::queue::{PublishError, Publisher},
};
use tokio::time::{Instant, timeout_at};

use crate::{
    condition::Condition,
    spool::{Appended, Spool},
    submit::DURABLE_WAIT,
};

/// How long after it was offered a submission is waited for at the queue, where there is a spool. The
/// other half of [`DURABLE_WAIT`] is the disk's.
const SPOOL_AFTER: Duration = Duration::from_secs(1);

/// What the queue has at least to confirm an envelope. In a crowd that the queue can just cope with,
/// submissions wait for long before they are sent, and need not be sent twice for that.
const CONFIRM_WAIT_MIN: Duration = Duration::from_millis(500);

/// What is known of a submission that was handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The queue has it.
    Durable,
    /// This edge's disk has it.
    Spooled,
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

/// The one way out.
pub struct Outlet {
    publisher: Arc<dyn Publisher>,
    spool: Option<Arc<Spool>>,
    condition: Condition,
}

impl Outlet {
    pub const fn new(publisher: Arc<dyn Publisher>, spool: Option<Arc<Spool>>) -> Self {
        Self { publisher, spool, condition: Condition::new("publishing") }
    }

    /// Whether the queue takes envelopes, as far as is known.
    pub fn has_queue(&self) -> bool {
        self.publisher.is_ready()
    }

    /// Whether there is a spool with room for more.
    pub fn has_spool(&self) -> bool {
        self.spool.as_ref().is_some_and(|spool| spool.has_room())
    }

    /// Whether to take one more in. A no is counted as the spool's.
    pub fn admits(&self) -> bool {
        self.has_queue() || self.spool.as_ref().is_some_and(|spool| spool.admits())
    }

    /// The spool, if there is one.
    pub const fn spool(&self) -> Option<&Arc<Spool>> {
        self.spool.as_ref()
    }

    /// Sends an envelope whose oldest submission was offered then.
    pub async fn send(&self, submissions: Vec<Submission>, offered_at: Instant) -> Durability {
        let Some(spool) = &self.spool else {
            // By then everybody who waited has been answered; the place in the window is worth more.
            let until = Instant::now() + DURABLE_WAIT;
            return Durability::from(&self.publish(submissions, until).await);
        };
        let mut durability = Durability::Refused;
        if self.has_queue() && !spool.is_first_choice() {
            let until = (offered_at + SPOOL_AFTER).max(Instant::now() + CONFIRM_WAIT_MIN);
            durability = Durability::from(&self.publish(submissions.clone(), until).await);
            spool.note(durability == Durability::Durable);
            if durability == Durability::Durable {
                return durability;
            }
        }
        // What may be in the queue as well is stored once all the same.
        match spool.append(&submissions, Instant::now() + DURABLE_WAIT).await {
            Appended::Spooled => Durability::Spooled,
            Appended::Open => Durability::Open,
            Appended::Refused => durability,
        }
    }

    async fn publish(
        &self,
        submissions: Vec<Submission>,
        until: Instant,
    ) -> Result<(), PublishError> {
        let begun_at = Instant::now();
        let outcome = timeout_at(until, self.publisher.publish(submissions)).await;
        let outcome = self.condition.note(outcome.unwrap_or(Err(PublishError::Unconfirmed)));
        PUBLISH_DURATION.record(begun_at.elapsed(), &[("outcome", word(&outcome))]);
        outcome
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
