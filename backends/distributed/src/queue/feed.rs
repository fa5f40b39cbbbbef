//! Listening to events: a queue of this process's own, bound like any consumer's, and gone with its
//! connection.
//!
//! The queue is neither quorum nor durable. It holds copies for a listener who lives no longer than
//! the connection, and what the listener misses it reads from the store.

use std::{panic::AssertUnwindSafe, sync::Arc};

use async_trait::async_trait;
use backon::Retryable;
use common::{
    Cause,
    cloud_event::{self, ForeignEvent},
    domain::Event,
    ports::events::{Feed, FeedItem, Subscription},
    retry::{REVIVAL_PAUSE, persistently},
};
use futures_util::{FutureExt, StreamExt};
use lapin::{
    Channel, Connection, Consumer,
    message::Delivery,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions,
        QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
    uri::AMQPUri,
};
use tokio::{sync::mpsc, time::sleep};
use tracing::{debug, error, info, warn};

use super::{
    Broker,
    connection::{answered, close, connect},
    publisher::RECONNECT_DELAY_MAX,
    topology,
};

/// Events the broker hands over ahead of their acknowledgement. What a slow process has not taken
/// waits at the broker, not here.
const PREFETCH: u16 = 512;

/// Where a connection shows up.
const NAME: &str = "supportline progress";

/// Every event, whatever its kind.
const ALL: &str = "ticket.#";

/// The edge's half of the events.
pub(super) struct EventFeed(Broker);

impl EventFeed {
    pub(super) const fn new(broker: Broker) -> Self {
        Self(broker)
    }
}

impl Feed for EventFeed {
    fn subscribe(&self) -> Box<dyn Subscription> {
        let (sender, items) = mpsc::channel(1);
        let uri = self.0.uri.clone();
        self.0.tasks.spawn(async move {
            // Without it those who follow tickets would be told of nothing, for ever.
            while AssertUnwindSafe(listen(&uri, &sender)).catch_unwind().await.is_err() {
                error!(connection = NAME, "the listener died and starts again");
                sleep(REVIVAL_PAUSE).await;
            }
        });
        Box::new(Listener(items))
    }
}

struct Listener(mpsc::Receiver<FeedItem>);

#[async_trait]
impl Subscription for Listener {
    async fn next(&mut self) -> FeedItem {
        match self.0.recv().await {
            Some(item) => item,
            // The task ends with its listener, or with the process.
            None => std::future::pending().await,
        }
    }
}

/// Listens over one connection after another until nobody does.
async fn listen(uri: &AMQPUri, items: &mpsc::Sender<FeedItem>) {
    while let Some(mut session) = opened(uri, items).await {
        info!(connection = NAME, "connected to the broker");
        let lost = tokio::select! {
            ended = session.pass_on(items) => ended.err(),
            () = items.closed() => None,
        };
        close(&session.connection).await;
        let Some(cause) = lost else { return };
        warn!(connection = NAME, %cause, "lost the broker");
    }
}

/// Tries until there is a session. `None` when nobody listens any more.
async fn opened(uri: &AMQPUri, items: &mpsc::Sender<FeedItem>) -> Option<Session> {
    let opening = (|| Session::open(uri))
        .retry(persistently(RECONNECT_DELAY_MAX))
        // Only said aloud by those without whom no submission is accepted.
        .notify(
            |cause, delay| debug!(connection = NAME, %cause, ?delay, "no broker, trying again"),
        );
    tokio::select! {
        session = opening => session.ok(),
        () = items.closed() => None,
    }
}

struct Session {
    connection: Connection,
    channel: Channel,
    messages: Consumer,
}

impl Session {
    async fn open(uri: &AMQPUri) -> Result<Self, Cause> {
        let connection = connect(uri, NAME).await?;
        let channel = answered(connection.create_channel()).await?;
        topology::declare(&channel).await?;
        answered(channel.basic_qos(PREFETCH, BasicQosOptions::default())).await?;
        let messages = consume_all(&channel).await?;
        Ok(Self { connection, channel, messages })
    }

    /// Passes events on until nobody listens, or the connection is lost, which it says why.
    async fn pass_on(&mut self, items: &mpsc::Sender<FeedItem>) -> Result<(), Cause> {
        // What was published before the queue was bound went past.
        let mut is_heard = items.send(FeedItem::Gap).await.is_ok();
        let mut next = self.messages.next().await;
        while is_heard {
            let message = next.ok_or("the broker ended the consumer")??;
            match read(&message) {
                Ok(event) => {
                    is_heard = items.send(FeedItem::Changed(Arc::new(event))).await.is_ok();
                }
                // Of a kind that a later release knows.
                Err(error @ ForeignEvent::UnknownType) => debug!(%error, "passed over an event"),
                // What it told of is missed by those who follow that ticket.
                Err(error) => warn!(%error, "passed over an event"),
            }
            let at_hand = self.messages.next().now_or_never();
            next = if let Some(at_hand) = at_hand {
                at_hand
            } else {
                // All of them together, as many as there were.
                let all = BasicAckOptions { multiple: true };
                self.channel.basic_ack(message.delivery_tag, all).await?;
                self.messages.next().await
            };
        }
        Ok(())
    }
}

/// A queue that only this connection sees, and that ends with it.
async fn consume_all(channel: &Channel) -> Result<Consumer, Cause> {
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    let mut arguments = FieldTable::default();
    // Said outright: a virtual host can have another default, and no other kind can be exclusive.
    arguments.insert("x-queue-type".into(), topology::text("classic"));
    let queue = answered(channel.queue_declare("".into(), options, arguments)).await?;
    let (exchange, none) = (topology::EVENTS.into(), FieldTable::default());
    let options = QueueBindOptions::default();
    let name = queue.name();
    let bound = channel.queue_bind(name.clone(), exchange, ALL.into(), options, none.clone());
    answered(bound).await?;
    let options = BasicConsumeOptions::default();
    answered(channel.basic_consume(name.clone(), "".into(), options, none)).await
}

/// Reads a `CloudEvent` in the binary mode: the attributes from the headers, the data from the body.
fn read(message: &Delivery) -> Result<Event, ForeignEvent> {
    let attribute = |name: &str| {
        let headers = message.properties.headers().as_ref()?.inner();
        let AMQPValue::LongString(value) = headers.get(format!("cloudEvents_{name}").as_str())?
        else {
            return None;
        };
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    cloud_event::read(attribute, &message.data)
}
