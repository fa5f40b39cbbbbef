//! Exports of scripted tickets, over the whole route.

use std::time::Duration;

use axum::body::Body;
use chrono::DateTime;
use common::domain::{Role, Subject};
use http_body_util::BodyExt;
use serde_json::Value;

use super::*;
use crate::doubles::{ADMIN_TOKEN, Stage};

const EXPORT: &str = "/api/support/admin/tickets/export";

async fn asked(stage: &Stage, query: &str) -> (axum::http::HeaderMap, String) {
    let bearer = format!("Bearer {ADMIN_TOKEN}");
    let path = format!("{EXPORT}{query}");
    let answer = stage.answer(("GET", &path), &[("authorization", &bearer)], "").await;
    assert_eq!(answer.status(), 200);
    let (head, body) = answer.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (head.headers, String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn all_tickets_are_exported_as_lines_or_as_a_table() {
    let stage = Stage::new();
    stage.exports.add(&[Subject::Billing, Subject::General, Subject::Billing]);
    let (headers, text) = asked(&stage, "").await;
    assert_eq!(headers["content-type"], "application/x-ndjson");
    let name = "attachment; filename=\"tickets-2026-11-22.ndjson\"";
    assert_eq!(headers["content-disposition"], name);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["message"], "=1+1,\n\"1\"");
    assert_eq!(lines[0]["tags"], serde_json::json!(["a"]));
    let names: Vec<_> = lines[0].as_object().unwrap().keys().cloned().collect();
    let mut columns = COLUMNS.to_vec();
    columns.sort_unstable();
    assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), columns);
    assert!(lines[1].get("assignee").is_none());

    let (headers, table) = asked(&stage, "?format=csv").await;
    assert_eq!(headers["content-type"], "text/csv; charset=utf-8; header=present");
    let first = "00000000-0000-0000-0000-000000000001,SUP-2026-000001,\"Ada \"\"=\"\" O'Hara\",\
                 ada@example.org,billing,\"'=1+1,\n\"\"1\"\"\",open,medium,'@7,\
                 1970-01-01T00:00:00.000Z,1970-01-01T00:00:00.000Z,1970-01-01T00:00:00.000Z,Grace,a\r\n";
    let expected = format!("{}\r\n{first}", COLUMNS.join(","));
    assert!(table.starts_with(&expected), "{table}");
    assert_eq!(table.matches("\r\n").count(), 4);
    let record = stage.store.on_record();
    assert_eq!(record, ["admin-key ticket.export tickets"; 2]);
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_narrows_it_down_and_is_on_record_by_name() {
    let stage = Stage::new();
    stage.exports.add(&[Subject::General; 5]);
    stage.exports.add(&[Subject::Billing]);
    let (_, text) = asked(&stage, "?subject=billing,account&submittedFrom=2026-11-22").await;
    assert_eq!(text.lines().count(), 1, "{text}");
    let details = stage.store.actions.lock().unwrap()[0].details.clone();
    let expected =
        serde_json::json!({"format": "ndjson", "narrowedBy": ["subject", "submittedFrom"]});
    assert_eq!(details, expected);
    for (query, told) in [
        ("format=xml&status=gone", "/format invalid_choice, /status invalid_choice"),
        ("subject=&priority=high,", "/priority invalid_choice, /subject invalid_choice"),
        (
            "submittedFrom=yesterday&limit=1",
            "/submittedFrom invalid_timestamp, /limit unknown_field",
        ),
        ("status=open&status=closed", "/status duplicate_field"),
        ("submittedFrom=2026-12-01&submittedTo=2026-11-01", "/submittedTo impossible_range"),
    ] {
        let heard = stage.ask("GET", &format!("{EXPORT}?{query}"), "").await;
        assert_eq!(heard.violations().join(", "), told, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_store_is_read_as_fast_as_the_answer_is_taken() {
    let stage = Stage::new();
    stage.exports.add(&[Subject::General; 100]);
    let bearer = format!("Bearer {ADMIN_TOKEN}");
    let answer = stage.answer(("GET", EXPORT), &[("authorization", &bearer)], "").await;
    let mut body: Body = answer.into_body();
    assert_eq!(*stage.exports.asked.lock().unwrap(), 1);
    for pages in 2..10 {
        body.frame().await.unwrap().unwrap();
        assert!(*stage.exports.asked.lock().unwrap() <= pages);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_back_in_time_is_waited_for_and_one_that_is_not_breaks_it_off() {
    let stage = Stage::new();
    stage.exports.add(&[Subject::General; 10]);
    *stage.exports.is_away.lock().unwrap() = Some((3, 4));
    assert_eq!(asked(&stage, "").await.1.lines().count(), 10);
    *stage.exports.asked.lock().unwrap() = 0;
    *stage.exports.is_away.lock().unwrap() = Some((3, usize::MAX));
    let bearer = format!("Bearer {ADMIN_TOKEN}");
    let answer = stage.answer(("GET", EXPORT), &[("authorization", &bearer)], "").await;
    assert!(answer.into_body().collect().await.is_err(), "an error, and no end");
    *stage.exports.asked.lock().unwrap() = 0;
    *stage.exports.is_away.lock().unwrap() = Some((1, usize::MAX));
    assert_eq!(stage.ask("GET", EXPORT, "").await.code(), (503, "unavailable"));
}

#[tokio::test(start_paused = true)]
async fn one_under_way_breaks_off_when_its_token_ends_or_the_desk_stops() {
    let stage = Stage::new();
    stage.exports.add(&[Subject::General; 100]);
    let (token, _) = stage.store.add(Role::Agent, |_| {});
    for is_stopped in [false, true] {
        let token = if is_stopped { ADMIN_TOKEN } else { &token };
        let mut body: Body = stage.open(EXPORT, token).await.into_body();
        body.frame().await.unwrap().unwrap();
        if is_stopped {
            stage.stop.cancel();
        } else {
            stage.store.tokens.lock().unwrap()[0].revoked_at = Some(DateTime::UNIX_EPOCH);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let asked = *stage.exports.asked.lock().unwrap();
        assert!(body.collect().await.is_err(), "an error, and no end");
        assert_eq!(*stage.exports.asked.lock().unwrap(), asked);
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_go_on_at_a_time_than_there_are_places() {
    let stage = Stage::new();
    stage.exports.add(&[Subject::General; 10]);
    let bearer = format!("Bearer {ADMIN_TOKEN}");
    let lines = [("authorization", bearer.as_str())];
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(stage.answer(("GET", EXPORT), &lines, "").await);
    }
    assert_eq!(stage.ask("GET", EXPORT, "").await.code(), (503, "too_many_transfers"));
    open.pop();
    assert_eq!(asked(&stage, "").await.1.lines().count(), 10);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_put_on_record_is_not_exported() {
    let stage = Stage::new();
    *stage.store.has_no_room_for_actions.lock().unwrap() = true;
    assert_eq!(stage.ask("GET", EXPORT, "").await.code(), (503, "unavailable"));
    assert_eq!(*stage.exports.asked.lock().unwrap(), 0);
}
