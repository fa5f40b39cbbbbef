//! What a run is played on: servers that last for a whole campaign, and of each run a database and
//! processes of its own, with a link between any two that talk to each other.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::kinds::{Peer, Process};
use super::letters::Letter;
use super::plan::Plan;
use super::{events, store, strangers};
use crate::api::metrics::Metrics;
use crate::bed::clock::Clock;
use crate::bed::cluster::Cluster;
use crate::bed::form::Form;
use crate::bed::instance::Instance;
use crate::bed::link::{Link, Mode};
use crate::bed::postgres::Postgres;
use crate::bed::redis::Redis;
use crate::bed::servers::{Backing, Links};
use crate::bed::system::{ADMIN_TOKEN, TestSystem};
use crate::bed::wait::{eventually, until};
use crate::flow::stored;

/// Everything that was begun is done so long after everything was healed.
const DRAIN: Duration = Duration::from_mins(1);

/// Where edges publish.
const INTAKE: &str = "support.intake";

/// Where those messages go that will never become tickets.
const DEAD_LETTERS: &str = "support.dead-letters";

/// The servers of a campaign. One suffers one thing at a time: whoever lets it suffer has it locked.
pub struct Ground {
    /// Holds the tickets.
    pub postgres: Mutex<Postgres>,
    /// Holds what is on its way.
    pub rabbitmq: Mutex<Cluster>,
    /// Holds what can be lost.
    pub redis: Mutex<Redis>,
    backing: Backing,
}

impl Ground {
    /// Starts the servers, and so many nodes of the broker.
    pub async fn prepare(nodes: usize) -> Self {
        let (postgres, rabbitmq, redis) =
            tokio::join!(Postgres::start(), Cluster::start(nodes), Redis::start());
        let database_url = postgres.url("postgres");
        let backing = Backing::of(database_url, &rabbitmq, &redis).await;
        let first = postgres.create_database("chaos_first").await;
        use_queues(backing.with_database(first)).await;
        let (postgres, rabbitmq) = (Mutex::new(postgres), Mutex::new(rabbitmq));
        Self { postgres, rabbitmq, redis: Mutex::new(redis), backing }
    }

    /// Makes Redis forget everything.
    pub async fn flush(&self) {
        let redis = self.redis.lock().await;
        assert_eq!(redis.ask(self.backing.redis_database, "FLUSHALL").await, "+OK");
    }

    /// Lets no more messages than that wait in the intake, or as many as ever. For whoever has the
    /// broker locked.
    pub async fn limit_queue(&self, max: Option<u64>) {
        match max {
            Some(max) => {
                self.backing.set_policy(INTAKE, &format!("{{\"max-length\": {max}}}")).await;
            }
            None => self.backing.clear_policy(INTAKE).await,
        }
    }

    /// The queues with the number of messages in each.
    async fn queues(&self) -> Vec<(String, u64)> {
        // Under the lock: what lives in a broker's folder is killed with it.
        let _rabbitmq = self.rabbitmq.lock().await;
        self.backing.queues().await
    }
}

/// Declares the queues, the listener's too, and brings a ticket through them: a broker that is killed while a queue has
/// nothing on the disk yet takes most of a minute to be back, in which no run puts anything to the test.
async fn use_queues(backing: Backing) {
    let system = TestSystem::distributed(backing).await;
    events::listen(system.backing()).await;
    system.submit(&Form::valid()).await;
    let is_heard = async || !events::take(system.backing()).await.is_empty();
    until(DRAIN, "its event is heard", is_heard).await;
    system.stop_gracefully().await;
}

/// A process of ours, with its links.
pub struct Post {
    /// The process.
    pub instance: Instance,
    /// It suffers one thing at a time.
    pub turn: Mutex<()>,
    links: Links,
    /// From those who submit; a worker's leads to nobody's use.
    clients: Link,
    clock: Option<Clock>,
}

impl Post {
    async fn start(role: &str, system: &TestSystem, plan: &Plan, process: Process) -> Self {
        let (mut backing, links) = system.backing().over_links().await;
        if plan.is_alert {
            backing.amqp_url += "?heartbeat=1";
        }
        let clock = (plan.false_clock == Some(process)).then(Clock::new);
        let mut settings: Vec<_> = clock.iter().flat_map(Clock::environment).collect();
        if let Process::Edge(edge) = process
            && plan.has_spool
        {
            settings.push(("SUPPORT_SPOOL_DIR", spool(system, edge).display().to_string()));
        }
        let instance = system.start_on_with(role, &backing, settings);
        let clients = Link::to(instance.address()).await;
        Self { instance, turn: Mutex::default(), links, clients, clock }
    }

    /// Its own wall clock.
    pub fn clock(&self) -> &Clock {
        self.clock.as_ref().expect("the plan gave it one")
    }

    /// Lets the bytes between the process and that peer arrive again.
    pub fn heal(&self, peer: Peer) {
        self.set(peer, Mode::Pass);
    }

    /// Changes what becomes of the bytes between the process and that peer.
    pub fn set(&self, peer: Peer, mode: Mode) {
        self.link(peer).set(mode);
    }

    /// See [`Link::hurts`].
    pub fn hurts(&self, peer: Peer) -> u64 {
        self.link(peer).hurts()
    }

    fn link(&self, peer: Peer) -> &Link {
        match peer {
            Peer::Clients => &self.clients,
            Peer::Postgres => &self.links.postgres,
            Peer::RabbitMq => &self.links.rabbitmq,
            Peer::Redis => &self.links.redis,
        }
    }
}

/// The folder of an edge's spool, if it has one.
fn spool(system: &TestSystem, edge: usize) -> PathBuf {
    system.folder().join(&format!("spool-{edge}"))
}

