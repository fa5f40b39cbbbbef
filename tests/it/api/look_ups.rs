//! Looking a ticket up: by its number the progress, by its id everything, otherwise nothing.

use expect_test::expect;
use serde_json::Value;

use super::shown::{body, shown};
use super::table::problem;
use super::{Api, on_both_systems};
use crate::bed::client::Answer;
use crate::bed::form::Form;

on_both_systems! {
    a_number_shows_the_progress_and_nothing_personal,
    an_id_shows_the_submitter_what_they_sent,
    a_number_is_found_in_any_case_and_an_id_as_it_was_told,
    what_is_not_there_is_the_same_404_whatever_it_looks_like,
}

fn telling() -> Form {
    Form::valid()
        .name("Grace Hopper")
        .email("grace@example.org")
        .subject("account")
        .message("I cannot log in.")
        .with("timestamp", "2026-11-22T11:30:00+01:00")
        .with("userId", "user-4711")
        .with("userAgent", "Lynx/2.9")
        .with("url", "https://example.org/login")
}

async fn a_number_shows_the_progress_and_nothing_personal(api: Api) {
    let created = api.submit(&telling()).await.json()["data"].clone();
    let answer = api.look_up(created["ticketNumber"].as_str().unwrap()).await;
    let data = answer.json()["data"].clone();
    let keys: Vec<_> = data.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        ["history", "priority", "status", "subject", "submittedAt", "ticketNumber", "updatedAt"]
    );
    for secret in ["Grace", "Hopper", "grace@", "log in", "user-4711", "Lynx", "example.org"] {
        assert!(!answer.text().contains(secret), "{secret} in {}", answer.text());
    }
    assert!(!answer.text().contains(created["id"].as_str().unwrap()), "the id is a secret");
    assert_eq!(data["submittedAt"], created["submittedAt"]);
    assert_eq!(data["history"][0]["at"], created["submittedAt"]);
    expect![[r#"
        200 OK
        cache-control: no-store
        content-length: LENGTH
        content-security-policy: default-src 'none'; frame-ancestors 'none'
        content-type: application/json
        date: DATE
        referrer-policy: no-referrer
        traceparent: TRACEPARENT
        x-content-type-options: nosniff
        x-request-id: REQUEST-ID

        {
          "data": {
            "history": [
              {
                "at": "TIME",
                "status": "open"
              }
            ],
            "priority": "medium",
            "status": "open",
            "subject": "account",
            "submittedAt": "TIME",
            "ticketNumber": "NUMBER",
            "updatedAt": "TIME"
          },
          "message": "Support ticket found",
          "success": true,
          "timestamp": "TIME"
        }
    "#]]
    .assert_eq(&shown(&answer));
}

async fn an_id_shows_the_submitter_what_they_sent(api: Api) {
    let created = api.submit(&telling().subject("billing")).await.json()["data"].clone();
    let answer = api.look_up(created["id"].as_str().unwrap()).await;
    let data = answer.json()["data"].clone();
    for (key, value) in created.as_object().unwrap() {
        assert_eq!(&data[key], value, "{key}");
    }
    expect![[r#"
        {
          "data": {
            "email": "grace@example.org",
            "history": [
              {
                "at": "TIME",
                "status": "open"
              }
            ],
            "id": "ID",
            "message": "I cannot log in.",
            "name": "Grace Hopper",
            "priority": "medium",
            "replies": [],
            "status": "open",
            "subject": "billing",
            "submittedAt": "TIME",
            "ticketNumber": "NUMBER",
            "timestamp": "2026-11-22T11:30:00+01:00",
            "updatedAt": "TIME",
            "url": "https://example.org/login",
            "userAgent": "Lynx/2.9",
            "userId": "user-4711"
          },
          "message": "Support ticket found",
          "success": true,
          "timestamp": "TIME"
        }"#]]
    .assert_eq(&body(&answer));
}

async fn a_number_is_found_in_any_case_and_an_id_as_it_was_told(api: Api) {
    let created = api.submit(&Form::valid()).await.json()["data"].clone();
    let text = |field: &str| created[field].as_str().unwrap().to_owned();
    let (number, id) = (text("ticketNumber"), text("id"));
    for spelling in
        [number.to_lowercase(), number.replace("SUP", "Sup"), number.replace('S', "%53")]
    {
        let found = api.look_up(&spelling).await.json();
        assert_eq!(found["data"]["ticketNumber"], number, "{spelling}");
    }
    for spelling in [id.replace('-', ""), format!("{{{id}}}"), format!("urn:uuid:{id}")] {
        problem(&api.look_up(&spelling).await, 404, "ticket_not_found");
    }
}

async fn what_is_not_there_is_the_same_404_whatever_it_looks_like(api: Api) {
    let issued = api.submit(&Form::valid()).await.json()["data"]["id"].clone();
    let issued = issued.as_str().unwrap();
    let last = if issued.ends_with('0') { "1" } else { "0" };
    let forged = format!("{}{last}", &issued[..issued.len() - 1]);
    let expected = without_its_own(&api.look_up("SUP-9999-999999").await);
    for reference in [
        // Well formed, and nobody's.
        "SUP-0000-000000",
        "SUP-2026-99999999999999999999",
        "00000000-0000-7000-8000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        &forged,
        // Malformed.
        "SUP-2026-1",
        "SUP-2026-12345",
        "SUP-2026-123456%20",
        "%20SUP-2026-123456",
        "SUP-2026-123456%00",
        "SUP-2026-%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96",
        "SUP-20260-123456",
        "SUP-2026-123456789012345678901",
        "SUP-2026-%2B23456",
        "x",
        "%",
        "%ff",
        "_",
        "*",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e%2f",
        "'%20OR%201=1--",
        "%7B%7B7*7%7D%7D",
        "%0d%0aSet-Cookie:%20a=b",
        "SUP-2026-123456?x=1",
        &"9".repeat(8_000),
    ] {
        let answer = api.look_up(reference).await;
        problem(&answer, 404, "ticket_not_found");
        assert_eq!(without_its_own(&answer), expected, "{reference}");
    }
}

/// The body's bytes, except for what belongs to the one request.
fn without_its_own(answer: &Answer) -> String {
    let problem = answer.json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let body = answer.text().replace(&text(&problem["requestId"]), "REQUEST-ID");
    body.replace(&text(&problem["timestamp"]), "TIME")
}
