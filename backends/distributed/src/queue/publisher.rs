//! Publishing with confirms.
//!
//! One task owns each publishing channel and is the only one to publish on it: tasks that share a
//! channel of this client get each other's confirms, and rejected messages are then reported as
//! accepted.

use std::{panic::AssertUnwindSafe, pin::Pin, time::Duration};

use backon::Retryable;
use bytes::Bytes;
use common::{
    Cause, failpoint,
    ports::queue::{PublishError, Receipt},
    retry::{REVIVAL_PAUSE, persistently},
};
use futures_util::{FutureExt, Stream, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, Event,
    options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions},
    types::FieldTable,
    uri::AMQPUri,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{sleep, timeout},
};
use tracing::{error, info, warn};

use super::{
    Broker,
    connection::{answered, close, connect},
    receipts,
    topology::Topology,
};

/// A publish that is not confirmed by then is given up; its outcome stays open. The edge's answer
/// waits for it.
const CONFIRM_DEADLINE: Duration = Duration::from_secs(2);

/// A broker that is back is found within this.
pub(super) const RECONNECT_DELAY_MAX: Duration = Duration::from_secs(2);

/// Messages published and not yet confirmed. The broker writes them to disk together, so more of
/// them share a flush; beyond this they only grow old.
const IN_FLIGHT_MAX: usize = 256;

/// Messages that wait for a place in flight.
const WAITING_MAX: usize = 256;

/// The address at which a broker sends replies straight to the channel that published.
pub(super) const DIRECT_REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// What to publish where.
pub(super) struct Message {
    pub(super) exchange: &'static str,
    pub(super) routing_key: String,
    /// Whether it matters that it arrives somewhere. A receipt may find its edge gone.
    pub(super) mandatory: bool,
    pub(super) properties: BasicProperties,
    pub(super) body: Bytes,
}

struct Request {
    message: Message,
    confirmed: oneshot::Sender<Result<(), PublishError>>,
}

/// A handle on the task that owns a publishing channel, and replaces it when lost. The task ends
/// when its last handle is dropped.
#[derive(Clone)]
pub(super) struct ConfirmingPublisher {
    requests: mpsc::Sender<Request>,
    is_ready: watch::Receiver<bool>,
}

impl ConfirmingPublisher {
    /// Starts the task. With `receipts` it also listens for replies to what it publishes.
    pub(super) fn start(
        broker: &Broker,
        name: &'static str,
        receipts: Option<mpsc::Sender<Vec<Receipt>>>,
    ) -> Self {
        let (requests, receiver) = mpsc::channel(WAITING_MAX);
        let (ready, is_ready) = watch::channel(false);
        let (uri, topology) = (broker.uri.clone(), broker.topology);
        let mut owner =
            Owner { uri, topology, name, receipts, requests: receiver, is_ready: ready };
        broker.tasks.spawn(async move {
            // Without it this process would look ready and take nothing, for ever.
            while AssertUnwindSafe(owner.run()).catch_unwind().await.is_err() {
                owner.is_ready.send_replace(false);
                error!(connection = name, "a publisher died and starts again");
                sleep(REVIVAL_PAUSE).await;
            }
        });
        Self { requests, is_ready }
    }

    /// Publishes, and waits for the broker's word.
    pub(super) async fn publish(&self, message: Message) -> Result<(), PublishError> {
        self.send(message).await?.word().await
    }

    /// Hands a message to the task, which publishes in the order of these calls.
    pub(super) async fn send(&self, message: Message) -> Result<Sent, PublishError> {
        let (confirmed, confirmation) = oneshot::channel();
        let request = Request { message, confirmed };
        self.requests.send(request).await.map_err(|_| gone())?;
        Ok(Sent(confirmation))
    }

