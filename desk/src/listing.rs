//! `GET /api/support/admin/tickets`: the tickets, listed and searched.
//!
//! Every list is a read of what submitters wrote, and on record before it is answered: who, by which
//! filters and how many, never what for.

mod cursor;
mod wanted;

use std::sync::Arc;

use axum::{Extension, extract::State, http::request::Parts, response::Response};
use common::domain::{ActionKind, Case, Tag};
use http::{
    answer::{enveloped, rfc3339},
    auth::Principal,
    openapi::schemas::{Id, Number, PriorityWord, StatusWord, SubjectWord, Time},
    problem::{Problem, Success},
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

pub use self::{
    cursor::Cursors,
    wanted::{LIMIT_DEFAULT, LIMIT_MAX},
};
use crate::{desk::Desk, fields::Fields};

/// `GET`: a page of them.
pub async fn list(
    State(desk): State<Arc<Desk>>,
    Extension(principal): Extension<Principal>,
    head: Parts,
) -> Result<Response, Problem> {
    let now = desk.clock.now();
    let mut fields = Fields::of_query(head.uri.query());
    let query = wanted::query(&mut fields, &desk.cursors, now);
    fields.finish()?;
    let details = json!({"filters": wanted::filters(&query), "limit": query.limit});
    desk.record(&principal, ActionKind::TicketList, "tickets", details).await?;
    let page = desk.stored(desk.index.page(&query)).await?;
    let listed = Tickets {
        tickets: page.cases.into_iter().map(Listed::from).collect(),
        next: page.next.map(|place| desk.cursors.issue(&query, &place, now)),
    };
    enveloped(Success::Found, "Tickets", &listed, now)
}

/// A page of tickets.
#[derive(Serialize, ToSchema)]
#[schema(as = Tickets)]
pub struct Tickets {
    /// In the order asked for.
    tickets: Vec<Listed>,
    /// The `cursor` of the next page; without it this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<String>,
}

/// A ticket in a list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ListedTicket)]
pub struct Listed {
    #[schema(value_type = Id)]
    id: String,
    #[schema(value_type = Number)]
    ticket_number: String,
    name: String,
    email: String,
    #[schema(value_type = SubjectWord)]
    subject: &'static str,
    #[schema(value_type = StatusWord)]
    status: &'static str,
    #[schema(value_type = PriorityWord)]
    priority: &'static str,
    /// The member of staff who has it in hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    assignee: Option<String>,
    /// What it is filed under.
    tags: Vec<String>,
    #[schema(value_type = Time)]
    submitted_at: String,
    #[schema(value_type = Time)]
    updated_at: String,
    #[schema(value_type = Time)]
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_at: Option<String>,
    /// Whether staff have replied to the submitter.
    has_reply: bool,
    /// How many changes it has had, its creation included.
    version: u32,
}

impl From<Case> for Listed {
    fn from(Case { ticket, work }: Case) -> Self {
        Self {
            id: ticket.id.to_string(),
            ticket_number: ticket.number.to_string(),
            name: ticket.form.name.as_str().to_owned(),
            email: ticket.form.email.as_str().to_owned(),
            subject: ticket.form.subject.as_str(),
            status: ticket.status.as_str(),
            priority: ticket.priority.as_str(),
            assignee: work.assignee.map(|name| name.as_str().to_owned()),
            tags: work.tags.iter().map(Tag::as_str).map(ToOwned::to_owned).collect(),
            submitted_at: rfc3339(ticket.submitted_at),
            updated_at: rfc3339(ticket.updated_at),
            resolved_at: ticket.resolved_at.map(rfc3339),
            has_reply: work.first_reply_at.is_some(),
            version: work.version,
        }
    }
}

#[cfg(test)]
mod tests;
