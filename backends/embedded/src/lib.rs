//! The embedded backend: `SQLite` for what must last, this process's memory for the rest.
//!
//! The queue holds nothing durable: a publish is confirmed when the worker's transaction has
//! committed, so the database is the only thing that must survive, and there is no second log.
//! Dead letters, which on a broker lie in a queue, lie in a table here.
//!
//! Its twin is `supportline-distributed`: the same files, the same statements, the same promises.

mod cache;
mod claims;
mod data_dir;
mod events;
mod health;
mod limits;
mod queue;
mod store;
#[cfg(test)]
mod testing;

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use common::{
    clock::{Clock, SteadyClock},
    ports::{
        backend::{
            AuditPorts, DeskPorts, EdgePorts, IntakePorts, Intakes, OperatorPorts, WorkerPorts,
        },
        queue::RECEIPT_BATCHES_MAX,
        store::StoreError,
    },
};
use tokio::sync::mpsc;

use crate::{
    cache::MemoryCache,
    claims::MemoryClaims,
    data_dir::DataDir,
    events::Hub,
    health::Health,
    queue::{EdgePublisher, Lanes, LetterTable, Queue, QueueInspector},
    store::Store,
};
pub use crate::{data_dir::OpenError, limits::MemoryLimiter};

/// What the embedded backend is told.
pub struct Settings {
    /// Where everything lies; made, readable by its owner only, if it is not there.
    pub data_dir: PathBuf,
    /// Tells when a dead letter was given up.
    pub clock: Arc<dyn Clock>,
}

/// Every port, on one data directory.
pub struct Backend {
    store: Arc<Store>,
    queue: Arc<Queue>,
    cache: Arc<MemoryCache>,
    hub: Arc<Hub>,
    claims: Arc<MemoryClaims>,
    limiter: Arc<MemoryLimiter>,
    clock: Arc<dyn Clock>,
}

impl Backend {
    /// Opens the data directory to serve it, and makes it if need be. No other process can open it
    /// so until [`common::ports::backend::Backend::close`], or until this backend and all its ports
    /// are dropped. Needs a tokio runtime, which runs the store's writer.
    pub async fn open(settings: Settings) -> Result<Self, OpenError> {
        let data_dir = DataDir::create(&settings.data_dir)?;
        let store = Store::open(data_dir).await?;
        Ok(Self::new(store, Queue::new(queue::SUBMISSIONS_MAX), settings.clock))
    }

    /// Opens the data directory to look into it, beside a server or without one. Whatever would
    /// write is unavailable; the queue is the server's, so of it only dead letters are seen.
    pub async fn open_for_audit(settings: Settings) -> Result<Self, OpenError> {
        let store = Store::open_read_only(&settings.data_dir).await?;
        let queue = Queue::new(0);
        queue.close();
        Ok(Self::new(store, queue, settings.clock))
    }

    /// Opens the data directory to change what an operator may change, beside a server or without
    /// one. Nothing is made that is not there, and the queue is the server's.
    pub async fn open_beside(settings: Settings) -> Result<Self, OpenError> {
        let store = Store::open_beside(&settings.data_dir).await?;
        let queue = Queue::new(0);
        queue.close();
        Ok(Self::new(store, queue, settings.clock))
    }

    fn new(store: Store, queue: Queue, clock: Arc<dyn Clock>) -> Self {
        Self {
            store: Arc::new(store),
            queue: Arc::new(queue),
            cache: Arc::new(MemoryCache::default()),
            hub: Arc::default(),
            claims: Arc::default(),
            // A clock that is set forward would give everybody a fresh budget.
            limiter: Arc::new(MemoryLimiter::new(Arc::new(SteadyClock::showing(clock.now())))),
            clock,
        }
    }

    fn inspector(&self) -> Arc<QueueInspector> {
        let (queue, store) = (Arc::clone(&self.queue), Arc::clone(&self.store));
        Arc::new(QueueInspector { queue, store })
    }

    fn health(&self) -> Arc<Health> {
        Arc::new(Health::new(Arc::clone(&self.queue), Arc::clone(&self.store)))
    }
}

/// Where imports get their ports from.
struct Imports {
    queue: Arc<Queue>,
    store: Arc<Store>,
}

#[async_trait]
impl Intakes for Imports {
    async fn open(&self) -> IntakePorts {
        let (sender, receipts) = mpsc::channel(RECEIPT_BATCHES_MAX);
        IntakePorts {
            publisher: Arc::new(EdgePublisher::new(Arc::clone(&self.queue), sender)),
            receipts,
            tickets: self.store.clone(),
        }
    }
}

#[async_trait]
impl common::ports::backend::Backend for Backend {
    async fn edge(&self) -> EdgePorts {
        let (sender, receipts) = mpsc::channel(RECEIPT_BATCHES_MAX);
        EdgePorts {
            publisher: Arc::new(EdgePublisher::new(Arc::clone(&self.queue), sender)),
            receipts,
            claims: self.claims.clone(),
            tickets: self.store.clone(),
            cases: self.store.clone(),
            statistics: self.store.clone(),
            cache: self.cache.clone(),
            feed: self.hub.clone(),
            event_log: self.store.clone(),
            tokens: self.store.clone(),
            limiter: self.limiter.clone(),
            ledger: self.store.clone(),
            queue: self.inspector(),
            health: self.health(),
        }
    }

    async fn worker(&self) -> WorkerPorts {
        WorkerPorts {
            consumers: Arc::new(Lanes {
                queue: Arc::clone(&self.queue),
                store: Arc::clone(&self.store),
                clock: Arc::clone(&self.clock),
            }),
            tickets: self.store.clone(),
            people: self.store.clone(),
            statistics: self.store.clone(),
            cache: self.cache.clone(),
            outbox: self.store.clone(),
            events: self.hub.clone(),
            records: self.store.clone(),
            search: self.store.clone(),
        }
    }

    async fn audit(&self) -> AuditPorts {
        AuditPorts {
            store: self.store.clone(),
            outbox: self.store.clone(),
            ledger: self.store.clone(),
            records: self.store.clone(),
            queue: self.inspector(),
        }
    }

    async fn desk(&self) -> DeskPorts {
        DeskPorts {
            tokens: self.store.clone(),
            limiter: self.limiter.clone(),
            cases: self.store.clone(),
            index: self.store.clone(),
            feed: self.hub.clone(),
            operator: self.operator().await,
            health: self.health(),
        }
    }

    async fn operator(&self) -> OperatorPorts {
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        OperatorPorts {
            tokens: self.store.clone(),
            dead_letters: Arc::new(LetterTable { store, clock }),
            ledger: self.store.clone(),
            actions: self.store.clone(),
            exports: self.store.clone(),
            intakes: Arc::new(Imports {
                queue: Arc::clone(&self.queue),
                store: Arc::clone(&self.store),
            }),
            people: self.store.clone(),
            cases: self.store.clone(),
            records: self.store.clone(),
        }
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        self.store.migrate().await
    }

    async fn adopt_key(&self, fingerprint: &str) -> Result<bool, StoreError> {
        self.store.adopt_key(fingerprint).await
    }

    async fn kept_key(&self) -> Result<Option<String>, StoreError> {
        self.store.kept_key().await
    }

    async fn close(&self) {
        self.queue.close();
        self.store.close().await;
    }
}
