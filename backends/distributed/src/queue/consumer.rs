//! Consuming: one consumer is one channel, used by one lane of a worker.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use common::{
    Cause,
    clock::Clock,
    envelope, failpoint,
    ports::queue::{
        ConsumeError, Consumer, ConsumerSource, DeadLetter, DeadLetterReason, Delivery, Outcome,
        Prefetch, Receipt, Settlement,
    },
};
use futures_util::{
    FutureExt, StreamExt,
    future::try_join_all,
    stream::{self, BoxStream, SelectAll},
};
use lapin::{BasicProperties, Channel, options::BasicAckOptions};
use tokio::time::timeout;

use super::{
    connection::{SharedConnection, consume},
    intake::envelope_properties,
    letter,
    publisher::{ConfirmingPublisher, DIRECT_REPLY_TO, Message},
    receipts,
    rota::{Rota, Turn},
    topology::{self, Topology},
};

/// Envelopes the broker hands a busy lane ahead of their settlement: enough to fill the next batch
/// while one is being stored, and below the 300 beyond which quorum queues gain nothing. The edge
/// fills an envelope to 256 KiB of text, so a lane holds some 64 MiB of ours, and at worst, if every
/// character has to be escaped, twice that.
const PREFETCH_MANY: u16 = 256;

/// The same of those that were not routed, which are few: bounds count for each queue by itself.
const PREFETCH_UNROUTED: u16 = 1;

/// A lane opens without a way to answer if there is none by then: acknowledging is what empties a
/// broker in need.
const ANSWERS_WAIT: Duration = Duration::from_secs(1);

/// The same before the first lane opens. Nobody has asked this worker for anything yet, and on a
/// busy machine both connections take their time: without the one for answers, the first tickets
/// would be told to nobody.
const FIRST_ANSWERS_WAIT: Duration = Duration::from_secs(10);

/// Opens lanes on one connection. What they publish, receipts and dead letters, goes over another:
/// a broker in need blocks connections that publish, and acknowledgements must get through.
pub(super) struct Consumers {
    connection: SharedConnection,
    topology: Topology,
    rota: Rota,
    answers: ConfirmingPublisher,
    clock: Arc<dyn Clock>,
    has_opened: AtomicBool,
}

impl Consumers {
    pub(super) fn new(
        connection: SharedConnection,
        topology: Topology,
        answers: ConfirmingPublisher,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let rota = Rota::of(topology.intake());
        Self { connection, topology, rota, answers, clock, has_opened: AtomicBool::new(false) }
    }

    async fn open_lane(&self, prefetch: Prefetch) -> Result<Lane, Cause> {
        let has_opened = self.has_opened.load(Ordering::Relaxed);
        let answers_wait = if has_opened { ANSWERS_WAIT } else { FIRST_ANSWERS_WAIT };
        let _ = timeout(answers_wait, self.answers.ready()).await;
        let channel = self.connection.channel().await?;
        self.topology.declare(&channel).await?;
        let turn = self.rota.take();
        let mut messages = SelectAll::new();
        // Of a lane that can read only the first, that one's messages come back, and each of them
        // counts as delivered. So it is the one which has hardly any.
        let queues = [(topology::UNROUTED, PREFETCH_UNROUTED), (turn.queue(), envelopes(prefetch))];
        for (queue, prefetch) in queues {
            let consumer = consume(&channel, queue, prefetch).await?;
            // A queue that is deleted ends its stream, which the merged one would not show.
            messages.push(consumer.map(Some).chain(stream::iter([None])).boxed());
        }
        let lane = Lane {
            channel: channel.clone(),
            topology: self.topology,
            _turn: turn,
            messages,
            held: BTreeMap::new(),
            received: Received::default(),
            answers: self.answers.clone(),
            clock: Arc::clone(&self.clock),
        };
        self.has_opened.store(true, Ordering::Relaxed);
        Ok(lane)
    }
}

#[async_trait]
impl ConsumerSource for Consumers {
    async fn open(&self, prefetch: Prefetch) -> Result<Box<dyn Consumer>, ConsumeError> {
        let lane = self.open_lane(prefetch).await.map_err(ConsumeError)?;
        Ok(Box::new(lane))
    }
}

const fn envelopes(prefetch: Prefetch) -> u16 {
    match prefetch {
        Prefetch::Many => PREFETCH_MANY,
        Prefetch::One => 1,
    }
}

/// What is needed to settle a message.
struct Held {
    body: Bytes,
    properties: BasicProperties,
    attempts: u32,
}

