//! Events as others read them: CloudEvents 1.0 (<https://cloudevents.io>).
//!
//! `docs/events.md` describes them for consumers, and `docs/schemas/` holds a JSON schema a type. A
//! field may be added; what an older consumer would misread needs another type.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::{
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    pub recipient_verified: bool,
    /// What it is about.
    pub subject: String,
    /// How soon somebody should look.
    pub priority: String,
    /// How far the ticket had come then.
    pub status: String,
    /// When the submission was accepted.
    pub submitted_at: String,
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
            },
        }
    }
}

/// Which part of it is not one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a foreign event: {0}")]
pub struct ForeignEvent(&'static str);

impl TryFrom<CloudEvent> for Event {
    type Error = ForeignEvent;

    fn try_from(event: CloudEvent) -> Result<Self, ForeignEvent> {
        let data = event.data;
        let kind = event.r#type.strip_prefix(TYPE_PREFIX).and_then(|kind| kind.parse().ok());
        let ticket_id = data.id.into();
        let id = EventId::of(ticket_id, data.version);
        if id.as_uuid() != event.id {
            return Err(ForeignEvent("id"));
        }
        Ok(Self {
            id,
            ticket_id,
            number: data.ticket_number.parse().map_err(|_| ForeignEvent("ticketNumber"))?,
            version: data.version,
            kind: kind.ok_or(ForeignEvent("type"))?,
            name: Name::stored(data.name),
            email: Email::stored(data.email),
            subject: data.subject.parse().map_err(|_| ForeignEvent("subject"))?,
            status: data.status.parse().map_err(|_| ForeignEvent("status"))?,
            priority: data.priority.parse().map_err(|_| ForeignEvent("priority"))?,
            at: event.time.parse().map_err(|_| ForeignEvent("time"))?,
            submitted_at: data.submitted_at.parse().map_err(|_| ForeignEvent("submittedAt"))?,
            trace: Trace { request_id: event.requestid, traceparent: event.traceparent },
        })
    }
}

fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
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
            },
        });
        assert_eq!(written, expected);
        assert_eq!(event().routing_key(), "ticket.status_changed.in-progress");
    }

    #[test]
    fn an_event_reads_back_and_a_foreign_one_does_not() {
        let written = CloudEvent::from(&event());
        assert_eq!(Event::try_from(written.clone()), Ok(event()));
        let another = CloudEvent { id: Uuid::from_u128(1), ..written.clone() };
        assert_eq!(Event::try_from(another), Err(ForeignEvent("id")));
        let unknown = CloudEvent { r#type: "supportline.ticket.sung".to_owned(), ..written };
        assert_eq!(Event::try_from(unknown), Err(ForeignEvent("type")));
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
