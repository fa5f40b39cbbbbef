//! The distributed backend: tickets in Postgres, submissions through RabbitMQ, snapshots in Redis,
//! for any number of edges and workers.
//!
//! Its twin `embedded` has the same files and the same statements; where they differ, the file
//! says why.

mod cache;
mod claims;
mod health;
mod limits;
mod queue;
mod redis;
mod store;

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use common::{
    clock::Clock,
    ports::{
        backend::{
            AuditPorts, DeskPorts, EdgePorts, IntakePorts, Intakes, OperatorPorts, WorkerPorts,
        },
        limits::Limiter,
        store::StoreError,
    },
};
use deadpool_redis::redis::Client;
use secrecy::{ExposeSecret, SecretString};
use sqlx::migrate::Migrator;

pub use cache::MalformedRedisUrl;
pub use queue::MalformedAmqpUrl;
pub use store::MalformedDatabaseUrl;

use crate::{
    cache::Cache, claims::SharedClaims, health::Health, limits::SharedLimiter, queue::Broker,
    redis::Redis, store::Store,
};

/// Where the servers are. The addresses hold passwords.
pub struct Settings {
    /// `postgres://…`
    pub database_url: SecretString,
    /// `amqp://…` or `amqps://…`
    pub amqp_url: SecretString,
    /// `redis://…` or `rediss://…`
    pub redis_url: SecretString,
    /// Queues that submissions are spread over, at least one.
    pub intake_queues: u16,
    /// Connections to Postgres that the edge of one process opens at most.
    pub edge_connections_max: u32,
    /// Connections to Postgres that the worker of one process opens at most.
    pub worker_connections_max: u32,
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
    /// The edge's and the worker's own, so that a flood of look-ups takes no connection from those
    /// who make tickets. One that is not used connects to nothing.
    edge_store: Store,
    worker_store: Store,
    broker: Broker,
    cache: Cache,
    redis_client: Client,
    /// For what requests wait for; connects for the first edge that is opened.
    redis: OnceLock<Arc<Redis>>,
}

impl Backend {
    /// Reads the settings; connects to nothing yet.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let store = |connections_max| Store::new(&settings.database_url, connections_max);
        Ok(Self {
            edge_store: store(settings.edge_connections_max)?,
            worker_store: store(settings.worker_connections_max)?,
            broker: Broker::new(
                &settings.amqp_url,
                settings.intake_queues,
                Arc::clone(&settings.clock),
            )?,
            cache: Cache::new(&settings.redis_url)?,
            redis_client: redis_client(&settings.redis_url)?,
            redis: OnceLock::new(),
        })
    }

    /// As `migrate`, with migrations that there are not yet: for whoever wants to know whom they
    /// hold up.
    pub async fn migrate_with(&self, migrations: &Migrator) -> Result<(), StoreError> {
        self.worker_store.apply(migrations).await
    }

    /// One connection for all that this process's requests ask of Redis.
    fn redis(&self) -> Arc<Redis> {
        let connect = || Arc::new(Redis::connect(self.redis_client.clone()));
        Arc::clone(self.redis.get_or_init(connect))
    }

    fn health(&self, store: &Store) -> Arc<Health> {
        Arc::new(Health::new(store.clone(), self.broker.clone(), self.cache.clone()))
    }
}

fn redis_client(url: &SecretString) -> Result<Client, MalformedRedisUrl> {
    Client::open(url.expose_secret()).map_err(|_| MalformedRedisUrl)
}

/// The limiter alone, by this clock and not by the server's: for whoever wants to know what it does
/// in ten minutes. Needs a tokio runtime.
pub fn limiter(
    redis_url: &SecretString,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Limiter>, SettingsError> {
    let redis = Arc::new(Redis::connect(redis_client(redis_url)?));
    Ok(Arc::new(SharedLimiter::new(redis, Some(clock))))
}

/// Where imports get their ports from.
struct Imports {
    broker: Broker,
    store: Store,
}

#[async_trait]
impl Intakes for Imports {
    async fn open(&self) -> IntakePorts {
        let (publisher, receipts) = self.broker.publisher();
        IntakePorts { publisher, receipts, tickets: Arc::new(self.store.clone()) }
    }
}

#[async_trait]
impl common::ports::backend::Backend for Backend {
    async fn edge(&self) -> EdgePorts {
        let (publisher, receipts) = self.broker.publisher();
        EdgePorts {
            publisher,
            receipts,
            claims: Arc::new(SharedClaims::new(self.redis())),
            tickets: Arc::new(self.edge_store.clone()),
            cases: Arc::new(self.edge_store.clone()),
            statistics: Arc::new(self.edge_store.clone()),
            cache: Arc::new(self.cache.clone()),
            feed: self.broker.feed(),
            event_log: Arc::new(self.edge_store.clone()),
            tokens: Arc::new(self.edge_store.clone()),
            limiter: Arc::new(SharedLimiter::new(self.redis(), None)),
            ledger: Arc::new(self.edge_store.clone()),
            queue: Arc::new(self.broker.clone()),
            health: self.health(&self.edge_store),
        }
    }

    async fn worker(&self) -> WorkerPorts {
        WorkerPorts {
            consumers: self.broker.consumers(),
            tickets: Arc::new(self.worker_store.clone()),
            people: Arc::new(self.worker_store.clone()),
            statistics: Arc::new(self.worker_store.clone()),
            cache: Arc::new(self.cache.clone()),
            outbox: Arc::new(self.worker_store.clone()),
            events: self.broker.event_publisher(),
            records: Arc::new(self.worker_store.clone()),
            search: Arc::new(self.worker_store.clone()),
        }
    }

    async fn audit(&self) -> AuditPorts {
        let store = Arc::new(self.worker_store.clone());
        AuditPorts {
            outbox: store.clone(),
            ledger: store.clone(),
            records: store.clone(),
            store,
            queue: Arc::new(self.broker.clone()),
        }
    }

    async fn desk(&self) -> DeskPorts {
        DeskPorts {
            tokens: Arc::new(self.edge_store.clone()),
            limiter: Arc::new(SharedLimiter::new(self.redis(), None)),
            cases: Arc::new(self.edge_store.clone()),
            index: Arc::new(self.edge_store.clone()),
            feed: self.broker.feed(),
            operator: self.operator().await,
            health: self.health(&self.edge_store),
        }
    }

    async fn operator(&self) -> OperatorPorts {
        let store = Arc::new(self.worker_store.clone());
        OperatorPorts {
            tokens: store.clone(),
            dead_letters: Arc::new(self.broker.clone()),
            ledger: store.clone(),
            actions: store.clone(),
            records: store.clone(),
            people: store.clone(),
            cases: store,
            exports: Arc::new(self.edge_store.clone()),
            intakes: Arc::new(Imports {
                broker: self.broker.clone(),
                store: self.edge_store.clone(),
            }),
        }
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        self.worker_store.migrate().await
    }

    async fn adopt_key(&self, fingerprint: &str) -> Result<bool, StoreError> {
        self.worker_store.adopt_key(fingerprint).await
    }

    async fn kept_key(&self) -> Result<Option<String>, StoreError> {
        self.worker_store.kept_key().await
    }

    async fn close(&self) {
        self.broker.close().await;
        self.edge_store.close().await;
        self.worker_store.close().await;
    }
}