    /// Publishes if there is room at once, and does not wait.
    pub(super) fn offer(&self, message: Message) {
        let (confirmed, _) = oneshot::channel();
        if self.requests.try_send(Request { message, confirmed }).is_err() {
            tracing::debug!("no room for a courtesy message");
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        *self.is_ready.borrow()
    }

    /// Waits until there is a channel to publish on.
    pub(super) async fn ready(&self) -> Result<(), PublishError> {
        let mut is_ready = self.is_ready.clone();
        is_ready.wait_for(|is_ready| *is_ready).await.map_err(|_| gone())?;
        Ok(())
    }
}

/// A message that the task has.
pub(super) struct Sent(oneshot::Receiver<Result<(), PublishError>>);

impl Sent {
    /// The broker's word on it.
    pub(super) async fn word(self) -> Result<(), PublishError> {
        self.0.await.unwrap_or(Err(PublishError::Unconfirmed))
    }
}

fn gone() -> PublishError {
    PublishError::Unavailable("the publisher has ended".into())
}

/// The task that owns the channel.
struct Owner {
    uri: AMQPUri,
    topology: Topology,
    name: &'static str,
    receipts: Option<mpsc::Sender<Vec<Receipt>>>,
    requests: mpsc::Receiver<Request>,
    is_ready: watch::Sender<bool>,
}

/// Why a session ended.
enum Ended {
    /// Nobody can ask any more.
    Unused,
    /// The channel cannot be used any more.
    Lost(Cause),
}

impl Owner {
    async fn run(&mut self) {
        while let Some(mut session) = self.connected().await {
            info!(connection = self.name, "connected to the broker");
            let ended = session.serve(&mut self.requests, &self.is_ready).await;
            self.is_ready.send_replace(false);
            match ended {
                Ended::Unused => {
                    close(&session.connection).await;
                    return;
                }
                Ended::Lost(cause) => warn!(connection = self.name, %cause, "lost the broker"),
            }
        }
    }

    /// Tries until there is a session, refusing at once whatever is asked meanwhile. `None` when
    /// nobody can ask any more.
    async fn connected(&mut self) -> Option<Session> {
        let Self { uri, topology, name, receipts, requests, .. } = self;
        let opening = (|| Session::open(uri, *topology, name, receipts.clone()))
            .retry(persistently(RECONNECT_DELAY_MAX))
            .notify(
                |cause, delay| warn!(connection = *name, %cause, ?delay, "no broker, trying again"),
            );
        let mut opening = std::pin::pin!(opening.into_future());
        loop {
            tokio::select! {
                session = &mut opening => return session.ok(),
                request = requests.recv() => {
                    let no_broker = PublishError::Unavailable("not connected to the broker".into());
                    // Whoever asked may have left.
                    let _ = request?.confirmed.send(Err(no_broker));
                }
            }
        }
    }
}

type Settled = (Result<(), PublishError>, oneshot::Sender<Result<(), PublishError>>);

/// One connection, one channel, and what is in flight on it. Dropping it fails what is in flight.
struct Session {
    connection: Connection,
    channel: Channel,
    events: Pin<Box<dyn Stream<Item = Event> + Send>>,
    replies: Option<(lapin::Consumer, mpsc::Sender<Vec<Receipt>>)>,
    in_flight: FuturesUnordered<BoxFuture<'static, Settled>>,
    /// The broker has told us to wait. It takes nothing, and says nothing of what it has.
    is_blocked: bool,
}

impl Session {
    async fn open(
        uri: &AMQPUri,
        topology: Topology,
        name: &str,
        receipts: Option<mpsc::Sender<Vec<Receipt>>>,
    ) -> Result<Self, Cause> {
        let connection = connect(uri, name).await?;
        let events = Box::pin(connection.events_listener());
        let channel = answered(connection.create_channel()).await?;
        topology.declare(&channel).await?;
        answered(channel.confirm_select(ConfirmSelectOptions::default())).await?;
        let replies = match receipts {
            Some(receipts) => Some((answered(consume_replies(&channel)).await?, receipts)),
            None => None,
        };
        let in_flight = FuturesUnordered::new();
        Ok(Self { connection, channel, events, replies, in_flight, is_blocked: false })
    }

