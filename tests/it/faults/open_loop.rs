//! Load at a fixed rate, whether or not those before were answered: a crowd that waits for its answers
//! would spare whoever is slow.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use crate::bed::client::Client;
use crate::bed::form::Form;
use crate::bed::system::{TICKETS, TestSystem};
use crate::flow::stored;

/// What came of one form.
#[derive(Debug)]
pub struct Sent {
    /// The status, or why there is none.
    pub answer: Result<u16, String>,
    /// The submission's id, if an edge told one.
    pub id: Option<String>,
    /// How long it took.
    pub took: Duration,
}

impl Sent {
    /// Whether an edge took responsibility.
    pub fn is_accepted(&self) -> bool {
        matches!(self.answer, Ok(201 | 202))
    }
}

/// Forms on their way.
pub struct OpenLoop {
    is_over: Arc<AtomicBool>,
    accepted: Arc<AtomicUsize>,
    sending: JoinHandle<Vec<Sent>>,
}

impl OpenLoop {
    /// Sends so many forms a second, to each client in turn and each under a key of its own.
    pub fn start(clients: Vec<Client>, rate: usize) -> Self {
        let (is_over, accepted) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (over, taken) = (Arc::clone(&is_over), Arc::clone(&accepted));
        let sending = tokio::spawn(async move {
            let mut ticks = interval(Duration::from_secs(1) / u32::try_from(rate).expect("a rate"));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let mut sending = JoinSet::new();
            for client in clients.iter().cycle() {
                ticks.tick().await;
                if over.load(Ordering::Relaxed) {
                    break;
                }
                sending.spawn(send(client.clone(), Arc::clone(&taken)));
            }
            sending.join_all().await
        });
        Self { is_over, accepted, sending }
    }

    /// How many were accepted so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Sends no more, and gives back what came of each.
    pub async fn end(self) -> Vec<Sent> {
        self.is_over.store(true, Ordering::Relaxed);
        self.sending.await.unwrap()
    }
}

async fn send(client: Client, accepted: Arc<AtomicUsize>) -> Sent {
    let form = Form::valid();
    let key = format!("\"{}\"", form.json()["message"].as_str().unwrap().replace(' ', "-"));
    let asked_at = Instant::now();
    let answer = client.post(TICKETS).header("idempotency-key", &key).json(&form).try_send().await;
    let took = asked_at.elapsed();
    let id = answer.as_ref().ok().filter(|it| it.status.is_success());
    let id = id.and_then(|it| it.json()["data"]["id"].as_str().map(str::to_owned));
    let answer = answer.map(|it| it.status.as_u16()).map_err(|error| error.to_string());
    let sent = Sent { answer, id, took };
    accepted.fetch_add(usize::from(sent.is_accepted()), Ordering::Relaxed);
    sent
}

/// Each of the forms is one ticket under the id that was told, and nothing else is one: a loss is not made
/// up for by a double.
pub async fn are_tickets(sent: &[Sent], system: &TestSystem) {
    system.settled(sent.len() as u64).await;
    let mut store = stored::connect(&system.backing().database_url).await;
    let tickets = stored::tickets(&mut store).await;
    let stored: BTreeSet<_> = tickets.iter().map(|(id, ..)| id.as_str()).collect();
    let told: BTreeSet<_> = sent.iter().filter_map(|sent| sent.id.as_deref()).collect();
    assert_eq!((tickets.len(), told.len()), (sent.len(), sent.len()), "one id and one ticket each");
    assert_eq!(told.symmetric_difference(&stored).collect::<Vec<_>>(), Vec::<&&str>::new());
}

/// The time within which so many of a hundred were answered.
pub fn percentile(sent: &[Sent], percent: usize) -> Duration {
    let mut times: Vec<_> = sent.iter().map(|sent| sent.took).collect();
    times.sort_unstable();
    times.get((times.len() * percent / 100).min(times.len() - 1)).copied().unwrap_or_default()
}
