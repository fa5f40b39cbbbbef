//! What is stored about people, by the address that they typed.
//!
//! Guarantees:
//! - `a_person_is_found_by_their_address_in_whatever_case`, page by page, and nobody else is;
//! - `a_person_is_found_before_their_tickets_can_be_searched` and after that, each ticket once;
//! - `an_erased_person_leaves_no_word_behind`: no name, address, message, page or browser of theirs, and
//!   nothing that was written to them or about them;
//! - `counts_and_audit_are_what_they_were`, but for an entry that says that the ticket was erased;
//! - `an_erasure_is_not_before_the_last_change`, whatever other clocks say;
//! - `a_submission_that_was_under_way_is_stored_erased`, whoever stores it and however much later, if it
//!   was accepted before its sender was forgotten;
//! - `an_insertion_that_runs_meanwhile_is_waited_for`: what it stores unerased is there to be erased when
//!   [`People::forget`] says `Ok`;
//! - `an_erased_submission_stays_erased_however_often_it_comes`, and is told the number that it has;
//! - `of_whoever_was_erased_what_comes_later_is_kept`: they are a person like any other;
//! - `a_ticket_that_changed_meanwhile_is_not_erased`: whoever erases looks again;
//! - `what_nobody_has_touched_for_long_is_found`, and nothing else;
//! - `one_at_a_time_has_the_turn`, and another once its time is over.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::store::StoreError;
use crate::{
    domain::{Email, PersonHash, SubmissionId},
    trace::Trace,
};

/// Tickets to erase in one transaction: nobody waits long for the locks.
pub const ERASED_TOGETHER: usize = 100;

/// A ticket that is not erased, at the version at which somebody saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SeenTicket {
    /// Which.
    pub id: SubmissionId,
    /// How many changes it had had.
    pub version: u32,
}

/// By whom tickets are erased, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// When.
    pub at: DateTime<Utc>,
    /// As the trail has it: an [`crate::domain::Actor`], or `retention`.
    pub actor: String,
    /// The address that they did it from, of staff.
    pub address: Option<String>,
    /// Their request.
    pub trace: Trace,
}

/// Finds people's tickets, and erases them.
///
/// Tickets are found by what they are searched by. Those that are not taken in yet are read one by one: where
/// those are many, a search takes its time. What is too old is looked for among all tickets there are.
#[async_trait]
pub trait People: Send + Sync {
    /// Remembers that whatever this person has submitted up to now is to be stored erased. Not
    /// before every insertion that does not know it yet has ended.
    async fn forget(&self, person: PersonHash, now: DateTime<Utc>) -> Result<(), StoreError>;

    /// When they were last forgotten, if they were.
    async fn forgotten_at(&self, person: PersonHash) -> Result<Option<DateTime<Utc>>, StoreError>;

    /// Up to `limit` tickets of an address that were submitted up to `until`, in the order of their
    /// ids: those after `after`, or the first ones. Erased ones are nobody's.
    async fn tickets_of(
        &self,
        email: &Email,
        until: DateTime<Utc>,
        after: Option<SubmissionId>,
        limit: u32,
    ) -> Result<Vec<SeenTicket>, StoreError>;

    /// Up to `limit` tickets that nobody has touched since `since`, whoever's they are; erased ones
    /// left out.
    async fn untouched(
        &self,
        since: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<SeenTicket>, StoreError>;

    /// Takes every word of people's out of these tickets, each on condition that it still has the
    /// version at which it was seen; an entry in its trail says so, and is an event. Tells which.
    async fn erase(
        &self,
        tickets: &[SeenTicket],
        erasure: &Erasure,
    ) -> Result<Vec<SubmissionId>, StoreError>;

    /// Takes the turn to look for what is too old; nobody else is given one before `until`.
    async fn take_turn(&self, now: DateTime<Utc>, until: DateTime<Utc>)
    -> Result<bool, StoreError>;
}
