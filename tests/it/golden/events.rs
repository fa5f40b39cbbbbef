//! An event as it was once published, attributes and data.

use std::collections::BTreeMap;

use common::cloud_event::{self, CloudEvent};
use common::domain::EventKind;
use serde_json::{Value, json};

use super::schemas::event;

const WRITTEN: &str = include_str!("event-ticket.created.json");

fn read(event: &Value) -> Result<common::domain::Event, cloud_event::ForeignEvent> {
    let attribute = |name: &str| event["attributes"][name].as_str().map(str::to_owned);
    cloud_event::read(attribute, event["data"].to_string().as_bytes())
}

#[test]
fn todays_events_are_written_exactly_so() {
    let today = CloudEvent::from(&event(EventKind::TicketCreated));
    let attributes: BTreeMap<_, _> = today.attributes().into();
    let written = json!({ "attributes": attributes, "data": today.data });
    assert_eq!(written, serde_json::from_str::<Value>(WRITTEN).unwrap(), "{written}");
}

#[test]
fn an_event_that_was_ever_published_is_read_and_what_was_added_since_is_passed_over() {
    let mut written: Value = serde_json::from_str(WRITTEN).unwrap();
    let before = read(&written).unwrap();
    written["data"]["mood"] = json!({ "good": [1] });
    written["attributes"]["mood"] = json!("good");
    assert_eq!(CloudEvent::from(&read(&written).unwrap()), CloudEvent::from(&before));
    assert_eq!(before, event(EventKind::TicketCreated));
}
