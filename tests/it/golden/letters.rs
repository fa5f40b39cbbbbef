//! A dead letter as a worker once buried it.

use std::sync::Arc;
use std::time::Duration;

use common::clock::SystemClock;
use lapin::options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use serde_json::Value;

use crate::bed::servers::Servers;
use crate::bed::wait::eventually;
use crate::conformance::dead_letters::list;
use crate::conformance::installation::Installation;

/// A text is an AMQP long string, a number a signed integer of 64 bits.
const HEADERS: &str = include_str!("dead-letter-headers.json");

const BODY: &[u8] = br#"{"v":99}"#;
const PATIENCE: Duration = Duration::from_secs(20);

fn headers() -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in serde_json::from_str::<Value>(HEADERS).unwrap().as_object().unwrap() {
        let value = match value {
            Value::String(text) => AMQPValue::LongString(text.as_str().into()),
            number => AMQPValue::LongLongInt(number.as_i64().unwrap()),
        };
        table.insert(name.as_str().into(), value);
    }
    table
}

async fn channel(amqp_url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(amqp_url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    (connection, channel)
}

async fn publish(channel: &Channel, exchange: &str, headers: FieldTable) {
    let properties = BasicProperties::default().with_delivery_mode(2).with_headers(headers);
    let options = BasicPublishOptions::default();
    let published = channel.basic_publish(exchange.into(), "".into(), options, BODY, properties);
    published.await.unwrap().await.unwrap();
}

#[tokio::test]
async fn a_letter_is_read_as_it_was_buried_and_what_was_added_since_is_passed_over() {
    let backing = Servers::shared().await.backing().await;
    let letters = Installation::on(backing.clone()).backend.operator().await.dead_letters;
    assert!(list(&*letters, 10).await.is_empty(), "the queue is declared");
    let (_connection, channel) = channel(&backing.amqp_url).await;
    let mut later = headers();
    later.insert("mood".into(), AMQPValue::Boolean(true));
    for headers in [headers(), later] {
        publish(&channel, "support.dead-letters", headers).await;
    }
    let listed = eventually(PATIENCE, "both are listed", async || {
        let listed = list(&*letters, 10).await;
        if listed.len() == 2 { Ok(listed) } else { Err(listed) }
    })
    .await;
    for letter in listed {
        assert_eq!((&*letter.code, letter.attempts), ("unknown-version", 3));
        assert_eq!(letter.detail, "envelope version 99, this release reads 1");
        assert_eq!(letter.first_seen_at.to_rfc3339(), "2026-11-22T10:30:00.123+00:00");
    }
}

#[tokio::test]
async fn a_letter_is_buried_today_as_it_was_and_an_unknown_version_is_kept_to_the_byte() {
    let backing = Servers::shared().await.backing().await;
    let it = Installation::on(backing.clone());
    it.backend.migrate().await.unwrap();
    let worker = it.run_worker(Arc::new(SystemClock)).await;
    let letters = it.backend.operator().await.dead_letters;
    assert!(list(&*letters, 10).await.is_empty(), "the queues are declared");
    let (_connection, channel) = channel(&backing.amqp_url).await;
    publish(&channel, "support.intake", FieldTable::default()).await;
    let letter = eventually(PATIENCE, "it is buried", async || {
        let options = BasicGetOptions { no_ack: true };
        let got = channel.basic_get("support.dead-letters".into(), options).await.unwrap();
        got.ok_or("not yet")
    })
    .await;
    assert_eq!(letter.data, BODY);
    let buried = letter.properties.headers().as_ref().unwrap().inner().clone();
    for (name, value) in headers().inner() {
        let today = &buried[name];
        let is_alike = std::mem::discriminant(today) == std::mem::discriminant(value);
        assert!(is_alike, "{name}: {today:?}, {value:?}");
    }
    assert_eq!(buried["reason"], headers().inner()["reason"]);
    drop(worker);
}
