//! A letter as it may be shown: its structure, and in the place of what may be personal its length.
//!
//! What is shown is what is known to be harmless, by its name and by its shape. A letter may be
//! anybody's message, so everything else is masked, names that nobody here gave included.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    domain::{ClientTimestamp, DeadLetterCode, Subject},
    keys::hex,
    ports::dead_letters::{FoundLetter, LetterId},
    trace::is_traceparent,
};

/// Elements of a list that are shown.
const ELEMENTS_MAX: usize = 20;

/// The members of an envelope and of a submission, in their order there.
const MEMBERS: [&str; 15] = [
    "v",
    "submissions",
    "id",
    "keyHash",
    "submittedAt",
    "name",
    "email",
    "subject",
    "message",
    "timestamp",
    "userId",
    "userAgent",
    "url",
    "requestId",
    "traceparent",
];

/// The properties and headers that we or the broker give a letter, and that say nothing its reason
/// does not.
const PROPERTIES: [&str; 9] = [
    "content-type",
    "type",
    "app-id",
    "message-id",
    "x-delivery-count",
    "x-acquired-count",
    "x-first-death-reason",
    "x-first-death-queue",
    "x-first-death-exchange",
];

/// What those say that are texts.
const WORDS: [&str; 8] = [
    "application/json",
    "submissions",
    "supportline",
    "delivery_limit",
    "rejected",
    "support.intake",
    "support.unrouted",
    "support.dead-letters",
];

/// The headers that the letter's own fields are read from.
const OWN: [&str; 4] = ["reason", "detail", "first-seen-at", "attempts"];

/// A letter with all that may be personal masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetterView {
    /// Its name.
    pub id: LetterId,
    /// Why, for programs.
    pub code: String,
    /// Why, for people.
    pub detail: String,
    /// When it was given up.
    pub first_seen_at: DateTime<Utc>,
    /// How often it was delivered.
    pub attempts: u32,
    /// How long its body is.
    pub body_bytes: usize,
    /// The body.
    pub body: BodyView,
    /// What the message says of itself beside that, by name.
    pub properties: Vec<(String, String)>,
    /// How many properties have names that nobody here gives.
    pub other_properties: usize,
}

/// A body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyView {
    /// An object in JSON.
    Readable(Value),
    /// Anything else: no part of it is known to be harmless.
    Unreadable {
        /// What the bytes hash to, so that one can be told from another.
        sha256: String,
    },
}

impl LetterView {
    /// Masks a letter.
    #[must_use]
    pub fn of(found: &FoundLetter) -> Self {
        let letter = &found.letter;
        let others = found.properties.iter().filter(|(name, _)| !OWN.contains(&name.as_str()));
        let (known, unknown): (Vec<_>, Vec<_>) =
            others.partition(|(name, _)| PROPERTIES.contains(&name.as_str()));
        let properties = known.into_iter().map(|(name, value)| (name.clone(), property(value)));
        Self {
            id: found.id.clone(),
            code: code(&letter.code),
            detail: detail(&letter.code, &letter.detail),
            first_seen_at: letter.first_seen_at,
            attempts: letter.attempts,
            body_bytes: letter.body.len(),
            body: body(&letter.body),
            properties: properties.collect(),
            other_properties: unknown.len(),
        }
    }
}

/// Why a letter was given up, for people. Ours quotes nothing; whoever else put a letter there may.
#[must_use]
pub fn detail(code: &str, detail: &str) -> String {
    if is_ours(code) || WORDS.contains(&detail) { detail.to_owned() } else { masked(detail) }
}

/// The same for programs.
#[must_use]
pub fn code(code: &str) -> String {
    if is_ours(code) || code == "unknown" { code.to_owned() } else { masked(code) }
}

fn is_ours(code: &str) -> bool {
    DeadLetterCode::ALL.iter().any(|known| known.as_str() == code)
}

fn property(value: &str) -> String {
    let is_harmless = WORDS.contains(&value) || value.parse::<u64>().is_ok() || is_uuid(value);
    if is_harmless { value.to_owned() } else { masked(value) }
}

fn body(bytes: &[u8]) -> BodyView {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(members)) => BodyView::Readable(object(members)),
        _ => BodyView::Unreadable { sha256: hex(&Sha256::digest(bytes)) },
    }
}

fn object(mut members: Map<String, Value>) -> Value {
    let mut shown = Map::new();
    for name in MEMBERS {
        if let Some(value) = members.remove(name) {
            shown.insert(name.to_owned(), member(name, value));
        }
    }
    if !members.is_empty() {
        shown.insert("…".to_owned(), Value::from(format!("{} more", members.len())));
    }
    Value::Object(shown)
}

fn member(name: &str, value: Value) -> Value {
    match value {
        Value::Object(members) => object(members),
        Value::Array(elements) => list(name, elements),
        Value::Number(_) if name == "v" => value,
        Value::String(text) if is_harmless(name, &text) => Value::String(text),
        Value::String(text) => Value::String(masked(&text)),
        Value::Null => Value::Null,
        Value::Bool(_) | Value::Number(_) => Value::from("***"),
    }
}

