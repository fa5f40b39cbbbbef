//! The accept loop: HTTP/1.1 connections, bounded in number, each with deadlines, and a stop that
//! finishes what was begun. (`axum::serve` has no deadline for a request's head.)

use std::{
    error::Error,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use common::metrics::{HTTP_CONNECTIONS, HTTP_CUT_OFF, OneMore};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
#[cfg(target_os = "linux")]
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use crate::client::Peer;

/// Longest request head, in bytes. It is what a connection that only sends headers can hold in
/// memory; longer ones are answered 431.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How long to leave a listener alone that cannot accept. Out of file descriptors, it would fail
/// again at once; a tenth of a second is enough for some to come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

struct Limits {
    /// Connections at a time. When they are used up, the next ones wait in the listener's backlog.
    connections_max: usize,
    /// How long a head may take, from the first moment that one may come: also how long a
    /// connection may idle between two requests.
    head_wait: Duration,
    /// How long a peer may take nothing of what it was sent: gone without a word, or not reading.
    write_wait: Duration,
    /// How long a connection may go on after the stop without a request being served on it: for
    /// the last bytes of an answer, and for a head already on its way.
    drain_wait: Duration,
}

impl Limits {
    const fn public() -> Self {
        Self {
            // 16 KiB of head each: at most 160 MiB. Each is a file descriptor, too.
            connections_max: 10_000,
            head_wait: Duration::from_secs(10),
            // Longer than a phone needs to change its network.
            write_wait: Duration::from_secs(30),
            drain_wait: Duration::from_secs(2),
        }
    }
}

/// Serves `router` on `listener` until `stop` is cancelled; then closes the listener and returns
/// once every request has its answer. Connections without a request are closed, at the latest two
/// seconds after the stop.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    serve_within(&Limits::public(), listener, router, stop).await;
}

async fn serve_within(
    limits: &Limits,
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    let connections = TaskTracker::new();
    loop {
        let (stream, peer, slot) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            connection = next_connection(&listener, &slots) => connection,
        };
        let connection = Connection {
            stream,
            peer: Peer(peer),
            router: router.clone(),
            stop: stop.clone(),
            head_wait: limits.head_wait,
            write_wait: limits.write_wait,
            drain_wait: limits.drain_wait,
            _slot: slot,
            _counted: HTTP_CONNECTIONS.one_more(),
        };
        connections.spawn(connection.serve());
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// Waits for a slot first: a connection that cannot be served yet is better left in the backlog.
async fn next_connection(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed, so there always is a permit.
    let slot = Arc::clone(slots).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, slot),
            Err(error) if is_the_callers(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted; trying again");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The connection was given up before it was accepted.
fn is_the_callers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

struct Connection {
    stream: TcpStream,
    peer: Peer,
    router: Router,
    stop: CancellationToken,
    head_wait: Duration,
    write_wait: Duration,
    drain_wait: Duration,
    _slot: Option<OwnedSemaphorePermit>,
    _counted: OneMore,
}

impl Connection {
    async fn serve(self) {
        if set_up(&self.stream, self.write_wait).is_err() {
            return;
        }
        let is_busy = Arc::new(AtomicBool::new(false));
        let service = service_fn(|request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(self.peer);
            let answer = self.router.clone().oneshot(request);
            let is_busy = Arc::clone(&is_busy);
            async move {
                is_busy.store(true, Ordering::Relaxed);
                let answer = answer.await;
                is_busy.store(false, Ordering::Relaxed);
                answer
            }
        });
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(self.head_wait)
                .max_buf_size(HEAD_BYTES_MAX)
                .serve_connection(TokioIo::new(self.stream), service)
        );
        // How a connection ends, whether by its peer, by a deadline or by bad syntax, is its
        // peer's business; hyper has answered what can be answered.
        tokio::select! {
            ended = connection.as_mut() => return count(ended),
            () = self.stop.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        while timeout(self.drain_wait, connection.as_mut()).await.is_err()
            && is_busy.load(Ordering::Relaxed)
        {}
    }
}

/// Counts a connection that was closed because its other side let a deadline pass.
fn count(ended: hyper::Result<()>) {
    let Err(error) = ended else { return };
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    if error.is_timeout() {
        HTTP_CUT_OFF.increment(&[("deadline", "head")]);
    } else if cause.is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut) {
        HTTP_CUT_OFF.increment(&[("deadline", "write")]);
    }
}

