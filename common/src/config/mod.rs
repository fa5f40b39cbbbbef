//! Settings: the documented defaults, a file, the environment and the flags, each stronger than
//! the one before.
//!
//! What comes out is typed and free of contradictions; what does not fit is refused in one line
//! that says what would. Secrets are shown by nothing here, not even by `Debug`.

mod error;
mod file;
mod layers;
mod listing;
mod origins;
mod setting;
mod value;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use ipnet::IpNet;
use secrecy::SecretString;

pub use error::ConfigError;
pub use layers::{Layers, Origin};
pub use origins::CorsOrigins;
pub use setting::{Documentation, Kind, Section, Setting};
pub(crate) use value::quoted;

use crate::{keys::NumberKey, ports::limits::Quota, telemetry::LogFormat};

/// Every setting, each with a value that the program can work with.
#[derive(Debug)]
pub struct Config {
    /// How log lines are written.
    pub log_format: LogFormat,
    /// What every process that runs until it is stopped needs.
    pub process: Process,
    /// Where everything is kept.
    pub backends: Backends,
    /// The public edge's.
    pub edge: Edge,
    /// How often a client may ask it.
    pub limits: Limits,
    /// The worker's.
    pub worker: Worker,
    /// How long a ticket is kept that nobody has touched; for ever, if not said.
    pub retention: Option<Duration>,
}

/// A process that runs until it is told to stop.
#[derive(Debug)]
pub struct Process {
    /// Where it answers HTTP.
    pub listen: SocketAddr,
    /// How long it may take to stop.
    pub shutdown_grace: Duration,
    /// Whether it brings the schema up to date at its start.
    pub migrate: bool,
}

/// Two modes, not a matrix.
#[derive(Debug)]
pub enum Backends {
    /// Everything in the process itself.
    Embedded(Embedded),
    /// On servers.
    Distributed(Distributed),
}

/// The embedded installation.
#[derive(Debug)]
pub struct Embedded {
    /// The folder that holds all its data.
    pub data_dir: PathBuf,
    /// Its number key, where the folder's own is not to be used.
    pub number_key: Option<Arc<NumberKey>>,
}

/// A distributed installation.
#[derive(Debug)]
pub struct Distributed {
    /// The database.
    pub database_url: SecretString,
    /// The broker.
    pub amqp_url: SecretString,
    /// The cache.
    pub redis_url: SecretString,
    /// How many queues submissions are spread over.
    pub intake_queues: u16,
    /// The number key of all its processes.
    pub number_key: Arc<NumberKey>,
}

/// The public edge.
#[derive(Debug)]
pub struct Edge {
    /// How long a POST waits for its ticket number.
    pub reply_wait: Duration,
    /// The bearer token for statistics and staff.
    pub admin_token: Option<SecretString>,
    /// For how long the queue must have been empty before what is missing is missed.
    pub unaccounted_after: Duration,
    /// Where submissions are kept while the broker does not take them.
    pub spool: Option<Spool>,
    /// Whose pages may use the public routes.
    pub cors_origins: CorsOrigins,
}

/// An edge's spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spool {
    /// Its folder.
    pub dir: PathBuf,
    /// How large it may grow.
    pub bytes_max: u64,
}

/// How often a client may ask, and how clients are told apart. What has no quota is not limited.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The proxies whose word on their clients' addresses is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// In which header they give it.
    pub address_header: AddressHeader,
    /// Submissions that are accepted.
    pub create: Option<Quota>,
    /// Look-ups of tickets.
    pub lookup: Option<Quota>,
    /// Reads of the statistics.
    pub stats: Option<Quota>,
    /// Tries to submit, counted by each instance.
    pub attempts: Option<Quota>,
    /// Tokens presented that admit nobody.
    pub guesses: Option<Quota>,
}

/// A header in which proxies name their clients. One of them, never both: a proxy that writes one
/// passes the other on as a stranger has sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressHeader {
    /// What everybody understands.
    XForwardedFor,
    /// The standard (RFC 7239).
    Forwarded,
}

impl AddressHeader {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }
}

/// The worker.
#[derive(Debug)]
pub struct Worker {
    /// Consumers side by side.
    pub lanes: usize,
    /// The most submissions in one transaction.
    pub batch_submissions_max: usize,
}

impl Config {
    /// Reads every setting, used or not: a bad one is found at the first start, not at the first
    /// that needs it.
    pub fn new(layers: &Layers) -> Result<Self, ConfigError> {
        let log_format = layers.optional(&Setting::LOG_FORMAT, value::log_format)?;
        Ok(Self {
            log_format: log_format.unwrap_or_else(LogFormat::of_terminal),
            process: Process::new(layers)?,
            backends: Backends::new(layers)?,
            edge: Edge::new(layers)?,
            limits: Limits::new(layers)?,
            worker: Worker::new(layers)?,
            retention: layers.required(&Setting::RETENTION, value::retention)?,
        })
    }
}

impl Process {
    fn new(layers: &Layers) -> Result<Self, ConfigError> {
        let grace = |text: &str| value::duration(text, value::SHUTDOWN_GRACE_MAX);
        Ok(Self {
            listen: layers.required(&Setting::LISTEN, |text| text.parse().ok())?,
            shutdown_grace: layers.required(&Setting::SHUTDOWN_GRACE, grace)?,
            migrate: !layers.required(&Setting::NO_MIGRATE, value::switch)?,
        })
    }
}

