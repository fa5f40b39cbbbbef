//! Looking into queues without taking anything out.

use async_trait::async_trait;
use common::{
    Cause,
    domain::SubmissionId,
    letters::submissions,
    ports::{
        audit::{Depths, QueueAudit},
        queue::{BuriedLetter, ConsumeError},
    },
};
use lapin::{options::QueueDeclareOptions, types::FieldTable};

use super::{
    Broker,
    connection::{SharedConnection, answered},
    letter, topology,
};

/// A queue's own figures.
pub(crate) struct Depth {
    /// Waiting for a consumer.
    pub(crate) messages: u64,
    /// Consumers.
    pub(crate) consumers: u64,
}

impl SharedConnection {
    /// Asks for a queue's figures, by declaring it passively.
    pub(super) async fn depth(&self, queue: &str) -> Result<Depth, Cause> {
        let channel = self.channel().await?;
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        let declared = channel.queue_declare(queue.into(), options, FieldTable::default());
        let queue = answered(declared).await?;
        // Left to its drop, it would close while the connection does, and lapin log an error.
        answered(channel.close(200, "looked".into())).await?;
        Ok(Depth {
            messages: queue.message_count().into(),
            consumers: queue.consumer_count().into(),
        })
    }
}

#[async_trait]
impl QueueAudit for Broker {
    async fn depths(&self) -> Result<Depths, ConsumeError> {
        let depth = async |queue| self.inspection.depth(queue).await.map_err(ConsumeError);
        let dead = depth(topology::DEAD_LETTERS).await?;
        Ok(Depths {
            queued: self.intake_depth().await.map_err(ConsumeError)?.messages,
            unrouted: depth(topology::UNROUTED).await?.messages,
            dead: dead.messages,
            are_dead_held: dead.consumers > 0,
        })
    }

    async fn dead_letters(&self, limit: u32) -> Result<Vec<BuriedLetter>, ConsumeError> {
        self.look(limit, letter::exhume).await.map_err(ConsumeError)
    }

    async fn dead_submissions(&self, limit: u32) -> Result<Vec<Vec<SubmissionId>>, ConsumeError> {
        let ids = self.look(limit, |it| submissions(&letter::exhume(it))).await;
        ids.map_err(ConsumeError)
    }
}
