//! Submissions that are sent again: under a key, and without one.

use expect_test::expect;
use serde_json::{Value, json};

use super::shown::shown;
use super::table::problem;
use super::{Api, on_both_systems};
use crate::bed::client::Answer;
use crate::bed::form::Form;
use crate::bed::system::TICKETS;

on_both_systems! {
    a_replay_gets_the_first_answer_again,
    a_replay_is_the_same_however_the_key_and_the_body_are_written,
    a_replay_heeds_preferences,
    a_key_with_another_form_is_refused,
    of_two_forms_that_race_for_a_key_one_becomes_a_ticket,
    what_is_no_key_is_refused,
    a_refused_form_does_not_use_its_key_up,
    the_same_again_without_a_key_is_answered_with_the_first_ticket,
    of_many_duplicates_at_a_time_one_becomes_a_ticket,
    what_differs_in_the_core_is_no_duplicate,
    under_a_key_the_same_again_is_no_duplicate,
    without_its_key_the_same_again_is_a_duplicate,
}

/// A key of its own.
fn key() -> String {
    format!("\"{}\"", uuid::Uuid::now_v7())
}

async fn post(api: &Api, key: &str, form: &Form) -> Answer {
    api.client.post(TICKETS).header("idempotency-key", key).json(form).send().await
}

fn data(answer: &Answer) -> Value {
    answer.json()["data"].clone()
}

fn is_replayed(answer: &Answer) -> bool {
    match answer.header("idempotency-replayed") {
        None => false,
        Some(value) => {
            assert_eq!(value, "true");
            true
        }
    }
}

