//! The distributed backend: tickets in Postgres, submissions through RabbitMQ, snapshots in Redis,
//! for any number of edges and workers.
//!
//! Its twin `embedded` has the same files and the same statements; where they differ, the file
//! says why.

mod cache;
mod health;
mod queue;
mod store;

use std::sync::Arc;

use async_trait::async_trait;
use common::{
    clock::Clock,
    ports::{
        backend::{AuditPorts, EdgePorts, WorkerPorts},
        store::StoreError,
    },
};
use secrecy::SecretString;

pub use cache::MalformedRedisUrl;
pub use queue::MalformedAmqpUrl;
pub use store::MalformedDatabaseUrl;

use crate::{cache::Cache, health::Health, queue::Broker, store::Store};

/// Where the servers are. The addresses hold passwords.
pub struct Settings {
    /// `postgres://…`
    pub database_url: SecretString,
    /// `amqp://…` or `amqps://…`
    pub amqp_url: SecretString,
    /// `redis://…` or `rediss://…`
    pub redis_url: SecretString,
    /// Connections to Postgres that one process opens at most.
    pub database_connections_max: u32,
    /// Stamps dead letters.
    pub clock: Arc<dyn Clock>,
}

/// An address is none. Says nothing of it: it may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Of Postgres.
    #[error(transparent)]
    Database(#[from] MalformedDatabaseUrl),
    /// Of RabbitMQ.
    #[error(transparent)]
    Amqp(#[from] MalformedAmqpUrl),
    /// Of Redis.
    #[error(transparent)]
    Redis(#[from] MalformedRedisUrl),
}

/// Postgres, RabbitMQ and Redis.
pub struct Backend {
    store: Store,
    broker: Broker,
    cache: Cache,
}

impl Backend {
    /// Reads the settings; connects to nothing yet.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            store: Store::new(&settings.database_url, settings.database_connections_max)?,
            broker: Broker::new(&settings.amqp_url, Arc::clone(&settings.clock))?,
            cache: Cache::new(&settings.redis_url)?,
        })
    }

    fn health(&self) -> Arc<Health> {
        Arc::new(Health::new(self.store.clone(), self.broker.clone(), self.cache.clone()))
    }
}

#[async_trait]
impl common::ports::backend::Backend for Backend {
    async fn edge(&self) -> EdgePorts {
        let (publisher, receipts) = self.broker.publisher();
        EdgePorts {
            publisher,
            receipts,
            tickets: Arc::new(self.store.clone()),
            statistics: Arc::new(self.store.clone()),
            cache: Arc::new(self.cache.clone()),
            health: self.health(),
        }
    }

    async fn worker(&self) -> WorkerPorts {
        WorkerPorts {
            consumers: self.broker.consumers(),
            tickets: Arc::new(self.store.clone()),
            statistics: Arc::new(self.store.clone()),
            cache: Arc::new(self.cache.clone()),
            health: self.health(),
        }
    }

    async fn audit(&self) -> AuditPorts {
        AuditPorts { store: Arc::new(self.store.clone()), queue: Arc::new(self.broker.clone()) }
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        self.store.migrate().await
    }

    async fn adopt_key(&self, fingerprint: &str) -> Result<bool, StoreError> {
        self.store.adopt_key(fingerprint).await
    }

    async fn close(&self) {
        self.broker.close().await;
        self.store.close().await;
    }
}
