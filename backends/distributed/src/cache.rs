//! Redis: the statistics snapshot and the lease to refresh it. Never the truth, and never waited
//! for: every call has a short deadline, and its caller goes on without.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use common::{
    domain::Statistics,
    ports::statistics::{CacheError, StatisticsCache},
};
use deadpool_redis::{Config, Pool, Runtime, Timeouts, redis};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use thiserror::Error;

const SNAPSHOT: &str = "supportline:statistics";
const LEASE: &str = "supportline:statistics:refresher";

/// A snapshot nobody refreshes any more goes away by itself.
const SNAPSHOT_TTL: Duration = Duration::from_mins(1);

/// Every call gives up by then.
const CALL_DEADLINE: Duration = Duration::from_millis(250);

/// Sets the lease if it is free, renews it if it is ours. One script, so that nothing comes between.
const TAKE_LEASE: &str = r"
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
";

/// The text is no Redis address.
#[derive(Debug, Error)]
#[error("expected redis://:password@host:port/database")]
pub struct MalformedRedisUrl;

/// A pool of connections.
#[derive(Clone)]
pub(crate) struct Cache {
    pool: Pool,
}

impl Cache {
    pub(crate) fn new(url: &SecretString) -> Result<Self, MalformedRedisUrl> {
        // By default the pool waits without end.
        let timeouts = Timeouts {
            wait: Some(Duration::from_millis(50)),
            create: Some(Duration::from_millis(200)),
            recycle: Some(Duration::from_millis(50)),
        };
        let pool = Config::from_url(url.expose_secret())
            .builder()
            .map_err(|_| MalformedRedisUrl)?
            .max_size(8)
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|_| MalformedRedisUrl)?;
        Ok(Self { pool })
    }

    pub(crate) async fn ping(&self) -> Result<(), CacheError> {
        self.call::<String>(&redis::cmd("PING")).await?;
        Ok(())
    }

    async fn call<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, CacheError> {
        let answer = async {
            let mut connection = self.pool.get().await.map_err(unavailable)?;
            command.query_async(&mut connection).await.map_err(unavailable)
        };
        tokio::time::timeout(CALL_DEADLINE, answer).await.map_err(unavailable)?
    }
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> CacheError {
    CacheError(Box::new(error))
}

#[async_trait]
impl StatisticsCache for Cache {
    async fn get(&self) -> Result<Option<Statistics>, CacheError> {
        let text: Option<String> = self.call(redis::cmd("GET").arg(SNAPSHOT)).await?;
        // A snapshot that cannot be read is none: another release may have written it.
        Ok(text
            .and_then(|text| serde_json::from_str::<Snapshot>(&text).ok())
            .and_then(|snapshot| Statistics::try_from(snapshot).ok()))
    }

    async fn put(&self, statistics: &Statistics) -> Result<(), CacheError> {
        let text = serde_json::to_string(&Snapshot::from(statistics)).map_err(unavailable)?;
        let mut command = redis::cmd("SET");
        self.call(command.arg(SNAPSHOT).arg(text).arg("PX").arg(milliseconds(SNAPSHOT_TTL))).await
    }

    async fn lease(&self, holder: &str, ttl: Duration) -> Result<bool, CacheError> {
        let mut command = redis::cmd("EVAL");
        self.call(command.arg(TAKE_LEASE).arg(1).arg(LEASE).arg(holder).arg(milliseconds(ttl)))
            .await
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Amounts by dimension and value, as the store names them.
type Amounts = BTreeMap<String, BTreeMap<String, i64>>;

/// A snapshot as Redis holds it.
///
/// The release before reads `counts` and passes over the rest. What it writes lacks the tallies, and is
/// no snapshot here: the store is asked.
#[derive(Serialize, Deserialize)]
struct Snapshot {
    generated_at: DateTime<Utc>,
    counts: Amounts,
    tallies: Amounts,
}

impl From<&Statistics> for Snapshot {
    fn from(statistics: &Statistics) -> Self {
        Self {
            generated_at: statistics.generated_at,
            counts: amounts(statistics.counts()),
            tallies: amounts(statistics.tallies.amounts()),
        }
    }
}

fn amounts(all: impl IntoIterator<Item = (&'static str, String, u64)>) -> Amounts {
    let mut amounts = Amounts::new();
    for (dimension, value, amount) in all {
        let amount = i64::try_from(amount).unwrap_or(i64::MAX);
        amounts.entry(dimension.to_owned()).or_default().insert(value, amount);
    }
    amounts
}

impl TryFrom<Snapshot> for Statistics {
    type Error = common::domain::UnknownCount;

    fn try_from(snapshot: Snapshot) -> Result<Self, Self::Error> {
        let mut statistics = Self::as_of(snapshot.generated_at);
        for (dimension, values) in snapshot.counts.iter().chain(&snapshot.tallies) {
            for (value, amount) in values {
                statistics.set(dimension, value, *amount)?;
            }
        }
        Ok(statistics)
    }
}
