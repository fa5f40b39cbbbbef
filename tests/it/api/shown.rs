//! Answers as text for snapshots: whatever differs from run to run is checked for its shape and
//! then masked, and everything else stands there to the letter.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use common::clock::{Clock, SystemClock};
use common::domain::TicketNumber;
use serde_json::Value;
use uuid::{Uuid, Version};

use crate::bed::client::Answer;

/// How far a time of ours may be from now: no test takes longer.
const AGE_MAX: TimeDelta = TimeDelta::minutes(5);

/// The whole answer: status, every header, body.
pub fn shown(answer: &Answer) -> String {
    let mut text = format!("{}\n{}", answer.status, headers(answer));
    if !answer.body.is_empty() {
        text += "\n";
        text += &body(answer);
        text += "\n";
    }
    text
}

/// The body alone.
pub fn body(answer: &Answer) -> String {
    serde_json::to_string_pretty(&masked(answer.json())).unwrap()
}

/// The JSON with every id, number and time of ours masked.
pub fn masked(mut document: Value) -> Value {
    // The client's word in a look-up has the name that our own time has in every envelope.
    let data = document.get_mut("data").and_then(Value::as_object_mut);
    let clients_word = data.and_then(|data| data.remove("timestamp"));
    mask(&mut document);
    if let Some(word) = clients_word {
        document["data"]["timestamp"] = word;
    }
    document
}

fn mask(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match mask_of(name, value) {
                    Some(word) => *value = Value::from(word),
                    None => mask(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        _ => {}
    }
}

/// What stands for a field that differs from run to run, once its value has the right shape.
fn mask_of(name: &str, value: &Value) -> Option<&'static str> {
    let text = value.as_str().unwrap_or_default();
    let (is_well_formed, word) = match name {
        "id" => (is_id(text), "ID"),
        "ticketNumber" => (is_number(text), "NUMBER"),
        "timestamp" | "submittedAt" | "updatedAt" | "generatedAt" | "at" => {
            (is_time_of_ours(text), "TIME")
        }
        "requestId" => (is_request_id(text), "REQUEST-ID"),
        "version" => (text == env!("CARGO_PKG_VERSION"), "VERSION"),
        "uptimeSeconds" => (value.is_u64(), "SECONDS"),
        "latencyMs" => (value.as_f64().is_some_and(|ms| (0.0..1_000.0).contains(&ms)), "MS"),
        _ => return None,
    };
    assert!(is_well_formed, "{name} is {value}");
    Some(word)
}

/// A line per header, in the order of the alphabet.
fn headers(answer: &Answer) -> String {
    let mut lines: Vec<_> = answer
        .headers
        .iter()
        .map(|(name, value)| {
            let value = value.to_str().expect("visible characters");
            format!("{name}: {}\n", header(name.as_str(), value, answer))
        })
        .collect();
    lines.sort();
    lines.concat()
}

fn header(name: &str, value: &str, answer: &Answer) -> String {
    match name {
        "date" => {
            let date = DateTime::parse_from_rfc2822(value).expect("an HTTP date").to_utc();
            assert!(is_recent(date), "{value}");
            "DATE".to_owned()
        }
        "content-length" => {
            assert_eq!(value, answer.body.len().to_string());
            "LENGTH".to_owned()
        }
        "x-request-id" => {
            assert!(is_request_id(value), "{value}");
            "REQUEST-ID".to_owned()
        }
        "traceparent" => {
            assert!(common::trace::is_traceparent(value), "{value}");
            "TRACEPARENT".to_owned()
        }
        "location" => {
            let (path, id) = value.rsplit_once('/').expect("a path");
            assert_eq!(answer.json()["data"]["id"], id);
            format!("{path}/ID")
        }
        _ => value.to_owned(),
    }
}

/// Ids are hyphenated lower-case UUIDs, of version 7 and made now, or of version 8 if they were derived
/// from a key.
pub fn is_id(text: &str) -> bool {
    let uuid = Uuid::try_parse(text).ok().filter(|uuid| uuid.to_string() == text);
    if uuid.and_then(|uuid| uuid.get_version()) == Some(Version::Custom) {
        return true;
    }
    let uuid = uuid.filter(|uuid| uuid.get_version() == Some(Version::SortRand));
    let time = uuid.and_then(|uuid| uuid.get_timestamp()).map(|time| time.to_unix());
    let time = time.and_then(|(seconds, nanoseconds)| {
        DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanoseconds)
    });
    time.is_some_and(is_recent)
}

/// `SUP-`, the year, and six digits: no test makes a million tickets.
pub fn is_number(text: &str) -> bool {
    let year = SystemClock.now().format("%Y").to_string();
    text.parse::<TicketNumber>().is_ok() && text.len() == 15 && text[4..8] == year
}

/// RFC 3339 in UTC with milliseconds, about now.
pub fn is_time_of_ours(text: &str) -> bool {
    let shape = "0000-00-00T00:00:00.000Z";
    let digits: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    digits == shape && text.parse().is_ok_and(is_recent)
}

/// `2026-11-22`
pub fn date(value: &Value) -> NaiveDate {
    value.as_str().unwrap().parse().unwrap()
}

fn is_request_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| b"0123456789abcdef".contains(&byte))
}

fn is_recent(time: DateTime<Utc>) -> bool {
    (SystemClock.now() - time).abs() < AGE_MAX
}

#[test]
fn a_mask_hides_nothing_that_is_malformed() {
    for (name, value) in [
        ("id", Value::from("7")),
        ("id", Value::from("0190163d-8694-739b-aea5-966c26f8ad91")),
        ("ticketNumber", Value::from("SUP-2026-12345")),
        ("ticketNumber", Value::from("SUP-1999-123456")),
        ("timestamp", Value::from("2026-11-22T10:30:00Z")),
        ("submittedAt", Value::from("2016-11-22T10:30:00.000Z")),
        ("requestId", Value::from("")),
        ("latencyMs", Value::from("1")),
        ("uptimeSeconds", Value::from(1.5)),
        ("version", Value::from("0.0.0")),
    ] {
        let is_refused = std::panic::catch_unwind(|| mask_of(name, &value)).is_err();
        assert!(is_refused, "{name}: {value}");
    }
}
