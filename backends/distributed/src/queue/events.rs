//! Publishing events: CloudEvents in the binary mode of their AMQP binding, to a topic exchange that
//! consumers bind queues of their own to.

use std::{collections::HashSet, sync::OnceLock};

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
use futures_util::future::join_all;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use tokio::time::timeout;

use super::{
    Broker,
    connection::CALL_DEADLINE,
    publisher::{ConfirmingPublisher, Message},
    topology,
};

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
        // The first time it is only being opened, and later perhaps opened anew.
        timeout(CALL_DEADLINE, publisher.ready())
            .await
            .map_err(|elapsed| EventPublishError(elapsed.into()))?
            .map_err(failed)?;
        for run in runs(events) {
            let confirms = run.iter().map(|event| publisher.publish(message(event)));
            join_all(confirms).await.into_iter().collect::<Result<(), _>>().map_err(failed)?;
        }
        Ok(())
    }
}

fn failed(error: PublishError) -> EventPublishError {
    EventPublishError(error.into())
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

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}
