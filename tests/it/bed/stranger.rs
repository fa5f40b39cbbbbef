//! Somebody else who is at the broker, too.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};

use super::servers::Backing;

/// Publishes to the edge's exchange as somebody else might.
pub struct Stranger {
    /// What they do it on.
    pub channel: Channel,
    _connection: Connection,
}

impl Stranger {
    /// Connects.
    pub async fn at(backing: &Backing) -> Self {
        let options = ConnectionProperties::default();
        let connection = Connection::connect(&backing.amqp_url, options).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        Self { channel, _connection: connection }
    }

    /// Publishes to an exchange, and waits for the broker's word.
    pub async fn publish_to(&self, exchange: &str, body: &[u8], properties: BasicProperties) {
        let options = BasicPublishOptions::default();
        let published =
            self.channel.basic_publish(exchange.into(), "any".into(), options, body, properties);
        assert_eq!(published.await.unwrap().await.unwrap(), Confirmation::Ack(None));
    }

    /// Publishes to the edge's exchange.
    pub async fn publish(&self, body: &[u8]) {
        self.publish_to("support.intake", body, BasicProperties::default()).await;
    }
}
