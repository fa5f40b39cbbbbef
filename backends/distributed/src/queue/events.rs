//! Publishing events: CloudEvents in the binary mode of their AMQP binding, to a topic exchange that
//! consumers bind queues of their own to.

use std::{collections::HashSet, sync::OnceLock, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use common::{
    cloud_event::{CONTENT_TYPE, CloudEvent},
    domain::Event,
    ports::{
        events::{EventPublishError, EventPublisher},
        queue::PublishError,
    },
};
use lapin::{BasicProperties, types::FieldTable};
use tokio::time::timeout;

use super::{
    Broker,
    publisher::{ConfirmingPublisher, Message},
    topology::{self, text},
};

/// How long a publish waits for a channel, which is being opened the first time, and perhaps anew
/// later. It leaves time to publish while the relay's lease lasts, which is three seconds.
const READY_WAIT: Duration = Duration::from_secs(1);

/// The relay's publisher. Of all workers one relays, so the others open no connection for it.
pub(super) struct EventsPublisher {
    broker: Broker,
    publisher: OnceLock<ConfirmingPublisher>,
}

impl EventsPublisher {
    pub(super) const fn new(broker: Broker) -> Self {
        Self { broker, publisher: OnceLock::new() }
    }
}

#[async_trait]
impl EventPublisher for EventsPublisher {
    async fn publish(&self, events: &[Event]) -> Result<(), EventPublishError> {
        if events.is_empty() {
            return Ok(());
        }
        let start = || ConfirmingPublisher::start(&self.broker, "supportline events", None);
        let publisher = self.publisher.get_or_init(start);
        let ready = timeout(READY_WAIT, publisher.ready()).await;
        ready.map_err(|_| nobody_there()).flatten().map_err(|error| failed(0, error))?;
        let mut arrived = 0;
        for run in runs(events) {
            let (more, outcome) = publish_run(publisher, run).await;
            arrived += more;
            outcome.map_err(|error| failed(arrived, error))?;
        }
        Ok(())
    }
}

/// Hands over the whole run in its order, then hears of each; of none is it unknown afterwards. Tells
/// how many arrived, from the first one on, and what became of the next.
async fn publish_run(
    publisher: &ConfirmingPublisher,
    run: &[Event],
) -> (usize, Result<(), PublishError>) {
    let mut sent = Vec::with_capacity(run.len());
    for event in run {
        sent.push(publisher.send(message(event)).await);
    }
    let mut words = Vec::with_capacity(sent.len());
    for message in sent {
        words.push(match message {
            Ok(message) => message.word().await,
            Err(error) => Err(error),
        });
    }
    let arrived = words.iter().take_while(|word| word.is_ok()).count();
    (arrived, words.into_iter().collect())
}

fn nobody_there() -> PublishError {
    PublishError::Unavailable("there is no broker, or it has blocked publishers".into())
}

fn failed(published: usize, error: PublishError) -> EventPublishError {
    EventPublishError { published, cause: error.into() }
}

/// The events cut into runs in which no ticket occurs twice, to be confirmed one after the other. A
/// broker may refuse an event and take the one behind it: were both of one ticket, whoever hears
/// them would hear the later one first.
fn runs(events: &[Event]) -> Vec<&[Event]> {
    let mut runs = Vec::new();
    let mut start = 0;
    let mut tickets = HashSet::new();
    for (index, event) in events.iter().enumerate() {
        if !tickets.insert(event.ticket_id) {
            runs.push(&events[start..index]);
            start = index;
            tickets = HashSet::from([event.ticket_id]);
        }
    }
    runs.push(&events[start..]);
    runs
}

fn message(event: &Event) -> Message {
    let cloud_event = CloudEvent::from(event);
    let mut headers = FieldTable::default();
    for (name, value) in cloud_event.attributes() {
        // The content type has a property of its own.
        if name != "datacontenttype" {
            headers.insert(format!("cloudEvents_{name}").into(), text(&value));
        }
    }
    headers.insert("traceparent".into(), text(&event.trace.traceparent));
    let properties = BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type(CONTENT_TYPE.into())
        .with_message_id(event.id.to_string().into())
        .with_correlation_id(event.trace.request_id.as_str().into())
        .with_type(cloud_event.r#type.as_str().into())
        .with_app_id("supportline".into())
        .with_headers(headers);
    #[expect(clippy::expect_used, reason = "strings and numbers under string keys serialize")]
    let body = serde_json::to_vec(&cloud_event.data).expect("the data of an event are plain JSON");
    Message {
        exchange: topology::EVENTS,
        routing_key: event.routing_key(),
        // Nobody bound is fine, and the broker confirms what goes nowhere.
        mandatory: false,
        properties,
        body: Bytes::from(body),
    }
}

#[cfg(test)]
mod tests {
    use common::{
        domain::{
            Email, EventId, EventKind, Name, Priority, Status, Subject, SubmissionId, TicketNumber,
        },
        trace::Trace,
    };
    use uuid::Uuid;

    use super::*;

    fn event(ticket: u128, version: u32) -> Event {
        let ticket_id = SubmissionId::from(Uuid::from_u128(ticket));
        let at = chrono::DateTime::UNIX_EPOCH;
        Event {
            changes: None,
            id: EventId::of(ticket_id, version),
            ticket_id,
            number: "SUP-2026-483920".parse::<TicketNumber>().unwrap(),
            version,
            kind: EventKind::TicketCreated,
            name: Name::parse("Ada").unwrap(),
            email: Email::parse("ada@example.org").unwrap(),
            subject: Subject::Technical,
            status: Status::Open,
            priority: Priority::High,
            at,
            submitted_at: at,
            trace: Trace { request_id: "order-66".to_owned(), traceparent: "00-1-2-01".to_owned() },
        }
    }

    #[test]
    fn no_ticket_is_twice_in_a_run_and_no_event_is_left_out() {
        let changes = [(1, 1), (2, 1), (1, 2), (3, 1), (2, 2), (2, 3), (1, 3), (4, 1)]
            .map(|(t, v)| event(t, v));
        let lengths: Vec<_> = runs(&changes).iter().map(|run| run.len()).collect();
        assert_eq!(lengths, [2, 3, 3]);
        assert_eq!(runs(&changes).concat(), changes);
        assert_eq!(runs(&changes[..1]), [&changes[..1]]);
    }

    #[test]
    fn a_message_is_a_cloud_event_in_binary_mode() {
        let event = event(7, 1);
        let message = message(&event);
        assert_eq!(message.routing_key, "ticket.created.high");
        assert_eq!((message.exchange, message.mandatory), ("support.events", false));
        let properties = &message.properties;
        let id = event.id.to_string();
        assert_eq!(properties.message_id().as_ref().unwrap().as_str(), id);
        assert_eq!(properties.correlation_id().as_ref().unwrap().as_str(), "order-66");
        assert_eq!(properties.content_type().as_ref().unwrap().as_str(), "application/json");
        assert_eq!(*properties.delivery_mode(), Some(2));
        let headers = properties.headers().as_ref().unwrap().inner();
        let names: Vec<_> = headers.keys().map(ToString::to_string).collect();
        let expected = [
            "cloudEvents_dataschema",
            "cloudEvents_id",
            "cloudEvents_requestid",
            "cloudEvents_source",
            "cloudEvents_specversion",
            "cloudEvents_subject",
            "cloudEvents_time",
            "cloudEvents_traceparent",
            "cloudEvents_type",
            "traceparent",
        ];
        assert_eq!(names, expected);
        assert_eq!(headers["cloudEvents_id"], text(&id));
        assert_eq!(headers["traceparent"], text("00-1-2-01"));
        let body: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
        assert_eq!(body["ticketNumber"], "SUP-2026-483920");
        assert_eq!(body["recipientVerified"], false);
        assert!(body.get("message").is_none());
    }
}