async fn a_replay_gets_the_first_answer_again(api: Api) {
    let (key, form) =
        (key(), Form::valid().message("The engine is stuck once more.").with("userId", "u-1"));
    let first = post(&api, &key, &form).await;
    assert!(!is_replayed(&first) && first.status == 201, "{}", first.text());
    let again = post(&api, &key, &form).await;
    expect![[r#"
        201 Created
        cache-control: no-store
        content-length: LENGTH
        content-security-policy: default-src 'none'; frame-ancestors 'none'
        content-type: application/json
        date: DATE
        idempotency-replayed: true
        location: /api/support/ticket/ID
        referrer-policy: no-referrer
        traceparent: TRACEPARENT
        vary: Prefer
        x-content-type-options: nosniff
        x-request-id: REQUEST-ID

        {
          "data": {
            "email": "ada@example.org",
            "id": "ID",
            "message": "The engine is stuck once more.",
            "name": "Ada Lovelace",
            "priority": "high",
            "status": "open",
            "subject": "technical",
            "submittedAt": "TIME",
            "ticketNumber": "NUMBER",
            "userId": "u-1"
          },
          "message": "Support ticket created successfully",
          "success": true,
          "timestamp": "TIME"
        }
    "#]]
    .assert_eq(&shown(&again));
    assert_eq!(data(&again), data(&first));
    assert_eq!(again.header("location"), first.header("location"));
    let seen = api.get(again.header("location").unwrap()).await;
    assert_eq!(data(&seen)["ticketNumber"], data(&first)["ticketNumber"]);
}

async fn a_replay_is_the_same_however_the_key_and_the_body_are_written(api: Api) {
    let (key, form) = (key(), Form::valid());
    let first = post(&api, &key, &form).await;
    let bare = post(&api, key.trim_matches('"'), &form.clone().with("unknown", 7)).await;
    assert!(is_replayed(&bare));
    assert_eq!(data(&bare), data(&first));
    let request = api.client.post(TICKETS).header("content-type", "application/json");
    let spaced = serde_json::to_string_pretty(&form).unwrap();
    let spaced = request.header("idempotency-key", &format!(" {key} ")).body(spaced).send().await;
    assert!(is_replayed(&spaced));
    assert_eq!(data(&spaced), data(&first));
}

async fn a_replay_heeds_preferences(api: Api) {
    let (key, form) = (key(), Form::valid());
    let ask = |prefer: &'static str| {
        let post = api.client.post(TICKETS).header("idempotency-key", &key);
        post.header("prefer", prefer).json(&form).send()
    };
    let first = ask("respond-async").await;
    assert!(first.status == 202 && !is_replayed(&first), "{}", first.text());
    let queued = json!({"id": data(&first)["id"], "status": "queued"});
    assert_eq!(data(&first), queued);
    for (prefer, status) in [("respond-async", 202), ("wait=2", 201), ("respond-async", 202)] {
        let again = ask(prefer).await;
        assert!(again.status == status && is_replayed(&again), "{prefer}: {}", again.text());
        assert_eq!(again.header("preference-applied"), Some(prefer));
        assert_eq!(data(&again)["id"], queued["id"]);
        assert_eq!(data(&again) == queued, status == 202);
    }
}

async fn a_key_with_another_form_is_refused(api: Api) {
    let (key, form) = (key(), Form::valid());
    let first = post(&api, &key, &form).await;
    let id = data(&first)["id"].as_str().unwrap().to_owned();
    for (field, value) in [
        ("name", json!("Ada L.")),
        ("email", json!("ada@example.com")),
        ("subject", json!("billing")),
        ("message", json!("It has started again.")),
        ("timestamp", json!("2026-11-22T10:30:00.001Z")),
        ("userId", json!("")),
        ("userAgent", json!("x")),
        ("url", json!("https://example.org/")),
    ] {
        let other = post(&api, &key, &form.clone().with(field, value)).await;
        problem(&other, 422, "idempotency_key_reused");
        let number = data(&first)["ticketNumber"].as_str().unwrap().to_owned();
        assert!(!other.text().contains(&id) && !other.text().contains(&number), "{field}");
        assert!(other.header("location").is_none() && !is_replayed(&other));
    }
    assert_eq!(data(&post(&api, &key, &form).await), data(&first));
}

async fn of_two_forms_that_race_for_a_key_one_becomes_a_ticket(api: Api) {
    for _ in 0..5 {
        let (key, forms) = (key(), [Form::valid(), Form::valid()]);
        let posts = (0..20).map(|number| post(&api, &key, &forms[number % 2]));
        let answers = futures_util::future::join_all(posts).await;
        let (accepted, refused): (Vec<_>, Vec<_>) =
            answers.iter().partition(|answer| answer.status == 201);
        assert_eq!((accepted.len(), refused.len()), (10, 10));
        let first = data(accepted[0]);
        let id = first["id"].as_str().unwrap();
        assert!(accepted.iter().all(|answer| data(answer) == first));
        assert_eq!(accepted.iter().filter(|answer| !is_replayed(answer)).count(), 1);
        for answer in refused {
            problem(answer, 422, "idempotency_key_reused");
            assert!(!answer.text().contains(id), "whoever has the key only is told no id");
        }
        assert_eq!(
            first["message"] == forms[0].json()["message"],
            accepted[0].status == answers[0].status
        );
    }
}

async fn what_is_no_key_is_refused(api: Api) {
    for good in
        ["k".repeat(255), "\"x-1:2/3\"".to_owned(), "!#$%&'()*+-./:;<=>?@[]^_`{|}~".to_owned()]
    {
        let answer = post(&api, &good, &Form::valid()).await;
        assert_eq!(answer.status, 201, "{good}: {}", answer.text());
    }
    let too_long = "k".repeat(256);
    for bad in
        ["", "\"\"", " ", "\"k", "k\"", "\"a\" \"b\"", "a b", "\"a b\"", "a,b", "a\tb", &too_long]
    {
        problem(&post(&api, bad, &Form::valid()).await, 400, "invalid_idempotency_key");
    }
    let twice =
        api.client.post(TICKETS).header("idempotency-key", "a").header("idempotency-key", "a");
    problem(&twice.json(&Form::valid()).send().await, 400, "invalid_idempotency_key");
    let address = api.system.edge(0).address();
    let form = Form::valid().json().to_string();
    let raw = [
        format!("POST {TICKETS} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n").as_bytes(),
        b"content-type: application/json\r\nidempotency-key: schl\xc3\xbcssel\r\n",
        format!("content-length: {}\r\n\r\n{form}", form.len()).as_bytes(),
    ]
    .concat();
    let answer = api.client.raw(&raw).await;
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("invalid_idempotency_key"),
        "{answer}"
    );
}

