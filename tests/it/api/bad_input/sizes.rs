//! What is too long, too large, or just not.

use serde_json::{Value, json};

use super::super::table::{ACCEPTED, FieldRow, check_fields, problem};
use super::super::{Api, on_both_systems};
use super::{times, valid};

on_both_systems! {
    a_body_of_64_kib_is_taken_and_a_byte_more_is_not,
    fields_have_their_lengths_in_characters,
}

async fn a_body_of_64_kib_is_taken_and_a_byte_more_is_not(api: Api) {
    let padded = |bytes: usize| {
        let form = valid();
        format!("{}{form}", " ".repeat(bytes - form.len()))
    };
    let answer = api.submit_bytes(padded(65_536)).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let escaped = valid().replace("Ada Lovelace", &"\\ud83d\\udc69".repeat(10_000));
    for body in [padded(65_537), escaped, "A".repeat(1_000_000)] {
        let answer = api.submit_bytes(body).await;
        problem(&answer, 413, "body_too_large");
        assert_eq!(answer.header("connection"), Some("close"));
    }
}

async fn fields_have_their_lengths_in_characters(api: Api) {
    let (local, label) = ("l".repeat(64), "d".repeat(61));
    let address = format!("{local}@{label}.{label}.{label}.org");
    assert_eq!(address.len(), 254);
    let url = format!("https://x.io/{}", "a".repeat(2_048 - 13));
    let rows: Vec<FieldRow> = vec![
        ("one character", "name", json!("x"), ACCEPTED),
        ("100 characters", "name", times("é", 100), ACCEPTED),
        ("100 of four bytes", "name", times("👩", 100), ACCEPTED),
        ("101 characters", "name", times("é", 101), "too_long"),
        ("100 inside blanks", "name", json!(format!(" {} ", "x".repeat(100))), ACCEPTED),
        ("10,000 characters", "name", times("A", 10_000), "too_long"),
        ("one character", "message", json!("x"), ACCEPTED),
        ("10,000 characters", "message", times("x", 10_000), ACCEPTED),
        ("10,000 of four bytes", "message", times("👩", 10_000), ACCEPTED),
        ("10,000 inside blanks", "message", json!(format!(" {} ", "y".repeat(10_000))), ACCEPTED),
        ("10,001 characters", "message", times("x", 10_001), "too_long"),
        ("254 bytes", "email", json!(address), ACCEPTED),
        ("255 bytes", "email", json!(format!("{address}g")), "too_long"),
        (
            "254 characters and more bytes",
            "email",
            json!(format!("ä{}", &address[1..])),
            "too_long",
        ),
        ("a local part of 65", "email", json!(format!("{local}l@x.io")), "invalid_email"),
        ("a label of 64", "email", json!(format!("a@{}.io", "d".repeat(64))), "invalid_email"),
        ("128 characters", "userId", times("ß", 128), ACCEPTED),
        ("129 characters", "userId", times("ß", 129), "too_long"),
        ("512 characters", "userAgent", times("x", 512), ACCEPTED),
        ("513 characters", "userAgent", times("x", 513), "too_long"),
        ("2,048 characters", "url", json!(url), ACCEPTED),
        ("2,049 characters", "url", json!(format!("{url}a")), "too_long"),
        (
            "41 bytes",
            "timestamp",
            json!(format!("2026-11-22T10:30:00.{}Z", "0".repeat(20))),
            "invalid_timestamp",
        ),
        ("null", "userId", Value::Null, ACCEPTED),
        ("null", "userAgent", Value::Null, ACCEPTED),
        ("null", "url", Value::Null, ACCEPTED),
    ];
    check_fields(&api, rows).await;
}
