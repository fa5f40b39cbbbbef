//! Tokens that are rotated, and what is on record of all that is done: by real requests to real
//! processes.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use super::admin::{Staff, plan};
use super::table::problem;
use super::{ADMIN_TOKEN, STATISTICS};
use crate::bed::form::Form;
use crate::bed::servers::Servers;
use crate::bed::system::TestSystem;
use crate::bed::wait::until;

const TOKENS: &str = "/api/support/admin/tokens";
const AUDIT: &str = "/api/support/admin/audit";
const DEADLINE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn what_staff_do_is_on_record_embedded() {
    everything(&plan(TestSystem::embedded()).await).await;
}

#[tokio::test]
async fn what_staff_do_is_on_record_distributed() {
    let backing = Servers::shared().await.backing().await;
    everything(&plan(TestSystem::distributed(backing)).await).await;
}

async fn everything(system: &TestSystem) {
    tokens_are_rotated_with_two_valid_at_a_time(system).await;
    what_is_on_record_is_exported(system).await;
}

async fn tokens_are_rotated_with_two_valid_at_a_time(system: &TestSystem) {
    let admin = Staff::of(system, ADMIN_TOKEN);
    let (old, id) = admin.token("stats").await;
    let path = format!("{TOKENS}/{id}/rotate");
    problem(&admin.ask(Method::POST, &format!("{path}?overlap=31d")).await, 422, "invalid_query");
    let rotated = admin.ask(Method::POST, &format!("{path}?overlap=5s")).await;
    assert_eq!(rotated.status, 201, "{}", rotated.text());
    let data = rotated.json()["data"].clone();
    assert_eq!((&data["name"], &data["role"]), (&json!("stats"), &json!("stats")));
    assert_eq!(data["previous"]["id"], id);
    let new = data["token"].as_str().unwrap();
    let status = async |token: &str| {
        system.client().get(STATISTICS).bearer(token).send().await.status.as_u16()
    };
    assert_eq!((status(&old).await, status(new).await), (200, 200));
    until(DEADLINE, "the overlap is over", async || status(&old).await == 401).await;
    assert_eq!(status(new).await, 200);
    problem(&admin.ask(Method::POST, &path).await, 409, "token_not_active");
}

async fn lines(staff: &Staff, query: &str) -> Vec<Value> {
    let answer = staff.get(&format!("{AUDIT}{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn what_is_on_record_is_exported(system: &TestSystem) {
    let admin = Staff::of(system, ADMIN_TOKEN);
    assert!(system.submit(&Form::valid()).await.status.is_success());
    system.settled(1).await;
    // Others on the same server may write for a while.
    let mut all = Vec::new();
    until(DEADLINE, "what was done is on record", async || {
        all = lines(&admin, "").await;
        let is = |name: &str, value: &str| all.iter().any(|line| line[name] == value);
        is("kind", "ticket.created") && is("action", "token.rotate") && is("action", "audit.export")
    })
    .await;
    let rotated = all.iter().find(|line| line["action"] == "token.rotate").unwrap();
    assert_eq!(
        (&rotated["actor"], &rotated["address"]),
        (&json!("admin-key"), &json!("127.0.0.1"))
    );
    assert!(rotated["requestId"].is_string() && rotated["details"]["successor"].is_string());
    let created = all.iter().find(|line| line["kind"] == "ticket.created").unwrap();
    assert_eq!((&created["actor"], &created["version"]), (&json!("submitter"), &json!(1)));

    let ticket = created["ticketId"].as_str().unwrap();
    // Of one record alone, the place in the other stays as it was.
    let alone = lines(&admin, &format!("?ticket={ticket}&record=tickets")).await;
    let told =
        |line: &Value| [&line["ticketId"], &line["at"], &line["traceparent"]].map(Value::clone);
    assert_eq!((alone.len(), told(&alone[0])), (1, told(created)));
    let before = format!("?to={}&record=tickets", created["at"].as_str().unwrap());
    assert_eq!(lines(&admin, &before).await, [Value::Null; 0]);
    let after = created["cursor"].as_str().unwrap();
    let behind = lines(&admin, &format!("?after={after}")).await;
    assert!(!behind.is_empty() && behind.iter().all(|line| line["action"] == "audit.export"));
    problem(&admin.get(&format!("{AUDIT}?after=7")).await, 422, "invalid_query");

    let printed = system.run(&["audit", "export", "--record", "tickets"]).await;
    assert_eq!((printed.status.code(), &*printed.stderr), (Some(0), ""), "{printed:?}");
    let line: Value = serde_json::from_str(printed.stdout.trim_end()).unwrap();
    assert_eq!((&line["ticketId"], &line["kind"]), (&created["ticketId"], &created["kind"]));
    let printed = system.run(&["audit", "export", "--actor", "nobody"]).await;
    assert_eq!((printed.status.code(), &*printed.stdout), (Some(0), ""), "{printed:?}");
    until(DEADLINE, "that is on record, too", async || {
        let last = lines(&admin, "?record=actions").await;
        last.iter().any(|it| {
            it["actor"].as_str().is_some_and(|actor| actor.starts_with("user:"))
                && it["action"] == "audit.export"
                && it.get("address").is_none()
        })
    })
    .await;
}
