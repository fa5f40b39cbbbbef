//! A stop that was asked for: everything accepted is finished, and the exit code is 0.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::load::{Accepted, Load, assert_all_are_tickets};
use super::running::Running;
use super::settings;
use crate::bed::folder::Folder;
use crate::bed::process::Signal;
use crate::bed::servers::Servers;
use crate::bed::system::{ADMIN_TOKEN, UNLIMITED};

/// The default of `--shutdown-grace`.
const GRACE: Duration = Duration::from_secs(25);
const NUMBER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Connections that a stop must neither wait for long nor be held up by.
struct Lingering([TcpStream; 3]);

impl Lingering {
    async fn on(edge: &Running) -> Self {
        let mut connections = Vec::new();
        for bytes in [
            b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n".as_slice(),
            b"POST /api/support/ticket HTTP/1.1\r\nho",
            b"",
        ] {
            let mut connection = TcpStream::connect(edge.address()).await.unwrap();
            connection.write_all(bytes).await.unwrap();
            connections.push(connection);
        }
        // The first has its answer and idles.
        assert_eq!(connections[0].read_u8().await.unwrap(), b'H');
        Self(connections.try_into().unwrap())
    }

    /// The other side has closed every one of them.
    async fn are_closed(self) {
        for mut connection in self.0 {
            let mut rest = Vec::new();
            let _ = connection.read_to_end(&mut rest).await;
        }
    }
}

/// Stops the processes, edge first, while the edge is under load, and starts them again.
async fn stop_under_load(processes: &[Running], signal: Signal) -> Vec<Accepted> {
    let edge = &processes[0];
    let lingering = Lingering::on(edge).await;
    let load = Load::on(edge.address());
    load.reaches(200).await;
    for process in processes {
        let (status, took) = process.stop(signal).await;
        let log = process.log();
        assert_eq!(status.code(), Some(0), "{signal:?}: {log}");
        let last = log.lines().last().unwrap_or_default();
        assert!(last.contains("stopped, with everything finished"), "{signal:?}: {log}");
        assert!(took < GRACE, "{took:?}");
    }
    lingering.are_closed().await;
    let accepted = load.ends().await;
    for process in processes {
        process.start_again().await;
    }
    assert_all_are_tickets(&edge.client(), &accepted).await;
    accepted
}

async fn signals_end_it_well(processes: &[Running]) {
    let mut accepted = Vec::new();
    for signal in [Signal::Term, Signal::Int] {
        accepted.extend(stop_under_load(processes, signal).await);
    }
    let statistics = processes[0].client().get("/api/support/stats").bearer(ADMIN_TOKEN);
    let total = statistics.send().await.json()["data"]["total"].as_u64().unwrap();
    assert!(total >= accepted.len() as u64, "{total} of {}", accepted.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_an_embedded_installation_with_everything_stored() {
    let folder = Folder::new("stop");
    let own = [settings(&[("SUPPORT_ADMIN_TOKEN", ADMIN_TOKEN)]), settings(&UNLIMITED)].concat();
    signals_end_it_well(&[Running::start("serve", folder.path(), &own).await]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_a_distributed_installation_with_everything_stored() {
    let folder = Folder::new("stop");
    let backing = Servers::shared().await.backing().await;
    let shared = settings(&[
        ("DATABASE_URL", &backing.database_url),
        ("AMQP_URL", &backing.amqp_url),
        ("REDIS_URL", &backing.redis_url),
        ("SUPPORT_NUMBER_KEY", NUMBER_KEY),
        ("SUPPORT_ADMIN_TOKEN", ADMIN_TOKEN),
    ]);
    let shared = [shared, settings(&UNLIMITED)].concat();
    let edge = Running::start("ingest", folder.path(), &shared).await;
    let worker = Running::start("worker", folder.path(), &shared).await;
    let desk = Running::start("desk", folder.path(), &shared).await;
    signals_end_it_well(&[edge, worker, desk]).await;
}

/// The head of a request is there, so it is one; its body has the ten seconds of any body.
#[tokio::test]
async fn a_body_that_does_not_come_holds_the_stop_no_longer_than_it_may() {
    let folder = Folder::new("stop");
    let serve = Running::start("serve", folder.path(), &settings(&[])).await;
    let mut half = TcpStream::connect(serve.address()).await.unwrap();
    let head = "POST /api/support/ticket HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let expecting = format!("{head}content-length: 500\r\nexpect: 100-continue\r\n\r\n");
    half.write_all(expecting.as_bytes()).await.unwrap();
    // It waits for the body from now on.
    assert_eq!(half.read_u8().await.unwrap(), b'H');
    let (status, took) = serve.stop(Signal::Term).await;
    assert_eq!(status.code(), Some(0), "{}", serve.log());
    assert!(took < Duration::from_secs(14), "{took:?}");
    let mut answer = String::new();
    half.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("HTTP/1.1 408 "), "{answer}");
}
