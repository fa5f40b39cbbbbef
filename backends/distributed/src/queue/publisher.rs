//! Publishing with confirms.
//!
//! One task owns each publishing channel and is the only one to publish on it: tasks that share a
//! channel of this client get each other's confirms, and rejected messages are then reported as
//! accepted.

use std::{mem, panic::AssertUnwindSafe, pin::Pin, time::Duration};

use backon::Retryable;
use bytes::Bytes;
use common::{
    Cause, failpoint,
    ports::queue::{PublishError, Receipt},
    retry::{REVIVAL_PAUSE, persistently},
};
use futures_util::{FutureExt, Stream, StreamExt, future::maybe_done, poll};
use lapin::{
    BasicProperties, Channel, Connection, Event,
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
    connection::{answered, close, connect, connect_for_ours},
    in_flight::{Confirmed, InFlight},
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
    confirmed: Confirmed,
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
                    // Whoever asked may have left.
                    let _ = request?.confirmed.send(Err(no_broker()));
                }
            }
        }
    }
}

fn no_broker() -> PublishError {
    PublishError::Unavailable("not connected to the broker".into())
}

/// One connection, one channel, and what is in flight on it. Dropping it fails what is in flight.
struct Session {
    connection: Connection,
    channel: Channel,
    events: Pin<Box<dyn Stream<Item = Event> + Send>>,
    replies: Option<(lapin::Consumer, mpsc::Sender<Vec<Receipt>>)>,
    in_flight: InFlight,
    /// The broker has told us to wait. It takes nothing, and says nothing of what it has.
    is_blocked: bool,
}

impl Session {
    async fn open(
        uri: &AMQPUri,
        topology: Topology,
        name: &'static str,
        receipts: Option<mpsc::Sender<Vec<Receipt>>>,
    ) -> Result<Self, Cause> {
        // Who hears of receipts is an edge, and publishes what it made itself.
        let connection = match receipts {
            Some(_) => connect_for_ours(uri, name).await?,
            None => connect(uri, name).await?,
        };
        let events = Box::pin(connection.events_listener());
        let channel = answered(connection.create_channel()).await?;
        topology.declare(&channel).await?;
        answered(channel.confirm_select(ConfirmSelectOptions::default())).await?;
        let replies = match receipts {
            Some(receipts) => Some((answered(consume_replies(&channel)).await?, receipts)),
            None => None,
        };
        let in_flight = InFlight::new(CONFIRM_DEADLINE);
        Ok(Self { connection, channel, events, replies, in_flight, is_blocked: false })
    }

    async fn serve(
        &mut self,
        requests: &mut mpsc::Receiver<Request>,
        is_ready: &watch::Sender<bool>,
    ) -> Ended {
        let mut taken = Vec::new();
        loop {
            let is_ready_now = !self.is_blocked;
            is_ready
                .send_if_modified(|is_ready| mem::replace(is_ready, is_ready_now) != is_ready_now);
            let room = IN_FLIGHT_MAX - self.in_flight.len();
            let room = if self.is_blocked { IN_FLIGHT_MAX } else { room };
            let served = tokio::select! {
                // Before anything is published it must be known that publishing is blocked.
                biased;
                Some(event) = self.events.next() => self.heed(event),
                settled = self.in_flight.settle() => self.settled(settled),
                receipts = next_reply(&mut self.replies) => receipts,
                count = requests.recv_many(&mut taken, room), if room > 0 => match count {
                    0 => return self.finish().await,
                    _ => self.take_all(mem::take(&mut taken)).await,
                },
            };
            if let Err(cause) = served {
                return Ended::Lost(cause);
            }
        }
    }

    /// Publishes these in their order.
    async fn take_all(&mut self, requests: Vec<Request>) -> Result<(), Cause> {
        if self.is_blocked {
            for request in requests {
                let blocked = PublishError::Unavailable("the broker has blocked publishers".into());
                let _ = request.confirmed.send(Err(blocked));
            }
            return Ok(());
        }
        let Self { channel, events, .. } = self;
        let (mut messages, confirmed): (Vec<_>, Vec<_>) =
            requests.into_iter().map(|request| (request.message, request.confirmed)).unzip();
        let publishing = messages.iter_mut().map(|message| {
            let Message { exchange, routing_key, mandatory, properties, body } = message;
            let routing_key = mem::take(routing_key).into();
            let options =
                BasicPublishOptions { mandatory: *mandatory, ..BasicPublishOptions::default() };
            let properties = mem::take(properties);
            channel.basic_publish((*exchange).into(), routing_key, options, body, properties)
        });
        let mut publishing: Vec<_> = publishing.map(maybe_done).map(Box::pin).collect();
        // A publish ends when its frames are written, by a thread of the client's, and takes its tag and
        // its place among the frames when it is first polled. So all of them are, in their order and by
        // nobody else, before any is waited for: one by one, each would cost two changes of thread.
        for publish in &mut publishing {
            let _ = poll!(publish);
        }
        // Nothing else is done meanwhile: it only hands the frames over, unless the broker blocks.
        let written = async {
            for publish in &mut publishing {
                publish.await;
            }
        };
        let heard = tokio::select! {
            written = timeout(CONFIRM_DEADLINE, written) => written.map(|()| None)?,
            Some(event) = events.next() => Some(event),
        };
        failpoint!("publisher.after_publish");
        for (publish, confirmed) in publishing.iter_mut().zip(confirmed) {
            match publish.as_mut().take_output() {
                Some(published) => self.in_flight.add(published?, confirmed),
                // Not written yet, and perhaps later.
                None => drop(confirmed.send(Err(PublishError::Unconfirmed))),
            }
        }
        drop(publishing);
        heard.map_or(Ok(()), |event| self.heed(event))
    }

    /// While blocked, silence is what was announced.
    fn settled(&self, settled: Result<(), Cause>) -> Result<(), Cause> {
        if self.is_blocked { Ok(()) } else { settled }
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

    /// Nothing new can come: waits for what is in flight.
    async fn finish(&mut self) -> Ended {
        while self.in_flight.len() > 0 {
            // Who hears nothing knows that theirs is open.
            let _ = self.in_flight.settle().await;
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
