//! The edge's half.

use std::sync::Arc;

use async_trait::async_trait;
use common::{
    domain::Submission,
    failpoint,
    ports::queue::{PublishError, Publisher},
};

use super::{Closed, Edge, Fate, Queue};

pub(crate) struct EdgePublisher {
    queue: Arc<Queue>,
    edge: Edge,
}

impl EdgePublisher {
    pub(crate) const fn new(queue: Arc<Queue>, edge: Edge) -> Self {
        Self { queue, edge }
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
        let mut offered = self.queue.offer(submissions, self.edge.clone())?;
        failpoint!("publisher.after_publish");
        match (&mut offered.fate).await {
            Ok(Fate::Settled) => Ok(()),
            Ok(Fate::Untouched) => Err(PublishError::Unavailable(Closed.into())),
            Err(_dropped) => Err(PublishError::Unconfirmed),
        }
    }

    fn is_ready(&self) -> bool {
        self.queue.has_room()
    }
}
