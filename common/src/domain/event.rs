//! What happened to a ticket, as others are told.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    Email, Name, Priority, Status, Subject, SubmissionId, TicketNumber, UnknownWord, ticket::words,
};
use crate::{keys::half, trace::Trace};

/// Keeps these ids apart from whatever else is ever hashed.
const ID_DOMAIN: &[u8] = b"supportline event";

/// Names one event for ever, however often and by whomever it is published: what a consumer
/// recognises a repetition by.
///
/// A hash of the ticket's id and the number of its change. It needs no column and no key, is the
/// same in every process, and tells nobody how many events there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(Uuid);

impl EventId {
    /// The id of a ticket's change number `version`.
    #[must_use]
    pub fn of(ticket: SubmissionId, version: u32) -> Self {
        let mut hash = Sha256::new();
        hash.update(ID_DOMAIN);
        hash.update(ticket.as_uuid().as_bytes());
        hash.update(version.to_be_bytes());
        Self(uuid::Builder::from_custom_bytes(half(hash.finalize().into())).into_uuid())
    }

    /// The id as it travels.
    #[must_use]
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

words! {
    /// What happened. The word is also that of the audit entry.
    EventKind: "ticket.created, ticket.status_changed, ticket.assigned, ticket.replied, ticket.noted, \
                ticket.tagged, ticket.erased" {
        /// A submission became a ticket.
        TicketCreated = "ticket.created",
        /// A ticket reached another status.
        TicketStatusChanged = "ticket.status_changed",
        /// A ticket was given to a member of staff, or to nobody.
        TicketAssigned = "ticket.assigned",
        /// Staff wrote to the submitter, or the submitter to staff.
        TicketReplied = "ticket.replied",
        /// Staff wrote something down for themselves.
        TicketNoted = "ticket.noted",
        /// A ticket was filed under other words.
        TicketTagged = "ticket.tagged",
        /// Every word of its submitter's was taken out of a ticket.
        TicketErased = "ticket.erased",
    }
}

/// One thing that happened to one ticket, and what whoever hears of it needs to know of the ticket.
///
/// `name`, `email`, `subject` and `priority` are the ticket's when the event is read; the rest is
/// as it was when it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its name for ever.
    pub id: EventId,
    /// To which ticket.
    pub ticket_id: SubmissionId,
    /// What people call it.
    pub number: TicketNumber,
    /// Which change of that ticket it is: its creation is 1, and none is left out.
    pub version: u32,
    /// What happened.
    pub kind: EventKind,
    /// Who asked.
    pub name: Name,
    /// Where the answer goes. Typed by somebody and verified by nobody.
    pub email: Email,
    /// What it is about.
    pub subject: Subject,
    /// How far the ticket had come then.
    pub status: Status,
    /// How soon somebody should look.
    pub priority: Priority,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// When the edge accepted the submission.
    pub submitted_at: DateTime<Utc>,
    /// The request that caused it.
    pub trace: Trace,
    /// What was, and what became of it, as an object; of a ticket's creation nothing.
    pub changes: Option<Value>,
}

impl Event {
    /// Where it is published: its kind, and the word that consumers most often choose by.
    #[must_use]
    pub fn routing_key(&self) -> String {
        match self.kind {
            EventKind::TicketCreated => format!("{}.{}", self.kind, self.priority),
            EventKind::TicketStatusChanged => format!("{}.{}", self.kind, self.status),
            EventKind::TicketAssigned
            | EventKind::TicketReplied
            | EventKind::TicketNoted
            | EventKind::TicketTagged
            | EventKind::TicketErased => self.kind.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_same_for_ever_and_no_two_changes_share_one() {
        let ticket = SubmissionId::from(Uuid::from_u128(7));
        let other = SubmissionId::from(Uuid::from_u128(8));
        let id = EventId::of(ticket, 1);
        // Consumers have stored it.
        assert_eq!(id.to_string(), "4c294776-b50f-8438-8fce-9b2fb5bedd9d");
        assert_ne!(id, EventId::of(ticket, 2));
        assert_ne!(id, EventId::of(other, 1));
    }
}
