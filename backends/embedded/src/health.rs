//! How the parts inside this process are doing.

use std::sync::Arc;

use async_trait::async_trait;
use common::ports::health::{Component, Figures, HealthProbe, Unhealthy};

use crate::{queue::Queue, store::Store};

pub(crate) struct Health {
    queue: Arc<Queue>,
    store: Arc<Store>,
}

impl Health {
    pub(crate) fn new(queue: Arc<Queue>, store: Arc<Store>) -> Self {
        Self { queue, store }
    }

    /// Counts envelopes, as a broker does. A submission is accepted once it is stored, so a queue
    /// without a writer takes none.
    async fn queue(&self) -> Result<Figures, Unhealthy> {
        if !self.queue.has_room() {
            return Err(Unhealthy("the queue is full or closed".into()));
        }
        self.store.probe_writer().await.map_err(|error| Unhealthy(error.into()))?;
        Ok(vec![("queued", self.queue.load().envelopes)])
    }

    fn workers(&self) -> Result<Figures, Unhealthy> {
        let load = self.queue.load();
        if load.lanes == 0 {
            return Err(Unhealthy("no consumer is open".into()));
        }
        Ok(vec![("consumers", load.lanes)])
    }
}

#[async_trait]
impl HealthProbe for Health {
    async fn probe(&self, component: Component) -> Result<Figures, Unhealthy> {
        match component {
            Component::Broker => self.queue().await,
            Component::Store => {
                self.store.probe().await.map_err(|error| Unhealthy(error.into()))?;
                Ok(Figures::new())
            }
            Component::Cache => Ok(Figures::new()),
            Component::Workers => self.workers(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::open;

    #[tokio::test]
    async fn a_queue_with_room_takes_nothing_without_a_store_that_writes() {
        let dir = tempfile::tempdir().unwrap();
        let backend = open(dir.path()).await;
        let health = backend.health();
        assert_eq!(health.probe(Component::Broker).await.unwrap(), [("queued", 0)]);
        health.probe(Component::Store).await.unwrap();
        // The queue stays open, as when the writer is lost to something else than a shutdown.
        backend.store.close().await;
        assert!(health.probe(Component::Broker).await.is_err());
        assert!(health.probe(Component::Store).await.is_err());
    }

    #[tokio::test]
    async fn a_full_queue_takes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path()).await.store;
        let health = Health::new(Arc::new(Queue::new(0)), store);
        assert!(health.probe(Component::Broker).await.is_err());
        health.probe(Component::Store).await.unwrap();
    }
}
