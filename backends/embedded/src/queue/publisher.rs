//! The edge's half.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use common::{
    domain::Submission,
    failpoint,
    ports::queue::{PublishError, Publisher},
};

use super::{Closed, Content, Edge, Fate, Queue};

pub(crate) struct EdgePublisher {
    queue: Arc<Queue>,
    edge: Edge,
}

impl EdgePublisher {
    pub(crate) const fn new(queue: Arc<Queue>, edge: Edge) -> Self {
        Self { queue, edge }
    }

    async fn offer(&self, content: Content) -> Result<(), PublishError> {
        let mut offered = self.queue.offer(content, self.edge.clone())?;
        failpoint!("publisher.after_publish");
        match (&mut offered.fate).await {
            Ok(Fate::Settled) => Ok(()),
            Ok(Fate::Untouched) => Err(PublishError::Unavailable(Closed.into())),
            Err(_dropped) => Err(PublishError::Unconfirmed),
        }
    }
}

#[async_trait]
impl Publisher for EdgePublisher {
    /// Waits for the worker's settlement as long as the caller does. Dropping the future withdraws
    /// what no consumer has taken yet.
    async fn publish(&self, submissions: Vec<Submission>) -> Result<(), PublishError> {
        if submissions.is_empty() {
            return Ok(());
        }
        self.offer(Content::Submissions(submissions)).await
    }

    async fn publish_bytes(&self, body: Bytes) -> Result<(), PublishError> {
        self.offer(Content::Bytes(body)).await
    }

    fn is_ready(&self) -> bool {
        self.queue.has_room()
    }
}