    async fn serve(
        &mut self,
        requests: &mut mpsc::Receiver<Request>,
        is_ready: &watch::Sender<bool>,
    ) -> Ended {
        loop {
            is_ready.send_replace(!self.is_blocked);
            let has_room = self.is_blocked || self.in_flight.len() < IN_FLIGHT_MAX;
            let served = tokio::select! {
                // Before anything is published it must be known that publishing is blocked.
                biased;
                Some(event) = self.events.next() => self.heed(event),
                Some(settled) = self.in_flight.next() => self.settle(settled),
                receipts = next_reply(&mut self.replies) => receipts,
                request = requests.recv(), if has_room => match request {
                    Some(request) => self.take(request).await,
                    None => return self.finish().await,
                },
            };
            if let Err(cause) = served {
                return Ended::Lost(cause);
            }
        }
    }

    async fn take(&mut self, Request { message, confirmed }: Request) -> Result<(), Cause> {
        if self.is_blocked {
            let blocked = PublishError::Unavailable("the broker has blocked publishers".into());
            let _ = confirmed.send(Err(blocked));
            return Ok(());
        }
        let published = self.channel.basic_publish(
            message.exchange.into(),
            message.routing_key.into(),
            BasicPublishOptions { mandatory: message.mandatory, ..BasicPublishOptions::default() },
            &message.body,
            message.properties,
        );
        // Nothing else is done meanwhile: it only hands the frames over, unless the broker blocks.
        let confirmation = tokio::select! {
            published = timeout(CONFIRM_DEADLINE, published) => published??,
            Some(event) = self.events.next() => {
                let _ = confirmed.send(Err(PublishError::Unconfirmed));
                return self.heed(event);
            }
        };
        failpoint!("publisher.after_publish");
        let outcome = async move {
            let outcome = match timeout(CONFIRM_DEADLINE, confirmation).await {
                Ok(Ok(Confirmation::Ack(None))) => Ok(()),
                Ok(Ok(Confirmation::Nack(None))) => Err(PublishError::Rejected),
                // A returned message may belong to another publish, so nothing can be said of any.
                _ => Err(PublishError::Unconfirmed),
            };
            (outcome, confirmed)
        };
        self.in_flight.push(outcome.boxed());
        Ok(())
    }

    fn settle(&self, (outcome, confirmed): Settled) -> Result<(), Cause> {
        let is_open = matches!(outcome, Err(PublishError::Unconfirmed));
        let _ = confirmed.send(outcome);
        // While blocked, silence is what was announced.
        if is_open && !self.is_blocked {
            return Err("a publish was not confirmed in time, or returned".into());
        }
        Ok(())
    }

    fn heed(&mut self, event: Event) -> Result<(), Cause> {
        match event {
            Event::ConnectionBlocked(reason) => {
                warn!(reason, "the broker has blocked publishers");
                self.is_blocked = true;
            }
            Event::ConnectionUnblocked => {
                info!("the broker takes messages again");
                self.is_blocked = false;
            }
            Event::Error(error) => return Err(error.into()),
            _ => {}
        }
        Ok(())
    }

    /// Nothing new can come: waits for what is in flight, each part of which has its deadline.
    async fn finish(&mut self) -> Ended {
        while let Some((outcome, confirmed)) = self.in_flight.next().await {
            let _ = confirmed.send(outcome);
        }
        Ended::Unused
    }
}

async fn consume_replies(channel: &Channel) -> lapin::Result<lapin::Consumer> {
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    channel.basic_consume(DIRECT_REPLY_TO.into(), "".into(), options, FieldTable::default()).await
}

/// Passes the next batch of receipts on; waits for ever where none are expected.
async fn next_reply(
    replies: &mut Option<(lapin::Consumer, mpsc::Sender<Vec<Receipt>>)>,
) -> Result<(), Cause> {
    let Some((consumer, receipts)) = replies else { return std::future::pending().await };
    let reply = consumer.next().await.ok_or("the broker ended the replies")??;
    match receipts::decode(&reply.data) {
        // Nobody reading them, or not fast enough: a receipt is a courtesy.
        Ok(batch) => drop(receipts.try_send(batch)),
        Err(error) => warn!(%error, "a reply is unreadable"),
    }
    Ok(())
}
