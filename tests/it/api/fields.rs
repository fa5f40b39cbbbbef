//! Each field's rule, held against what people and programs put into forms.

use serde_json::{Value, json};

use super::table::{ACCEPTED, FieldRow, assert_is_a_ticket, assert_violations, check_fields};
use super::{Api, on_both_systems};
use crate::bed::form::Form;

on_both_systems! {
    names_are_texts_of_one_line_that_show_something,
    messages_are_texts_of_any_lines,
    addresses_are_one_mail_address_and_nothing_else,
    subjects_are_one_of_five_words,
    timestamps_are_rfc_3339_and_nobodys_business,
    optional_fields_may_be_absent_and_have_their_bounds,
    urls_are_web_addresses,
    no_control_character_reaches_a_store,
    every_violation_is_told_at_once_in_the_order_of_the_form,
    what_a_form_claims_of_its_ticket_has_no_effect,
}

fn times(unit: &str, count: usize) -> Value {
    Value::from(unit.repeat(count))
}

async fn names_are_texts_of_one_line_that_show_something(api: Api) {
    let rows: Vec<FieldRow> = vec![
        ("a family of emoji", "name", json!("👩‍👩‍👧 Ada"), ACCEPTED),
        ("Arabic", "name", json!("مرحبا بالعالم"), ACCEPTED),
        ("beyond the basic plane", "name", json!("𠀀𠀁"), ACCEPTED),
        ("letters that change length in other cases", "name", json!("İß"), ACCEPTED),
        ("not normalised", "name", json!("e\u{301}"), ACCEPTED),
        ("blanks around it", "name", json!("\u{a0} Ada \t"), ACCEPTED),
        ("markup", "name", json!("<script>alert(1)</script>"), ACCEPTED),
        ("broken markup", "name", json!("</textarea><img src=x onerror=alert(1)>"), ACCEPTED),
        ("a template", "name", json!("{{constructor.constructor('x')()}} {{7*7}}"), ACCEPTED),
        ("a formula", "name", json!("=HYPERLINK(\"http://x.io\")"), ACCEPTED),
        ("plus", "name", json!("+1"), ACCEPTED),
        ("at", "name", json!("@SUM(1)"), ACCEPTED),
        ("a full-width formula", "name", json!("＝1"), ACCEPTED),
        ("SQL", "name", json!("'; DROP TABLE tickets; --"), ACCEPTED),
        ("one character", "name", json!("x"), ACCEPTED),
        ("100 characters", "name", times("é", 100), ACCEPTED),
        ("101 characters", "name", times("é", 101), "too_long"),
        ("10,000 characters", "name", times("A", 10_000), "too_long"),
        ("empty", "name", json!(""), "blank"),
        ("spaces", "name", json!("   "), "blank"),
        ("a no-break space", "name", json!("\u{a0}"), "blank"),
        ("zero-width characters", "name", json!("\u{200b}\u{2060}\u{feff}"), "blank"),
        ("two lines", "name", json!("a\r\nBcc: x@y.io"), "line_break"),
        ("a terminal's escape", "name", json!("\u{1b}[2J"), "control_character"),
        ("null", "name", Value::Null, "required"),
        ("a number", "name", json!(7), "wrong_type"),
        ("true", "name", json!(true), "wrong_type"),
        ("a list", "name", json!(["Ada"]), "wrong_type"),
        ("an operator", "name", json!({"$ne": null}), "wrong_type"),
    ];
    check_fields(&api, rows).await;
}

async fn messages_are_texts_of_any_lines(api: Api) {
    let rows: Vec<FieldRow> = vec![
        ("lines and tabs", "message", json!("one\r\n\ttwo\nthree\rfour"), ACCEPTED),
        ("JSON in JSON", "message", json!("\"}, \\\" \\u0000 \\x00 \\"), ACCEPTED),
        ("one character", "message", json!("x"), ACCEPTED),
        ("10,000 characters", "message", times("x", 10_000), ACCEPTED),
        ("10,000 of four bytes", "message", times("👩", 10_000), ACCEPTED),
        ("10,000 inside blanks", "message", json!(format!(" {} ", "y".repeat(10_000))), ACCEPTED),
        ("10,001 characters", "message", times("x", 10_001), "too_long"),
        ("blank lines", "message", json!(" \r\n\t "), "blank"),
        ("null", "message", Value::Null, "required"),
        ("an object", "message", json!({"text": "x"}), "wrong_type"),
    ];
    check_fields(&api, rows).await;
}

async fn addresses_are_one_mail_address_and_nothing_else(api: Api) {
    let (local, label) = ("l".repeat(64), "d".repeat(61));
    let longest = format!("{local}@{label}.{label}.{label}.org");
    assert_eq!(longest.len(), 254);
    let mut rows: Vec<FieldRow> = vec![
        ("plus and dots", "email", json!("a.b+c@x-y.co.uk"), ACCEPTED),
        ("not ASCII", "email", json!("münchen@exämple.de"), ACCEPTED),
        ("somebody's robot", "email", json!("noreply@github.com"), ACCEPTED),
        ("254 bytes", "email", json!(longest), ACCEPTED),
        ("255 bytes", "email", json!(format!("{longest}g")), "too_long"),
        ("a local part of 65", "email", json!(format!("{local}l@x.io")), "invalid_email"),
        ("null", "email", Value::Null, "required"),
        ("an operator", "email", json!({"$ne": null}), "wrong_type"),
        ("NUL", "email", json!("a@x.io\0"), "control_character"),
    ];
    for text in [
        "",
        "a",
        "a@b",
        "@x.io",
        "a@",
        "a@@b.io",
        "a b@x.io",
        " a@x.io",
        "a@x.io ",
        "a@x..io",
        ".a@x.io",
        "a@x.io.",
        "a@-x.io",
        "a@[127.0.0.1]",
        "\"a\"@x.io",
        "<a@x.io>",
        "Ada <a@x.io>",
        "a@x.io,b@y.io",
        "a@x.io;b@y.io",
        "a@x.io\nBcc: b@y.io",
        "a@x.io\r\nBcc: b@y.io",
        "a@x.io%0aCc: b@y.io",
        "mailto:a@x.io?cc=b@y.io",
    ] {
        rows.push(("no address", "email", json!(text), "invalid_email"));
    }
    check_fields(&api, rows).await;
}

