//! `GET /api/support/events`: events once more, from any place on, for whoever missed some or came
//! late.

use std::sync::Arc;

use axum::{extract::State, http::request::Parts, response::Response};
use common::{
    cloud_event::CloudEvent,
    domain::{Role, RuleViolation},
    ports::events::Cursor,
};
use http::query::number;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    answer::enveloped,
    edge::Edge,
    lookup::in_time,
    openapi::replay::EventSchema,
    problem::{Problem, Success},
    query::Query,
};

pub const LIMIT_DEFAULT: u32 = 100;
pub const LIMIT_MAX: u32 = 1_000;

/// One page of them, in the order in which they are published.
#[derive(Serialize, ToSchema)]
pub struct Events {
    #[schema(value_type = Vec<EventSchema>)]
    events: Vec<CloudEvent>,
    /// What to say as `after` next, at once or later: it is the same until there is more.
    next: String,
}

/// Answers with events; the token is looked at before anything else.
pub async fn events(State(edge): State<Arc<Edge>>, head: Parts) -> Result<Response, Problem> {
    edge.access.authorize(&head, &[Role::Admin]).await?;
    let (after, limit) = asked(head.uri.query())?;
    let page = in_time(&edge, edge.event_log.after(after, limit)).await?;
    let events = page.events.iter().map(CloudEvent::from).collect();
    let data = Events { events, next: page.next.to_string() };
    enveloped(Success::Found, "Support ticket events", &data, edge.clock.now())
}

/// From where on, without a word of it from the first event, and how many.
fn asked(query: Option<&str>) -> Result<(Cursor, u32), Problem> {
    let mut query = Query::of(query);
    let after = query.optional("after", cursor).unwrap_or(Cursor::START);
    let limit = query.optional("limit", |text| number(text, LIMIT_MAX)).unwrap_or(LIMIT_DEFAULT);
    query.finish()?;
    Ok((after, limit))
}

fn cursor(text: &str) -> Result<Cursor, RuleViolation> {
    let violation = |_| RuleViolation::new("invalid_cursor", "must be as next was in an answer");
    text.parse().map_err(violation)
}

#[cfg(test)]
mod tests {
    use common::{
        domain::{Email, Event, EventId, EventKind, Name, Priority, Status, Subject, SubmissionId},
        trace::Trace,
    };
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::doubles::{ADMIN_TOKEN, Heard, Mood, Stage};

    fn event(number: u32) -> Event {
        let ticket_id = SubmissionId::from(Uuid::from_u128(number.into()));
        Event {
            changes: None,
            id: EventId::of(ticket_id, 1),
            ticket_id,
            number: format!("SUP-2026-{number:06}").parse().unwrap(),
            version: 1,
            kind: EventKind::TicketCreated,
            name: Name::parse("Ada").unwrap(),
            email: Email::parse("ada@example.org").unwrap(),
            subject: Subject::Billing,
            status: Status::Open,
            priority: Priority::Medium,
            at: "2026-11-22T10:30:00Z".parse().unwrap(),
            submitted_at: "2026-11-22T10:30:00Z".parse().unwrap(),
            trace: Trace { request_id: "r-1".to_owned(), traceparent: "00-1-2-01".to_owned() },
        }
    }

    async fn ask(stage: &Stage, query: &str) -> Heard {
        let bearer = format!("Bearer {ADMIN_TOKEN}");
        let path = format!("/api/support/events{query}");
        stage.ask("GET", &path, "", vec![("authorization", &bearer)]).await
    }

    fn subjects(page: &Value) -> Vec<&str> {
        let events = page["data"]["events"].as_array().unwrap();
        events.iter().map(|event| event["subject"].as_str().unwrap()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn pages_follow_each_other_and_the_last_one_says_where_to_go_on() {
        let stage = Stage::new();
        stage.store.events.lock().unwrap().extend((1..=5).map(event));
        let first = ask(&stage, "?limit=3").await;
        assert_eq!(first.status, 200);
        assert_eq!(first.json["success"], true);
        assert_eq!(first.json["data"]["events"][0]["specversion"], "1.0");
        assert_eq!(
            subjects(&first.json),
            ["SUP-2026-000001", "SUP-2026-000002", "SUP-2026-000003"]
        );
        let next = first.json["data"]["next"].as_str().unwrap();
        let second = ask(&stage, &format!("?limit=3&after={next}")).await;
        assert_eq!(subjects(&second.json), ["SUP-2026-000004", "SUP-2026-000005"]);
        let next = second.json["data"]["next"].clone();
        let third = ask(&stage, &format!("?after={}", next.as_str().unwrap())).await;
        assert_eq!(third.json["data"], json!({"events": [], "next": next}));
    }

    #[tokio::test(start_paused = true)]
    async fn a_query_that_was_not_handed_out_is_refused() {
        let stage = Stage::new();
        let zero = Cursor::START.to_string();
        for query in [
            "after=".to_owned(),
            "after=0".to_owned(),
            "after=%27".to_owned(),
            format!("after={}", "f".repeat(32)),
            format!("after={zero}&after={zero}"),
            "limit=0".to_owned(),
            "limit=1001".to_owned(),
            "limit=".to_owned(),
            "limit=-1".to_owned(),
            "limit=+1".to_owned(),
            "limit=1&limit=1".to_owned(),
        ] {
            let heard = ask(&stage, &format!("?{query}")).await;
            assert_eq!(heard.code(), (422, "invalid_query"), "{query}");
        }
        let heard = ask(&stage, "?limit=0&after=0&after=0").await;
        assert_eq!(heard.violations(), ["/after duplicate_field", "/limit out_of_range"]);
        assert_eq!(ask(&stage, &format!("?after={zero}&limit=1000&x")).await.status, 200);
        assert_eq!(stage.store.asked(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn without_the_token_nothing_is_told_and_without_the_store_it_is_unavailable() {
        let stage = Stage::new();
        assert_eq!(stage.get("/api/support/events").await.code(), (401, "unauthorized"));
        assert_eq!(stage.get("/api/support/events?limit=0").await.code(), (401, "unauthorized"));
        *stage.store.mood.lock().unwrap() = Mood::Failing;
        assert_eq!(ask(&stage, "").await.code(), (503, "unavailable"));
    }
}
