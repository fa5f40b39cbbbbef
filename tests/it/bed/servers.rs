//! The three servers of a distributed installation, shared by all tests or a test's own.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::OnceCell;

use super::postgres::Postgres;
use super::rabbitmq::{Control, RabbitMq};
use super::redis::Redis;

/// A Postgres, a RabbitMQ and a Redis.
pub struct Servers {
    /// Holds the tickets.
    pub postgres: Postgres,
    /// Holds what is on its way.
    pub rabbitmq: RabbitMq,
    /// Holds what can be lost.
    pub redis: Redis,
}

impl Servers {
    /// The servers of the whole test binary, started by the first test that asks. They end with
    /// the binary, and nobody can stop them before: that takes a `&mut`.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Servers> = OnceCell::const_new();
        SHARED.get_or_init(Self::own).await
    }

    /// Servers for a test that kills, stops or fills them.
    pub async fn own() -> Self {
        let (postgres, rabbitmq, redis) =
            tokio::join!(Postgres::start(), RabbitMq::start(), Redis::start());
        Self { postgres, rabbitmq, redis }
    }

    /// An empty place on each of the three.
    pub async fn backing(&self) -> Backing {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let database = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let (database_url, vhost) =
            tokio::join!(self.postgres.create_database(&database), self.rabbitmq.fresh_vhost());
        let redis_database = self.redis.fresh_database();
        Backing {
            database_url,
            amqp_url: self.rabbitmq.url(&vhost),
            redis_url: self.redis.url(redis_database),
            redis_database,
            vhost,
            control: self.rabbitmq.control().clone(),
        }
    }
}

/// What one installation under test stands on: a database, a virtual host and a Redis database
/// that no other test sees.
#[derive(Clone)]
pub struct Backing {
    /// For `DATABASE_URL`.
    pub database_url: String,
    /// For `AMQP_URL`.
    pub amqp_url: String,
    /// For `REDIS_URL`.
    pub redis_url: String,
    /// The number in `redis_url`, for [`Redis::ask`].
    pub redis_database: u32,
    /// The name in `amqp_url`.
    pub vhost: String,
    control: Control,
}

impl Backing {
    /// Sets a policy on the installation's queue `queue`, such as `{"max-length": 5}`.
    pub async fn set_policy(&self, queue: &str, policy: &str) {
        let pattern = format!("^{queue}$");
        self.control.run(&["set_policy", "-p", &self.vhost, queue, &pattern, policy]).await;
    }

    /// The queues of the installation with the number of messages in each.
    pub async fn queues(&self) -> Vec<(String, u64)> {
        self.control.queues(&self.vhost).await
    }

    /// Whether the queue `queue` is bound to an exchange other than the default one.
    pub async fn is_bound(&self, queue: &str) -> bool {
        let list = ["list_bindings", "-p", &self.vhost, "source_name", "destination_name"];
        let bindings = self.control.run(&list).await;
        bindings.lines().any(|line| {
            line.split_once('\t').is_some_and(|(source, to)| !source.is_empty() && to == queue)
        })
    }
}
