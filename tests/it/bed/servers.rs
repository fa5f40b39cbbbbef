//! The three servers of a distributed installation, shared by all tests or a test's own.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::OnceCell;

use super::cluster::Cluster;
use super::link::Link;
use super::namespace::{Cable, Namespace};
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

    /// Takes it back.
    pub async fn clear_policy(&self, queue: &str) {
        self.control.run(&["clear_policy", "-p", &self.vhost, queue]).await;
    }

    /// A database that is there, and an empty place on a broker and on a cache.
    pub async fn of(database_url: String, rabbitmq: &Cluster, redis: &Redis) -> Self {
        let (vhost, redis_database) = (rabbitmq.fresh_vhost().await, redis.fresh_database());
        Self {
            database_url,
            amqp_url: rabbitmq.url(&vhost),
            redis_url: redis.url(redis_database),
            redis_database,
            vhost,
            control: rabbitmq.control().clone(),
        }
    }

    /// The same in another database.
    pub fn with_database(&self, database_url: String) -> Self {
        Self { database_url, ..self.clone() }
    }

    /// The same on an empty place of another broker.
    pub async fn with_broker(&self, rabbitmq: &RabbitMq) -> Self {
        let vhost = rabbitmq.fresh_vhost().await;
        let (amqp_url, control) = (rabbitmq.url(&vhost), rabbitmq.control().clone());
        Self { amqp_url, vhost, control, ..self.clone() }
    }

    /// The same on an empty place of a broker of several nodes.
    pub async fn with_cluster(&self, cluster: &Cluster) -> Self {
        let vhost = cluster.fresh_vhost().await;
        let (amqp_url, control) = (cluster.url(&vhost), cluster.control().clone());
        Self { amqp_url, vhost, control, ..self.clone() }
    }

    /// The same at one node of it.
    pub fn at_node(&self, node: &RabbitMq) -> Self {
        Self { amqp_url: node.url(&self.vhost), ..self.clone() }
    }

    /// The same with another cache, whose database zero is empty.
    pub fn with_cache(&self, redis: &Redis) -> Self {
        Self { redis_url: redis.url(0), redis_database: 0, ..self.clone() }
    }

    /// The same over links of its own.
    pub async fn over_links(&self) -> (Self, Links) {
        let (postgres, rabbitmq, redis) = tokio::join!(
            Link::to(address(&self.database_url)),
            Link::to(address(&self.amqp_url)),
            Link::to(address(&self.redis_url)),
        );
        let [to_postgres, to_rabbitmq, to_redis] =
            [&postgres, &rabbitmq, &redis].map(Link::address);
        let linked = self.at(to_postgres, to_rabbitmq, to_redis);
        (linked, Links { postgres, rabbitmq, redis })
    }

    /// The same as seen from a place of its own, with a cable to each.
    pub async fn over_cables(&self, namespace: &Namespace) -> (Self, Cables) {
        let postgres = namespace.cable_to(address(&self.database_url)).await;
        let rabbitmq = namespace.cable_to(address(&self.amqp_url)).await;
        let redis = namespace.cable_to(address(&self.redis_url)).await;
        let seen = self.at(postgres.server(), rabbitmq.server(), redis.server());
        (seen, Cables { postgres, rabbitmq, redis })
    }

    /// The same with each server at another address.
    fn at(&self, postgres: SocketAddr, rabbitmq: SocketAddr, redis: SocketAddr) -> Self {
        let at =
            |url: &str, to: SocketAddr| url.replace(&address(url).to_string(), &to.to_string());
        Self {
            database_url: at(&self.database_url, postgres),
            amqp_url: at(&self.amqp_url, rabbitmq),
            redis_url: at(&self.redis_url, redis),
            ..self.clone()
        }
    }

    /// Empties a queue, of what no worker has.
    pub async fn purge(&self, queue: &str) {
        self.control.run(&["purge_queue", "-p", &self.vhost, queue]).await;
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

/// Where the server of a URL of the bed listens.
fn address(url: &str) -> SocketAddr {
    let server = url.split(['@', '/']).nth(3).expect("a user and a server");
    server.parse().expect("the address of a server")
}

/// Links from one process to each of the three.
pub struct Links {
    /// To Postgres.
    pub postgres: Link,
    /// To RabbitMQ.
    pub rabbitmq: Link,
    /// To Redis.
    pub redis: Link,
}

/// Cables from one place to each of the three.
pub struct Cables {
    /// To Postgres.
    pub postgres: Cable,
    /// To RabbitMQ.
    pub rabbitmq: Cable,
    /// To Redis.
    pub redis: Cable,
}
