//! Dead letters as messages: the body as it came, the reason in headers.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use common::{
    clock::rfc3339,
    domain::DeadLetterCode,
    envelope,
    keys::hex,
    ports::{
        dead_letters::LetterId,
        queue::{BuriedLetter, DeadLetterReason},
    },
};
use lapin::{
    BasicProperties,
    message::Delivery,
    types::{AMQPValue, FieldTable},
};
use sha2::{Digest, Sha256};

use super::{publisher::Message, topology};

/// Bytes of the hash that names a letter: short enough to be typed.
const ID_BYTES: usize = 8;

const REASON: &str = "reason";
const DETAIL: &str = "detail";
const FIRST_SEEN_AT: &str = "first-seen-at";
const ATTEMPTS: &str = "attempts";
/// Counts the deliveries of a message that came back; set by quorum queues.
const DELIVERY_COUNT: &str = "x-delivery-count";
/// Tells why the broker itself gave a message up.
const FIRST_DEATH_REASON: &str = "x-first-death-reason";
/// Tells of each queue that gave the message up, when it last did, the latest first.
const DEATHS: &str = "x-death";

/// How often a message was delivered before.
pub(super) fn earlier_deliveries(delivery: &Delivery) -> u32 {
    let counted = headers(&delivery.properties)
        .and_then(|headers| integer(headers, DELIVERY_COUNT))
        .and_then(|count| u32::try_from(count).ok());
    counted.unwrap_or(u32::from(delivery.redelivered))
}

/// A message that carries `body` to the dead letters, under the properties that say what it is.
///
/// Not under all it came with: a foreign message may name a user the broker would refuse from us,
/// expire, ask for copies elsewhere, or have headers that leave no room for ours.
pub(super) fn bury(
    body: Bytes,
    came_with: &BasicProperties,
    reason: &DeadLetterReason,
    attempts: u32,
    now: DateTime<Utc>,
) -> Message {
    let mut headers = FieldTable::default();
    headers.insert(REASON.into(), topology::text(reason.code.as_str()));
    headers.insert(DETAIL.into(), topology::text(&reason.detail));
    let now = rfc3339(now);
    headers.insert(FIRST_SEEN_AT.into(), topology::text(&now));
    headers.insert(ATTEMPTS.into(), AMQPValue::LongLongInt(attempts.into()));
    let properties = kept(came_with).with_headers(headers);
    Message {
        exchange: topology::DEAD_LETTERS,
        routing_key: String::new(),
        mandatory: true,
        properties,
        body,
    }
}

/// A message that puts what is left of a letter in its place: the same but for its body.
pub(super) fn rebury(delivery: &Delivery, body: Bytes) -> Message {
    let BuriedLetter { code, detail, first_seen_at, attempts, .. } = exhume(delivery);
    let mut headers = FieldTable::default();
    headers.insert(REASON.into(), topology::text(&code));
    headers.insert(DETAIL.into(), topology::text(&detail));
    let first_seen_at = rfc3339(first_seen_at);
    headers.insert(FIRST_SEEN_AT.into(), topology::text(&first_seen_at));
    headers.insert(ATTEMPTS.into(), AMQPValue::LongLongInt(attempts.into()));
    Message {
        exchange: topology::DEAD_LETTERS,
        routing_key: String::new(),
        mandatory: true,
        properties: kept(&delivery.properties).with_headers(headers),
        body,
    }
}

/// What of a message's properties goes with its body wherever that goes.
fn kept(came_with: &BasicProperties) -> BasicProperties {
    let mut properties = BasicProperties::default().with_delivery_mode(2);
    if let Some(content_type) = came_with.content_type().clone() {
        properties = properties.with_content_type(content_type);
    }
    if let Some(kind) = came_with.kind().clone() {
        properties = properties.with_type(kind);
    }
    if let Some(message_id) = came_with.message_id().clone() {
        properties = properties.with_message_id(message_id);
    }
    if let Some(app_id) = came_with.app_id().clone() {
        properties = properties.with_app_id(app_id);
    }
    properties
}

