//! The envelope in which submissions travel from edge to worker, internal to the two.
//!
//! Version 1 is a JSON object, `{"v": 1, "submissions": [{…}, …]}`. Readers ignore fields they do
//! not know, so a release may add some; what an older reader would misread needs a new version,
//! which an older reader refuses and nobody loses. Golden files in `tests/` hold every shape that
//! was ever sent.

use std::{borrow::Cow, fmt, marker::PhantomData};

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::value::RawValue;
use thiserror::Error;
use uuid::Uuid;

use crate::{
    domain::{
        ClientTimestamp, DeadLetterCode, Email, Form, KeyHash, Message, Name, PageUrl,
        RuleViolation, Submission, UserAgent, UserId,
    },
    keys::{hex, unhex},
    trace::{Trace, is_sane_request_id, is_traceparent},
};

/// The version written.
pub const VERSION: u32 = 1;

/// Longest body read, in bytes: an edge stops filling an envelope far below.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Most submissions read from one body: an edge packs two hundred. A stranger's megabyte of `{}` must
/// not become a third of a million dead letters.
pub const SUBMISSIONS_MAX: usize = 1_000;

/// The whole body is no envelope this release reads.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// Not JSON, or not of an envelope's shape.
    #[error("not an envelope: {0}")]
    Malformed(String),
    /// Longer than [`BODY_BYTES_MAX`]; not even parsed.
    #[error("{0} bytes, more than any envelope has")]
    TooLarge(usize),
    /// Written by a later release.
    #[error("envelope version {0}, this release reads {VERSION}")]
    UnknownVersion(u64),
}

/// One submission of an envelope, or the reason why this one cannot be read.
pub type Item = Result<Submission, UnreadableItem>;

/// A piece of an envelope that is no submission, bytes intact.
#[derive(Debug)]
pub struct UnreadableItem {
    /// The bytes as they came.
    pub body: Bytes,
    /// What is wrong with them.
    pub reason: String,
}

#[derive(Serialize)]
struct Sent<'a> {
    v: u32,
    submissions: Vec<WireSubmission<'a>>,
}

#[derive(Deserialize)]
struct Received<'a> {
    v: u64,
    #[serde(borrow)]
    submissions: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Packed<'a> {
    v: u64,
    #[serde(borrow)]
    submissions: Vec<Object<'a>>,
}

/// A submission that is written as an object, and not as the array that serde takes for one.
struct Object<'a>(WireSubmission<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<'a>(PhantomData<Object<'a>>);

        impl<'de: 'a, 'a> Visitor<'de> for Fields<'a> {
            type Value = Object<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<'a>, A::Error> {
                WireSubmission::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(Fields(PhantomData))
    }
}

/// A submission on the wire.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireSubmission<'a> {
    id: Uuid,
    /// Thirty-two hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_hash: Option<Cow<'a, str>>,
    #[serde(borrow)]
    submitted_at: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    email: Cow<'a, str>,
    #[serde(borrow)]
    subject: Cow<'a, str>,
    #[serde(borrow)]
    message: Cow<'a, str>,
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<Cow<'a, str>>,
    #[serde(borrow)]
    request_id: Cow<'a, str>,
    #[serde(borrow)]
    traceparent: Cow<'a, str>,
}

/// Writes an envelope of the current version.
#[must_use]
pub fn encode(submissions: &[Submission]) -> Bytes {
    let envelope =
        Sent { v: VERSION, submissions: submissions.iter().map(WireSubmission::from).collect() };
    #[expect(
        clippy::expect_used,
        reason = "strings and integers under string keys always serialize"
    )]
    serde_json::to_vec(&envelope).expect("an envelope is plain JSON").into()
}

/// The body with which a dead letter is tried again. One that was given up as `invalid` may be a
/// part of an envelope, whose other parts were none of its fault; it gets an envelope of its own.
#[must_use]
pub fn of_letter(body: Bytes, code: &str) -> Bytes {
    let is_part = code == DeadLetterCode::Invalid.as_str()
        && !matches!(decode(&body), Ok(_) | Err(Unreadable::UnknownVersion(_)));
    if is_part {
        [format!("{{\"v\":{VERSION},\"submissions\":[").as_bytes(), &body, b"]}"].concat().into()
    } else {
        body
    }
}

/// Reads an envelope. One bad submission does not spoil the others: each is judged alone, by the
/// rules the edge applies, since somebody else may have published it.
pub fn decode(body: &Bytes) -> Result<Vec<Item>, Unreadable> {
    if body.len() > BODY_BYTES_MAX {
        return Err(Unreadable::TooLarge(body.len()));
    }
    // serde reads arrays as structs; an envelope is an object.
    if body.first() != Some(&b'{') {
        return Err(Unreadable::Malformed("not a JSON object".to_owned()));
    }
    if let Some(items) = read_together(body) {
        return Ok(items);
    }
    let received: Received = serde_json::from_slice(body).map_err(|error| malformed(&error))?;
    if received.v != u64::from(VERSION) {
        return Err(Unreadable::UnknownVersion(received.v));
    }
    let submissions =
        received.submissions.ok_or_else(|| Unreadable::Malformed("no submissions".to_owned()))?;
    let items: Vec<&RawValue> =
        serde_json::from_str(submissions.get()).map_err(|error| malformed(&error))?;
    if items.is_empty() {
        return Err(Unreadable::Malformed("no submissions".to_owned()));
    }
    if items.len() > SUBMISSIONS_MAX {
        return Err(Unreadable::Malformed(format!("{} submissions", items.len())));
    }
    Ok(items.into_iter().map(|item| read_item(item, body)).collect())
}

