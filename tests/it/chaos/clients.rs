//! Those who submit: a crowd that writes down what it does before it does it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::ledger::{Ledger, Outcome};
use super::manners::{Manner, send_in_part, send_slowly};
use super::order::Order;
use crate::bed::client::Client;
use crate::bed::system::TICKETS;

/// Longer than an edge takes for its answer, and than it is frozen.
const PATIENCE: Duration = Duration::from_secs(4);

/// Between two tries, doubled each time up to the longest: a refusal is no reason to hurry, and a crowd
/// that hurries takes the processor from the server it waits for.
const PAUSE: Duration = Duration::from_millis(25);
const PAUSE_MAX: Duration = Duration::from_millis(1_600);

/// Those with a key have their yes so long after everything was healed.
const INSISTENCE: Duration = Duration::from_secs(30);

/// How many of the last submissions with a key are sent once more at the end.
const REPEATED: u64 = 40;

/// A crowd at several edges.
pub struct Crowd {
    callers: Arc<Callers>,
    senders: JoinSet<()>,
}

struct Callers {
    seed: u64,
    edges: Vec<(SocketAddr, Client)>,
    ledger: Ledger,
    next: AtomicU64,
    closing: CancellationToken,
    is_healed: AtomicBool,
    heard: Heard,
}

/// What a sender goes by.
#[derive(Clone, Copy)]
struct Seen {
    /// The last edge that accepted something, or the one after the last that did not.
    edge: usize,
    /// Before the next try, should this one fail too.
    pause: Duration,
}

/// What happened to attempts so far, while a crowd submits.
#[derive(Debug, Default)]
pub struct Heard {
    /// Answered 201 or 202.
    pub accepted: AtomicU64,
    /// Answered 503.
    pub refused: AtomicU64,
    /// Without an answer, since the connection broke after it was made.
    pub broken: AtomicU64,
    /// The longest wait of one that asked at once and did not hang up early, in milliseconds.
    pub longest_ms: AtomicU64,
}

impl Heard {
    fn note(&self, outcome: &Outcome, began: Instant, is_patient: bool) {
        let count = match outcome {
            Outcome::Accepted { .. } => Some(&self.accepted),
            Outcome::Refused => Some(&self.refused),
            Outcome::Unknown(_) | Outcome::Absurd(_) => None,
        };
        if let Some(count) = count {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if is_patient {
            let waited = u64::try_from(began.elapsed().as_millis()).expect("a short wait");
            self.longest_ms.fetch_max(waited, Ordering::Relaxed);
        }
    }
}

impl Crowd {
    /// Begins to submit what the seed says, over so many connections to edges that listen there.
    pub fn gather(seed: u64, edges: &[SocketAddr], connections: usize, ledger: Ledger) -> Self {
        let edges = edges.iter().map(|edge| (*edge, Client::of_the_api(*edge))).collect();
        let (next, closing) = (AtomicU64::new(0), CancellationToken::new());
        let (is_healed, heard) = Default::default();
        let callers = Arc::new(Callers { seed, edges, ledger, next, closing, is_healed, heard });
        let senders = (0..connections).map(|edge| Arc::clone(&callers).submit(edge)).collect();
        Self { callers, senders }
    }

    /// What happened to attempts so far.
    pub fn heard(&self) -> &Heard {
        &self.callers.heard
    }

    /// Says that nothing is broken any more: from now on, no answer is an answer that nobody should get.
    pub fn heal(&self) {
        self.callers.is_healed.store(true, Ordering::Relaxed);
    }

    /// Ends when everybody has finished what they began, and some have asked once more for what
    /// they got. Fails the test when somebody with a key is still without a yes.
    pub async fn leave(mut self) {
        self.callers.closing.cancel();
        let leaving = async {
            while let Some(left) = self.senders.join_next().await {
                left.expect("a client does not fail");
            }
        };
        let left = timeout(INSISTENCE, leaving).await;
        left.expect("in the end, everybody who has a key gets a yes");
        self.callers.repeat().await;
        let callers = Arc::into_inner(self.callers).expect("all senders have ended");
        callers.ledger.end();
    }
}

impl Callers {
    /// One order after the other, each from the beginning at the edge that answered last.
    async fn submit(self: Arc<Self>, edge: usize) {
        let mut seen = Seen { edge, pause: PAUSE };
        while !self.closing.is_cancelled() {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let order = Order::of(self.seed, number);
            let copies = (0..order.copies).map(|copy| {
                let seen = Seen { edge: seen.edge + copy, ..seen };
                self.see_through(&order, seen)
            });
            seen = join_all(copies).await[0];
        }
    }