/// Reads a message from the dead letters, put there by a worker or by the broker.
pub(super) fn exhume(delivery: &Delivery) -> BuriedLetter {
    let empty = FieldTable::default();
    let headers = headers(&delivery.properties).unwrap_or(&empty);
    let by_broker = text(headers, FIRST_DEATH_REASON);
    let code = match (text(headers, REASON), &by_broker) {
        (Some(reason), _) => reason,
        // Whatever was wrong with it ended every worker that tried.
        (None, Some(reason)) if reason == "delivery_limit" => {
            DeadLetterCode::Crashed.as_str().to_owned()
        }
        (None, _) => "unknown".to_owned(),
    };
    let first_seen_at = text(headers, FIRST_SEEN_AT)
        .and_then(|text| DateTime::parse_from_rfc3339(&text).ok())
        .map(|time| time.to_utc())
        .or_else(|| died_at(headers));
    // The broker gives up after its limit, and says no number. Its count of deliveries starts anew
    // among the dead letters, where it is our own looks.
    let attempts = integer(headers, ATTEMPTS).unwrap_or(topology::DELIVERIES_MAX + 1);
    BuriedLetter {
        body: delivery.data.clone().into(),
        code,
        detail: text(headers, DETAIL).or(by_broker).unwrap_or_default(),
        first_seen_at: first_seen_at.unwrap_or_default(),
        attempts: u32::try_from(attempts).unwrap_or_default(),
    }
}

/// Names a letter: a hash of what does not change while it lies there. Nobody writes a name into
/// it, since those that the broker itself gives up have none; so the same way holds for all.
pub(super) fn id(letter: &BuriedLetter, delivery: &Delivery) -> LetterId {
    let BuriedLetter { body, code, detail, first_seen_at, attempts } = letter;
    let message_id = delivery.properties.message_id().as_ref().map(|id| id.as_str().to_owned());
    let parts: [&[u8]; 6] = [
        body,
        code.as_bytes(),
        detail.as_bytes(),
        &first_seen_at.timestamp_millis().to_be_bytes(),
        &attempts.to_be_bytes(),
        message_id.as_deref().unwrap_or_default().as_bytes(),
    ];
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    LetterId::new(hex(&hash.finalize()[..ID_BYTES]))
}

/// What a letter says of itself beside its body and its reason.
pub(super) fn properties(delivery: &Delivery) -> Vec<(String, String)> {
    let properties = &delivery.properties;
    let named = [
        ("content-type", properties.content_type()),
        ("type", properties.kind()),
        ("message-id", properties.message_id()),
        ("app-id", properties.app_id()),
    ];
    let named = named
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value.as_ref()?.to_string())));
    let headers = headers(properties).into_iter().flat_map(FieldTable::inner);
    named.chain(headers.map(|(name, value)| (name.to_string(), shown(value)))).collect()
}

fn shown(value: &AMQPValue) -> String {
    match value {
        AMQPValue::LongString(text) => text.to_string(),
        AMQPValue::ShortString(text) => text.to_string(),
        AMQPValue::Timestamp(seconds) => seconds.to_string(),
        AMQPValue::Boolean(value) => value.to_string(),
        other => as_integer(other).map_or_else(|| format!("{other:?}"), |value| value.to_string()),
    }
}

/// A message that carries a letter back to the workers, as if it came for the first time.
pub(super) fn readdress(delivery: &Delivery) -> Message {
    let BuriedLetter { body, code, .. } = exhume(delivery);
    Message {
        exchange: topology::INTAKE,
        routing_key: String::new(),
        mandatory: true,
        properties: kept(&delivery.properties),
        body: envelope::of_letter(body, &code),
    }
}

fn died_at(headers: &FieldTable) -> Option<DateTime<Utc>> {
    let AMQPValue::FieldArray(deaths) = headers.inner().get(DEATHS)? else { return None };
    let AMQPValue::FieldTable(death) = deaths.as_slice().first()? else { return None };
    let AMQPValue::Timestamp(seconds) = death.inner().get("time")? else { return None };
    DateTime::from_timestamp(i64::try_from(*seconds).ok()?, 0)
}

fn headers(properties: &BasicProperties) -> Option<&FieldTable> {
    properties.headers().as_ref()
}

fn text(headers: &FieldTable, name: &str) -> Option<String> {
    match headers.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

fn integer(headers: &FieldTable, name: &str) -> Option<i64> {
    as_integer(headers.inner().get(name)?)
}

fn as_integer(value: &AMQPValue) -> Option<i64> {
    match value {
        AMQPValue::LongLongInt(value) => Some(*value),
        AMQPValue::LongInt(value) => Some(i64::from(*value)),
        AMQPValue::LongUInt(value) => Some(i64::from(*value)),
        AMQPValue::ShortInt(value) => Some(i64::from(*value)),
        AMQPValue::ShortShortInt(value) => Some(i64::from(*value)),
        _ => None,
    }
}