/// Reads in one go what an edge of this release has packed. Of anything else nothing is known by this.
fn read_together(body: &Bytes) -> Option<Vec<Item>> {
    let packed: Packed = serde_json::from_slice(body).ok()?;
    let is_ours =
        packed.v == u64::from(VERSION) && (1..=SUBMISSIONS_MAX).contains(&packed.submissions.len());
    let read = |Object(wire)| Submission::try_from(wire).ok().map(Ok);
    is_ours.then(|| packed.submissions.into_iter().map(read).collect())?
}

fn read_item(item: &RawValue, body: &Bytes) -> Item {
    let unreadable =
        |reason| UnreadableItem { body: body.slice_ref(item.get().as_bytes()), reason };
    if !item.get().starts_with('{') {
        return Err(unreadable("not a JSON object".to_owned()));
    }
    let wire: WireSubmission =
        serde_json::from_str(item.get()).map_err(|error| unreadable(position_of(&error)))?;
    Submission::try_from(wire).map_err(|violation| unreadable(violation.to_string()))
}

fn malformed(error: &serde_json::Error) -> Unreadable {
    Unreadable::Malformed(position_of(error))
}

/// Where and what kind, not serde's own words: they can quote the value.
fn position_of(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Data => "a missing, repeated or mistyped field",
        _ => "not JSON",
    };
    format!("{kind} at line {} column {}", error.line(), error.column())
}

impl<'a> From<&'a Submission> for WireSubmission<'a> {
    fn from(submission: &'a Submission) -> Self {
        let Submission { id, key, submitted_at, form, trace } = submission;
        Self {
            id: id.as_uuid(),
            key_hash: key.map(|KeyHash(hash)| hex(&hash).into()),
            submitted_at: submitted_at.to_rfc3339_opts(SecondsFormat::Millis, true).into(),
            name: form.name.as_str().into(),
            email: form.email.as_str().into(),
            subject: form.subject.as_str().into(),
            message: form.message.as_str().into(),
            timestamp: form.timestamp.as_str().into(),
            user_id: form.user_id.as_ref().map(|text| text.as_str().into()),
            user_agent: form.user_agent.as_ref().map(|text| text.as_str().into()),
            url: form.url.as_ref().map(|text| text.as_str().into()),
            request_id: trace.request_id.as_str().into(),
            traceparent: trace.traceparent.as_str().into(),
        }
    }
}

impl TryFrom<WireSubmission<'_>> for Submission {
    type Error = RuleViolation;

    fn try_from(wire: WireSubmission<'_>) -> Result<Self, RuleViolation> {
        let subject = wire
            .subject
            .parse()
            .map_err(|_| RuleViolation::new("invalid_choice", "an unknown subject"))?;
        Ok(Self {
            id: wire.id.into(),
            key: wire.key_hash.as_deref().map(key_hash).transpose()?,
            submitted_at: instant(&wire.submitted_at)?,
            form: Form {
                name: Name::parse(&wire.name)?,
                email: Email::parse(&wire.email)?,
                subject,
                message: Message::parse(&wire.message)?,
                timestamp: ClientTimestamp::parse(&wire.timestamp)?,
                user_id: wire.user_id.as_deref().map(UserId::parse).transpose()?,
                user_agent: wire.user_agent.as_deref().map(UserAgent::parse).transpose()?,
                url: wire.url.as_deref().map(PageUrl::parse).transpose()?,
            },
            trace: trace(wire.request_id.into_owned(), wire.traceparent.into_owned())?,
        })
    }
}

fn key_hash(text: &str) -> Result<KeyHash, RuleViolation> {
    let hash = unhex(text).map(KeyHash);
    hash.ok_or_else(|| RuleViolation::new("invalid_key_hash", "keyHash is none of ours"))
}

/// Our own times have years of four digits and whole milliseconds; anything else is foreign.
fn instant(text: &str) -> Result<DateTime<Utc>, RuleViolation> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.to_utc())
        .ok()
        .filter(|time| time.to_rfc3339_opts(SecondsFormat::Millis, true) == text)
        .filter(|time| ("1970".."9999").contains(&&time.to_rfc3339()[..4]))
        .ok_or_else(|| RuleViolation::new("invalid_timestamp", "submittedAt is no time of ours"))
}

fn trace(request_id: String, traceparent: String) -> Result<Trace, RuleViolation> {
    if is_sane_request_id(&request_id) && is_traceparent(&traceparent) {
        Ok(Trace { request_id, traceparent })
    } else {
        Err(RuleViolation::new("invalid_trace", "requestId or traceparent is none of ours"))
    }
}

#[cfg(test)]
mod tests;
