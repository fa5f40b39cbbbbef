//! `/api/support/admin/tickets/…`: one ticket in the hands of staff, and several at a time.
//!
//! Whoever is shown a ticket is on record before. Whoever changes one is in its trail, in the
//! transaction that does it; `changing.rs` has that.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderValue, header, request::Parts},
    response::Response,
};
use common::{
    domain::{ActionKind, Change, Message, PostKind, TicketNumber},
    ports::cases::Reference,
};
use http::{
    answer::enveloped,
    auth::Principal,
    problem::{Problem, Success},
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    changing::{IfMatch, change},
    desk::Desk,
    fields::{self, Fields, Id, text},
    shown::{Changed, Posted, Shown},
    wishes,
};

/// `GET …/{id}`: the ticket with its thread and trail.
pub async fn show(
    State(desk): State<Arc<Desk>>,
    Extension(principal): Extension<Principal>,
    Id(id): Id,
    head: Parts,
) -> Result<Response, Problem> {
    Fields::of_query(head.uri.query()).finish()?;
    let which = reference(&id).ok_or(Problem::TicketNotFound)?;
    let file = desk.stored(desk.cases.file(&which)).await?.ok_or(Problem::TicketNotFound)?;
    let number = file.case.ticket.number.to_string();
    desk.record(&principal, ActionKind::TicketView, &number, json!({})).await?;
    let version = file.case.work.version;
    let answer = enveloped(Success::Found, "Ticket", &Shown::from(&file), desk.clock.now());
    answer.map(|answer| tagged(answer, version))
}

/// `PATCH …/{id}`: status, member of staff and tags, together.
pub async fn amend(
    State(desk): State<Arc<Desk>>,
    Extension(principal): Extension<Principal>,
    Id(id): Id,
    request: Request,
) -> Result<Response, Problem> {
    let (head, mut fields) = fields::of_body(request).await?;
    let wanted = wishes::read(&mut fields);
    wishes::admit(&desk, wanted.assignee.as_ref(), &mut fields, "assignee").await?;
    fields.finish()?;
    let case = changed(&desk, &principal, &head, &id, &wanted).await?;
    let version = case.work.version;
    let answer = enveloped(Success::Found, "Ticket", &Changed::from(&case), desk.clock.now());
    answer.map(|answer| tagged(answer, version))
}

/// `POST …/{id}/replies`: writes to the submitter.
pub async fn reply(
    State(desk): State<Arc<Desk>>,
    Extension(principal): Extension<Principal>,
    Id(id): Id,
    request: Request,
) -> Result<Response, Problem> {
    post(&desk, &principal, &id, request, PostKind::Reply).await
}

/// `POST …/{id}/notes`: writes something down for other staff.
pub async fn note(
    State(desk): State<Arc<Desk>>,
    Extension(principal): Extension<Principal>,
    Id(id): Id,
    request: Request,
) -> Result<Response, Problem> {
    post(&desk, &principal, &id, request, PostKind::Note).await
}

async fn post(
    desk: &Desk,
    principal: &Principal,
    id: &str,
    request: Request,
    kind: PostKind,
) -> Result<Response, Problem> {
    let (head, mut fields) = fields::of_body(request).await?;
    let message = fields.required("message", text(Message::parse));
    fields.finish()?;
    let message = message.ok_or(Problem::Internal)?;
    let wanted = Change { post: Some((kind, message)), ..Change::default() };
    let case = changed(desk, principal, &head, id, &wanted).await?;
    let version = case.work.version;
    let posted = Posted { kind: kind.as_str(), ticket: Changed::from(&case) };
    let answer = enveloped(Success::Created, "Written", &posted, desk.clock.now());
    answer.map(|answer| tagged(answer, version))
}

async fn changed(
    desk: &Desk,
    principal: &Principal,
    head: &Parts,
    id: &str,
    wanted: &Change,
) -> Result<common::domain::Case, Problem> {
    let which = reference(id).ok_or(Problem::TicketNotFound)?;
    let only = IfMatch::of(&head.headers)?;
    let author = desk.author(principal, head);
    change(desk, &which, wanted, &author, only.as_ref()).await
}

/// A ticket's number or id, as answers write them; people type numbers, and not always in capitals.
pub fn reference(text: &str) -> Option<Reference> {
    let id = Uuid::try_parse(text).ok().filter(|_| text.len() == 36);
    let number = || text.to_ascii_uppercase().parse::<TicketNumber>().ok();
    id.map(|id| Reference::Id(id.into())).or_else(|| number().map(Reference::Number))
}

/// With the version as the answer's entity tag.
fn tagged(mut answer: Response, version: u32) -> Response {
    let tag = HeaderValue::try_from(format!("\"{version}\"")).ok();
    answer.headers_mut().extend(tag.map(|tag| (header::ETAG, tag)));
    answer
}

#[cfg(test)]
mod tests;
