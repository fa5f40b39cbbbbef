//! Exchanges and queues. Whoever opens a channel declares them all, so no process has to be
//! started first, and a queue that somebody deleted is there again with the next channel.
//!
//! ```text
//! exchange support.intake ────────► queue support.intake ──(20 failed deliveries)──┐
//!      └─ nothing bound ─► support.unrouted (exchange, queue)                      ▼
//! exchange support.intake.spread ─► support.intake, support.intake.2 … ────────────┤
//!      └─ nothing bound ─► support.unrouted          (where there are several)     ▼
//! exchange support.dead-letters ──► queue support.dead-letters ◄───────────────────┘
//!      └─ nothing bound ─► support.unrouted
//! exchange support.events (topic) ► whatever consumers bind; what nobody asked for is dropped
//! ```
//!
//! The alternate exchange makes nothing unroutable: the client library attributes returned
//! messages to the wrong publish. Workers consume `support.unrouted` as they do `support.intake`.
//!
//! One quorum queue is one log with one leader, and so the work of one processor of one node. An
//! installation that has more to queue spreads it over several, each with a leader of its own.

use common::Cause;
use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};

use super::connection::answered;

/// Where edges publish, and the first queue that workers consume.
pub(super) const INTAKE: &str = "support.intake";
/// Where edges publish if there are several such queues.
const SPREAD: &str = "support.intake.spread";
/// Where a message goes that its exchange cannot route.
pub(super) const UNROUTED: &str = "support.unrouted";
/// Where a message goes that cannot become a ticket.
pub(super) const DEAD_LETTERS: &str = "support.dead-letters";

/// Where events are published.
pub(super) const EVENTS: &str = "support.events";

/// After so many failed deliveries the broker gives a message up. Said outright since the default
/// depends on its release. Workers that die count for every message they held, hence not lower.
pub(super) const DELIVERIES_MAX: i64 = 20;

/// Beyond so many envelopes the queue refuses, and edges answer 503. A policy can set it lower.
const ENVELOPES_MAX: i64 = 1_000_000;

/// An exchange of RabbitMQ's plugin that spreads messages over queues by a hash of their routing key.
const CONSISTENT_HASH: &str = "x-consistent-hash";
/// The binding key of a queue with such an exchange: its share.
const ONE_SHARE: &str = "1";

/// The queues that submissions travel through.
#[derive(Debug, Clone, Copy)]
pub(super) struct Topology {
    intake_queues: u16,
}

impl Topology {
    /// With so many intake queues, at least one.
    pub(super) const fn new(intake_queues: u16) -> Self {
        Self { intake_queues }
    }

    /// The names of the intake queues. The first is there whatever their number.
    pub(super) fn intake(self) -> impl Iterator<Item = String> {
        (1..=self.intake_queues).map(|number| match number {
            1 => INTAKE.to_owned(),
            _ => format!("{INTAKE}.{number}"),
        })
    }

    /// The exchange and the routing key that lead an edge's envelope of this number to one of them.
    pub(super) fn way_in(self, number: u64) -> (&'static str, String) {
        if self.intake_queues > 1 { (SPREAD, number.to_string()) } else { (INTAKE, String::new()) }
    }

    /// Declares everything; does nothing where it is there already.
    pub(super) async fn declare(self, channel: &Channel) -> Result<(), Cause> {
        declare(channel).await?;
        if self.intake_queues == 1 {
            return Ok(());
        }
        let kind = ExchangeKind::Custom(CONSISTENT_HASH.to_owned());
        exchange(channel, SPREAD, kind, &[("alternate-exchange", text(UNROUTED))]).await?;
        for name in self.intake() {
            quorum_queue(channel, &name, &dying()).await?;
            bind(channel, &name, SPREAD, ONE_SHARE).await?;
        }
        Ok(())
    }
}

/// Declares what every installation has: all that there is where one queue is enough.
pub(super) async fn declare(channel: &Channel) -> Result<(), Cause> {
    exchange(channel, EVENTS, ExchangeKind::Topic, &[]).await?;
    exchange(channel, UNROUTED, ExchangeKind::Fanout, &[]).await?;
    let alternate = [("alternate-exchange", text(UNROUTED))];
    exchange(channel, INTAKE, ExchangeKind::Fanout, &alternate).await?;
    exchange(channel, DEAD_LETTERS, ExchangeKind::Fanout, &alternate).await?;
    queue(channel, UNROUTED, &dying()).await?;
    queue(channel, INTAKE, &dying()).await?;
    // Whoever looks at a dead letter and puts it back has it delivered: that must not use it up.
    let unlimited = [("x-delivery-limit", AMQPValue::LongLongInt(i64::from(i32::MAX)))];
    queue(channel, DEAD_LETTERS, &unlimited).await
}

/// The arguments of a queue whose messages can be given up.
fn dying() -> [(&'static str, AMQPValue); 5] {
    [
        ("x-delivery-limit", AMQPValue::LongLongInt(DELIVERIES_MAX)),
        ("x-max-length", AMQPValue::LongLongInt(ENVELOPES_MAX)),
        ("x-overflow", text("reject-publish")),
        ("x-dead-letter-exchange", text(DEAD_LETTERS)),
        ("x-dead-letter-strategy", text("at-least-once")),
    ]
}

async fn exchange(
    channel: &Channel,
    name: &str,
    kind: ExchangeKind,
    arguments: &[(&str, AMQPValue)],
) -> Result<(), Cause> {
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    answered(channel.exchange_declare(name.into(), kind, options, table(arguments))).await
}

/// A quorum queue, bound to the exchange of the same name.
async fn queue(
    channel: &Channel,
    name: &str,
    arguments: &[(&str, AMQPValue)],
) -> Result<(), Cause> {
    quorum_queue(channel, name, arguments).await?;
    bind(channel, name, name, "").await
}

async fn quorum_queue(
    channel: &Channel,
    name: &str,
    arguments: &[(&str, AMQPValue)],
) -> Result<(), Cause> {
    let mut arguments = table(arguments);
    arguments.insert("x-queue-type".into(), text("quorum"));
    let options = QueueDeclareOptions::durable();
    answered(channel.queue_declare(name.into(), options, arguments)).await?;
    Ok(())
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> Result<(), Cause> {
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    answered(channel.queue_bind(queue.into(), exchange.into(), key.into(), options, none)).await
}

fn table(arguments: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert((*name).into(), value.clone());
    }
    table
}

/// A text in a table.
pub(super) fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}
