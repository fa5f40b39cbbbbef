//! The sender's time.

use serde_json::{Value, json};

use super::super::shown::is_time_of_ours;
use super::super::table::{assert_is_a_ticket, check_fields};
use super::super::{Api, on_both_systems};
use crate::bed::form::Form;

on_both_systems! {
    timestamps_are_rfc_3339_and_nobodys_business,
}

async fn timestamps_are_rfc_3339_and_nobodys_business(api: Api) {
    // A look-up shows each to the letter, and `submittedAt` is ours whatever it says.
    for text in [
        "2026-11-22T10:30:00Z",
        "2026-11-22t10:30:00.123456789z",
        "1996-12-19T16:39:57-08:00",
        "2016-11-22T10:30:00.000Z",
        "2099-01-01T00:00:00.000+14:00",
        "2026-11-22T10:30:00-00:00",
        "1970-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999Z",
        "2024-02-29T12:00:00Z",
        "1990-12-31T23:59:60Z",
    ] {
        let form = Form::valid().with("timestamp", text);
        let answer = api.submit(&form).await;
        assert_is_a_ticket(&api, text, &answer, &form).await;
        let submitted_at = answer.json()["data"]["submittedAt"].clone();
        assert!(is_time_of_ours(submitted_at.as_str().unwrap()), "{submitted_at}");
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
        "-0001-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "2025-02-29T12:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-11-00T00:00:00Z",
        "2026-11-22T10:60:00Z",
        "2026-11-22T10:30:61Z",
        "2026-11-22T10:30:00.Z",
        "2026-11-22T10:30:00,5Z",
        "2026-11-22T10:30Z",
        "2026-11-22T10:30:00 Z",
        "2026-11-22T10:30:00+1:00",
        "2026-11-22T10:30:00+01",
        "2026-11-22T10:30:00 Europe/Berlin",
        "20261122T103000Z",
        "2026-W47-7T10:30:00Z",
        "Sun, 22 Nov 2026 10:30:00 GMT",
        "２０２６-11-22T10:30:00Z",
    ] {
        let row = ("no time", "timestamp", json!(text), "invalid_timestamp");
        check_fields(&api, [row]).await;
    }
    let rows = [
        ("an epoch", "timestamp", json!(1_763_807_400), "wrong_type"),
        ("an epoch in milliseconds", "timestamp", json!(1_763_807_400_000_u64), "wrong_type"),
        ("parts of a time", "timestamp", json!({"year": 2026}), "wrong_type"),
        ("null", "timestamp", Value::Null, "required"),
    ];
    check_fields(&api, rows).await;
}
