//! Hears of every ticket: `cargo run --example consumer -- AMQP_URL QUEUE`
#![allow(clippy::print_stdout, clippy::expect_used, reason = "it shows what it hears, or why not")]
#![allow(clippy::wildcard_imports, clippy::default_trait_access, reason = "an example is short")]

use std::{collections::HashMap, env, error::Error};

use futures_util::StreamExt;
use lapin::{Connection, ExchangeKind::Topic, options::*, types::*};
use serde_json::Value;

const EXCHANGE: &str = "support.events";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let [url, queue] = [1, 2].map(|word| env::args().nth(word).expect("AMQP_URL QUEUE"));
    let connection = Connection::connect(&url, Default::default()).await?;
    let channel = connection.create_channel().await?;
    // Declaring what is there already changes nothing; whoever starts first makes it.
    let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
    channel.exchange_declare(EXCHANGE.into(), Topic, durable, Default::default()).await?;
    let mut quorum = FieldTable::default();
    quorum.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let queue = ShortString::from(queue);
    channel.queue_declare(queue.clone(), QueueDeclareOptions::durable(), quorum).await?;
    let (all, none) = (ShortString::from("ticket.#"), FieldTable::default);
    channel.queue_bind(queue.clone(), EXCHANGE.into(), all, Default::default(), none()).await?;
    channel.basic_qos(100, Default::default()).await?;
    let consuming = channel.basic_consume(queue, "".into(), Default::default(), none());
    let mut deliveries = consuming.await?;
    let mut last_version = HashMap::new(); // Keep it with what you do, in one transaction.
    while let Some(delivery) = deliveries.next().await {
        let delivery = delivery?;
        let data: Value = serde_json::from_slice(&delivery.data)?;
        let version = data["version"].as_u64().unwrap_or_default();
        // Events come at least once, and the first time in order: what is not newer is repeated.
        let last = last_version.entry(data["id"].to_string()).or_default();
        let word = if version > *last { "new" } else { "repeated" };
        *last = version.max(*last);
        let id = delivery.properties.message_id().as_ref().map_or("", ShortString::as_str);
        let kind = delivery.properties.kind().as_ref().map_or("", ShortString::as_str);
        let text = |field: &str| data[field].as_str().unwrap_or_default();
        println!("{word} {id} {kind} {} {version} {}", text("id"), text("status"));
        delivery.ack(Default::default()).await?;
    }
    Err("the broker ended the consumer".into())
}
