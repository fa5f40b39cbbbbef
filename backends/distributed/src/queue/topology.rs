//! Exchanges and queues. Whoever opens a channel declares them all, so no process has to be
//! started first, and a queue that somebody deleted is there again with the next channel.
//!
//! ```text
//! exchange support.intake ────────► queue support.intake ──(20 failed deliveries)──┐
//!      └─ nothing bound ─► support.unrouted (exchange, queue)                      ▼
//! exchange support.dead-letters ──► queue support.dead-letters ◄───────────────────┘
//!      └─ nothing bound ─► support.unrouted
//! exchange support.events (topic) ► whatever consumers bind; what nobody asked for is dropped
//! ```
//!
//! The alternate exchange makes nothing unroutable: the client library attributes returned
//! messages to the wrong publish. Workers consume `support.unrouted` as they do `support.intake`.

use common::Cause;
use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};

use super::connection::answered;

/// Where edges publish, and where workers consume.
pub(super) const INTAKE: &str = "support.intake";
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

/// Declares everything; does nothing where it is there already.
pub(super) async fn declare(channel: &Channel) -> Result<(), Cause> {
    exchange(channel, EVENTS, ExchangeKind::Topic, &[]).await?;
    exchange(channel, UNROUTED, ExchangeKind::Fanout, &[]).await?;
    let alternate = [("alternate-exchange", text(UNROUTED))];
    exchange(channel, INTAKE, ExchangeKind::Fanout, &alternate).await?;
    exchange(channel, DEAD_LETTERS, ExchangeKind::Fanout, &alternate).await?;

    let dying = [
        ("x-delivery-limit", AMQPValue::LongLongInt(DELIVERIES_MAX)),
        ("x-max-length", AMQPValue::LongLongInt(ENVELOPES_MAX)),
        ("x-overflow", text("reject-publish")),
        ("x-dead-letter-exchange", text(DEAD_LETTERS)),
        ("x-dead-letter-strategy", text("at-least-once")),
    ];
    queue(channel, UNROUTED, &dying).await?;
    queue(channel, INTAKE, &dying).await?;
    // Whoever looks at a dead letter and puts it back has it delivered: that must not use it up.
    let unlimited = [("x-delivery-limit", AMQPValue::LongLongInt(i64::from(i32::MAX)))];
    queue(channel, DEAD_LETTERS, &unlimited).await
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
    let mut arguments = table(arguments);
    arguments.insert("x-queue-type".into(), text("quorum"));
    let options = QueueDeclareOptions::durable();
    answered(channel.queue_declare(name.into(), options, arguments)).await?;
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    answered(channel.queue_bind(name.into(), name.into(), "".into(), options, none)).await
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
