//! A consumer of events in the test itself.

use std::collections::HashSet;
use std::time::Duration;

use lapin::options::{BasicGetOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};

use crate::bed::wait::eventually;

const QUEUE: &str = "listener";
const DEADLINE: Duration = Duration::from_mins(1);

/// A queue of its own, bound to all events.
pub struct Listener {
    channel: Channel,
    _connection: Connection,
}

impl Listener {
    /// Binds it.
    pub async fn bind(amqp_url: &str) -> Self {
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(amqp_url, properties).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let (options, none) = (QueueDeclareOptions::durable(), FieldTable::default());
        channel.queue_declare(QUEUE.into(), options, none.clone()).await.unwrap();
        let (options, exchange) = (QueueBindOptions::default(), "support.events".into());
        channel.queue_bind(QUEUE.into(), exchange, "#".into(), options, none).await.unwrap();
        Self { channel, _connection: connection }
    }

    /// The ids of all events since, once there are so many and the queue is empty.
    pub async fn events(&self, count: usize) -> HashSet<String> {
        let mut heard = HashSet::new();
        eventually(DEADLINE, "all events are heard", async || {
            let options = BasicGetOptions { no_ack: true };
            while let Some(message) = self.channel.basic_get(QUEUE.into(), options).await.unwrap() {
                let id = message.properties.message_id().as_ref().expect("an id");
                heard.insert(id.as_str().to_owned());
            }
            if heard.len() >= count { Ok(()) } else { Err(heard.len()) }
        })
        .await;
        heard
    }
}
