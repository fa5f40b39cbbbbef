//! Tickets in the hands of staff.
//!
//! Guarantees:
//! - `a_case_reads_back_as_it_was_committed`: ticket, work, thread and trail;
//! - `a_case_file_is_of_one_moment`, however often its ticket is changed meanwhile;
//! - `a_commit_on_another_version_changes_nothing`, and says so;
//! - `of_many_who_commit_on_one_version_one_succeeds`;
//! - `a_commit_together_is_all_or_nothing`, and apart each for itself;
//! - `a_commit_is_counted_in_the_statistics`, in the transaction that makes it;
//! - `a_commit_is_an_event_for_each_entry`, in order.

use std::{collections::HashMap, slice};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::store::StoreError;
use crate::{
    clock::rfc3339,
    domain::{
        Case, Entry, Message, Name, Outcome, Post, Status, SubmissionId, Tag, Ticket, TicketNumber,
        recounted, retallied,
    },
    trace::Trace,
};

/// Which ticket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// By its id.
    Id(SubmissionId),
    /// By its number.
    Number(TicketNumber),
}

impl Reference {
    /// Whether this is the ticket.
    #[must_use]
    pub fn names(&self, ticket: &Ticket) -> bool {
        match self {
            Self::Id(id) => *id == ticket.id,
            Self::Number(number) => *number == ticket.number,
        }
    }
}

/// What [`Cases::find`] gives back of what a store found: each in the place of its name.
#[must_use]
pub fn in_place(which: &[Reference], cases: &[Case]) -> Vec<Option<Case>> {
    let names = |case: &Case| {
        [Reference::Id(case.ticket.id), Reference::Number(case.ticket.number.clone())]
    };
    let by_name: HashMap<_, _> =
        cases.iter().flat_map(|case| names(case).map(|name| (name, case))).collect();
    which.iter().map(|asked| by_name.get(asked).map(|&case| case.clone())).collect()
}

/// An entry of a ticket's trail, as the store has it: later releases have others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailEntry {
    /// The ticket's version that it made.
    pub version: u32,
    /// What happened.
    pub kind: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Who did it.
    pub actor: String,
    /// The address that they did it from, of staff.
    pub address: Option<String>,
    /// The request that did it.
    pub request_id: String,
    /// What was and what became of it, as an object.
    pub changes: Option<Value>,
}

/// A case with all that is said and on record about it, as of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseFile {
    /// The case.
    pub case: Case,
    /// What was said, in order.
    pub thread: Vec<Post>,
    /// What happened, in order.
    pub trail: Vec<TrailEntry>,
}

/// Version, kind, author, body, time.
type PostRow = (u32, String, Option<String>, String, DateTime<Utc>);

/// A ticket's thread as both stores' statements have it: a JSON array of arrays.
pub fn posts(number: &TicketNumber, thread: &str) -> Result<Vec<Post>, StoreError> {
    let corrupt = || StoreError::Corrupt(format!("ticket_posts of {number}"));
    let rows: Vec<PostRow> = serde_json::from_str(thread).map_err(|_| corrupt())?;
    let post = |(version, kind, author, body, at): PostRow| {
        let (author, body) = (author.map(Name::stored), Message::stored(body));
        Ok(Post { version, kind: kind.parse().map_err(|_| corrupt())?, author, body, at })
    };
    rows.into_iter().map(post).collect()
}

/// Version, kind, time, actor, address, request, changes.
type TrailRow = (u32, String, DateTime<Utc>, String, Option<String>, String, Option<Value>);

impl CaseFile {
    /// A case with what both stores' `case_file` says of it: JSON arrays of arrays.
    pub fn read(case: Case, thread: &str, trail: &str) -> Result<Self, StoreError> {
        let number = &case.ticket.number;
        let thread = posts(number, thread)?;
        let trail: Vec<TrailRow> = serde_json::from_str(trail)
            .map_err(|_| StoreError::Corrupt(format!("audit_entries of {number}")))?;
        let entry = |(version, kind, at, actor, address, request_id, changes)| TrailEntry {
            version,
            kind,
            at,
            actor,
            address,
            request_id,
            changes,
        };
        Ok(Self { thread, trail: trail.into_iter().map(entry).collect(), case })
    }
}

/// Who changes a ticket, and by which request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// As the trail has it: `submitter`, or an [`crate::domain::Actor`].
    pub actor: String,
    /// Their name among staff, where their token has one.
    pub name: Option<Name>,
    /// Their address, of staff.
    pub address: Option<String>,
    /// Their request.
    pub trace: Trace,
}

