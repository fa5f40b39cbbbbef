//! Listening to events: a queue of this process's own, bound like any consumer's, and gone with its
//! connection.
//!
//! The queue is neither quorum nor durable. It holds copies for a listener who lives no longer than
//! the connection, and what the listener misses it reads from the store.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use backon::Retryable;
use common::{
    Cause,
    cloud_event::{CONTENT_TYPE, CloudEvent, Data},
    domain::Event,
    ports::events::{Feed, FeedItem, Subscription},
    retry::persistently,
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
use tokio::{sync::mpsc, time::timeout};
use tracing::{debug, info, warn};

use super::{
    Broker,
    connection::{CALL_DEADLINE, connect},
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
        self.0.tasks.spawn(listen(self.0.uri.clone(), sender));
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
async fn listen(uri: AMQPUri, items: mpsc::Sender<FeedItem>) {
    while let Some(mut session) = opened(&uri, &items).await {
        info!(connection = NAME, "connected to the broker");
        let lost = tokio::select! {
            ended = session.pass_on(&items) => ended.err(),
            () = items.closed() => None,
        };
        session.close().await;
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
        let consuming = async {
            let channel = connection.create_channel().await?;
            topology::declare(&channel).await?;
            channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
            let messages = consume_all(&channel).await?;
            Ok::<_, lapin::Error>((channel, messages))
        };
        let (channel, messages) = timeout(CALL_DEADLINE, consuming).await??;
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
                Err(error) => debug!(%error, "passed over an event"),
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

    async fn close(self) {
        // A broker that does not answer the good-bye has nothing to lose by it.
        let _ = timeout(CALL_DEADLINE, self.connection.close(200, "done".into())).await;
    }
}

/// A queue that only this connection sees, and that ends with it.
async fn consume_all(channel: &Channel) -> lapin::Result<Consumer> {
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    let mut arguments = FieldTable::default();
    // Said outright: a virtual host can have another default, and no other kind can be exclusive.
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
    let queue = channel.queue_declare("".into(), options, arguments).await?;
    let (exchange, none) = (topology::EVENTS.into(), FieldTable::default());
    let options = QueueBindOptions::default();
    channel.queue_bind(queue.name().clone(), exchange, ALL.into(), options, none.clone()).await?;
    let options = BasicConsumeOptions::default();
    channel.basic_consume(queue.name().clone(), "".into(), options, none).await
}

/// Reads a `CloudEvent` in the binary mode: the attributes from the headers, the data from the body.
fn read(message: &Delivery) -> Result<Event, Cause> {
    let headers = message.properties.headers().as_ref().ok_or("an event without headers")?;
    let mut attributes: BTreeMap<_, _> = headers
        .inner()
        .iter()
        .filter_map(|(name, value)| {
            let name = name.as_str().strip_prefix("cloudEvents_")?;
            let AMQPValue::LongString(value) = value else { return None };
            Some((name, String::from_utf8_lossy(value.as_bytes()).into_owned()))
        })
        .collect();
    let mut attribute =
        |name| attributes.remove(name).ok_or_else(|| format!("an event without {name}"));
    let data: Data = serde_json::from_slice(&message.data)?;
    let event = CloudEvent {
        specversion: attribute("specversion")?,
        id: attribute("id")?.parse()?,
        source: attribute("source")?,
        r#type: attribute("type")?,
        time: attribute("time")?,
        subject: attribute("subject")?,
        datacontenttype: CONTENT_TYPE.to_owned(),
        dataschema: attribute("dataschema")?,
        traceparent: attribute("traceparent")?,
        requestid: attribute("requestid")?,
        data,
    };
    Ok(event.try_into()?)
}
