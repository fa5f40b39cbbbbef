//! Envelopes on their way from an edge to the intake queue, or to one of several.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use common::{
    domain::Submission,
    envelope,
    ports::queue::{PublishError, Publisher},
};
use lapin::{BasicProperties, types::FieldTable};

use super::{
    publisher::{ConfirmingPublisher, DIRECT_REPLY_TO, Message},
    topology::Topology,
};

/// The edge's half of the intake.
pub(super) struct IntakePublisher {
    publisher: ConfirmingPublisher,
    topology: Topology,
    /// How many envelopes it has published: what they are spread by.
    published: AtomicU64,
}

impl IntakePublisher {
    pub(super) const fn new(publisher: ConfirmingPublisher, topology: Topology) -> Self {
        Self { publisher, topology, published: AtomicU64::new(0) }
    }

    async fn send(&self, body: Bytes, properties: BasicProperties) -> Result<(), PublishError> {
        let number = self.published.fetch_add(1, Ordering::Relaxed);
        let (exchange, routing_key) = self.topology.way_in(number);
        let message = Message {
            exchange,
            routing_key,
            mandatory: true,
            properties: properties.with_reply_to(DIRECT_REPLY_TO.into()),
            body,
        };
        self.publisher.publish(message).await
    }
}

#[async_trait]
impl Publisher for IntakePublisher {
    async fn publish(&self, submissions: Vec<Submission>) -> Result<(), PublishError> {
        if submissions.is_empty() {
            return Ok(());
        }
        self.send(envelope::encode(&submissions), envelope_properties()).await
    }

    async fn publish_bytes(&self, body: Bytes) -> Result<(), PublishError> {
        // Of which version it is, is for its reader to say.
        self.send(body, envelope_properties().with_headers(FieldTable::default())).await
    }

    fn is_ready(&self) -> bool {
        self.publisher.is_ready()
    }
}

/// The properties of every envelope: persistent, and saying what it is.
pub(super) fn envelope_properties() -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert("v".into(), envelope::VERSION.into());
    BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type("application/json".into())
        .with_type("submissions".into())
        .with_app_id("supportline".into())
        .with_headers(headers)
}
