//! All tickets in pages, for whoever takes them elsewhere.
//!
//! Guarantees:
//! - `every_ticket_is_exported_once_however_small_the_pages`, every field as staff see it;
//! - `an_export_holds_those_that_were_asked_for`, and no other;
//! - `a_page_looks_at_so_many_tickets_and_no_more`: one that finds none of those asked for says so
//!   instead of searching on, and no page takes long;
//! - `what_changes_meanwhile_is_exported_once_all_the_same`: a page is of one moment, an export is not,
//!   and none holds a transaction open.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::store::StoreError;
use crate::domain::{
    Email, Message, Name, Priority, Status, Subject, SubmissionId, Tag, TicketNumber, UserId,
};

/// Which tickets; without a word on something, all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choice {
    /// Of one of these statuses.
    pub statuses: BTreeSet<Status>,
    /// Of one of these priorities.
    pub priorities: BTreeSet<Priority>,
    /// About one of these.
    pub subjects: BTreeSet<Subject>,
    /// Submitted then or later.
    pub from: Option<DateTime<Utc>>,
    /// Submitted before.
    pub to: Option<DateTime<Utc>>,
}

impl Choice {
    /// By what it is narrowed down, as staff call that: for the record, which does not say to what.
    #[must_use]
    pub fn narrowed_by(&self) -> Vec<&'static str> {
        let all = [
            ("status", !self.statuses.is_empty()),
            ("priority", !self.priorities.is_empty()),
            ("subject", !self.subjects.is_empty()),
            ("submittedFrom", self.from.is_some()),
            ("submittedTo", self.to.is_some()),
        ];
        all.into_iter().filter_map(|(name, is_given)| is_given.then_some(name)).collect()
    }
}

/// A ticket as it leaves the installation: its columns that reporting tools may read, and what staff
/// made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedTicket {
    /// The submission's id.
    pub id: SubmissionId,
    /// The public number.
    pub number: TicketNumber,
    /// Who asked.
    pub name: Name,
    /// Where the answer goes.
    pub email: Email,
    /// What it is about.
    pub subject: Subject,
    /// What they said.
    pub message: Message,
    /// How far it has come.
    pub status: Status,
    /// How soon somebody should look.
    pub priority: Priority,
    /// Who they claimed to be logged in as.
    pub user_id: Option<UserId>,
    /// When it was accepted.
    pub submitted_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was last resolved, if it is.
    pub resolved_at: Option<DateTime<Utc>>,
    /// The member of staff who has it in hand.
    pub assignee: Option<Name>,
    /// What it is filed under.
    pub tags: BTreeSet<Tag>,
}

/// Some of them, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Those asked for, among those looked at.
    pub tickets: Vec<ExportedTicket>,
    /// Behind which one to go on; `None` when there are no more.
    pub next: Option<SubmissionId>,
}

/// Reads pages.
#[async_trait]
pub trait Exports: Send + Sync {
    /// Looks at the next tickets behind this one, or at the first, so many at most.
    async fn page(
        &self,
        choice: &Choice,
        after: Option<SubmissionId>,
        looked_at_max: u32,
    ) -> Result<Page, StoreError>;

    /// How many tickets there are, as the statistics have it.
    async fn count(&self) -> Result<u64, StoreError>;
}
