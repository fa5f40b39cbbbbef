//! One submission through the whole embedded product: from a socket through edge, queue, worker and store
//! to the answer with its number, and on to its event.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use common::{
    clock::{Clock, Entropy, SystemClock, SystemEntropy},
    config::{AddressHeader, CorsOrigins, Limits},
    keys::NumberKey,
    ports::{backend::Backend, limits::Quota},
};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Sends so many submissions, each when the one before has its number.
pub fn run(times: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(submit(times));
}

async fn submit(times: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let settings =
        embedded::Settings { data_dir: folder.path().to_owned(), clock: Arc::clone(&clock) };
    let backend = embedded::Backend::open(settings).await.expect("a data folder");
    backend.migrate().await.expect("a schema");
    let number_key = Arc::new(NumberKey::from_hex(&"42".repeat(32)).expect("a key"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = CancellationToken::new();
    let worker = tokio::spawn(worker::run(
        backend.worker().await,
        Arc::clone(&clock),
        Arc::clone(&entropy),
        worker::Settings {
            lanes: 2,
            batch_submissions_max: 500,
            retention: None,
            number_key: Arc::clone(&number_key),
        },
        worker::State::new(),
        stop.clone(),
    ));
    let edge = ingest::run(
        listener,
        backend.edge().await,
        clock,
        entropy,
        edge_settings(number_key),
        stop.clone(),
    );
    let edge = tokio::spawn(edge);
    let mut connection = connect(address).await;
    while ask(&mut connection, ready()).await != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for number in 0..times {
        assert_eq!(ask(&mut connection, form(number)).await, 201);
    }
    stop.cancel();
    edge.await.expect("no panic").expect("the edge ends well");
    worker.await.expect("no panic");
    backend.close().await;
}

fn edge_settings(number_key: Arc<NumberKey>) -> ingest::Settings {
    let quota = |count| Some(Quota { count, window: Duration::from_mins(10) });
    ingest::Settings {
        reply_wait: Duration::from_secs(10),
        admin_token: None,
        limits: Limits {
            trusted_proxies: vec!["127.0.0.1/32".parse().expect("a network")],
            address_header: AddressHeader::XForwardedFor,
            create: quota(3),
            lookup: quota(20),
            stats: quota(30),
            attempts: quota(300),
            guesses: quota(10),
        },
        number_key,
        version: env!("CARGO_PKG_VERSION"),
        cors_origins: CorsOrigins::None,
        unaccounted_after: Duration::from_mins(15),
        spool: None,
        exposition: Arc::new(String::new),
        document: "{}",
        beside: None,
    }
}

async fn connect(address: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.expect("connect");
    let (requests, connection) = handshake(TokioIo::new(stream)).await.expect("a handshake");
    tokio::spawn(connection);
    requests
}

fn ready() -> Request<Full<Bytes>> {
    let request = Request::get("/readyz").header("host", "localhost");
    request.body(Full::default()).expect("a request")
}

/// From a client of its own.
fn form(number: u64) -> Request<Full<Bytes>> {
    let client = format!("2001:db8:{:x}:{:x}::1", number >> 16, number & 0xffff);
    let body = format!(
        r#"{{"name":"Ada Lovelace","email":"ada.{number}@example.org","subject":"technical","message":"The engine has stopped again, number {number}.","timestamp":"2026-11-22T10:30:00.000Z"}}"#
    );
    Request::post("/api/support/ticket")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .header("x-forwarded-for", client)
        .body(Full::new(Bytes::from(body)))
        .expect("a request")
}

/// The status of the answer.
async fn ask(connection: &mut SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> u16 {
    connection.ready().await.expect("a connection");
    let answer = connection.send_request(request).await.expect("an answer");
    let status = answer.status().as_u16();
    answer.into_body().collect().await.expect("a whole answer");
    status
}
