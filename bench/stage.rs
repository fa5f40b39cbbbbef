//! Everything that is measured, running: servers, the product in both modes, the floors.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::time::sleep;

use crate::bed::client::Client;
use crate::bed::folder::Folder;
use crate::bed::instance::Instance;
use crate::bed::postgres::Postgres;
use crate::bed::rabbitmq::RabbitMq;
use crate::bed::redis::Redis;
use crate::bed::server::Server;
use crate::bed::servers::Servers;
use crate::bed::system::{ADMIN_TOKEN, TestSystem};
use crate::bed::wait::eventually;
use crate::floors::{self, Kind};
use crate::raw;
use crate::usage::{Part, processor};

/// Every feature on: the limits are those of the defaults, and clients are told apart by what the load
/// generator, as a trusted proxy, says of them.
const SETTINGS: [(&str, &str); 5] = [
    ("SUPPORT_TRUSTED_PROXIES", "127.0.0.1"),
    ("SUPPORT_LIMIT_CREATE", "3/10m"),
    ("SUPPORT_LIMIT_LOOKUP", "20/5m"),
    ("SUPPORT_LIMIT_STATS", "30/1m"),
    ("SUPPORT_LIMIT_ATTEMPTS", "300/10m"),
];

/// What everybody sets who has a Postgres of some size: its own defaults are for a machine of the
/// nineties. The rest, durability first, is as it comes.
const POSTGRES: [&str; 2] = ["shared_buffers=1GB", "max_wal_size=4GB"];

/// Longest wait for what a load has left to do: ten million tickets that were stored beforehand are taken in to
/// be searched, and sealed.
const BACKLOG: Duration = Duration::from_mins(90);

/// What all of it may use of a processor within a second and be called idle: each polls and probes.
const IDLE: Duration = Duration::from_millis(200);

/// The stage.
pub struct Stage {
    /// Postgres, RabbitMQ and Redis.
    pub servers: Servers,
    /// An edge and a worker on them.
    pub distributed: TestSystem,
    /// The whole product in one process.
    pub embedded: TestSystem,
    /// Handlers that do nothing.
    pub nothing: Instance,
    /// Handlers that do one statement each.
    pub row_per_request: Instance,
    /// For files of the benchmark's.
    pub folder: Folder,
}

impl Stage {
    /// Starts everything.
    pub async fn set() -> Self {
        let (postgres, rabbitmq, redis) =
            tokio::join!(Postgres::start_with(&POSTGRES), RabbitMq::start(), Redis::start());
        let servers = Servers { postgres, rabbitmq, redis };
        let backing = servers.backing().await;
        let settings = || SETTINGS.map(|(name, value)| (name, value.to_owned()));
        let distributed = TestSystem::distributed(backing).with_all(settings()).await;
        let embedded = TestSystem::embedded().with_all(settings()).await;
        let folder = Folder::new("bench");
        let database_url = distributed.backing().database_url.clone();
        raw::prepare_table(&database_url).await;
        let nothing = floors::start(Kind::Nothing, folder.path(), &database_url).await;
        let row_per_request =
            floors::start(Kind::RowPerRequest, folder.path(), &database_url).await;
        Self { servers, distributed, embedded, nothing, row_per_request, folder }
    }

    /// Whose processor time is told apart.
    pub fn parts(&self) -> Vec<Part> {
        let of =
            |name, instance: &Instance| Part { name, pids: instance.pid().into_iter().collect() };
        let servers = &self.servers;
        vec![
            of("edge", self.distributed.edge(0)),
            of("worker", self.distributed.worker(0)),
            of("embedded", self.embedded.edge(0)),
            of("floor", &self.nothing),
            of("floor", &self.row_per_request),
            Part { name: "postgres", pids: servers.postgres.folder().inhabitants() },
            Part { name: "rabbitmq", pids: servers.rabbitmq.folder().inhabitants() },
            Part { name: "redis", pids: servers.redis.folder().inhabitants() },
        ]
    }

    /// Waits until nothing is on its way any more, events included, and nobody does anything behind them, as
    /// to take in what is searched: what one load left to do must not slow down the next.
    pub async fn settle(&self) {
        for system in [&self.distributed, &self.embedded] {
            let worker =
                if system.workers().count() > 0 { system.worker(0) } else { system.edge(0) };
            let worker = Client::new(worker.address());
            eventually(BACKLOG, "every event is published", async || {
                let pending = metric(&worker, "supportline_outbox_pending_events").await;
                let age = metric(&worker, "supportline_outbox_oldest_age_seconds").await;
                if pending == Some(0.0) && age == Some(0.0) { Ok(()) } else { Err((pending, age)) }
            })
            .await;
        }
        eventually(BACKLOG, "nobody has anything to do", async || {
            let parts = self.parts();
            let before = processor(&parts).into_values().sum::<Duration>();
            sleep(Duration::from_secs(1)).await;
            let used = processor(&parts).into_values().sum::<Duration>().saturating_sub(before);
            if used < IDLE { Ok(()) } else { Err(used) }
        })
        .await;
    }

    /// Ids and numbers of stored tickets, from all of them and in no order, no two alike.
    pub async fn tickets(&self, count: usize) -> (Vec<String>, Vec<String>) {
        let url = &self.distributed.backing().database_url;
        let mut connection = PgConnection::connect(url).await.expect("connect");
        let query = "SELECT id::text, number FROM tickets ORDER BY random() LIMIT $1";
        let rows = sqlx::query_as::<_, (String, String)>(query).bind(i64::try_from(count).unwrap());
        rows.fetch_all(&mut connection).await.expect("tickets").into_iter().unzip()
    }
}

/// The statistics' token.
pub fn token() -> &'static str {
    ADMIN_TOKEN
}

/// The sum of a metric's series, if it has any.
pub async fn metric(of: &Client, name: &str) -> Option<f64> {
    let answer = of.get("/metrics").try_send().await.ok()?;
    let values = answer.text().lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        (series.split('{').next() == Some(name)).then(|| value.parse::<f64>().ok())?
    });
    values.reduce(|sum, value| sum + value)
}