async fn a_refused_form_does_not_use_its_key_up(api: Api) {
    let (key, form) = (key(), Form::valid());
    problem(&post(&api, &key, &form.clone().without("email")).await, 422, "validation_failed");
    let first = post(&api, &key, &form).await;
    assert!(first.status == 201 && !is_replayed(&first), "{}", first.text());
}

async fn the_same_again_without_a_key_is_answered_with_the_first_ticket(api: Api) {
    let form = Form::valid().message("The engine is stuck, and nobody comes.");
    let first = api.submit(&form).await;
    assert_eq!(first.status, 201, "{}", first.text());
    let again = form.name("Ada L.").with("url", "https://example.org/").with("userId", "u-2");
    let again = api.submit(&again.with("timestamp", "2026-11-22T10:31:00Z")).await;
    expect![[r#"
        200 OK
        cache-control: no-store
        content-length: LENGTH
        content-security-policy: default-src 'none'; frame-ancestors 'none'
        content-type: application/json
        date: DATE
        location: /api/support/ticket/ID
        referrer-policy: no-referrer
        traceparent: TRACEPARENT
        vary: Prefer
        x-content-type-options: nosniff
        x-request-id: REQUEST-ID

        {
          "data": {
            "duplicate": true,
            "email": "ada@example.org",
            "id": "ID",
            "message": "The engine is stuck, and nobody comes.",
            "name": "Ada Lovelace",
            "priority": "high",
            "status": "open",
            "subject": "technical",
            "submittedAt": "TIME",
            "ticketNumber": "NUMBER"
          },
          "message": "This was submitted before; here is its support ticket",
          "success": true,
          "timestamp": "TIME"
        }
    "#]]
    .assert_eq(&shown(&again));
    let mut expected = data(&first);
    expected["duplicate"] = json!(true);
    assert_eq!(data(&again), expected);
}

async fn of_many_duplicates_at_a_time_one_becomes_a_ticket(api: Api) {
    let form = Form::valid();
    let posts = (0..20).map(|_| api.submit(&form));
    let answers = futures_util::future::join_all(posts).await;
    let ids: std::collections::HashSet<_> =
        answers.iter().map(|answer| data(answer)["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let created = answers.iter().filter(|answer| answer.status == 201);
    assert_eq!(created.count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert!(matches!(answer.status.as_u16(), 200 | 202), "{}", answer.text());
        assert_eq!(data(answer)["duplicate"], true);
    }
}

async fn what_differs_in_the_core_is_no_duplicate(api: Api) {
    let form = Form::valid();
    let forms = [
        form.clone(),
        form.clone().email("ada@example.net"),
        form.clone().email("Ada@example.org"),
        form.clone().subject("general"),
        form.clone().message("Something else, the engine runs."),
    ];
    for form in &forms {
        let answer = api.submit(form).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
}

async fn under_a_key_the_same_again_is_no_duplicate(api: Api) {
    let form = Form::valid();
    let answers =
        [api.submit(&form).await, post(&api, &key(), &form).await, post(&api, &key(), &form).await];
    assert!(answers.iter().all(|answer| answer.status == 201 && !is_replayed(answer)));
    let ids = answers.map(|answer| data(&answer)["id"].to_string());
    assert!(ids[0] != ids[1] && ids[1] != ids[2]);
}

async fn without_its_key_the_same_again_is_a_duplicate(api: Api) {
    let form = Form::valid();
    let first = post(&api, &key(), &form).await;
    let again = api.submit(&form).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 200), "{}", again.text());
    let mut expected = data(&first);
    expected["duplicate"] = true.into();
    assert_eq!(data(&again), expected);
}
