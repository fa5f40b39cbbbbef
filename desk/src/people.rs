//! `/api/support/admin/people`: all that is stored about somebody, told and erased.
//!
//! The address is in the body: in a URL it would stand in the logs of every proxy. What is done is on
//! record before, under a keyed hash of it, by the office that operators' commands go to as well.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::{Request, State},
    response::Response,
};
use common::{
    domain::{Because, Case, Email, Post, RuleViolation, SubmissionId},
    letters,
    people::{Erased, Export, FoundLetter, Order},
    ports::{
        cases::{CaseFile, TrailEntry},
        dead_letters::LetterId,
    },
    trace::Trace,
};
use http::{
    answer::{enveloped, rfc3339},
    auth::Principal,
    openapi::schemas::{Id, Number, PriorityWord, StatusWord, SubjectWord, Time},
    problem::{Problem, Success},
    query::within,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    desk::{Desk, actor},
    fields::{self, text},
    wanted::because,
};

/// How many tickets are told at a time unless another number is asked for, and at most.
pub const LIMIT_DEFAULT: u32 = 100;
/// The most tickets in an answer: one may be ten thousand characters long, and its thread longer.
pub const LIMIT_MAX: u32 = 500;

/// How long a request goes on erasing, well within its deadline.
const ERASING_WAIT: Duration = Duration::from_secs(20);

/// What is said of an erasure.
pub const ALL: &str = "What is stored about the address is erased";
const BUT_FOR_LETTERS: &str =
    "What is stored about the address is erased, but for dead letters that somebody has to look at";
pub const NOT_ALL: &str =
    "Not all that is stored about the address is erased yet: ask again for the rest";

/// `POST …/export`: all that is stored about an address, some tickets at a time.
pub async fn export(
    State(desk): State<Arc<Desk>>,
    Extension(principal): Extension<Principal>,
    Extension(trace): Extension<Trace>,
    request: Request,
) -> Result<Response, Problem> {
    let (_, mut fields) = fields::of_body(request).await?;
    let email = fields.required("email", text(Email::parse));
    let after = fields.optional("after", text(id));
    let limit = fields.optional("limit", limit).unwrap_or(LIMIT_DEFAULT);
    let because = fields.optional("because", text(Because::parse));
    fields.finish()?;
    let email = email.ok_or(Problem::Internal)?;
    let _place = desk.transfer()?;
    let order =
        Order { actor: actor(&principal), origin: principal.origin.clone(), because, trace };
    let export = desk.people.export(&email, after, limit, &order).await;
    let person = Person::of(desk.told_of_people(export)?);
    enveloped(Success::Found, "What is stored about the address", &person, desk.clock.now())
}

/// `POST …/erase`: takes every word of theirs out of what an address has sent.
pub async fn erase(
    State(desk): State<Arc<Desk>>,
    Extension(principal): Extension<Principal>,
    Extension(trace): Extension<Trace>,
    request: Request,
) -> Result<Response, Problem> {
    let (_, mut fields) = fields::of_body(request).await?;
    let email = fields.required("email", text(Email::parse));
    let because = because(&mut fields);
    fields.finish()?;
    let email = email.ok_or(Problem::Internal)?;
    let _place = desk.transfer()?;
    let order =
        Order { actor: actor(&principal), origin: principal.origin.clone(), because, trace };
    let erased = desk.people.erase(&email, &order, Some(ERASING_WAIT)).await;
    let outcome = Outcome::from(desk.told_of_people(erased)?);
    enveloped(Success::Found, outcome.message(), &outcome, desk.clock.now())
}

fn id(text: &str) -> Result<SubmissionId, RuleViolation> {
    let id = Uuid::try_parse(text).ok().filter(|_| text.len() == 36);
    id.map(Into::into).ok_or_else(|| RuleViolation::new("invalid_id", "must be as it was told"))
}

fn limit(value: &Value) -> Result<u32, RuleViolation> {
    within(value.as_u64().and_then(|number| u32::try_from(number).ok()), LIMIT_MAX)
}

/// Some of what is stored about a person.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// When they were last erased. What is told here has come later.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Time)]
    erased_at: Option<String>,
    /// Tickets of theirs, in the order of their ids.
    tickets: Vec<PersonsTicket>,
    /// What could not become a ticket, told with the first tickets.
    dead_letters: Vec<PersonsLetter>,
    /// Dead letters in which their address stands, and of which nobody can tell whose they are.
    undecided_dead_letters: Vec<String>,
    /// Whether somebody else goes through the dead letters right now: what they have in hand is not
    /// among these.
    are_some_held: bool,
    /// Ask with this as `after` for more. Left out where there are no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Id)]
    next: Option<Uuid>,
}

impl Person {
    /// What was found.
    #[must_use]
    pub fn of(export: Export) -> Self {
        Self {
            erased_at: export.erased_at.map(rfc3339),
            tickets: export.tickets.into_iter().map(PersonsTicket::of).collect(),
            dead_letters: export.letters.theirs.into_iter().map(PersonsLetter::of).collect(),
            undecided_dead_letters: names(&export.letters.undecided),
            are_some_held: export.letters.are_some_held,
            next: export.next.map(SubmissionId::as_uuid),
        }
    }
}

