//! Tickets as staff are shown them.

use common::{
    domain::{Case, Name, PageUrl, Post, Tag, UserAgent, UserId},
    ports::cases::{CaseFile, TrailEntry},
};
use http::{
    answer::rfc3339,
    openapi::schemas::{Id, Number, PriorityWord, StatusWord, SubjectWord, Time},
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// What staff may know of a ticket without being shown what is personal.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ChangedTicket)]
pub struct Changed<'a> {
    #[schema(value_type = Id)]
    id: Uuid,
    #[schema(value_type = Number)]
    ticket_number: String,
    /// How many changes it has had, its creation included; `ETag` has it as well.
    version: u32,
    #[schema(value_type = SubjectWord)]
    subject: &'static str,
    #[schema(value_type = StatusWord)]
    status: &'static str,
    /// Where the status leads.
    #[schema(value_type = Vec<StatusWord>)]
    allowed_statuses: Vec<&'static str>,
    #[schema(value_type = PriorityWord)]
    priority: &'static str,
    /// The member of staff who has it in hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    assignee: Option<&'a str>,
    tags: Vec<&'a str>,
    #[schema(value_type = Time)]
    submitted_at: String,
    #[schema(value_type = Time)]
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Time)]
    resolved_at: Option<String>,
    /// When staff first replied.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Time)]
    first_reply_at: Option<String>,
    /// When staff first replied or first moved it off `open`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Time)]
    first_response_at: Option<String>,
}

impl<'a> From<&'a Case> for Changed<'a> {
    fn from(Case { ticket, work }: &'a Case) -> Self {
        Self {
            id: ticket.id.as_uuid(),
            ticket_number: ticket.number.to_string(),
            version: work.version,
            subject: ticket.form.subject.as_str(),
            status: ticket.status.as_str(),
            allowed_statuses: ticket.status.next().iter().map(|it| it.as_str()).collect(),
            priority: ticket.priority.as_str(),
            assignee: work.assignee.as_ref().map(Name::as_str),
            tags: work.tags.iter().map(Tag::as_str).collect(),
            submitted_at: rfc3339(ticket.submitted_at),
            updated_at: rfc3339(ticket.updated_at),
            resolved_at: ticket.resolved_at.map(rfc3339),
            first_reply_at: work.first_reply_at.map(rfc3339),
            first_response_at: work.first_response_at.map(rfc3339),
        }
    }
}

/// What was written, and the ticket since.
#[derive(Serialize, ToSchema)]
#[schema(as = WrittenPost)]
pub struct Posted<'a> {
    pub kind: &'static str,
    pub ticket: Changed<'a>,
}

/// A ticket as a whole.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StaffTicket)]
pub struct Shown<'a> {
    #[serde(flatten)]
    changed: Changed<'a>,
    name: &'a str,
    email: &'a str,
    message: &'a str,
    /// The sender's time, to the letter.
    timestamp: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    user_agent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    url: Option<&'a str>,
    /// What was said, in order.
    thread: Vec<Said<'a>>,
    /// What happened, in order.
    trail: Vec<Happened<'a>>,
}

/// A text of the thread.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StaffPost)]
pub struct Said<'a> {
    /// The change of the ticket that it was.
    version: u32,
    /// `reply`: of staff, to the submitter; `note`: of staff, among themselves; `answer`: of the
    /// submitter.
    kind: &'static str,
    /// The member of staff who wrote it, where their token has a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    author: Option<&'a str>,
    message: &'a str,
    #[schema(value_type = Time)]
    at: String,
}

impl<'a> From<&'a Post> for Said<'a> {
    fn from(post: &'a Post) -> Self {
        Self {
            version: post.version,
            kind: post.kind.as_str(),
            author: post.author.as_ref().map(Name::as_str),
            message: post.body.as_str(),
            at: rfc3339(post.at),
        }
    }
}

/// An entry of the trail.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TrailEntry)]
pub struct Happened<'a> {
    version: u32,
    /// As the event is called.
    kind: &'a str,
    #[schema(value_type = Time)]
    at: String,
    /// `submitter`, `token:ID:ROLE` or `admin-key`.
    actor: &'a str,
    /// Where staff did it from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    address: Option<&'a str>,
    request_id: &'a str,
    /// What was and what became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, nullable = false)]
    changes: Option<&'a Value>,
}

impl<'a> From<&'a TrailEntry> for Happened<'a> {
    fn from(entry: &'a TrailEntry) -> Self {
        Self {
            version: entry.version,
            kind: &entry.kind,
            at: rfc3339(entry.at),
            actor: &entry.actor,
            address: entry.address.as_deref(),
            request_id: &entry.request_id,
            changes: entry.changes.as_ref(),
        }
    }
}

impl<'a> From<&'a CaseFile> for Shown<'a> {
    fn from(CaseFile { case, thread, trail }: &'a CaseFile) -> Self {
        let form = &case.ticket.form;
        Self {
            changed: Changed::from(case),
            name: form.name.as_str(),
            email: form.email.as_str(),
            message: form.message.as_str(),
            timestamp: form.timestamp.as_str(),
            user_id: form.user_id.as_ref().map(UserId::as_str),
            user_agent: form.user_agent.as_ref().map(UserAgent::as_str),
            url: form.url.as_ref().map(PageUrl::as_str),
            thread: thread.iter().map(Said::from).collect(),
            trail: trail.iter().map(Happened::from).collect(),
        }
    }
}
