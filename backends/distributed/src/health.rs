//! One round trip to each server.

use async_trait::async_trait;
use common::{
    ended,
    ports::health::{Component, Figures, HealthProbe, Unhealthy},
};

use crate::{cache::Cache, queue::Broker, store::Store};

/// Asks Postgres, RabbitMQ and Redis.
pub(crate) struct Health {
    store: Store,
    broker: Broker,
    cache: Cache,
}

impl Health {
    pub(crate) const fn new(store: Store, broker: Broker, cache: Cache) -> Self {
        Self { store, broker, cache }
    }
}

#[async_trait]
impl HealthProbe for Health {
    async fn probe(&self, component: Component) -> Result<Figures, Unhealthy> {
        match component {
            Component::Store => {
                // A task of its own: the caller drops this future after a while, and a connect that
                // takes longer than that would begin anew for ever. It has its own deadlines.
                let store = self.store.clone();
                let probe = tokio::spawn(async move { store.probe().await });
                let probed = probe.await.map_err(|error| Unhealthy(ended(&error).into()))?;
                probed.map_err(|error| Unhealthy(error.into()))?;
                Ok(Figures::new())
            }
            Component::Cache => {
                self.cache.ping().await.map_err(|error| Unhealthy(error.into()))?;
                Ok(Figures::new())
            }
            Component::Broker => {
                let intake = self.broker.intake_depth().await.map_err(Unhealthy)?;
                Ok(vec![("queued", intake.messages)])
            }
            Component::Workers => {
                let intake = self.broker.intake_depth().await.map_err(Unhealthy)?;
                if intake.consumers == 0 {
                    return Err(Unhealthy("no worker consumes the intake queue".into()));
                }
                Ok(vec![("consumers", intake.consumers)])
            }
        }
    }
}
