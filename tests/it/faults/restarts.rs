//! Rolling restarts under load, through the proxy as it is delivered: nobody notices. `make restarts`
//! runs the same test with three processes of each role, twenty rounds and 200 forms a second.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::open_loop::{OpenLoop, are_tickets, percentile};
use crate::bed::client::Client;
use crate::bed::folder::Folder;
use crate::bed::instance::Instance;
use crate::bed::port::Port;
use crate::bed::process::{Process, command};
use crate::bed::servers::Servers;
use crate::bed::system::TestSystem;
use crate::bed::wait::{eventually, until};
use crate::flow::figure;

/// The default of `shutdown-grace`.
const GRACE: Duration = Duration::from_secs(25);

const PATIENCE: Duration = Duration::from_secs(30);

/// Connections of each kind that do nothing, at every edge that is told to stop.
const LINGERERS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn rolling_restarts_under_load_are_noticed_by_nobody() {
    let (processes, rounds) = (figure("PROCESSES", 2), figure("ROUNDS", 2));
    let rate = figure("RATE", 40);
    let backing = Servers::shared().await.backing().await;
    let plan = TestSystem::distributed(backing).with_ingest(processes).with_worker(processes);
    let system = plan.await;
    let edges: Vec<_> = (0..processes).map(|edge| system.edge(edge)).collect();
    let proxy = Proxy::in_front_of(&edges).await;
    let load = OpenLoop::start(vec![Client::new(proxy.address())], rate);
    let mut longest = Duration::ZERO;
    for _ in 0..rounds {
        for (number, edge) in edges.iter().enumerate() {
            let lingerers = Lingerers::at(edge.address()).await;
            longest = longest.max(restart(edge).await);
            lingerers.are_closed().await;
            proxy.knows(number).await;
        }
        for worker in system.workers() {
            longest = longest.max(restart(worker).await);
        }
    }
    let sent = load.end().await;
    let refused: Vec<_> = sent.iter().filter(|sent| !sent.is_accepted()).collect();
    assert!(
        refused.is_empty(),
        "{} of {}: {refused:?}\n{}",
        refused.len(),
        sent.len(),
        proxy.log()
    );
    are_tickets(&sent, &system).await;
    let audit = system.verify().await;
    assert!(audit.status.success(), "{audit:?}");
    println!(
        "{} restarts at {rate} forms a second: {} forms, 0 errors, 0 lost; the slowest stop took \
         {longest:?}; answers p50 {:?}, p99 {:?}, at most {:?}",
        rounds * processes * 2,
        sent.len(),
        percentile(&sent, 50),
        percentile(&sent, 99),
        percentile(&sent, 100)
    );
}

/// Asks a process to stop, starts it again, and says how long the stop took.
async fn restart(process: &Instance) -> Duration {
    let stopped = process.stop_gracefully().await;
    assert_eq!(stopped.status.code(), Some(0), "{}", process.log());
    assert!(stopped.took < GRACE, "{stopped:?}");
    process.start_again().await;
    stopped.took
}

/// Connections to an edge that send nothing more: some idle after an answer, some in the middle of a
/// request's head.
struct Lingerers(Vec<TcpStream>);

impl Lingerers {
    async fn at(edge: SocketAddr) -> Self {
        let mut connections = Vec::new();
        for number in 0..2 * LINGERERS {
            let mut connection = TcpStream::connect(edge).await.unwrap();
            if number % 2 == 0 {
                connection.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
                assert_eq!(connection.read_u8().await.unwrap(), b'H');
            } else {
                let half = b"POST /api/support/ticket HTTP/1.1\r\nho";
                connection.write_all(half).await.unwrap();
            }
            connections.push(connection);
        }
        Self(connections)
    }

    /// The edge has closed every one of them.
    async fn are_closed(self) {
        for mut connection in self.0 {
            let _ = connection.read_to_end(&mut Vec::new()).await;
        }
    }
}

/// `HAProxy` with the configuration that is delivered, in front of edges on this machine.
struct Proxy {
    process: Process,
    port: Port,
    _folder: Folder,
}

impl Proxy {
    async fn in_front_of(edges: &[&Instance]) -> Self {
        let (port, folder) = (Port::free(), Folder::new("proxy"));
        let delivered = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/proxy");
        let read = |name: &str| fs::read_to_string(delivered.join(name)).unwrap();
        let main = read("haproxy.cfg").replace("bind :8080", &format!("bind {}", port.address()));
        let of_edges = read("edges-local.cfg");
        let lines = of_edges.lines().flat_map(|line| match line.trim().split(' ').nth(1) {
            Some("edge-1") => (0..edges.len())
                .map(|edge| {
                    let address = edges[edge].address().to_string();
                    line.replace("edge-1", &name(edge)).replace("127.0.0.1:8081", &address)
                })
                .collect(),
            Some("edge-2") => Vec::new(),
            _ => vec![line.to_owned()],
        });
        let of_edges: Vec<_> = lines.collect();
        fs::write(folder.join("haproxy.cfg"), main).unwrap();
        fs::write(folder.join("edges.cfg"), of_edges.join("\n") + "\n").unwrap();
        let mut haproxy = command("haproxy");
        haproxy.args(["-db", "-f", "haproxy.cfg", "-f", "edges.cfg"]);
        let process = Process::new("haproxy", folder.path(), haproxy);
        process.start();
        let proxy = Self { process, port, _folder: folder };
        let client = Client::new(proxy.address());
        eventually(PATIENCE, "the proxy is healthy", async || {
            assert!(proxy.process.is_running(), "the proxy ended: {}", proxy.log());
            let answer =
                client.get("/proxyz").try_send().await.map_err(|error| error.to_string())?;
            if answer.status == 200 { Ok(()) } else { Err(answer.status.to_string()) }
        })
        .await;
        proxy
    }

    fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Waits until the last that it says of an edge is that it is there again. It may not even have
    /// noticed that it was away.
    async fn knows(&self, edge: usize) {
        let what = format!("the proxy knows that edge {edge} is there");
        until(PATIENCE, &what, async || {
            let log = self.log();
            let server = format!("Server ready/{} is ", name(edge));
            log.lines()
                .rfind(|line| line.contains(&server))
                .is_none_or(|line| line.contains(&format!("{server}UP")))
        })
        .await;
    }

    fn log(&self) -> String {
        self.process.log()
    }
}

fn name(edge: usize) -> String {
    format!("edge-of-this-test-{edge}")
}