/// What is to become of a case, as of the version it was computed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// As it was.
    pub before: Case,
    /// As it is to be.
    pub outcome: Outcome,
    /// Who wants that.
    pub author: Author,
}

/// Reads and changes cases.
#[async_trait]
pub trait Cases: Send + Sync {
    /// These cases, each in the place of its name.
    async fn find(&self, which: &[Reference]) -> Result<Vec<Option<Case>>, StoreError>;

    /// One of them.
    async fn one(&self, which: &Reference) -> Result<Option<Case>, StoreError> {
        Ok(self.find(slice::from_ref(which)).await?.pop().flatten())
    }

    /// One of them with its thread and trail.
    async fn file(&self, which: &Reference) -> Result<Option<CaseFile>, StoreError>;

    /// Writes steps down, each of another ticket, on condition that its ticket still has the version it
    /// had before. Says of each whether it took effect; with `together`, either all did or none.
    async fn commit(&self, steps: &[Step], together: bool) -> Result<Vec<bool>, StoreError>;
}

/// A step as both stores' statements take it apart: an object of a JSON array. Times are RFC 3339 in UTC
/// with milliseconds.
#[derive(Debug, Serialize)]
pub struct StepParameters<'a> {
    id: String,
    /// The version it must have.
    seen: u32,
    /// The version it gets.
    version: u32,
    status: &'static str,
    updated_at: String,
    resolved_at: Option<String>,
    assignee: Option<&'a str>,
    first_reply_at: Option<String>,
    first_response_at: Option<String>,
    submitted_at: String,
    actor: &'a str,
    address: Option<&'a str>,
    request_id: &'a str,
    traceparent: &'a str,
    entries: Vec<EntryParameters>,
    post: Option<PostParameters<'a>>,
    tags_added: Vec<&'a str>,
    tags_removed: Vec<&'a str>,
    /// Of the table `statistics`.
    counts: Vec<CountParameters>,
    /// Of the table `tallies`.
    tallies: Vec<CountParameters>,
}

#[derive(Debug, Serialize)]
struct EntryParameters {
    version: u32,
    kind: &'static str,
    status: Option<&'static str>,
    /// A JSON text, kept to the letter.
    changes: String,
}

#[derive(Debug, Serialize)]
struct PostParameters<'a> {
    version: u32,
    kind: &'static str,
    author: Option<&'a str>,
    body: &'a str,
}

#[derive(Debug, Serialize)]
struct CountParameters {
    dimension: &'static str,
    value: String,
    change: i64,
}

impl<'a> From<&'a Step> for StepParameters<'a> {
    fn from(Step { before, outcome, author }: &'a Step) -> Self {
        let Case { ticket, work } = &outcome.case;
        let entry = |entry: &Entry| EntryParameters {
            version: entry.version,
            kind: entry.kind.as_str(),
            status: entry.status.map(Status::as_str),
            changes: entry.changes.to_string(),
        };
        let post = |post: &'a Post| PostParameters {
            version: post.version,
            kind: post.kind.as_str(),
            author: post.author.as_ref().map(Name::as_str),
            body: post.body.as_str(),
        };
        let count = |(dimension, value, change)| CountParameters { dimension, value, change };
        Self {
            id: ticket.id.to_string(),
            seen: before.work.version,
            version: work.version,
            status: ticket.status.as_str(),
            updated_at: rfc3339(ticket.updated_at),
            resolved_at: ticket.resolved_at.map(rfc3339),
            assignee: work.assignee.as_ref().map(Name::as_str),
            first_reply_at: work.first_reply_at.map(rfc3339),
            first_response_at: work.first_response_at.map(rfc3339),
            submitted_at: rfc3339(ticket.submitted_at),
            actor: &author.actor,
            address: author.address.as_deref(),
            request_id: &author.trace.request_id,
            traceparent: &author.trace.traceparent,
            entries: outcome.entries.iter().map(entry).collect(),
            post: outcome.post.as_ref().map(post),
            tags_added: work.tags.difference(&before.work.tags).map(Tag::as_str).collect(),
            tags_removed: before.work.tags.difference(&work.tags).map(Tag::as_str).collect(),
            counts: recounted(before, &outcome.case).into_iter().map(count).collect(),
            tallies: retallied(before, &outcome.case).into_iter().map(count).collect(),
        }
    }
}
