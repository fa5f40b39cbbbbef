//! The one place that picks a backend.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use common::{
    clock::{Clock, Entropy, SystemClock, SystemEntropy},
    config::{Backends, Config, ConfigError, Distributed, Embedded, Setting},
    keys::NumberKey,
    metrics::Exposition,
    ports::backend::Backend,
};
use ingest::{SpoolDir, SpoolError};
use secrecy::SecretString;

use crate::{document::document, prepare::CANNOT_PREPARE, secrets};

/// Connections to Postgres for an edge's look-ups, statistics and health. A look-up takes about a
/// millisecond of one, so these answer thousands a second; more of them would only let a flood take
/// the server's processors from the workers.
const EDGE_CONNECTIONS_MAX: u32 = 8;

/// Connections to Postgres for a worker, beside one for each lane: for the statistics and for the
/// relay of events.
const WORKER_SPARE_CONNECTIONS: usize = 2;

/// The parts that every role is composed of.
pub struct Installation {
    /// Where ports come from.
    pub backend: Arc<dyn Backend>,
    /// The secret that all processes of the installation share.
    pub number_key: Arc<NumberKey>,
    /// The bearer token for statistics and staff.
    pub admin_token: Option<SecretString>,
    /// The machine's clock.
    pub clock: Arc<dyn Clock>,
    /// The machine's randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// Opens the edge's spool, where it is to have one.
pub fn open_spool(config: &Config) -> Result<Option<SpoolDir>, SpoolError> {
    let spool = config.edge.spool.as_ref();
    spool.map(|spool| SpoolDir::open(&spool.dir, spool.bytes_max)).transpose()
}

/// The number key of an installation that is there.
pub fn existing_number_key(config: &Config) -> anyhow::Result<Arc<NumberKey>> {
    match &config.backends {
        Backends::Embedded(settings) => {
            let key = || secrets::existing_number_key(&settings.data_dir).map(Arc::new);
            settings.number_key.clone().map_or_else(key, Ok)
        }
        Backends::Distributed(settings) => Ok(Arc::clone(&settings.number_key)),
    }
}

/// What an operator's commands work with, which make no number.
pub struct Beside {
    /// Where ports come from.
    pub backend: Arc<dyn Backend>,
    /// The machine's clock.
    pub clock: Arc<dyn Clock>,
    /// The machine's randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// Opens the store to bring its schema up to date. An embedded one is made if need be, and is this
/// process's alone from then on.
pub async fn open_store(config: &Config) -> anyhow::Result<Arc<dyn Backend>> {
    Ok(match &config.backends {
        Backends::Embedded(settings) => {
            Arc::new(embedded::Backend::open(folder(&settings.data_dir)).await?)
        }
        Backends::Distributed(settings) => connect(settings, config)?,
    })
}

impl Installation {
    /// Opens the installation to serve it. An embedded one is made if need be, with its schema and
    /// its secrets, and is this process's alone from then on.
    pub async fn open(config: &Config) -> anyhow::Result<Self> {
        match &config.backends {
            Backends::Embedded(settings) => Self::embedded(settings, config).await,
            Backends::Distributed(settings) => {
                let (key, token) = (&settings.number_key, config.edge.admin_token.clone());
                Ok(Self::of(connect(settings, config)?, Arc::clone(key), token))
            }
        }
    }

    /// Opens it to look into it, beside the processes that serve it.
    pub async fn open_for_audit(config: &Config) -> anyhow::Result<Self> {
        let Backends::Embedded(settings) = &config.backends else {
            return Self::open(config).await;
        };
        let backend = embedded::Backend::open_for_audit(folder(&settings.data_dir)).await?;
        Ok(Self::of(Arc::new(backend), existing_number_key(config)?, None))
    }

    /// Opens it to change what an operator may change, beside the processes that serve it.
    pub async fn open_beside(config: &Config) -> anyhow::Result<Beside> {
        let backend: Arc<dyn Backend> = match &config.backends {
            Backends::Embedded(settings) => {
                Arc::new(embedded::Backend::open_beside(folder(&settings.data_dir)).await?)
            }
            Backends::Distributed(settings) => connect(settings, config)?,
        };
        Ok(Beside { backend, clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) })
    }

