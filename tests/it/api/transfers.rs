//! Tickets out and in over HTTP, by real requests to real processes.

use common::clock::{Clock, SystemClock, rfc3339};
use serde_json::{Value, json};

use super::ADMIN_TOKEN;
use super::table::problem;
use crate::bed::client::{Answer, Client};
use crate::bed::form::Form;
use crate::bed::servers::Servers;
use crate::bed::system::TestSystem;

const EXPORT: &str = "/api/support/admin/tickets/export";
const IMPORT: &str = "/api/support/admin/tickets/import";

fn staff(system: &TestSystem) -> Client {
    Client::of_the_api(system.desk().address())
}

async fn exported(system: &TestSystem, query: &str) -> Answer {
    let answer = staff(system).get(&format!("{EXPORT}{query}")).bearer(ADMIN_TOKEN).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

async fn sent(system: &TestSystem, query: &str, content_type: &str, text: &str) -> Answer {
    let asking = staff(system).post(&format!("{IMPORT}{query}")).bearer(ADMIN_TOKEN);
    asking.header("content-type", content_type).body(text.to_owned()).send().await
}

async fn tickets_go_out_and_come_in(system: &TestSystem) {
    for text in ["=1+1", "'=1+1", "a,\"b\"\r\nc"] {
        let answer = system.submit(&Form::valid().subject("billing").message(text)).await;
        assert!(answer.status.is_success(), "{}", answer.text());
    }
    system.settled(3).await;
    let table = exported(system, "?format=csv&subject=billing,account").await;
    assert_eq!(table.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    let lines = exported(system, "").await;
    assert_eq!(lines.text().lines().count(), 3);
    assert_eq!(exported(system, "?status=closed").await.text(), "");

    // Of another source, so three more; again, none; as a table, the same.
    let out = ["accepted", "duplicates", "rejected"];
    let counts = |answer: &Answer| {
        let data = &answer.json()["data"];
        out.map(|name| data[name].as_u64().unwrap())
    };
    let first = sent(system, "?source=self", "application/x-ndjson", lines.text()).await;
    assert_eq!(counts(&first), [3, 0, 0]);
    system.settled(6).await;
    let again = sent(system, "?source=self", "application/x-ndjson", lines.text()).await;
    assert_eq!(counts(&again), [0, 3, 0]);
    let as_table = sent(system, "?source=self", "text/csv", table.text()).await;
    assert_eq!(counts(&as_table), [0, 3, 0]);
    system.settled(6).await;

    let mut line: Value = serde_json::from_str(lines.text().lines().next().unwrap()).unwrap();
    line["externalId"] = "4711".into();
    let named = line.to_string();
    line["message"] = "another".into();
    line["submittedAt"] = "2024-02-29T10:30:00Z".into();
    let text = format!("{named}\n{line}\nsecret\n");
    let mixed = sent(system, "", "application/x-ndjson", &text).await.json();
    let told: Vec<_> = mixed["data"]["errors"].as_array().unwrap().iter().collect();
    let told: Vec<_> = told.iter().map(|it| json!([it["line"], it["errors"][0]["code"]])).collect();
    assert_eq!(told, [json!([2, "conflict"]), json!([3, "invalid_json"])]);
    system.settled(7).await;
    let old = line.to_string().replace("4711", "4712");
    let old = sent(system, "", "application/x-ndjson", &old).await;
    assert_eq!(counts(&old), [1, 0, 0]);
    system.settled(8).await;
    let numbers = exported(system, "?submittedTo=2025-01-01").await.text().to_owned();
    assert!(numbers.contains("\"number\":\"SUP-2024-"), "{numbers}");

    problem(&sent(system, "", "text/csv", "").await, 422, "validation_failed");
    problem(&sent(system, "", "application/json", &named).await, 415, "unsupported_media_type");
    let chunked = staff(system).post(IMPORT).bearer(ADMIN_TOKEN);
    let chunked = chunked.header("content-type", "text/csv").header("transfer-encoding", "chunked");
    problem(&chunked.body("x").send().await, 411, "length_required");
    let verified = system.verify().await;
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
}

#[tokio::test]
async fn tickets_go_out_and_come_in_embedded() {
    tickets_go_out_and_come_in(&TestSystem::embedded().await).await;
}

#[tokio::test]
async fn tickets_go_out_and_come_in_distributed() {
    let backing = Servers::shared().await.backing().await;
    tickets_go_out_and_come_in(&TestSystem::distributed(backing).with_desk().await).await;
}

/// What is older than tickets are kept is told line by line, and is no ticket.
async fn nothing_comes_in_that_would_be_erased_at_once(system: &TestSystem) {
    let line = |message: &str, at: &str| {
        json!({
            "name": "Ada", "email": "ada@example.org", "subject": "billing", "message": message,
            "submittedAt": at,
        })
    };
    let now = rfc3339(SystemClock.now());
    let text = format!("{}\n{}\n", line("old", "2024-02-29T10:30:00Z"), line("young", &now));
    let data = sent(system, "", "application/x-ndjson", &text).await.json()["data"].take();
    assert_eq!((&data["accepted"], &data["rejected"]), (&json!(1), &json!(1)), "{data}");
    let told = &data["errors"][0];
    let error = &told["errors"][0];
    assert_eq!((&told["line"], &error["pointer"]), (&json!(1), &json!("/submittedAt")));
    assert_eq!(error["code"], "too_old");
    system.settled(1).await;
}

#[tokio::test]
async fn nothing_comes_in_that_would_be_erased_at_once_embedded() {
    let system = TestSystem::embedded().with_env("SUPPORT_RETENTION", "300d").await;
    nothing_comes_in_that_would_be_erased_at_once(&system).await;
}

#[tokio::test]
async fn nothing_comes_in_that_would_be_erased_at_once_distributed() {
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing).with_env("SUPPORT_RETENTION", "300d");
    nothing_comes_in_that_would_be_erased_at_once(&system.with_desk().await).await;
}