/// A run's own processes and database.
pub struct Stage {
    edges: Vec<Post>,
    workers: Vec<Post>,
    database: String,
    letters: std::sync::Mutex<Vec<Letter>>,
    /// Has no process but those above; runs one-shot commands.
    system: TestSystem,
}

impl Stage {
    /// Starts as many processes as the plan says, and returns when all are ready.
    pub async fn set(ground: &Ground, plan: &Plan) -> Self {
        let database = format!("chaos_{}", plan.seed);
        let database_url = ground.postgres.lock().await.create_database(&database).await;
        ground.flush().await;
        let reply_wait = format!("{}ms", plan.reply_wait.as_millis());
        let system = TestSystem::distributed(ground.backing.with_database(database_url))
            .with_ingest(0)
            .with_worker(0)
            .with_env("SUPPORT_REPLY_WAIT", &reply_wait)
            .await;
        let edges =
            (0..plan.edges).map(|edge| Post::start("ingest", &system, plan, Process::Edge(edge)));
        let workers = (0..plan.workers)
            .map(|worker| Post::start("worker", &system, plan, Process::Worker(worker)));
        let (edges, workers) = (join_all(edges).await, join_all(workers).await);
        let letters = std::sync::Mutex::default();
        let stage = Self { edges, workers, database, letters, system };
        stage.ready().await;
        stage
    }

    /// Where the edges listen for those who submit.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.edges.iter().map(|post| post.clients.address()).collect()
    }

    /// A process.
    pub fn post(&self, process: Process) -> &Post {
        match process {
            Process::Edge(index) => &self.edges[index],
            Process::Worker(index) => &self.workers[index],
        }
    }

    /// What the processes have in common.
    pub fn system(&self) -> &TestSystem {
        &self.system
    }

    /// Waits until every process is ready; fails the test when one has ended, or is not in time.
    pub async fn ready(&self) {
        join_all(self.posts().map(|post| post.instance.ready())).await;
    }

    /// Returns when each of the workers has stored something more.
    pub async fn all_work(&self) {
        join_all(self.workers.iter().map(async |worker| {
            let stored = async || {
                Metrics::of(worker.instance.client()).await.sum("worker_tickets_total", &[])
            };
            let before = stored().await;
            until(DRAIN, "every worker works", async || stored().await > before).await;
        }))
        .await;
    }

    /// Waits until nothing is on its way any more: no message in a queue and none in a spool, no event
    /// unpublished, and everything counted where it is asked for.
    pub async fn drained(&self, ground: &Ground) {
        let mut store = store::connect(&self.system.backing().database_url).await;
        eventually(DRAIN, "nothing is on its way any more", async || {
            let mut queues = ground.queues().await;
            let stays = [DEAD_LETTERS, events::QUEUE];
            queues.retain(|(name, messages)| *messages > 0 && !stays.contains(&name.as_str()));
            let unpublished = store::unpublished(&mut store).await;
            let (counted, tickets) = (self.counted().await, stored::by_subject(&mut store).await);
            let spooled = self.spooled();
            let is_done = queues.is_empty() && spooled == 0 && unpublished == 0;
            (is_done && counted == json!(tickets)).then_some(()).ok_or_else(|| {
                format!(
                    "{queues:?}, {spooled} spooled, {unpublished} unpublished, counted {counted} of \
                     {tickets:?}"
                )
            })
        })
        .await;
    }

    /// The tickets by subject, as an edge tells it; subjects without any left out.
    async fn counted(&self) -> Value {
        let client = self.edges[0].instance.client();
        let answer = client.get("/api/support/stats").bearer(ADMIN_TOKEN).send().await;
        let mut counted = answer.json()["data"]["bySubject"].clone();
        counted.as_object_mut().expect("subjects").retain(|_, count| *count != 0);
        counted
    }

    /// The files of the edges' spools.
    fn spooled(&self) -> usize {
        let spools = (0..self.edges.len()).map(|edge| spool(&self.system, edge));
        let files = spools.filter_map(|spool| std::fs::read_dir(spool).ok()).flatten().flatten();
        files.filter(|file| file.path().extension().is_some_and(|it| it != "lock")).count()
    }

    /// Notes what must be in the dead letters.
    pub fn expect_letters(&self, letters: Vec<Letter>) {
        self.letters.lock().expect("no panic under this lock").extend(letters);
    }

    /// Asks every process to stop, and fails the test unless all do so in good order.
    pub async fn strike(&self) {
        let stopped = join_all(self.posts().map(|post| post.instance.stop_gracefully())).await;
        assert!(stopped.iter().all(|stopped| stopped.status.success()), "{stopped:?}");
        for log in self.posts().map(|post| post.instance.log()) {
            assert!(!log.contains("panicked"), "{log}");
        }
    }

    /// Takes out the events: the ids of the tickets whose creation was told, as often as it was.
    pub async fn events(&self) -> Vec<String> {
        events::take(self.system.backing()).await
    }

    /// Takes out the dead letters. Gives back what must be there, and what is.
    pub async fn letters(&self) -> (Vec<Letter>, Vec<Vec<u8>>) {
        let sent = std::mem::take(&mut *self.letters.lock().expect("no panic under this lock"));
        (sent, strangers::take_letters(self.system.backing()).await)
    }

    /// Removes the database.
    pub async fn clear(self, ground: &Ground) {
        ground.postgres.lock().await.drop_database(&self.database).await;
    }

    fn posts(&self) -> impl Iterator<Item = &Post> {
        self.edges.iter().chain(&self.workers)
    }
}