    /// Sends an order until it is accepted, if it has a key.
    async fn see_through(&self, order: &Order, mut seen: Seen) -> Seen {
        let mut patience = order.hangs_up_after.unwrap_or(PATIENCE);
        let mut manner = order.manner;
        while !self.attempt(order, seen.edge, patience, manner).await {
            (patience, manner) = (PATIENCE, Manner::Plain);
            sleep(seen.pause).await;
            seen = Seen { edge: seen.edge + 1, pause: PAUSE_MAX.min(seen.pause * 2) };
            if order.key.is_none() {
                return seen;
            }
        }
        Seen { pause: PAUSE, ..seen }
    }

    /// Sends an order once, and says whether it was accepted.
    async fn attempt(
        &self,
        order: &Order,
        edge: usize,
        patience: Duration,
        manner: Manner,
    ) -> bool {
        let attempt = self.ledger.attempt(order, manner.is_whole()).await;
        let (address, client) = &self.edges[edge % self.edges.len()];
        let sending = async {
            match manner {
                Manner::Plain => self.send(client, order).await,
                Manner::InPart(permille) => match send_in_part(*address, order, permille).await {
                    Ok(bytes) => Outcome::Unknown(format!("hung up after {bytes} bytes")),
                    Err(error) => Outcome::Unknown(error.to_string()),
                },
                Manner::Slow(over) => match send_slowly(*address, order, over).await {
                    Ok((status, body)) => outcome(status, &body),
                    Err(error) => Outcome::Unknown(error.to_string()),
                },
            }
        };
        let is_owed = self.is_healed.load(Ordering::Relaxed) && patience == PATIENCE;
        let hung_up = |_| match format!("hung up after {patience:?}") {
            silence if is_owed && manner == Manner::Plain => Outcome::Absurd(silence),
            silence => Outcome::Unknown(silence),
        };
        let began = Instant::now();
        let outcome = timeout(patience, sending).await.unwrap_or_else(hung_up);
        // Nor does it count how long a slow client takes to ask.
        self.heard.note(&outcome, began, patience == PATIENCE && manner == Manner::Plain);
        let is_accepted = matches!(outcome, Outcome::Accepted { .. });
        self.ledger.told(attempt, outcome);
        is_accepted
    }

    async fn send(&self, client: &Client, order: &Order) -> Outcome {
        let mut post = client.post(TICKETS).json(&order.form);
        if let Some(key) = &order.key {
            post = post.header("idempotency-key", &format!("\"{key}\""));
        }
        if order.is_hasty {
            post = post.header("prefer", "respond-async");
        }
        match post.try_send().await {
            Ok(answer) => outcome(answer.status.as_u16(), &answer.body),
            Err(error) => {
                let is_broken = error.is::<hyper::Error>();
                self.heard.broken.fetch_add(u64::from(is_broken), Ordering::Relaxed);
                Outcome::Unknown(error.to_string())
            }
        }
    }

    /// Sends the last orders with a key once more, to every edge: whatever happened meanwhile, the
    /// answer is the first one.
    async fn repeat(&self) {
        let last = self.next.load(Ordering::Relaxed);
        for number in last.saturating_sub(REPEATED)..last {
            let order = Order { is_hasty: false, ..Order::of(self.seed, number) };
            if order.key.is_some() {
                let edges = 0..self.edges.len();
                let accepted =
                    join_all(edges.map(|edge| self.attempt(&order, edge, PATIENCE, Manner::Plain)));
                assert!(!accepted.await.contains(&false), "a repeat is accepted: {:?}", order.key);
            }
        }
    }
}

/// What an answer says.
pub fn outcome(status: u16, body: &[u8]) -> Outcome {
    match status {
        201 | 202 => {
            let answer: Value = serde_json::from_slice(body).expect("an answer is JSON");
            let text = |field: &str| answer["data"][field].as_str().map(str::to_owned);
            Outcome::Accepted { id: text("id").expect("an id"), number: text("ticketNumber") }
        }
        503 => Outcome::Refused,
        // Nothing is sent twice without a key, so 200 is wrong as well.
        status => Outcome::Absurd(format!("{status}: {}", String::from_utf8_lossy(body))),
    }
}
