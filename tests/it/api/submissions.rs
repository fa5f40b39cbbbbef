//! A submission that is accepted, to the letter.

use expect_test::expect;
use serde_json::json;

use super::shown::shown;
use super::{Api, on_both_systems};
use crate::bed::form::Form;

on_both_systems! {
    a_submission_is_answered_with_its_ticket,
    an_answer_repeats_the_user_and_trims_as_it_stores,
    each_subject_has_its_priority,
    every_submission_gets_an_id_and_a_number_of_its_own,
}

async fn a_submission_is_answered_with_its_ticket(api: Api) {
    let form = Form::valid().message("The engine is stuck.");
    expect![[r#"
        201 Created
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
            "email": "ada@example.org",
            "id": "ID",
            "message": "The engine is stuck.",
            "name": "Ada Lovelace",
            "priority": "high",
            "status": "open",
            "subject": "technical",
            "submittedAt": "TIME",
            "ticketNumber": "NUMBER"
          },
          "message": "Support ticket created successfully",
          "success": true,
          "timestamp": "TIME"
        }
    "#]]
    .assert_eq(&shown(&api.submit(&form).await));
}

async fn an_answer_repeats_the_user_and_trims_as_it_stores(api: Api) {
    let form = Form::valid()
        .name(" Ada\u{a0}")
        .subject("billing")
        .message("\r\n The invoice\r\n\tis \"blank\". \n")
        .with("userId", " u-1 ")
        .with("userAgent", "Mozilla/5.0")
        .with("url", "https://example.org/help");
    expect![[r#"
        {
          "data": {
            "email": "ada@example.org",
            "id": "ID",
            "message": "The invoice\r\n\tis \"blank\".",
            "name": "Ada",
            "priority": "medium",
            "status": "open",
            "subject": "billing",
            "submittedAt": "TIME",
            "ticketNumber": "NUMBER",
            "userId": " u-1 "
          },
          "message": "Support ticket created successfully",
          "success": true,
          "timestamp": "TIME"
        }"#]]
    .assert_eq(&super::shown::body(&api.submit(&form).await));
}

async fn each_subject_has_its_priority(api: Api) {
    for (subject, priority) in [
        ("technical", "high"),
        ("billing", "medium"),
        ("account", "medium"),
        ("feature", "low"),
        ("general", "low"),
    ] {
        let created = api.submit(&Form::valid().subject(subject)).await.json();
        assert_eq!(created["data"]["priority"], priority, "{subject}");
        let number = created["data"]["ticketNumber"].as_str().unwrap();
        assert_eq!(api.look_up(number).await.json()["data"]["priority"], priority, "{subject}");
    }
}

async fn every_submission_gets_an_id_and_a_number_of_its_own(api: Api) {
    let forms: Vec<_> = (0..20).map(|_| Form::valid()).collect();
    let answers = futures_util::future::join_all(forms.iter().map(|form| api.submit(form))).await;
    let mut seen = std::collections::HashSet::new();
    for answer in answers {
        let data = answer.json()["data"].clone();
        assert!(seen.insert(data["id"].clone()), "{data}");
        assert!(seen.insert(data["ticketNumber"].clone()), "{data}");
    }
    assert_eq!(seen.len(), 40);
    assert!(!seen.contains(&json!(null)));
}