impl Backends {
    fn new(layers: &Layers) -> Result<Self, ConfigError> {
        let data_dir = layers.required(&Setting::DATA_DIR, value::path)?;
        let key = |text: &str| NumberKey::from_hex(text).ok().map(Arc::new);
        let number_key = layers.optional(&Setting::NUMBER_KEY, key)?;
        let url = |setting, schemes: &[&str]| {
            layers.optional(setting, |text| value::server_url(text, schemes))
        };
        let urls = (
            url(&Setting::DATABASE_URL, &["postgres", "postgresql"])?,
            url(&Setting::AMQP_URL, &["amqp", "amqps"])?,
            url(&Setting::REDIS_URL, &["redis", "rediss"])?,
        );
        let intake_queues = layers.required(&Setting::INTAKE_QUEUES, value::intake_queues)?;
        match urls {
            (None, None, None) => Ok(Self::Embedded(Embedded { data_dir, number_key })),
            (Some(database_url), Some(amqp_url), Some(redis_url)) => {
                let number_key = number_key.ok_or(ConfigError::NoNumberKey)?;
                Ok(Self::Distributed(Distributed {
                    database_url,
                    amqp_url,
                    redis_url,
                    intake_queues,
                    number_key,
                }))
            }
            _ => Err(some_servers(layers)),
        }
    }

    /// The servers, without which `role` cannot run.
    pub fn distributed(&self, role: &'static str) -> Result<&Distributed, ConfigError> {
        match self {
            Self::Distributed(servers) => Ok(servers),
            Self::Embedded(_) => Err(ConfigError::NoServers { role }),
        }
    }
}

/// Names each server that is set as it was given, and each that is not as it can be.
fn some_servers(layers: &Layers) -> ConfigError {
    let servers = [&Setting::DATABASE_URL, &Setting::AMQP_URL, &Setting::REDIS_URL];
    let given: Vec<_> = servers
        .iter()
        .filter_map(|setting| layers.get(setting).map(|given| given.origin.place(setting)))
        .collect();
    let missing: Vec<_> = servers
        .iter()
        .filter(|setting| !layers.is_set(setting))
        .map(|setting| format!("{} ({})", setting.name, setting.environment))
        .collect();
    ConfigError::SomeServers { given: given.join(" and "), missing: missing.join(", ") }
}

impl Edge {
    fn new(layers: &Layers) -> Result<Self, ConfigError> {
        let wait = |text: &str| value::duration(text, value::REPLY_WAIT_MAX);
        Ok(Self {
            reply_wait: layers.required(&Setting::REPLY_WAIT, wait)?,
            unaccounted_after: layers.required(&Setting::UNACCOUNTED_AFTER, value::window)?,
            admin_token: layers.optional(&Setting::ADMIN_TOKEN, value::admin_token)?,
            spool: Spool::new(layers)?,
            cors_origins: layers
                .optional(&Setting::CORS_ORIGINS, CorsOrigins::parse)?
                .unwrap_or_default(),
        })
    }
}

impl Spool {
    /// Refused without servers: there the store takes what is accepted, and is its only log.
    fn new(layers: &Layers) -> Result<Option<Self>, ConfigError> {
        let bytes_max = layers.required(&Setting::SPOOL_MAX, value::size)?;
        let dir = layers.optional(&Setting::SPOOL_DIR, value::path)?;
        match layers.get(&Setting::SPOOL_DIR) {
            Some(given) if !layers.is_set(&Setting::AMQP_URL) => {
                Err(ConfigError::SpoolWithoutServers(given.origin.place(&Setting::SPOOL_DIR)))
            }
            _ => Ok(dir.map(|dir| Self { dir, bytes_max })),
        }
    }
}

impl Limits {
    fn new(layers: &Layers) -> Result<Self, ConfigError> {
        let quota = |setting| layers.required(setting, value::quota);
        Ok(Self {
            trusted_proxies: layers
                .optional(&Setting::TRUSTED_PROXIES, value::networks)?
                .unwrap_or_default(),
            address_header: layers
                .required(&Setting::CLIENT_ADDRESS_HEADER, value::address_header)?,
            create: quota(&Setting::LIMIT_CREATE)?,
            lookup: quota(&Setting::LIMIT_LOOKUP)?,
            stats: quota(&Setting::LIMIT_STATS)?,
            attempts: quota(&Setting::LIMIT_ATTEMPTS)?,
            guesses: quota(&Setting::LIMIT_GUESSES)?,
        })
    }
}

impl Worker {
    fn new(layers: &Layers) -> Result<Self, ConfigError> {
        // More lanes would outnumber the connections a store is given; a larger batch holds its
        // locks longer and is no faster.
        let count = |max| move |text: &str| value::count(text, 1, max);
        Ok(Self {
            lanes: layers.required(&Setting::WORKER_LANES, count(32))?,
            batch_submissions_max: layers.required(&Setting::BATCH_MAX, count(2_000))?,
        })
    }
}

#[cfg(test)]
mod tests;
