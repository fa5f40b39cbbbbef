//! `GET /api/support/admin/audit`: all that is on record, as a stream of lines.

use std::{io, sync::Arc};

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderValue, header, request::Parts},
    response::Response,
};
use chrono::{DateTime, Utc};
use common::{
    audit::{Excerpt, Places, Reading},
    domain::{ActionKind, Record, RuleViolation, SubmissionId, TicketNumber},
    ports::cases::Reference,
};
use futures_util::{StreamExt, stream};
use http::{auth::Principal, problem::Problem};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    desk::Desk,
    fields::{Fields, one_of, text},
    times::{between, time},
};

/// Longest name of an actor, in characters: more than any has.
const ACTOR_CHARS_MAX: usize = 200;

/// Streams what was asked for, page by page as the caller takes it. That somebody read it is on record
/// as well, before the first line.
pub async fn export(
    State(desk): State<Arc<Desk>>,
    Extension(principal): Extension<Principal>,
    head: Parts,
) -> Result<Response, Problem> {
    let query = head.uri.query();
    let mut fields = Fields::of_query(query);
    let (mut excerpt, ticket) = read(&mut fields);
    fields.finish()?;
    if let Some(ticket) = ticket {
        excerpt.ticket = Some(names(&desk, ticket).await?);
    }
    let details = details(&excerpt);
    desk.record(&principal, ActionKind::AuditExport, "audit", details).await?;

    let mut reading = Reading::new(Arc::clone(&desk.records), excerpt);
    // What is out of reach is told while it can be told by a status.
    let first = desk.stored(reading.page()).await?;
    let later = stream::try_unfold((desk, reading), async |(desk, mut reading)| {
        match desk.stored(reading.page()).await {
            Ok(page) => Ok(page.map(|page| (page, (desk, reading)))),
            // The stream breaks off, which no caller can take for its end.
            Err(_) => Err(io::Error::other("the store is out of reach")),
        }
    });
    let lines = stream::iter(first.map(Ok)).chain(later);
    let mut response = Response::new(Body::from_stream(lines));
    let ndjson = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, ndjson);
    Ok(response)
}

/// What is wanted, and of which ticket.
fn read(fields: &mut Fields) -> (Excerpt, Option<Reference>) {
    let record = fields.optional("record", one_of(Record::ALL, Record::as_str));
    let after = fields.optional("after", text(places)).unwrap_or_default();
    let happened = between(fields, ("from", "to"), time);
    let excerpt = Excerpt {
        record,
        after,
        from: happened.from,
        to: happened.to,
        actor: fields.optional("actor", text(actor)),
        ticket: None,
    };
    (excerpt, fields.optional("ticket", text(reference)))
}

fn places(text: &str) -> Result<Places, RuleViolation> {
    let violation = |_| RuleViolation::new("invalid_cursor", "must be as cursor was in a line");
    text.parse().map_err(violation)
}

fn actor(text: &str) -> Result<String, RuleViolation> {
    if (1..=ACTOR_CHARS_MAX).contains(&text.chars().count()) {
        return Ok(text.to_owned());
    }
    let detail = format!("must be 1 to {ACTOR_CHARS_MAX} characters");
    Err(RuleViolation::new("out_of_range", detail))
}

fn reference(text: &str) -> Result<Reference, RuleViolation> {
    let id = text.parse::<Uuid>().ok().map(|id| Reference::Id(SubmissionId::from(id)));
    let number = || text.parse::<TicketNumber>().ok().map(Reference::Number);
    id.or_else(number)
        .ok_or_else(|| RuleViolation::new("invalid_ticket", "must be a ticket's number or id"))
}

/// What the record calls a ticket. One that is not there any more it calls as it is asked for.
async fn names(desk: &Desk, ticket: Reference) -> Result<[String; 2], Problem> {
    let found = desk.stored(desk.cases.one(&ticket)).await?;
    let asked = match &ticket {
        Reference::Id(id) => id.to_string(),
        Reference::Number(number) => number.to_string(),
    };
    Ok(match found {
        Some(case) => [case.ticket.id.to_string(), case.ticket.number.to_string()],
        None => [asked.clone(), asked],
    })
}

fn details(excerpt: &Excerpt) -> Value {
    let time = |time: Option<DateTime<Utc>>| time.map(http::answer::rfc3339);
    json!({
        "record": excerpt.record.map(Record::as_str),
        "from": time(excerpt.from),
        "to": time(excerpt.to),
        "actor": excerpt.actor,
        "ticket": excerpt.ticket.as_ref().map(|[_, number]| number),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::doubles::Stage;

    const AUDIT: &str = "/api/support/admin/audit";

    #[tokio::test(start_paused = true)]
    async fn what_is_on_record_is_streamed_as_lines_and_that_is_on_record_before() {
        let stage = Stage::new();
        let heard = stage.ask("GET", AUDIT, "").await;
        assert_eq!((heard.status, heard.header("content-type")), (200, "application/x-ndjson"));
        let line: serde_json::Value = serde_json::from_str(heard.text().trim_end()).unwrap();
        assert_eq!(line["action"], "audit.export");
        assert_eq!(line["address"], "192.0.2.1");
        assert_eq!(line["requestId"], heard.header("x-request-id"));
        let after = line["cursor"].as_str().unwrap();
        let query = format!("{AUDIT}?record=tickets&after={after}&from=2026-11-22T10:30:00Z");
        assert_eq!(stage.ask("GET", &query, "").await.text(), "");
        let details = stage.store.actions.lock().unwrap()[1].details.clone();
        assert_eq!((&details["record"], &details["ticket"]), (&json!("tickets"), &json!(null)));
        assert_eq!(stage.store.on_record(), ["admin-key audit.export audit"; 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_wrong_with_an_excerpt_is_told_all_at_once() {
        let stage = Stage::new();
        let query = "record=x&after=0&from=yesterday&to=1&actor=&ticket=7&limit=1";
        let heard = stage.ask("GET", &format!("{AUDIT}?{query}"), "").await;
        assert_eq!(
            heard.violations().join(", "),
            "/record invalid_choice, /after invalid_cursor, /from invalid_timestamp, \
             /to invalid_timestamp, /actor out_of_range, /ticket invalid_ticket, \
             /limit unknown_field"
        );
        for to in ["2026-11-22T10:30:00Z", "2026-11-22T10:30:00.0Z", "0001-01-01T00:00:00Z"] {
            let query = format!("{AUDIT}?from=2026-11-22T10:30:00Z&to={to}");
            let heard = stage.ask("GET", &query, "").await;
            assert_eq!(heard.violations(), ["/to impossible_range"], "{to}");
        }
        assert_eq!(stage.store.on_record(), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_reads_what_is_on_record_off_the_record() {
        let stage = Stage::new();
        *stage.store.has_no_room_for_actions.lock().unwrap() = true;
        assert_eq!(stage.ask("GET", AUDIT, "").await.code(), (503, "unavailable"));
    }
}
