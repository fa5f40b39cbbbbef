//! Events as others read them: CloudEvents 1.0 (<https://cloudevents.io>).
//!
//! `docs/events.md` describes them for consumers, and `docs/schemas/` holds a JSON schema a type. A
//! field may be added; what an older consumer would misread needs another type.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use uuid::Uuid;

use crate::{
    clock::rfc3339,
    domain::{Email, Event, EventId, Name},
    trace::Trace,
};

/// The version of CloudEvents.
pub const SPEC_VERSION: &str = "1.0";

/// Where all of them come from. Ids are unique among installations too.
pub const SOURCE: &str = "urn:supportline";

/// What the data are written in.
pub const CONTENT_TYPE: &str = "application/json";

/// Before the event's kind, it makes a type that nobody else's events have.
const TYPE_PREFIX: &str = "supportline.";

/// Before the event's kind, it names the schema of its data.
const SCHEMA_PREFIX: &str = "urn:supportline:schema:";

/// An event in the structured mode: its attributes, and the data beside them. In the binary mode
/// the attributes are headers and the data is the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub struct CloudEvent {
    /// [`SPEC_VERSION`]
    pub specversion: String,
    /// What a repetition is recognised by.
    pub id: Uuid,
    /// [`SOURCE`]
    pub source: String,
    /// `supportline.` and the event's kind.
    pub r#type: String,
    /// When it happened.
    pub time: String,
    /// The ticket's number.
    pub subject: String,
    /// [`CONTENT_TYPE`]
    pub datacontenttype: String,
    /// Names the schema of `data`.
    pub dataschema: String,
    /// W3C trace context, as of the CloudEvents extension for distributed tracing.
    pub traceparent: String,
    /// An extension of ours: the request that caused it.
    pub requestid: String,
    /// What happened to what.
    pub data: Data,
}

/// What an event says of its ticket. Not the message: see `docs/events.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Data {
    /// The submission's id: whoever has it reads what was sent.
    pub id: Uuid,
    /// The public number.
    pub ticket_number: String,
    /// Which change of the ticket it is, from 1 on.
    pub version: u32,
    /// Who asked.
    pub name: String,
    /// Where the answer goes.
    pub email: String,
    /// Whether anybody knows that the address is the submitter's. Nobody does.
    #[serde(default)]
    pub recipient_verified: bool,
    /// What it is about.
    pub subject: String,
    /// How soon somebody should look.
    pub priority: String,
    /// How far the ticket had come then.
    pub status: String,
    /// When the submission was accepted.
    pub submitted_at: String,
    /// What was, and what became of it; of a ticket's creation nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Value>,
}

