//! A Redis of our own.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::folder::Folder;
use super::port::Port;
use super::process::{Process, Signal, command};
use super::server::{PATIENCE, Server, program};
use super::wait::eventually;

/// See [`super::postgres::PASSWORD`].
pub const PASSWORD: &str = "redis-secret";

const DATABASES: u32 = 1024;

/// A Redis server that keeps nothing on disk: what it holds is gone when it stops.
pub struct Redis {
    process: Process,
    port: Port,
    next_database: AtomicU32,
    folder: Folder,
}

impl Redis {
    /// Starts a new server.
    pub async fn start() -> Self {
        let folder = Folder::new("redis");
        let port = Port::free();
        let mut redis = command(program("redis-server", &[], "redis-server"));
        redis.args(["--bind", "127.0.0.1", "--port", &port.number().to_string()]);
        redis.args(["--requirepass", PASSWORD, "--databases", &DATABASES.to_string()]);
        redis.args(["--save", "", "--appendonly", "no"]);
        let process = Process::new("redis", folder.path(), redis);
        let redis = Self { process, port, next_database: AtomicU32::new(0), folder };
        redis.launch().await;
        redis
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: u32) -> String {
        format!("redis://:{PASSWORD}@{}/{database}", self.port.address())
    }

    /// The number of an empty database that nobody else uses.
    pub fn fresh_database(&self) -> u32 {
        let number = self.next_database.fetch_add(1, Ordering::Relaxed);
        assert!(number < DATABASES, "all {DATABASES} Redis databases are taken: raise DATABASES");
        number
    }

    /// Sends one command, such as `SET a b`, to a database and gives back the raw reply.
    pub async fn ask(&self, database: u32, question: &str) -> String {
        let reply = tokio::time::timeout(PATIENCE, self.try_ask(database, question)).await;
        reply.expect("Redis replies in time").expect("Redis replies")
    }

    async fn try_ask(&self, database: u32, question: &str) -> std::io::Result<String> {
        let lines = format!("AUTH {PASSWORD}\r\nSELECT {database}\r\n{question}\r\nQUIT\r\n");
        let mut stream = TcpStream::connect(self.port.address()).await?;
        stream.write_all(lines.as_bytes()).await?;
        let mut replies = String::new();
        stream.read_to_string(&mut replies).await?;
        let reply = replies.strip_prefix("+OK\r\n+OK\r\n");
        let reply = reply.and_then(|reply| reply.strip_suffix("\r\n+OK\r\n"));
        reply.map(str::to_owned).ok_or_else(|| std::io::Error::other(replies))
    }
}

impl Server for Redis {
    fn folder(&self) -> &Folder {
        &self.folder
    }

    fn process(&self) -> &Process {
        &self.process
    }

    fn stop_signal(&self) -> Signal {
        Signal::Term
    }

    async fn launch(&self) {
        self.process.start();
        eventually(PATIENCE, "Redis answers", async || {
            assert!(self.process.is_running(), "Redis ended: {}", self.process.log());
            self.try_ask(0, "PING").await
        })
        .await;
    }
}