async fn subjects_are_one_of_five_words(api: Api) {
    for subject in ["technical", "billing", "feature", "account", "general"] {
        check_fields(&api, [("a subject", "subject", json!(subject), ACCEPTED)]).await;
    }
    for text in
        ["", "Technical", "TECHNICAL", "technical ", "other", "feature\0", "technical,billing"]
    {
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

async fn timestamps_are_rfc_3339_and_nobodys_business(api: Api) {
    // A look-up shows each to the letter, and `submittedAt` is ours whatever it says.
    for text in [
        "2026-11-22T10:30:00Z",
        "2026-11-22t10:30:00.123456789z",
        "1996-12-19T16:39:57-08:00",
        "2016-11-22T10:30:00.000Z",
        "2099-01-01T00:00:00.000+14:00",
    ] {
        let form = Form::valid().with("timestamp", text);
        let answer = api.submit(&form).await;
        assert_is_a_ticket(&api, text, &answer, &form).await;
        let submitted_at = answer.json()["data"]["submittedAt"].clone();
        assert!(super::shown::is_time_of_ours(submitted_at.as_str().unwrap()), "{submitted_at}");
    }
    for text in [
        "",
        "now",
        "2026-11-22",
        "2026-11-22T10:30:00",
        "2026-11-22 10:30:00Z",
        "1763807400",
        "2026-02-30T10:30:00Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T10:30:00+24:00",
        "+262142-01-01T00:00:00Z",
        "2026-11-22T10:30:00Z\0",
        "2026-11-22T10:30:00Z\n",
    ] {
        let row = ("no time", "timestamp", json!(text), "invalid_timestamp");
        check_fields(&api, [row]).await;
    }
    let rows = [
        ("an epoch", "timestamp", json!(1_763_807_400), "wrong_type"),
        ("null", "timestamp", Value::Null, "required"),
    ];
    check_fields(&api, rows).await;
}

async fn optional_fields_may_be_absent_and_have_their_bounds(api: Api) {
    let rows: Vec<FieldRow> = vec![
        ("null", "userId", Value::Null, ACCEPTED),
        ("128 characters", "userId", times("ß", 128), ACCEPTED),
        ("129 characters", "userId", times("ß", 129), "too_long"),
        ("a number", "userId", json!(7), "wrong_type"),
        ("two lines", "userId", json!("a\nb"), "line_break"),
        ("null", "userAgent", Value::Null, ACCEPTED),
        ("512 characters", "userAgent", times("x", 512), ACCEPTED),
        ("513 characters", "userAgent", times("x", 513), "too_long"),
        ("a terminal's escape", "userAgent", json!("\u{1b}[31mred"), "control_character"),
        ("a list", "userAgent", json!(["Firefox"]), "wrong_type"),
        ("null", "url", Value::Null, ACCEPTED),
    ];
    check_fields(&api, rows).await;
}

async fn urls_are_web_addresses(api: Api) {
    let longest = format!("https://x.io/{}", "a".repeat(2_048 - 13));
    let rows: Vec<FieldRow> = vec![
        ("all parts", "url", json!("https://u@example.org:8443/ä?b=c&d#e"), ACCEPTED),
        ("upper case", "url", json!("HTTP://localhost:3000/"), ACCEPTED),
        // Stored as a text; nobody ever fetches it.
        ("a cloud's secrets", "url", json!("http://169.254.169.254/latest/"), ACCEPTED),
        ("2,048 characters", "url", json!(longest), ACCEPTED),
        ("2,049 characters", "url", json!(format!("{longest}a")), "too_long"),
        ("two lines", "url", json!("https://x.io/\r\nSet-Cookie: a=b"), "line_break"),
        ("NUL", "url", json!("https://x.io/\0"), "control_character"),
        ("a number", "url", json!(1), "wrong_type"),
    ];
    check_fields(&api, rows).await;
    for text in [
        "",
        "x.io",
        "//evil",
        "/path",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "ftp://x.io",
        "https://",
        "https:evil",
        "http:/evil",
        "http:\\\\evil",
        " https://x.io",
        "https://x.io/a b",
        "https://x.io:99999/",
    ] {
        check_fields(&api, [("no web address", "url", json!(text), "invalid_url")]).await;
    }
}

async fn no_control_character_reaches_a_store(api: Api) {
    for field in ["name", "email", "message", "userId", "userAgent", "url"] {
        for character in ['\0', '\u{7}', '\u{1b}', '\u{7f}', '\u{85}', '\u{9b}'] {
            let value = json!(format!("https://x.io/{character}"));
            check_fields(&api, [("a control character", field, value, "control_character")]).await;
        }
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
        assert!(super::shown::is_time_of_ours(data["submittedAt"].as_str().unwrap()));
        assert!(data.get("__proto__").is_none() && data.get("requestId").is_none());
    }
}
