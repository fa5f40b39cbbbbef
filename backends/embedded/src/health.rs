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

    /// Counts envelopes, as a broker does.
    fn queue(&self) -> Result<Figures, Unhealthy> {
        let load = self.queue.load();
        if !self.queue.has_room() {
            return Err(Unhealthy("the queue is full or closed".into()));
        }
        Ok(vec![("queued", load.envelopes)])
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
            Component::Broker => self.queue(),
            Component::Store => {
                self.store.probe().await.map_err(|error| Unhealthy(error.into()))?;
                Ok(Figures::new())
            }
            Component::Cache => Ok(Figures::new()),
            Component::Workers => self.workers(),
        }
    }
}
