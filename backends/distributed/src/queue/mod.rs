//! RabbitMQ.
//!
//! A connection is never repaired, only replaced: the client's own recovery brings back
//! connections but not channels, so whoever loses one opens everything anew. Publishing and
//! consuming never share a connection, since a broker in need blocks those that publish, and with
//! them every acknowledgement.

mod audit;
mod connection;
mod consumer;
mod dead_letters;
mod events;
mod feed;
mod in_flight;
mod intake;
mod letter;
mod publisher;
mod receipts;
mod rota;
mod topology;

use std::sync::Arc;

use common::{
    Cause,
    clock::Clock,
    ports::events::{EventPublisher, Feed},
    ports::queue::{ConsumerSource, Publisher, RECEIPT_BATCHES_MAX, Receipt},
};
use lapin::uri::AMQPUri;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use self::{
    audit::Depth, connection::SharedConnection, consumer::Consumers, events::EventsPublisher,
    feed::EventFeed, intake::IntakePublisher, publisher::ConfirmingPublisher, topology::Topology,
};

/// The text is no address of RabbitMQ.
#[derive(Debug, Error)]
#[error("expected amqp://user:password@host:port/vhost")]
pub struct MalformedAmqpUrl;

/// One broker, reached over as many connections as the ports need.
#[derive(Clone)]
pub(crate) struct Broker {
    uri: AMQPUri,
    topology: Topology,
    clock: Arc<dyn Clock>,
    /// Asks questions: depths, dead letters.
    inspection: Arc<SharedConnection>,
    tasks: TaskTracker,
}

impl Broker {
    pub(crate) fn new(
        url: &SecretString,
        intake_queues: u16,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, MalformedAmqpUrl> {
        let mut uri: AMQPUri = url.expose_secret().parse().map_err(|_| MalformedAmqpUrl)?;
        // Silence is noticed after two heartbeats; the documentation calls less than five seconds
        // prone to false alarms.
        uri.query.heartbeat = uri.query.heartbeat.or(Some(10));
        uri.query.connection_timeout = uri.query.connection_timeout.or(Some(3_000));
        let inspection = Arc::new(SharedConnection::new(uri.clone(), "supportline inspection"));
        let topology = Topology::new(intake_queues);
        Ok(Self { uri, topology, clock, inspection, tasks: TaskTracker::new() })
    }

    /// The edge's half, and where the receipts for what it publishes arrive.
    pub(crate) fn publisher(&self) -> (Arc<dyn Publisher>, mpsc::Receiver<Vec<Receipt>>) {
        let (sender, receipts) = mpsc::channel(RECEIPT_BATCHES_MAX);
        let publisher = ConfirmingPublisher::start(self, "supportline edge", Some(sender));
        (Arc::new(IntakePublisher::new(publisher, self.topology)), receipts)
    }

    /// The worker's half.
    pub(crate) fn consumers(&self) -> Arc<dyn ConsumerSource> {
        let answers = ConfirmingPublisher::start(self, "supportline worker answers", None);
        let connection = SharedConnection::new(self.uri.clone(), "supportline worker");
        Arc::new(Consumers::new(connection, self.topology, answers, Arc::clone(&self.clock)))
    }

    /// The relay's half of the events.
    pub(crate) fn event_publisher(&self) -> Arc<dyn EventPublisher> {
        Arc::new(EventsPublisher::new(self.clone()))
    }

    /// The edge's half of the events.
    pub(crate) fn feed(&self) -> Arc<dyn Feed> {
        Arc::new(EventFeed::new(self.clone()))
    }

    /// What waits in all intake queues together, and how many consume the one that fewest do.
    pub(crate) async fn intake_depth(&self) -> Result<Depth, Cause> {
        let mut all = Depth { messages: 0, consumers: u64::MAX };
        for queue in self.topology.intake() {
            let Depth { messages, consumers } = self.inspection.depth(&queue).await?;
            all.messages += messages;
            all.consumers = all.consumers.min(consumers);
        }
        Ok(all)
    }

    /// Waits for the publishers, which end once their owners are gone and what they took is
    /// confirmed or given up.
    pub(crate) async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.inspection.close().await;
    }
}