impl CloudEvent {
    /// Every attribute by name, in the binary mode all headers but the last.
    #[must_use]
    pub fn attributes(&self) -> [(&'static str, String); 10] {
        [
            ("specversion", self.specversion.clone()),
            ("id", self.id.to_string()),
            ("source", self.source.clone()),
            ("type", self.r#type.clone()),
            ("time", self.time.clone()),
            ("subject", self.subject.clone()),
            ("dataschema", self.dataschema.clone()),
            ("traceparent", self.traceparent.clone()),
            ("requestid", self.requestid.clone()),
            ("datacontenttype", self.datacontenttype.clone()),
        ]
    }
}

impl From<&Event> for CloudEvent {
    fn from(event: &Event) -> Self {
        Self {
            specversion: SPEC_VERSION.to_owned(),
            id: event.id.as_uuid(),
            source: SOURCE.to_owned(),
            r#type: format!("{TYPE_PREFIX}{}", event.kind),
            time: rfc3339(event.at),
            subject: event.number.to_string(),
            datacontenttype: CONTENT_TYPE.to_owned(),
            dataschema: format!("{SCHEMA_PREFIX}{}", event.kind),
            traceparent: event.trace.traceparent.clone(),
            requestid: event.trace.request_id.clone(),
            data: Data {
                id: event.ticket_id.as_uuid(),
                ticket_number: event.number.to_string(),
                version: event.version,
                name: event.name.as_str().to_owned(),
                email: event.email.as_str().to_owned(),
                recipient_verified: false,
                subject: event.subject.to_string(),
                priority: event.priority.to_string(),
                status: event.status.to_string(),
                submitted_at: rfc3339(event.submitted_at),
                changes: event.changes.clone(),
            },
        }
    }
}

/// An event that is none this release can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ForeignEvent {
    /// A later release may know it.
    #[error("an event of an unknown type")]
    UnknownType,
    /// Nobody of ours wrote it.
    #[error("an event without a readable {0}")]
    Unreadable(&'static str),
}

/// Reads an event in the binary mode, given its attributes by name and its data. Asks only for what
/// it uses: another release may write fewer attributes or more.
pub fn read(
    attribute: impl Fn(&str) -> Option<String>,
    data: &[u8],
) -> Result<Event, ForeignEvent> {
    use ForeignEvent::Unreadable;
    let required = |name| attribute(name).ok_or(Unreadable(name));
    let kind = required("type")?;
    let kind = kind.strip_prefix(TYPE_PREFIX).ok_or(ForeignEvent::UnknownType)?;
    let kind = kind.parse().map_err(|_| ForeignEvent::UnknownType)?;
    let data: Data = serde_json::from_slice(data).map_err(|_| Unreadable("data"))?;
    let ticket_id = data.id.into();
    let id = EventId::of(ticket_id, data.version);
    if required("id")?.parse() != Ok(id.as_uuid()) {
        return Err(Unreadable("id"));
    }
    // Two extensions of ours to what a CloudEvent must have.
    let optional = |name| attribute(name).unwrap_or_default();
    Ok(Event {
        id,
        ticket_id,
        number: data.ticket_number.parse().map_err(|_| Unreadable("ticketNumber"))?,
        version: data.version,
        kind,
        name: Name::stored(data.name),
        email: Email::stored(data.email),
        subject: data.subject.parse().map_err(|_| Unreadable("subject"))?,
        status: data.status.parse().map_err(|_| Unreadable("status"))?,
        priority: data.priority.parse().map_err(|_| Unreadable("priority"))?,
        at: required("time")?.parse().map_err(|_| Unreadable("time"))?,
        submitted_at: data.submitted_at.parse().map_err(|_| Unreadable("submittedAt"))?,
        trace: Trace { request_id: optional("requestid"), traceparent: optional("traceparent") },
        changes: data.changes,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::domain::{EventKind, Priority, Status, Subject};

    fn event() -> Event {
        let ticket_id = Uuid::from_u128(7).into();
        Event {
            id: EventId::of(ticket_id, 2),
            ticket_id,
            number: "SUP-2026-483920".parse().unwrap(),
            version: 2,
            kind: EventKind::TicketStatusChanged,
            name: Name::parse("Ada").unwrap(),
            email: Email::parse("ada@example.org").unwrap(),
            subject: Subject::Billing,
            status: Status::InProgress,
            priority: Priority::Medium,
            at: "2026-11-22T10:31:00Z".parse().unwrap(),
            submitted_at: "2026-11-22T10:30:00Z".parse().unwrap(),
            trace: Trace { request_id: "order-66".to_owned(), traceparent: "00-1-2-01".to_owned() },
            changes: Some(json!({"status": {"before": "open", "after": "in-progress"}})),
        }
    }

    #[test]
    fn an_event_is_written_as_consumers_know_it() {
        let written = serde_json::to_value(CloudEvent::from(&event())).unwrap();
        let expected = json!({
            "specversion": "1.0",
            "id": event().id.to_string(),
            "source": "urn:supportline",
            "type": "supportline.ticket.status_changed",
            "time": "2026-11-22T10:31:00.000Z",
            "subject": "SUP-2026-483920",
            "datacontenttype": "application/json",
            "dataschema": "urn:supportline:schema:ticket.status_changed",
            "traceparent": "00-1-2-01",
            "requestid": "order-66",
            "data": {
                "id": "00000000-0000-0000-0000-000000000007",
                "ticketNumber": "SUP-2026-483920",
                "version": 2,
                "name": "Ada",
                "email": "ada@example.org",
                "recipientVerified": false,
                "subject": "billing",
                "priority": "medium",
                "status": "in-progress",
                "submittedAt": "2026-11-22T10:30:00.000Z",
                "changes": {"status": {"before": "open", "after": "in-progress"}},
            },
        });
        assert_eq!(written, expected);
        assert_eq!(event().routing_key(), "ticket.status_changed.in-progress");
    }

    /// Reads what was written, but for one attribute or field.
    fn read_with(name: &str, value: Option<&str>) -> Result<Event, ForeignEvent> {
        let written = CloudEvent::from(&event());
        let mut attributes: BTreeMap<_, _> = written.attributes().into();
        let mut data = serde_json::to_value(&written.data).unwrap();
        if data.get(name).is_some() && !attributes.contains_key(name) {
            data[name] = value.into();
        } else if let Some(value) = value {
            attributes.insert(name, value.to_owned());
        } else {
            attributes.remove(name);
        }
        read(|name| attributes.get(name).cloned(), data.to_string().as_bytes())
    }

    #[test]
    fn an_event_reads_back_and_a_foreign_one_does_not() {
        assert_eq!(read_with("", None), Ok(event()));
        let unknown = Err(ForeignEvent::UnknownType);
        assert_eq!(read_with("type", Some("supportline.ticket.sung")), unknown);
        assert_eq!(read_with("type", Some("somebody.elses")), unknown);
        for (name, value) in [
            ("id", Some("00000000-0000-0000-0000-000000000001")),
            ("id", None),
            ("type", None),
            ("time", Some("yesterday")),
            ("ticketNumber", Some("42")),
            ("priority", Some("later")),
        ] {
            let error = ForeignEvent::Unreadable(name);
            assert_eq!(read_with(name, value), Err(error), "{name} {value:?}");
        }
        assert_eq!(read(|_| None, b"{}"), Err(ForeignEvent::Unreadable("type")));
    }

    #[test]
    fn an_event_of_another_release_is_read_as_far_as_it_is_understood() {
        for unused in ["specversion", "source", "subject", "dataschema", "datacontenttype"] {
            assert_eq!(read_with(unused, None), Ok(event()), "without {unused}");
        }
        assert_eq!(read_with("tenant", Some("7")), Ok(event()), "with one more");
        let trace = Trace { request_id: String::new(), ..event().trace };
        assert_eq!(read_with("requestid", None), Ok(Event { trace, ..event() }));
    }

    #[test]
    fn every_attribute_is_listed() {
        let event = CloudEvent::from(&event());
        let object = serde_json::to_value(&event).unwrap();
        for (name, value) in event.attributes() {
            assert_eq!(object[name], value);
        }
        assert_eq!(object.as_object().unwrap().len(), event.attributes().len() + 1);
    }
}
