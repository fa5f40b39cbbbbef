//! What `verify` asks an installation, to hold its parts against each other.
//!
//! Guarantees:
//! - `an_audit_sees_every_number`;
//! - `an_audit_finds_a_wrong_statistic`;
//! - `an_audit_finds_a_ticket_without_its_audit_entry`;
//! - `an_audit_finds_a_trail_with_a_gap`;
//! - `an_audit_counts_the_events_that_were_not_published`.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{domain::SubmissionId, letters::submissions};

use super::{
    events::Cursor,
    queue::{BuriedLetter, ConsumeError},
    store::StoreError,
};

/// A ticket's number as the store has it, unparsed: telling whether it is one is the audit's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredNumber {
    /// The text.
    pub number: String,
    /// When its ticket was submitted.
    pub submitted_at: DateTime<Utc>,
}

/// A count that differs from a recount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deviation {
    /// `status`, `priority`, `subject`, `created_on`, `resolved_on`, or one of the tallies.
    pub dimension: String,
    /// Which of them.
    pub value: String,
    /// What the statistics say.
    pub kept: i64,
    /// What the tickets say.
    pub recounted: i64,
}

/// The store's half of an audit. Unlike everything else it scans.
#[async_trait]
pub trait StoreAudit: Send + Sync {
    /// The first few things that are wrong with the store's file, each on a line; `None` where the
    /// files are a server's, which looks after them itself.
    async fn damage(&self) -> Result<Option<Vec<String>>, StoreError> {
        Ok(None)
    }

    /// How many tickets there are.
    async fn tickets(&self) -> Result<u64, StoreError>;

    /// Up to `limit` numbers, in their own order: those after `after`, or the first ones.
    async fn numbers(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<StoredNumber>, StoreError>;

    /// How many counters of a year were handed out.
    async fn reserved(&self, year: u16) -> Result<u64, StoreError>;

    /// Every count that differs from a recount, both taken in one snapshot.
    async fn deviations(&self) -> Result<Vec<Deviation>, StoreError>;

    /// How many tickets lack the audit entry of their creation.
    async fn unaudited(&self) -> Result<u64, StoreError>;

    /// How many tickets have a trail that does not tell of each of their changes once, from the first
    /// to the last.
    async fn untold(&self) -> Result<u64, StoreError>;
}

/// The outbox's half.
#[async_trait]
pub trait OutboxAudit: Send + Sync {
    /// The place of the last event that is committed.
    async fn head(&self) -> Result<Cursor, StoreError>;

    /// How many events up to a place were not published yet.
    async fn unpublished(&self, through: Cursor) -> Result<u64, StoreError>;
}

/// How many messages lie where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depths {
    /// Waiting for a worker; where the queue can tell, also with one.
    pub queued: u64,
    /// Not routed to the intake queue.
    pub unrouted: u64,
    /// Given up.
    pub dead: u64,
    /// Somebody goes through the dead letters, so there may be more than `dead`.
    pub are_dead_held: bool,
}

/// The queue's half of an audit.
#[async_trait]
pub trait QueueAudit: Send + Sync {
    /// How many messages lie where.
    async fn depths(&self) -> Result<Depths, ConsumeError>;

    /// Looks at up to `limit` dead letters, the oldest first, and leaves them where they are.
    async fn dead_letters(&self, limit: u32) -> Result<Vec<BuriedLetter>, ConsumeError>;

    /// Whose submissions lie in up to `limit` dead letters, the oldest of them: of each letter that
    /// was come past, which may be fewer than there are.
    async fn dead_submissions(&self, limit: u32) -> Result<Vec<Vec<SubmissionId>>, ConsumeError> {
        Ok(self.dead_letters(limit).await?.iter().map(submissions).collect())
    }
}
