//! The edge's half.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use common::{
    domain::Submission,
    ports::queue::{PublishError, Publisher},
};
use tokio::time::timeout;

use super::{Edge, Fate, Offered, Queue};

/// How long a publish waits for the worker's settlement: as long as for a broker's confirm.
const SETTLEMENT_WAIT: Duration = Duration::from_secs(2);

pub(crate) struct EdgePublisher {
    queue: Arc<Queue>,
    edge: Edge,
    wait: Duration,
}

impl EdgePublisher {
    pub(crate) fn new(queue: Arc<Queue>, edge: Edge) -> Self {
        Self { queue, edge, wait: SETTLEMENT_WAIT }
    }

    #[cfg(test)]
    pub(super) fn with_wait(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }
}

#[async_trait]
impl Publisher for EdgePublisher {
    async fn publish(&self, submissions: Vec<Submission>) -> Result<(), PublishError> {
        if submissions.is_empty() {
            return Ok(());
        }
        let Offered { id, fate } = self.queue.offer(submissions, self.edge.clone())?;
        match timeout(self.wait, fate).await {
            Ok(Ok(Fate::Settled)) => Ok(()),
            Ok(Ok(Fate::Untouched)) => Err(PublishError::Unavailable(super::Closed.into())),
            Ok(Err(_dropped)) => Err(PublishError::Unconfirmed),
            // The submitter is told that nothing was stored, so nothing should be, if it can be
            // helped.
            Err(_elapsed) if self.queue.withdraw(id) => {
                Err(PublishError::Unavailable("no worker took the envelope in time".into()))
            }
            Err(_elapsed) => Err(PublishError::Unconfirmed),
        }
    }

    fn is_ready(&self) -> bool {
        self.queue.has_room()
    }
}
