//! The public edge: takes a form over HTTP, hands it to the queue and waits a moment for the number
//! of its ticket; answers look-ups, statistics and health.
//!
//! `submit.rs` tells the product on one screen. What a submission passes on its way lies beside it,
//! in that order: `key`, `prefer`, `body`, `form`, `naming`, `waiting`, `batcher`, `outlet` (and while
//! the queue is away `spool`), `reply`.

mod accounts;
mod answers;
mod batcher;
mod confirmation;
mod cors;
#[cfg(test)]
mod doubles;
mod echo;
mod edge;
mod events;
mod finishing;
mod health;
mod history;
mod hub;
mod key;
mod limits;
mod loader;
mod lookup;
mod measure;
mod naming;
mod openapi;
mod outlet;
mod prefer;
mod progress;
mod query;
mod reconcile;
mod reply;
mod routes;
mod snapshot;
mod spool;
mod stats;
mod submit;
mod waiting;
mod whoami;

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use common::{
    clock::{Clock, Entropy},
    config::{CorsOrigins, Limits},
    keys::NumberKey,
    metrics::Exposition,
    ports::backend::EdgePorts,
};
use http::openapi::Chapter;
pub use http::server;
use http::{answer, auth, body, client, condition, form, guesses, problem, request, standing};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use spool::{SpoolDir, SpoolError};

/// What the edge serves, as the `OpenAPI` document tells it.
#[must_use]
pub fn chapter() -> Chapter {
    openapi::chapter()
}

/// What an operator decides about the edge.
pub struct Settings {
    /// How long a POST waits for its ticket number once it is accepted; 202 after that.
    pub reply_wait: Duration,
    /// The bootstrap key of role admin. Without one, or with an empty one, nobody is admitted.
    pub admin_token: Option<SecretString>,
    /// How often a client may ask, and how clients are told apart.
    pub limits: Limits,
    /// The installation's secret, from which submission ids are checked and derived.
    pub number_key: Arc<NumberKey>,
    /// This release, as health shows it.
    pub version: &'static str,
    /// Whose pages may use the public routes.
    pub cors_origins: CorsOrigins,
    /// For how long the queue must have been empty before an accepted submission that is no ticket
    /// counts as unaccounted for.
    pub unaccounted_after: Duration,
    /// Where submissions are kept while the queue does not take them. Without one they are refused.
    pub spool: Option<SpoolDir>,
    /// Writes what `/metrics` answers.
    pub exposition: Exposition,
    /// The `OpenAPI` document of the whole installation.
    pub document: &'static str,
    /// What another role of this process serves on the same listener.
    pub beside: Option<Router>,
}

/// Serves the public API on `listener` until `stop` is cancelled, and returns once every request
/// accepted has its answer, everything offered to the queue is settled, and what was accepted and has
/// no number yet is written down.
///
/// That takes at most the longest request, which is ten seconds for a body that is still being sent
/// and then the longer of `reply_wait` and 2.5 seconds, two seconds for the spool to be drained as far
/// as it can be, and two for the writing down. Readiness is false from the moment of the stop.
///
/// Fails when the listener has no address, and at once when one of the tasks behind the handlers
/// died: only a restart brings it back.
pub async fn run(
    listener: TcpListener,
    ports: EdgePorts,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    settings: Settings,
    stop: CancellationToken,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let (edge, mut background) = edge::start(ports, clock, entropy, &settings, stop.clone());
    let reconciler = Arc::clone(&edge.reconciler);
    let router = routes::router(edge).merge(settings.beside.unwrap_or_default());
    tracing::info!(%address, "the public API is served");
    tokio::select! {
        // First: with the last handler gone, the batcher may end as well.
        biased;
        () = server::serve(listener, router, stop) => {}
        error = background.failed() => return Err(error),
    }
    background.finish().await?;
    reconciler.finish().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use common::clock::SystemEntropy;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        task::JoinHandle,
        time::Instant,
    };

    use super::*;
    use crate::doubles::{Cast, FORM, Mood, TestClock, settings};

    struct Bed {
        cast: Cast,
        address: std::net::SocketAddr,
        stop: CancellationToken,
        role: JoinHandle<io::Result<()>>,
    }

    /// The whole role behind a real socket.
    async fn bed() -> Bed {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ((cast, ports), stop) = (Cast::new(), CancellationToken::new());
        let clock = Arc::new(TestClock(Instant::now()));
        let settings = settings(Duration::from_secs(2));
        let role = tokio::spawn(run(
            listener,
            ports,
            clock,
            Arc::new(SystemEntropy),
            settings,
            stop.clone(),
        ));
        Bed { cast, address, stop, role }
    }

    impl Bed {
        /// Posts with these headers and gives back everything that comes until the end.
        async fn post(&self, headers: &str, body: &str) -> String {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            let request = format!(
                "POST /api/support/ticket HTTP/1.1\r\nhost: x\r\n\
                 content-type: application/json\r\n{headers}\r\n\r\n{body}"
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        }

        async fn status(&self, headers: &str, body: &str) -> String {
            self.post(headers, body).await.lines().next().unwrap_or_default().to_owned()
        }
    }

    #[tokio::test]
    async fn a_body_too_large_is_refused_however_it_is_sent() {
        let bed = bed().await;
        let large = "A".repeat(1_000_000);
        let length = format!("content-length: {}", large.len());
        let chunked = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
        let refused = "HTTP/1.1 413 Payload Too Large";
        assert_eq!(bed.status(&length, &large).await, refused);
        assert_eq!(bed.status("transfer-encoding: chunked", &chunked).await, refused);
        let asked_first = format!("{length}\r\nexpect: 100-continue");
        assert_eq!(bed.status(&asked_first, "").await, refused);
    }

    #[tokio::test]
    async fn who_asks_first_is_told_to_go_on() {
        let bed = bed().await;
        let headers =
            format!("content-length: {}\r\nexpect: 100-continue\r\nconnection: close", FORM.len());
        let answer = bed.post(&headers, FORM).await;
        assert!(
            answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created"),
            "{answer}"
        );
    }

    #[tokio::test]
    async fn a_connection_that_was_sent_chunks_is_not_used_again() {
        let bed = bed().await;
        let chunked = format!("{:x}\r\n{FORM}\r\n0\r\n\r\nGET /livez HTTP/1.1\r\n\r\n", FORM.len());
        for framing in [
            "transfer-encoding: chunked",
            "content-length: 5\r\ntransfer-encoding: chunked",
            "transfer-encoding: chunked\r\ncontent-length: 5",
        ] {
            let answer = bed.post(framing, &chunked).await;
            assert!(answer.starts_with("HTTP/1.1 201 Created"), "{answer}");
            assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
        }
    }

    #[tokio::test]
    async fn the_role_ends_when_everything_accepted_is_answered() {
        let bed = bed().await;
        *bed.cast.publisher.mood.lock().unwrap() = Mood::Slow(Duration::from_millis(300));
        *bed.cast.publisher.receipts_after.lock().unwrap() = None;
        let headers = format!("content-length: {}\r\nprefer: respond-async", FORM.len());
        let stop = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            bed.stop.cancel();
        };
        let (answer, ()) = tokio::join!(bed.post(&headers, FORM), stop);
        assert!(answer.starts_with("HTTP/1.1 202 Accepted"), "{answer}");
        bed.role.await.unwrap().unwrap();
        assert_eq!(bed.cast.publisher.sizes(), [1]);
    }
}