fn set_up(stream: &TcpStream, write_wait: Duration) -> io::Result<()> {
    // Answers are small and whole; without this, Nagle and delayed acknowledgements hold one back
    // for 40 ms.
    stream.set_nodelay(true)?;
    // Other kernels keep to their own patience, a quarter of an hour or less.
    #[cfg(target_os = "linux")]
    SockRef::from(stream).set_tcp_user_timeout(Some(write_wait))?;
    #[cfg(not(target_os = "linux"))]
    let _ = write_wait;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::routing::get;
    use futures_util::stream;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        task::JoinHandle,
        time::Instant,
    };

    use super::*;

    const REQUEST: &[u8] = b"GET /quick HTTP/1.1\r\nhost: x\r\n\r\n";
    const SLOW_REQUEST: &[u8] = b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n";
    /// How long `/slow` takes; more than the drain wait, which must not cut it off.
    const SLOW: Duration = Duration::from_millis(600);
    const LIMITS: Limits = Limits {
        connections_max: 3,
        head_wait: Duration::from_millis(500),
        write_wait: Duration::from_millis(700),
        drain_wait: Duration::from_millis(200),
    };

    struct Bed {
        address: SocketAddr,
        stop: CancellationToken,
        server: JoinHandle<()>,
    }

    async fn bed() -> Bed {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let slow = async || {
            sleep(SLOW).await;
            "done"
        };
        let endless =
            async || Body::from_stream(stream::repeat(Ok::<_, Infallible>(vec![0; 65_536])));
        let dying = async || Body::from_stream(stream::once(async { broken() }));
        let router = Router::new()
            .route("/quick", get(async || "done"))
            .route("/slow", get(slow))
            .route("/endless", get(endless))
            .route("/dying", get(dying));
        let stop = CancellationToken::new();
        let server = tokio::spawn({
            let stop = stop.clone();
            async move { serve_within(&LIMITS, listener, router, stop).await }
        });
        Bed { address, stop, server }
    }

    impl Bed {
        async fn send(&self, bytes: &[u8]) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            stream
        }
    }

    fn broken() -> Result<Vec<u8>, Infallible> {
        panic!("in the middle of an answer")
    }

    /// Reads until an answer has come in whole.
    async fn answer(stream: &mut TcpStream) -> String {
        let mut answer = Vec::new();
        while !answer.ends_with(b"done") {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "{answer:?}");
        }
        String::from_utf8(answer).unwrap()
    }

    /// Reads to the end, which a reset is as well.
    async fn rest(mut stream: TcpStream) -> String {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        String::from_utf8(rest).unwrap()
    }

    #[tokio::test]
    async fn a_head_that_does_not_come_is_cut_off_while_others_are_served() {
        let bed = bed().await;
        let begun_at = Instant::now();
        let half = bed.send(b"GET /quick HTTP/1.1\r\nho").await;
        let mut other = bed.send(REQUEST).await;
        assert!(answer(&mut other).await.starts_with("HTTP/1.1 200"));
        assert!(begun_at.elapsed() < LIMITS.head_wait);
        assert_eq!(rest(half).await, "");
        assert!(begun_at.elapsed() >= LIMITS.head_wait);
    }

    #[tokio::test]
    async fn a_head_that_comes_drop_by_drop_has_no_longer_than_any_other() {
        let bed = bed().await;
        let begun_at = Instant::now();
        let mut slow = bed.send(b"GET /quick HTTP/1.1\r\n").await;
        while slow.write_all(b"x: y\r\n").await.is_ok() {
            assert!(begun_at.elapsed() < LIMITS.head_wait * 3);
            sleep(LIMITS.head_wait / 10).await;
        }
        assert!(begun_at.elapsed() >= LIMITS.head_wait);
    }

    #[tokio::test]
    async fn a_connection_too_many_waits_for_its_turn() {
        let bed = bed().await;
        let mut held = Vec::new();
        for _ in 0..LIMITS.connections_max {
            held.push(bed.send(SLOW_REQUEST).await);
        }
        let mut next = bed.send(REQUEST).await;
        let mut early = [0];
        assert!(timeout(SLOW / 2, next.read(&mut early)).await.is_err());
        drop(held);
        answer(&mut next).await;
    }

    /// Not read, an answer fills what kernels keep for it, and then stands still.
    #[tokio::test]
    async fn who_takes_nothing_of_an_answer_is_cut_off() {
        let bed = bed().await;
        let mut held = Vec::new();
        for _ in 0..LIMITS.connections_max {
            held.push(bed.send(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await);
        }
        let begun_at = Instant::now();
        let mut next = bed.send(REQUEST).await;
        timeout(LIMITS.write_wait * 10, answer(&mut next)).await.expect("a place comes free");
        assert!(begun_at.elapsed() >= LIMITS.write_wait / 2, "{:?}", begun_at.elapsed());
        drop(held);
    }

    #[tokio::test]
    async fn an_answer_that_dies_ends_its_connection_and_no_other() {
        let bed = bed().await;
        let mut slow = bed.send(SLOW_REQUEST).await;
        let died = rest(bed.send(b"GET /dying HTTP/1.1\r\nhost: x\r\n\r\n").await).await;
        assert!(!died.ends_with("0\r\n\r\n"), "{died}");
        assert!(answer(&mut slow).await.starts_with("HTTP/1.1 200"));
        assert!(answer(&mut bed.send(REQUEST).await).await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn the_stop_closes_what_idles_and_finishes_what_was_begun() {
        let bed = bed().await;
        let mut idle = bed.send(REQUEST).await;
        answer(&mut idle).await;
        let half = bed.send(b"GET /quick HTTP/1.1\r\nho").await;
        let mut begun = bed.send(SLOW_REQUEST).await;
        sleep(SLOW / 6).await;

        let stopped_at = Instant::now();
        bed.stop.cancel();
        assert_eq!(rest(idle).await, "");
        assert!(stopped_at.elapsed() < LIMITS.drain_wait / 2, "{:?}", stopped_at.elapsed());
        assert_eq!(rest(half).await, "");
        assert!(stopped_at.elapsed() < LIMITS.head_wait, "{:?}", stopped_at.elapsed());
        assert!(answer(&mut begun).await.contains("connection: close"));
        bed.server.await.unwrap();
        assert!(stopped_at.elapsed() < SLOW + LIMITS.drain_wait, "{:?}", stopped_at.elapsed());
        assert!(TcpStream::connect(bed.address).await.is_err());
    }

    #[tokio::test]
    async fn a_head_that_is_too_long_is_refused() {
        let bed = bed().await;
        let head = format!("GET /quick HTTP/1.1\r\nx: {}", "x".repeat(HEAD_BYTES_MAX));
        assert!(rest(bed.send(head.as_bytes()).await).await.starts_with("HTTP/1.1 431"));
    }
}
