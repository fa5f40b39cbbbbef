//! What consumers of events were told: the schemas in `docs/schemas/`, the document, and what is
//! sent, held against each other.

use std::collections::BTreeSet;

use common::cloud_event::CloudEvent;
use common::domain::{Event, EventId, EventKind, Priority, Status, Subject, SubmissionId};
use serde_json::{Value, json};

use super::minimal;

const DOCUMENT: &str = include_str!("../../../docs/events.md");

fn schema(kind: EventKind) -> Value {
    let text = match kind {
        EventKind::TicketCreated => include_str!("../../../docs/schemas/ticket.created.json"),
        EventKind::TicketStatusChanged => {
            include_str!("../../../docs/schemas/ticket.status_changed.json")
        }
        EventKind::TicketAssigned => include_str!("../../../docs/schemas/ticket.assigned.json"),
        EventKind::TicketReplied => include_str!("../../../docs/schemas/ticket.replied.json"),
        EventKind::TicketNoted => include_str!("../../../docs/schemas/ticket.noted.json"),
        EventKind::TicketTagged => include_str!("../../../docs/schemas/ticket.tagged.json"),
        EventKind::TicketErased => include_str!("../../../docs/schemas/ticket.erased.json"),
    };
    serde_json::from_str(text).expect("a schema is JSON")
}

fn cloud_event(kind: EventKind) -> CloudEvent {
    CloudEvent::from(&event(kind))
}

/// An event of the smallest ticket there is.
pub fn event(kind: EventKind) -> Event {
    let submission = minimal();
    let ticket_id: SubmissionId = submission.id;
    Event {
        id: EventId::of(ticket_id, 1),
        ticket_id,
        number: "SUP-2026-544740".parse().unwrap(),
        version: 1,
        kind,
        name: submission.form.name,
        email: submission.form.email,
        subject: submission.form.subject,
        status: Status::Open,
        priority: Priority::Low,
        at: submission.submitted_at,
        submitted_at: submission.submitted_at,
        trace: submission.trace,
        changes: (kind != EventKind::TicketCreated).then(|| json!({})),
    }
}

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn every_event_has_a_schema_that_tells_of_each_field_and_of_no_other() {
    for kind in EventKind::ALL {
        let (schema, event) = (schema(*kind), cloud_event(*kind));
        assert_eq!(schema["$id"], event.dataschema);
        let data = serde_json::to_value(&event.data).unwrap();
        let required: BTreeSet<_> =
            schema["required"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
        assert_eq!(keys(&schema["properties"]), keys(&data), "{kind}");
        assert_eq!(required, keys(&data), "{kind}");
        for (field, value) in data.as_object().unwrap() {
            let told = &schema["properties"][field];
            let is_told = match (told["type"].as_str(), value) {
                (Some("string"), Value::String(_))
                | (Some("object"), Value::Object(_))
                | (Some("boolean"), Value::Bool(_))
                | (Some("integer"), Value::Number(_)) => true,
                (None, word) => told["enum"].as_array().unwrap().contains(word),
                _ => false,
            };
            assert!(is_told, "{kind}: {field} is {value}, the schema says {told}");
        }
    }
}

#[test]
fn a_schema_knows_every_word() {
    for kind in EventKind::ALL {
        let properties = &schema(*kind)["properties"];
        let words = |all: Vec<&str>| json!(all);
        assert_eq!(
            properties["subject"]["enum"],
            words(Subject::ALL.iter().map(|it| it.as_str()).collect())
        );
        assert_eq!(
            properties["priority"]["enum"],
            words(Priority::ALL.iter().map(|it| it.as_str()).collect())
        );
        assert_eq!(
            properties["status"]["enum"],
            words(Status::ALL.iter().map(|it| it.as_str()).collect())
        );
    }
}

#[test]
fn the_document_names_every_kind_attribute_and_field() {
    let sample = DOCUMENT.split("```json\n").nth(1).and_then(|it| it.split("```").next());
    let sample: Value = serde_json::from_str(sample.expect("a sample")).expect("which is JSON");
    for kind in EventKind::ALL {
        let event = cloud_event(*kind);
        assert!(DOCUMENT.contains(&format!("`{}`", event.r#type)), "{kind}");
        assert!(DOCUMENT.contains(&format!("schemas/{kind}.json")), "{kind}");
        let data = serde_json::to_value(&event.data).unwrap();
        let missing: Vec<_> = keys(&data).difference(&keys(&sample)).copied().collect();
        assert!(missing.is_empty() || missing == ["changes"], "{kind}: {missing:?}");
        for (name, _) in event.attributes() {
            let is_named = DOCUMENT.contains(&format!("`cloudEvents_{name}`"));
            assert!(is_named || name == "datacontenttype", "{name}");
        }
    }
}
