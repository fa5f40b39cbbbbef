//! Tokens that are rotated, and what is on record of all that is done: by real requests to real
//! processes.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use super::admin::{STAFF_TICKETS, Staff, plan};
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
    a_token_rotated_twice_is_followed_by_one_that_lives_on(system).await;
    what_is_on_record_is_exported(system).await;
    a_ticket_is_named_in_any_way_here_and_at_the_command_line(system).await;
    an_erasure_says_where_it_was_asked_for(system).await;
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

async fn a_token_rotated_twice_is_followed_by_one_that_lives_on(system: &TestSystem) {
    let admin = Staff::of(system, ADMIN_TOKEN);
    let (_, id) = admin.token("stats").await;
    let mut ends = Vec::new();
    for overlap in ["1h", "2h"] {
        let path = format!("{TOKENS}/{id}/rotate?overlap={overlap}");
        let rotated = admin.ask(Method::POST, &path).await;
        assert_eq!(rotated.status, 201, "{}", rotated.text());
        let data = rotated.json()["data"].clone();
        assert_eq!(data.get("expiresAt"), None, "{overlap}");
        ends.push(data["previous"]["expiresAt"].clone());
    }
    assert!(ends[0].is_string());
    assert_eq!(ends[0], ends[1], "the old one is not prolonged");
    let printed = system.run(&["token", "rotate", &id, "--overlap", "2h"]).await;
    assert_eq!(printed.status.code(), Some(0), "{printed:?}");
    assert!(printed.stderr.contains("until it is revoked"), "{printed:?}");
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

async fn a_ticket_is_named_in_any_way_here_and_at_the_command_line(system: &TestSystem) {
    let admin = Staff::of(system, ADMIN_TOKEN);
    let created = lines(&admin, "?record=tickets").await.remove(0);
    let id = created["ticketId"].as_str().unwrap();
    let shown = admin.get(&format!("{STAFF_TICKETS}/{id}")).await;
    let number = shown.json()["data"]["ticketNumber"].as_str().unwrap().to_owned();
    let mut expected = Vec::new();
    until(DEADLINE, "that it was shown is on record", async || {
        expected = lines(&admin, &format!("?ticket={id}")).await;
        expected.len() == 2
    })
    .await;
    assert_eq!((&expected[0]["ticketId"], &expected[1]["subject"]), (&json!(id), &json!(number)));
    for ticket in [id, &id.to_uppercase(), &number, &number.to_lowercase()] {
        assert_eq!(lines(&admin, &format!("?ticket={ticket}")).await, expected, "{ticket}");
        let printed = system.run(&["audit", "export", "--ticket", ticket]).await;
        assert_eq!((printed.status.code(), &*printed.stderr), (Some(0), ""), "{printed:?}");
        let told = printed.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
        assert_eq!(told.collect::<Vec<Value>>(), expected, "{ticket}");
    }
    let refused = system.run(&["audit", "export", "--ticket", "SUP-7"]).await;
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(refused.stderr.contains("a ticket's number or ID"), "{refused:?}");
}

async fn an_erasure_says_where_it_was_asked_for(system: &TestSystem) {
    let admin = Staff::of(system, ADMIN_TOKEN);
    let body = json!({"email": "ada@example.org", "because": "they asked"});
    let path = "/api/support/admin/people/erase";
    let erased = admin.post(path, &body).await;
    assert_eq!(erased.json()["data"]["tickets"], 1, "{}", erased.text());
    let mut found = Value::Null;
    until(DEADLINE, "it is on record", async || {
        let all = lines(&admin, "?record=tickets").await;
        found = all.into_iter().find(|it| it["kind"] == "ticket.erased").unwrap_or_default();
        found.is_object()
    })
    .await;
    assert_eq!((&found["actor"], &found["address"]), (&json!("admin-key"), &json!("127.0.0.1")));
}