struct Lane {
    channel: Channel,
    topology: Topology,
    _turn: Turn,
    /// Of both queues; `None` when either ended.
    messages: SelectAll<BoxStream<'static, Option<lapin::Result<lapin::message::Delivery>>>>,
    held: BTreeMap<u64, Held>,
    received: Received,
    answers: ConfirmingPublisher,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Consumer for Lane {
    async fn receive(&mut self, submissions_max: usize) -> Result<Vec<Delivery>, ConsumeError> {
        let mut next = Some(self.messages.next().await.flatten());
        let (mut deliveries, mut submissions) = (Vec::new(), 0);
        while let Some(message) = next {
            let delivery = self.hold(message)?;
            submissions += delivery.content.as_ref().map_or(1, Vec::len);
            deliveries.push(delivery);
            if submissions >= submissions_max {
                break;
            }
            next = self.messages.next().now_or_never().map(Option::flatten);
        }
        Ok(deliveries)
    }

    async fn settle(&mut self, settlements: Vec<Settlement>) -> Result<(), ConsumeError> {
        let mut replies: BTreeMap<String, Vec<Receipt>> = BTreeMap::new();
        let (mut settled, mut buried, mut letters) = (Vec::new(), Vec::new(), Vec::new());
        for Settlement { tag, outcome } in settlements {
            let held = self.held.get(&tag).ok_or_else(|| ConsumeError("an unknown tag".into()))?;
            let letters_before = letters.len();
            match outcome {
                Outcome::Done { receipts, dead_letters } => {
                    // Only where the broker itself wrote the address: anybody else's could be a queue.
                    let edge = held.properties.reply_to().as_ref();
                    if let Some(edge) = edge.filter(|it| it.as_str().starts_with(DIRECT_REPLY_TO)) {
                        replies.entry(edge.to_string()).or_default().extend(receipts);
                    }
                    letters.extend(dead_letters.into_iter().map(|letter| self.part(held, letter)));
                }
                Outcome::Dead(reason) => letters.push(self.whole(held, &reason)),
            }
            if letters.len() > letters_before { &mut buried } else { &mut settled }.push(tag);
        }
        for (edge, receipts) in replies {
            self.answers.offer(reply(edge, &receipts));
        }
        failpoint!("worker.after_receipts");
        // What is stored does not wait for what has to be buried, which may be impossible now.
        self.acknowledge(settled).await.map_err(|error| ConsumeError(error.into()))?;
        if letters.is_empty() {
            return Ok(());
        }
        // Somebody may have deleted the queue they belong in, and they would come back unrouted.
        self.topology.declare(&self.channel).await.map_err(ConsumeError)?;
        let burials = letters.into_iter().map(|letter| self.answers.publish(letter));
        try_join_all(burials).await.map_err(|error| ConsumeError(error.into()))?;
        self.acknowledge(buried).await.map_err(|error| ConsumeError(error.into()))
    }
}

impl Lane {
    fn hold(
        &mut self,
        message: Option<lapin::Result<lapin::message::Delivery>>,
    ) -> Result<Delivery, ConsumeError> {
        // A queue that was deleted, or whose leader is gone, ends the stream without an error.
        let message = message
            .ok_or_else(|| ConsumeError("the broker ended the consumer".into()))?
            .map_err(|error| ConsumeError(error.into()))?;
        let attempts = letter::earlier_deliveries(&message);
        let body = Bytes::from(message.data);
        let content = envelope::decode(&body);
        let held = Held { body, properties: message.properties, attempts };
        self.held.insert(message.delivery_tag, held);
        self.received.add(message.delivery_tag);
        Ok(Delivery { tag: message.delivery_tag, attempts, content })
    }

    /// One submission of an envelope on its way to the dead letters.
    fn part(&self, held: &Held, letter: DeadLetter) -> Message {
        let DeadLetter { body, reason } = letter;
        letter::bury(body, &envelope_properties(), &reason, held.attempts + 1, self.clock.now())
    }

    /// A delivery that is dead as a whole.
    fn whole(&self, held: &Held, reason: &DeadLetterReason) -> Message {
        let body = held.body.clone();
        letter::bury(body, &held.properties, reason, held.attempts + 1, self.clock.now())
    }

    /// Acknowledges in one frame what has nothing unsettled before it: not here, and not on its way
    /// from the other queue.
    async fn acknowledge(&mut self, mut tags: Vec<u64>) -> lapin::Result<()> {
        tags.sort_unstable();
        self.held.retain(|tag, _| tags.binary_search(tag).is_err());
        let first_held = self.held.keys().next().copied().unwrap_or(u64::MAX);
        let bound = first_held.min(self.received.through + 1);
        let in_order = tags.partition_point(|tag| *tag < bound);
        let (together, alone) = tags.split_at(in_order);
        if let Some(last) = together.last() {
            self.channel.basic_ack(*last, BasicAckOptions { multiple: true }).await?;
        }
        for tag in alone {
            self.channel.basic_ack(*tag, BasicAckOptions { multiple: false }).await?;
        }
        Ok(())
    }
}

/// Which deliveries of the channel have come to us. Its tags count both queues' messages together,
/// but those of one queue can overtake those of the other on the way.
#[derive(Default)]
struct Received {
    /// All tags up to this one, itself included.
    through: u64,
    /// And these.
    beyond: BTreeSet<u64>,
}

impl Received {
    fn add(&mut self, tag: u64) {
        self.beyond.insert(tag);
        while self.beyond.remove(&(self.through + 1)) {
            self.through += 1;
        }
    }
}

fn reply(edge: String, receipts: &[Receipt]) -> Message {
    Message {
        exchange: "",
        routing_key: edge,
        mandatory: false,
        properties: BasicProperties::default()
            .with_content_type("application/json".into())
            .with_type("receipts".into()),
        body: receipts::encode(receipts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_still_on_its_way_is_not_received() {
        let mut received = Received::default();
        for (tag, through) in [(1, 1), (3, 1), (4, 1), (2, 4), (5, 5)] {
            received.add(tag);
            assert_eq!(received.through, through, "after {tag}");
        }
    }
}
