//! Load at a fixed rate. A request's time counts from the moment at which it was due, also when no
//! connection was free by then: who waits for a slow server's answer before asking again would not see
//! how slow it is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::bed::wait::eventually;

/// Makes the request of that number.
pub type Make = Arc<dyn Fn(u64) -> Request<Full<Bytes>> + Send + Sync>;

/// Requests that are due: their number, and since when.
type Due = Arc<Mutex<mpsc::UnboundedReceiver<(u64, Instant)>>>;

/// The times of a load.
#[derive(Default)]
pub struct Latencies {
    /// Of those that were answered with less than 400, since they were due; in order of size.
    times: Vec<Duration>,
    /// Of those that were refused and told when to come again, since they were sent; likewise.
    refused: Vec<Duration>,
    /// Not answered, or with any other problem.
    pub failed: usize,
    /// How long it took until all had their answer.
    pub took: Duration,
}

impl Latencies {
    /// The time within which so many of a thousand were answered.
    pub fn permille(&self, permille: usize) -> Duration {
        nth(&self.times, permille)
    }

    /// How many were answered.
    pub fn answered(&self) -> usize {
        self.times.len()
    }

    /// How many were refused and told when to come again.
    pub fn refused(&self) -> usize {
        self.refused.len()
    }

    /// The time within which so many of a thousand refusals came.
    pub fn refused_permille(&self, permille: usize) -> Duration {
        nth(&self.refused, permille)
    }
}

/// The time at that place, of times in order of size.
fn nth(times: &[Duration], permille: usize) -> Duration {
    let last = times.len().saturating_sub(1);
    times.get((times.len() * permille / 1_000).min(last)).copied().unwrap_or_default()
}

/// What a request came to.
enum Answer {
    Good,
    /// Refused, with `Retry-After`.
    Refused,
    Bad,
}

/// Sends so many requests a second over so many connections, for so long.
pub async fn measure(
    on: SocketAddr,
    connections: usize,
    per_second: f64,
    seconds: u64,
    make: Make,
) -> Latencies {
    let (hand_out, due) = mpsc::unbounded_channel();
    let due = Arc::new(Mutex::new(due));
    let mut sending = JoinSet::new();
    for _ in 0..connections {
        let connection = connect(on).await;
        sending.spawn(send(connection, Arc::clone(&due), Arc::clone(&make)));
    }
    let begun = Instant::now();
    let until = begun + Duration::from_secs(seconds);
    let mut ticks = interval(Duration::from_secs_f64(1.0 / per_second));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for number in 0.. {
        ticks.tick().await;
        // Now, and not when the timer should have woken us: its millisecond is not the server's.
        let now = Instant::now();
        if now > until || hand_out.send((number, now)).is_err() {
            break;
        }
    }
    drop(hand_out);
    let mut all = Latencies::default();
    for Latencies { times, refused, failed, .. } in sending.join_all().await {
        all.times.extend(times);
        all.refused.extend(refused);
        all.failed += failed;
    }
    all.times.sort_unstable();
    all.refused.sort_unstable();
    all.took = begun.elapsed();
    all
}

async fn connect(on: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = eventually(Duration::from_secs(5), "the server takes a connection", async || {
        TcpStream::connect(on).await
    });
    let stream = stream.await;
    stream.set_nodelay(true).expect("no delay");
    let (requests, connection) = handshake(TokioIo::new(stream)).await.expect("a handshake");
    tokio::spawn(connection);
    requests
}

/// Sends what is due on one connection until there is no more.
async fn send(mut connection: SendRequest<Full<Bytes>>, due: Due, make: Make) -> Latencies {
    let mut latencies = Latencies::default();
    loop {
        let next = due.lock().await.recv().await;
        let Some((number, since)) = next else { return latencies };
        let sent_at = Instant::now();
        match ask(&mut connection, make(number)).await {
            Ok(Answer::Good) => latencies.times.push(since.elapsed()),
            Ok(Answer::Refused) => latencies.refused.push(sent_at.elapsed()),
            Ok(Answer::Bad) => latencies.failed += 1,
            Err(_) => {
                latencies.failed += 1;
                return latencies;
            }
        }
    }
}

/// Sends one, and reads all of its answer.
async fn ask(
    connection: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> hyper::Result<Answer> {
    connection.ready().await?;
    let answer = connection.send_request(request).await?;
    let is_good = answer.status().as_u16() < 400;
    let comes_again = answer.headers().contains_key("retry-after");
    answer.into_body().collect().await?;
    Ok(match (is_good, comes_again) {
        (true, _) => Answer::Good,
        (false, true) => Answer::Refused,
        (false, false) => Answer::Bad,
    })
}