/// A ticket with all that was said about it. Who of staff did what is not told.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonsTicket {
    #[schema(value_type = Id)]
    id: Uuid,
    #[schema(value_type = Number)]
    ticket_number: String,
    name: String,
    email: String,
    #[schema(value_type = SubjectWord)]
    subject: String,
    message: String,
    #[schema(value_type = StatusWord)]
    status: String,
    #[schema(value_type = PriorityWord)]
    priority: String,
    #[schema(value_type = Time)]
    submitted_at: String,
    #[schema(value_type = Time)]
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Time)]
    resolved_at: Option<String>,
    /// The sender's time, to the letter.
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    user_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    url: Option<String>,
    /// What it is filed under.
    tags: Vec<String>,
    /// What was said, notes of staff included, in order.
    thread: Vec<PersonsPost>,
    /// What happened, in order.
    history: Vec<PersonsChange>,
}

impl PersonsTicket {
    fn of(CaseFile { case, thread, trail }: CaseFile) -> Self {
        let Case { ticket, work } = case;
        let form = ticket.form;
        let post = |post: Post| PersonsPost {
            kind: post.kind.as_str(),
            at: rfc3339(post.at),
            body: post.body.as_str().to_owned(),
        };
        let change = |it: TrailEntry| PersonsChange { kind: it.kind, at: rfc3339(it.at) };
        Self {
            id: ticket.id.as_uuid(),
            ticket_number: ticket.number.to_string(),
            name: form.name.as_str().to_owned(),
            email: form.email.as_str().to_owned(),
            subject: form.subject.to_string(),
            message: form.message.as_str().to_owned(),
            status: ticket.status.to_string(),
            priority: ticket.priority.to_string(),
            submitted_at: rfc3339(ticket.submitted_at),
            updated_at: rfc3339(ticket.updated_at),
            resolved_at: ticket.resolved_at.map(rfc3339),
            timestamp: form.timestamp.as_str().to_owned(),
            user_id: form.user_id.map(|it| it.as_str().to_owned()),
            user_agent: form.user_agent.map(|it| it.as_str().to_owned()),
            url: form.url.map(|it| it.as_str().to_owned()),
            tags: work.tags.iter().map(|it| it.as_str().to_owned()).collect(),
            thread: thread.into_iter().map(post).collect(),
            history: trail.into_iter().map(change).collect(),
        }
    }
}

/// Something that was said.
#[derive(Serialize, ToSchema)]
pub struct PersonsPost {
    /// `reply` or `note`, of staff; or `answer`, of the person.
    kind: &'static str,
    #[schema(value_type = Time)]
    at: String,
    body: String,
}

/// Something that happened.
#[derive(Serialize, ToSchema)]
pub struct PersonsChange {
    /// What, as the event is called.
    kind: String,
    #[schema(value_type = Time)]
    at: String,
}

/// A dead letter that holds something of a person's.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonsLetter {
    id: String,
    /// Why it was given up.
    code: String,
    #[schema(value_type = Time)]
    first_seen_at: String,
    /// What they sent, as it lies there.
    #[schema(value_type = Vec<Object>)]
    submissions: Vec<Value>,
}

impl PersonsLetter {
    fn of(FoundLetter { id, code, first_seen_at, submissions }: FoundLetter) -> Self {
        let code = letters::code(&code);
        Self { id: id.to_string(), code, first_seen_at: rfc3339(first_seen_at), submissions }
    }
}

/// What was erased.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ErasedPerson)]
pub struct Outcome {
    /// How many tickets.
    tickets: usize,
    /// How many dead letters are gone, or hold nothing of theirs any more.
    dead_letters: usize,
    /// Dead letters in which their address stands, and of which nobody can tell whose they are. They
    /// stay: look, and delete them.
    undecided_dead_letters: Vec<String>,
    /// Whether somebody else goes through the dead letters right now: what they have in hand was not
    /// looked into.
    are_some_held: bool,
    /// False where a request's time was used up, or dead letters were in somebody's hands: ask again for
    /// the rest. What this one did not come to is not among its counts.
    is_complete: bool,
}

impl Outcome {
    /// Whether all of it is erased, in words.
    #[must_use]
    pub const fn message(&self) -> &'static str {
        match (self.is_complete, self.undecided_dead_letters.is_empty()) {
            (false, _) => NOT_ALL,
            (true, false) => BUT_FOR_LETTERS,
            (true, true) => ALL,
        }
    }
}

impl From<Erased> for Outcome {
    fn from(erased: Erased) -> Self {
        Self {
            tickets: erased.tickets,
            dead_letters: erased.letters,
            undecided_dead_letters: names(&erased.undecided),
            are_some_held: erased.are_some_held,
            is_complete: erased.is_complete,
        }
    }
}

fn names(letters: &[LetterId]) -> Vec<String> {
    letters.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests;