    async fn embedded(settings: &Embedded, config: &Config) -> anyhow::Result<Self> {
        let data_dir = &settings.data_dir;
        // First of all the lock on the folder: two first starts must not make two keys.
        let backend = embedded::Backend::open(folder(data_dir)).await?;
        if config.process.migrate {
            backend.migrate().await.context(CANNOT_PREPARE)?;
        }
        let used = backend.kept_key().await.context(CANNOT_PREPARE)?;
        let key = || secrets::number_key(data_dir, used.as_deref(), &SystemEntropy).map(Arc::new);
        let token = || secrets::admin_token(data_dir, &SystemEntropy);
        let number_key = settings.number_key.clone().map_or_else(key, Ok)?;
        let admin_token = config.edge.admin_token.clone().map_or_else(token, Ok)?;
        Ok(Self::of(Arc::new(backend), number_key, Some(admin_token)))
    }

    fn of(
        backend: Arc<dyn Backend>,
        number_key: Arc<NumberKey>,
        admin_token: Option<SecretString>,
    ) -> Self {
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        Self { backend, number_key, admin_token, clock, entropy }
    }

    /// What an edge is told.
    pub fn ingest_settings(
        &self,
        config: &Config,
        spool: Option<SpoolDir>,
        exposition: Exposition,
    ) -> ingest::Settings {
        ingest::Settings {
            reply_wait: config.edge.reply_wait,
            admin_token: self.admin_token.clone(),
            limits: config.limits.clone(),
            number_key: Arc::clone(&self.number_key),
            version: env!("CARGO_PKG_VERSION"),
            unaccounted_after: config.edge.unaccounted_after,
            spool,
            cors_origins: config.edge.cors_origins.clone(),
            exposition,
            document: document(),
            beside: None,
        }
    }

    /// What a desk is told.
    pub fn desk_settings(&self, config: &Config) -> desk::Settings {
        desk::Settings {
            admin_token: self.admin_token.clone(),
            limits: config.limits.clone(),
            number_key: Arc::clone(&self.number_key),
            retention: config.retention,
        }
    }

    /// What a worker is told.
    pub fn worker_settings(&self, config: &Config) -> worker::Settings {
        worker::Settings {
            lanes: lanes(config),
            batch_submissions_max: config.worker.batch_submissions_max,
            retention: config.retention,
            number_key: Arc::clone(&self.number_key),
        }
    }
}

/// Each lane consumes one of several intake queues. Two for each: a lane without work is replaced every few
/// seconds, and nobody's submission should wait for that.
fn lanes(config: &Config) -> usize {
    match &config.backends {
        Backends::Distributed(servers) if servers.intake_queues > 1 => {
            config.worker.lanes.max(2 * usize::from(servers.intake_queues))
        }
        Backends::Distributed(_) | Backends::Embedded(_) => config.worker.lanes,
    }
}

fn connect(settings: &Distributed, config: &Config) -> anyhow::Result<Arc<dyn Backend>> {
    let worker_connections = lanes(config) + WORKER_SPARE_CONNECTIONS;
    let backend = distributed::Backend::new(&distributed::Settings {
        database_url: settings.database_url.clone(),
        amqp_url: settings.amqp_url.clone(),
        redis_url: settings.redis_url.clone(),
        intake_queues: settings.intake_queues,
        edge_connections_max: EDGE_CONNECTIONS_MAX,
        worker_connections_max: worker_connections.try_into().context("too many worker lanes")?,
        clock: Arc::new(SystemClock),
    })
    .map_err(|error| ConfigError::unusable(culprit(&error)))?;
    Ok(Arc::new(backend))
}

fn folder(data_dir: &Path) -> embedded::Settings {
    embedded::Settings { data_dir: data_dir.to_owned(), clock: Arc::new(SystemClock) }
}

fn culprit(error: &distributed::SettingsError) -> &'static Setting {
    match error {
        distributed::SettingsError::Database(_) => &Setting::DATABASE_URL,
        distributed::SettingsError::Amqp(_) => &Setting::AMQP_URL,
        distributed::SettingsError::Redis(_) => &Setting::REDIS_URL,
    }
}
