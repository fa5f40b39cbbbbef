//! The records of an installation from their beginning, and the seals over them.
//!
//! Guarantees:
//! - `an_entry_of_a_record_is_read_back_in_every_field`;
//! - `what_was_read_of_a_record_is_never_preceded_by_anything_new`, however transactions commit;
//! - `what_is_on_record_of_a_ticket_is_read_alone`, without looking at what is of others;
//! - `a_seal_is_read_back_as_it_was_set`, in order;
//! - `of_two_who_set_a_seal_one_succeeds`, and none is set that does not follow the last one;
//! - `entries_and_seals_stay_as_they_are`: nothing changes them or takes them away, unless somebody
//!   first takes away what keeps them from that.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{actions::RecordedAction, events::Cursor, store::StoreError};
use crate::{
    domain::{Record, SubmissionId, TicketNumber},
    seals::Seal,
};

/// An entry of a ticket's trail as the store has it, unparsed: later releases have others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedChange {
    /// Of which ticket, a hyphenated UUID in small letters.
    pub ticket_id: String,
    /// The ticket's version that it made.
    pub version: i64,
    /// What happened.
    pub kind: String,
    /// The status thereby reached.
    pub status: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
    /// Who did it.
    pub actor: String,
    /// The address that they did it from, of staff.
    pub address: Option<String>,
    /// The request that did it.
    pub request_id: String,
    /// Its trace.
    pub traceparent: String,
    /// What was and what became of it, as JSON, to the letter.
    pub changes: Option<String>,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Of [`Record::Tickets`].
    Change(RecordedChange),
    /// Of [`Record::Actions`].
    Action(RecordedAction),
}

impl Content {
    /// When it happened.
    #[must_use]
    pub const fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Change(change) => change.at,
            Self::Action(action) => action.acted_at,
        }
    }

    /// Who did it.
    #[must_use]
    pub const fn actor(&self) -> &str {
        match self {
            Self::Change(change) => change.actor.as_str(),
            Self::Action(action) => action.actor.as_str(),
        }
    }
}

/// An entry in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordEntry {
    /// Behind which the next one is.
    pub place: Cursor,
    /// What it says.
    pub content: Content,
}

/// What the records call a ticket, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketNames {
    /// As changes do.
    pub id: Option<SubmissionId>,
    /// As actions do, some of them.
    pub number: Option<TicketNumber>,
}

/// Reads both records.
#[async_trait]
pub trait Records: Send + Sync {
    /// Up to `limit` entries after a place, of those that nothing can be put before any more.
    async fn entries(
        &self,
        record: Record,
        after: Cursor,
        limit: u32,
    ) -> Result<Vec<RecordEntry>, StoreError>;

    /// The same, of one ticket.
    async fn entries_of(
        &self,
        record: Record,
        ticket: &TicketNames,
        after: Cursor,
        limit: u32,
    ) -> Result<Vec<RecordEntry>, StoreError>;

    /// Up to `limit` seals after the one of this number.
    async fn seals(&self, record: Record, after: u64, limit: u32) -> Result<Vec<Seal>, StoreError>;

    /// The last seal.
    async fn last_seal(&self, record: Record) -> Result<Option<Seal>, StoreError>;
}

/// The worker's half.
#[async_trait]
pub trait SealSetter: Records {
    /// Sets the next seal. False, and without effect, where its number is not the next one: somebody
    /// else was first.
    async fn set(&self, record: Record, seal: &Seal) -> Result<bool, StoreError>;
}