fn list(name: &str, elements: Vec<Value>) -> Value {
    let more = elements.len().saturating_sub(ELEMENTS_MAX);
    let shown = elements.into_iter().take(ELEMENTS_MAX).map(|element| member(name, element));
    let rest = (more > 0).then(|| Value::from(format!("… and {more} more")));
    Value::Array(shown.chain(rest).collect())
}

/// Whether a text is what stands under this name in an envelope of ours, and not personal.
fn is_harmless(name: &str, text: &str) -> bool {
    match name {
        "id" | "requestId" => is_uuid(text),
        "submittedAt" | "timestamp" => ClientTimestamp::parse(text).is_ok(),
        "subject" => text.parse::<Subject>().is_ok(),
        "traceparent" => is_traceparent(text),
        _ => false,
    }
}

fn is_uuid(text: &str) -> bool {
    Uuid::try_parse(text).is_ok_and(|uuid| uuid.to_string() == text)
}

fn masked(text: &str) -> String {
    match text.chars().count() {
        1 => "*** (1 character)".to_owned(),
        count => format!("*** ({count} characters)"),
    }
}

#[cfg(test)]
mod tests {
    use crate::ports::queue::BuriedLetter;

    use super::*;

    /// Stands wherever something personal may.
    const CANARY: &str = "canary";

    fn found(body: &str, code: &str, properties: &[(&str, &str)]) -> FoundLetter {
        let letter = BuriedLetter {
            body: body.as_bytes().to_vec().into(),
            code: code.to_owned(),
            detail: format!("{CANARY} detail"),
            first_seen_at: DateTime::UNIX_EPOCH,
            attempts: 1,
        };
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let properties = properties.iter().map(owned).collect();
        FoundLetter { id: LetterId::new("7"), letter, properties }
    }

    #[test]
    fn nothing_that_may_be_personal_is_shown() {
        let submission = r#"{"id":"canary","keyHash":"canary","submittedAt":"canary","name":"canary",
            "email":"canary@example.org","subject":"canary","message":"canary","timestamp":"canary",
            "userId":"canary","userAgent":"canary","url":"https://canary.example","requestId":"canary",
            "traceparent":"canary","canary":"canary","v":"canary"}"#;
        for body in [
            submission.to_owned(),
            format!(
                "{{\"v\":1,\"submissions\":[{submission},\"canary\",[\"canary\"]],\"x\":\"canary\"}}"
            ),
            format!("[{submission}]"),
            "\"canary\"".to_owned(),
            "canary".to_owned(),
            format!("{submission},"),
            "{\"name\":{\"canary\":{\"email\":\"canary\"}},\"id\":[\"canary\"]}".to_owned(),
        ] {
            let properties = [
                ("content-type", "canary"),
                ("message-id", "canary"),
                ("x-first-death-queue", "canary"),
                ("canary", "1"),
                ("x-death", "canary"),
                ("detail", "canary"),
            ];
            let view = LetterView::of(&found(&body, CANARY, &properties));
            let shown = format!("{view:?}");
            assert!(!shown.contains(CANARY), "{shown}");
            assert_eq!((view.properties.len(), view.other_properties), (3, 2));
        }
    }

    #[test]
    fn what_is_needed_to_find_the_cause_is_shown() {
        let submission = r#"{"id":"01a202c3-c662-7aeb-85b5-ac7a63952b19","name":"Ada Lovelace",
            "submittedAt":"2026-11-22T10:30:00.000Z","subject":"billing","note":true,"message":7}"#;
        let body = format!("{{\"v\":1,\"submissions\":[{submission}]}}");
        let properties = [("content-type", "application/json"), ("x-delivery-count", "3")];
        let view = LetterView::of(&found(&body, "rejected", &properties));
        let BodyView::Readable(body) = &view.body else { panic!("{view:?}") };
        let expected = r#"{"submissions":[{"id":"01a202c3-c662-7aeb-85b5-ac7a63952b19","message":"***","name":"*** (12 characters)","subject":"billing","submittedAt":"2026-11-22T10:30:00.000Z","…":"1 more"}],"v":1}"#;
        assert_eq!(*body, serde_json::from_str::<Value>(expected).unwrap());
        assert_eq!(view.properties[0].1, "application/json");
        assert_eq!(view.properties[1].1, "3");
        assert_eq!(view.detail, "canary detail", "a worker's own words");
    }

    #[test]
    fn a_long_list_is_shown_in_part() {
        let many = vec!["{}"; ELEMENTS_MAX + 5].join(",");
        let view = LetterView::of(&found(&format!("{{\"submissions\":[{many}]}}"), "invalid", &[]));
        let BodyView::Readable(body) = view.body else { panic!() };
        let shown = body["submissions"].as_array().unwrap();
        assert_eq!(shown.len(), ELEMENTS_MAX + 1);
        assert_eq!(shown[ELEMENTS_MAX], "… and 5 more");
    }
}
