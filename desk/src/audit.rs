//! `GET /api/support/admin/audit`: all that is on record, as a stream of lines.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::{HeaderValue, header, request::Parts},
    response::Response,
};
use common::{
    audit::{self, Excerpt, Places, Reading},
    domain::{ActionKind, Record, RuleViolation},
    ports::{cases::Reference, store::StoreError},
};
use http::{auth::Principal, condition::in_time, problem::Problem};

use crate::{
    desk::Desk,
    fields::{Fields, one_of, text},
    times::{between, time},
    transfer::{Patience, Pieces, Transfer},
};

/// Longest name of an actor, in characters: more than any has.
const ACTOR_CHARS_MAX: usize = 200;

/// Streams what was asked for, as the caller takes it, and begins once the first bit of it is read: much may
/// have to be read for a line. That somebody read it is on record as well, before the first line.
pub async fn export(
    State(desk): State<Arc<Desk>>,
    Extension(principal): Extension<Principal>,
    head: Parts,
) -> Result<Response, Problem> {
    let query = head.uri.query();
    let mut fields = Fields::of_query(query);
    let (mut excerpt, ticket) = read(&mut fields);
    fields.finish()?;
    let transfer = Transfer::begin(&desk, &principal)?;
    if let Some(ticket) = ticket {
        excerpt.ticket = Some(desk.stored(audit::names(&*desk.cases, &ticket)).await?);
    }
    desk.record(&principal, ActionKind::AuditExport, "audit", excerpt.details()).await?;

    let mut reading = Reading::new(Arc::clone(&desk.records), excerpt);
    // What is out of reach is told while it can be told by a status.
    let first = desk.stored(reading.page()).await?.unwrap_or_default();
    let mut response = Response::new(transfer.body(first.into(), Lines(reading)));
    let ndjson = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, ndjson);
    Ok(response)
}

/// What is read, each time from as much as is read at once.
struct Lines(Reading);

impl Pieces for Lines {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let mut patience = Patience::new();
        loop {
            match in_time(self.0.page()).await {
                Ok(lines) => return Ok(lines.map(String::into_bytes)),
                Err(error) => patience.wait(error).await?,
            }
        }
    }
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
    let violation = || RuleViolation::new("invalid_ticket", "must be a ticket's number or id");
    audit::reference(text).ok_or_else(violation)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;
    use common::domain::{Actor, OperatorAction, Origin, Role};
    use http::condition::STORE_WAIT;
    use http_body_util::BodyExt;
    use serde_json::json;
    use tokio::time::Instant;

    use super::*;
    use crate::doubles::{ADMIN_TOKEN, NOW, Stage};

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

    /// So many that somebody else did, and one behind them that the bootstrap key did.
    fn recorded(stage: &Stage, others: usize) {
        let action = |actor| OperatorAction {
            acted_at: NOW.parse().unwrap(),
            actor,
            origin: Origin::default(),
            action: ActionKind::TicketView,
            subject: "SUP-2026-000001".to_owned(),
            details: json!({}),
        };
        let mut actions = stage.store.actions.lock().unwrap();
        actions.extend((0..others).map(|_| action(Actor::User("ada".to_owned()))));
        actions.push(action(Actor::AdminKey));
    }

    const BY_THE_KEY: &str = "/api/support/admin/audit?record=actions&actor=admin-key";

    /// All of it takes a minute to be read, and each bit of it nearly as long as the store may take.
    #[tokio::test(start_paused = true)]
    async fn what_stands_at_the_end_of_a_long_record_is_found() {
        let stage = Stage::new();
        recorded(&stage, 20_000);
        *stage.store.reading_takes.lock().unwrap() = STORE_WAIT.mul_f64(0.85);
        let asked_at = Instant::now();
        let answer = stage.open(BY_THE_KEY, ADMIN_TOKEN).await;
        assert_eq!((answer.status().as_u16(), *stage.store.reads.lock().unwrap()), (200, 1));
        assert!(asked_at.elapsed() < STORE_WAIT);
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(text.split_inclusive(|byte| *byte == b'\n').count(), 2, "and this reading");
        assert_eq!(*stage.store.reads.lock().unwrap(), 41);
        assert!(asked_at.elapsed() > Duration::from_mins(1));
    }

    /// What comes of a stream behind the line that there is at first.
    async fn broken_off(stage: &Stage, token: &str, happens: impl AsyncFnOnce()) {
        recorded(stage, 0);
        recorded(stage, 20_000);
        let mut body = stage.open(BY_THE_KEY, token).await.into_body();
        assert!(body.frame().await.unwrap().is_ok());
        happens().await;
        assert!(body.collect().await.is_err(), "an error, and no end");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_cannot_go_on_breaks_off() {
        let stage = Stage::new();
        let (token, _) = stage.store.add(Role::Admin, |_| {});
        broken_off(&stage, &token, async || {
            *stage.store.is_away.lock().unwrap() = true;
        })
        .await;
        *stage.store.is_away.lock().unwrap() = false;
        // Within the second for which it was known to be admitted, nothing is noticed.
        *stage.store.reading_takes.lock().unwrap() = Duration::from_millis(900);
        broken_off(&stage, &token, async || {
            stage.store.tokens.lock().unwrap()[0].revoked_at = Some(NOW.parse().unwrap());
        })
        .await;
        let reads = *stage.store.reads.lock().unwrap();
        broken_off(&stage, ADMIN_TOKEN, async || stage.stop.cancel()).await;
        assert_eq!(*stage.store.reads.lock().unwrap(), reads + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_takes_a_place_among_exports_and_imports() {
        let stage = Stage::new();
        let mut open = Vec::new();
        for _ in 0..4 {
            open.push(stage.open(AUDIT, ADMIN_TOKEN).await);
        }
        assert_eq!(stage.ask("GET", AUDIT, "").await.code(), (503, "too_many_transfers"));
        assert_eq!(stage.store.on_record().len(), 4);
        open.pop();
        assert_eq!(stage.ask("GET", AUDIT, "").await.status, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn a_ticket_is_asked_for_by_its_number_in_any_case_or_by_its_id() {
        let stage = Stage::new();
        recorded(&stage, 2);
        let id = stage.cases.add("SUP-2026-000001", DateTime::UNIX_EPOCH);
        for ticket in ["SUP-2026-000001", "sup-2026-000001", &id.to_string()] {
            let heard = stage.ask("GET", &format!("{AUDIT}?ticket={ticket}"), "").await;
            assert_eq!(heard.text().lines().count(), 3, "{ticket}");
            let actions = stage.store.actions.lock().unwrap();
            assert_eq!(actions.last().unwrap().details["ticket"], "SUP-2026-000001");
        }
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
