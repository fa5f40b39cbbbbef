//! The store of tickets.
//!
//! Guarantees:
//! - `a_batch_is_stored_whole_with_its_audit_entries_and_statistics`, or not at all;
//! - `a_taken_number_is_not_the_submissions_fault`: the caller takes another and tries again;
//! - `a_submission_is_stored_once`, however often it is inserted, in one batch or in several at a
//!   time; every insertion is told the same number;
//! - `another_form_under_a_stored_id_is_a_conflict` and changes nothing;
//! - `a_key_is_of_one_ticket`, whoever inserts what under it at the same time: another submission
//!   under the key is a conflict, the same one is told the number it has;
//! - `counters_are_handed_out_once`, to however many workers ask at a time, each year from zero;
//! - `a_ticket_is_found_by_number_and_by_id`, every field as it was inserted, alone or together with
//!   others, each in its own place;
//! - `a_ticket_is_found_by_its_key`, and under no other.

use std::{collections::HashMap, hash::Hash, ops::Range, slice};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use thiserror::Error;

use crate::{
    Cause,
    domain::{KeyHash, NewTicket, SubmissionId, Ticket, TicketNumber},
};

/// Why the store did not answer.
#[derive(Debug, Error)]
pub enum StoreError {
    /// It cannot be reached, is overloaded, or gave up for now. The same call may succeed later;
    /// whether this one took effect is open.
    #[error("the store is unavailable")]
    Unavailable(#[source] Cause),
    /// It cannot hold what it was given; the same call will fail again. Nothing took effect.
    #[error("the store rejects the data")]
    Rejected(#[source] Cause),
    /// It holds what the program cannot read.
    #[error("the store holds unreadable data in {0}")]
    Corrupt(String),
}

/// Why a release refuses the schema of a later one: something that it reads is no more.
#[derive(Debug, Error)]
#[error("the schema is of a later release, which this one cannot work on: upgrade this one")]
pub struct LaterSchema;

/// What became of one ticket of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inserted {
    /// It is stored, under its number.
    New,
    /// The submission was stored before.
    Existing {
        /// Under this number.
        number: TicketNumber,
        /// As accepted at this time: another edge may have taken it as well.
        submitted_at: DateTime<Utc>,
    },
    /// Another form is stored under this id, or another submission under its key.
    Conflict,
}

/// The worker's half.
#[async_trait]
pub trait TicketWriter: Send + Sync {
    /// Hands out the next `count` counters of a year. Those not used are lost, which is allowed.
    /// Writes even if none are asked for, which tells whether it can.
    async fn reserve(&self, year: u16, count: u32) -> Result<Range<u64>, StoreError>;

    /// Stores a batch: tickets, an audit entry each, and the statistics, in one transaction.
    /// The answers stand in the order of the batch. An empty one writes nothing, and fails where
    /// another would for want of a lock or a right.
    async fn insert(&self, batch: &[NewTicket]) -> Result<Vec<Inserted>, StoreError>;
}

/// The edge's half.
#[async_trait]
pub trait TicketReader: Send + Sync {
    /// The tickets with these numbers, each in the place of its number. What cannot be read in one of
    /// them fails all.
    async fn by_numbers(&self, numbers: &[TicketNumber])
    -> Result<Vec<Option<Ticket>>, StoreError>;

    /// The tickets made of these submissions, likewise.
    async fn by_ids(&self, ids: &[SubmissionId]) -> Result<Vec<Option<Ticket>>, StoreError>;

    /// The ticket with this number.
    async fn by_number(&self, number: &TicketNumber) -> Result<Option<Ticket>, StoreError> {
        Ok(self.by_numbers(slice::from_ref(number)).await?.pop().flatten())
    }

    /// The ticket made of this submission.
    async fn by_id(&self, id: SubmissionId) -> Result<Option<Ticket>, StoreError> {
        Ok(self.by_ids(&[id]).await?.pop().flatten())
    }

    /// The ticket of the submission that was sent under this key.
    async fn by_key(&self, key: KeyHash) -> Result<Option<Ticket>, StoreError>;
}

/// What [`TicketReader`] gives back of the rows that a store found: each ticket in the place of its
/// name, which may be asked for twice.
pub fn in_place<R, K>(
    rows: Vec<R>,
    names: &[K],
    name: fn(&Ticket) -> &K,
) -> Result<Vec<Option<Ticket>>, StoreError>
where
    Ticket: TryFrom<R, Error = StoreError>,
    K: Eq + Hash,
{
    let tickets = rows.into_iter().map(Ticket::try_from).collect::<Result<Vec<_>, _>>()?;
    let by_name: HashMap<_, _> = tickets.iter().map(|ticket| (name(ticket), ticket)).collect();
    Ok(names.iter().map(|asked| by_name.get(asked).map(|&ticket| ticket.clone())).collect())
}
