use common::domain::{Email, Priority, Status, StatusChange, SubmissionId, Ticket};

use crate::{
    doubles::{FORM, Heard, Mood, NOW, Stage},
    form,
};

fn ticket(status: Status) -> Ticket {
    let at = NOW.parse().unwrap();
    Ticket {
        id: uuid::Uuid::from_u128(7).into(),
        number: "SUP-2026-483920".parse().unwrap(),
        form: form::parse(FORM.as_bytes()).unwrap(),
        status,
        priority: Priority::High,
        submitted_at: at,
        updated_at: at,
        resolved_at: None,
        history: vec![StatusChange { version: 1, status, at }],
        replies: vec![],
    }
}

/// A stage with one ticket of this status, and its id.
fn stage_with(status: Status) -> (Stage, SubmissionId) {
    let stage = Stage::new();
    let ticket = ticket(status);
    let id = ticket.id;
    stage.store.tickets.lock().unwrap().push(ticket);
    (stage, id)
}

async fn answer(stage: &Stage, id: &str, body: &str) -> Heard {
    let path = format!("/api/support/ticket/{id}/replies");
    stage.ask("POST", &path, body.to_owned(), vec![("content-type", "application/json")]).await
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_written_once_and_seen_by_id() {
    let (stage, id) = stage_with(Status::Resolved);
    let id = id.to_string();
    let heard = answer(&stage, &id, r#"{"message":" It has oil. "}"#).await;
    assert_eq!(heard.status, 201, "{heard:?}");
    assert_eq!(heard.json["data"]["from"], "submitter");
    let again = answer(&stage, &id, r#"{"message":"It has oil."}"#).await;
    assert_eq!(again.status, 200);
    let shown = stage.get(&format!("/api/support/ticket/{id}")).await;
    assert_eq!(shown.json["data"]["status"], "in-progress", "reopened");
    let replies = shown.json["data"]["replies"].as_array().unwrap();
    assert_eq!((replies.len(), &replies[0]["message"]), (1, &"It has oil.".into()));
}

#[tokio::test(start_paused = true)]
async fn the_same_answer_to_what_was_resolved_since_is_a_new_one() {
    let (stage, id) = stage_with(Status::Open);
    let (id, still) = (id.to_string(), r#"{"message":"Still broken."}"#);
    assert_eq!(answer(&stage, &id, still).await.status, 201);
    stage.store.tickets.lock().unwrap()[0].status = Status::Resolved;
    assert_eq!(answer(&stage, &id, still).await.status, 201);
    assert_eq!(stage.store.tickets.lock().unwrap()[0].status, Status::InProgress);
}

#[tokio::test(start_paused = true)]
async fn about_a_closed_ticket_nobody_answers() {
    let (stage, id) = stage_with(Status::Closed);
    let heard = answer(&stage, &id.to_string(), r#"{"message":"x"}"#).await;
    assert_eq!(heard.code(), (409, "ticket_closed"));
}

#[tokio::test(start_paused = true)]
async fn who_has_the_number_alone_cannot_answer() {
    let (stage, _) = stage_with(Status::Open);
    let number = stage.store.tickets.lock().unwrap()[0].number.to_string();
    for name in [number.as_str(), "x", "01a202c3-c662-7aeb-85b5-ac7a63952b19"] {
        let heard = answer(&stage, name, r#"{"message":"x"}"#).await;
        assert_eq!(heard.code(), (404, "ticket_not_found"), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_still_queued_has_nobody_to_answer() {
    let stage = Stage::new();
    let id = stage.edge.ids.issue(stage.edge.clock.now(), &*stage.edge.entropy);
    let heard = answer(&stage, &id.to_string(), r#"{"message":"x"}"#).await;
    assert_eq!((heard.code(), heard.header("retry-after")), ((409, "ticket_queued"), "2"));
}

#[tokio::test(start_paused = true)]
async fn bad_answers_and_a_store_that_is_away_are_told() {
    let (stage, id) = stage_with(Status::Open);
    let id = id.to_string();
    for (body, code) in [
        ("{}", (422, "validation_failed")),
        (r#"{"message":7}"#, (422, "validation_failed")),
        (r#"{"message":" "}"#, (422, "validation_failed")),
        ("[]", (422, "validation_failed")),
        ("{", (400, "invalid_json")),
    ] {
        assert_eq!(answer(&stage, &id, body).await.code(), code, "{body}");
    }
    *stage.store.mood.lock().unwrap() = Mood::Failing;
    assert_eq!(answer(&stage, &id, r#"{"message":"x"}"#).await.code(), (503, "unavailable"));
}

#[tokio::test(start_paused = true)]
async fn what_was_erased_is_nobodys_to_answer() {
    let (stage, id) = stage_with(Status::Open);
    stage.store.tickets.lock().unwrap()[0].form.email = Email::stored(String::new());
    let heard = answer(&stage, &id.to_string(), r#"{"message":"x"}"#).await;
    assert_eq!(heard.code(), (404, "ticket_not_found"));
}
