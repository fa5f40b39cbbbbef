//! Senders who do not give up: each form under a key of its own, to the next edge whenever one does not
//! take it, and now and then once more after it was taken.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::PATIENCE;
use crate::bed::client::Client;
use crate::bed::form::Form;
use crate::bed::system::{TICKETS, TestSystem};
use crate::bed::wait::{eventually, until, within};
use crate::flow::stored;

/// Longer than any deadline of ours on the way, shorter than a person's patience.
const ANSWER_MAX: Duration = Duration::from_millis(2_500);

const SENDERS: usize = 6;

/// Between two forms of a sender, or two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// Of so many forms one is sent again, to the other edge.
const REPEATS: usize = 4;

/// What a form was told.
#[derive(Debug, Clone)]
pub struct Told {
    pub id: String,
    pub number: Option<String>,
    pub message: String,
}

/// Forms on their way.
pub struct Load {
    is_over: Arc<AtomicBool>,
    accepted: Arc<AtomicUsize>,
    sending: JoinSet<Vec<Told>>,
}

impl Load {
    /// Begins to send to both edges.
    pub fn on(edges: [&Client; 2]) -> Self {
        let (is_over, accepted) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut sending = JoinSet::new();
        for sender in 0..SENDERS {
            let edges = edges.map(Client::clone);
            let (is_over, accepted) = (Arc::clone(&is_over), Arc::clone(&accepted));
            sending.spawn(async move {
                let mut told = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    told.push(send(&edges, sender + told.len()).await);
                    accepted.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(PAUSE).await;
                }
                told
            });
        }
        Self { is_over, accepted, sending }
    }

    /// Waits until so many more were accepted.
    pub async fn goes_on(&self, count: usize) {
        let before = self.accepted.load(Ordering::Relaxed);
        let is_enough = async || self.accepted.load(Ordering::Relaxed) >= before + count;
        until(PATIENCE, "more are accepted", is_enough).await;
    }

    /// Sends no more, and gives back what each form was told.
    pub async fn end(self) -> Vec<Told> {
        self.is_over.store(true, Ordering::Relaxed);
        self.sending.join_all().await.into_iter().flatten().collect()
    }
}

async fn send(edges: &[Client; 2], number: usize) -> Told {
    let form = Form::valid();
    let message = form.json()["message"].as_str().unwrap().to_owned();
    let key = format!("\"{}\"", message.replace(' ', "-"));
    let (first, taken_by) = insist(edges, number, &form, &key).await;
    if !number.is_multiple_of(REPEATS) {
        return Told { message, ..first };
    }
    let (again, _) = insist(edges, taken_by + 1, &form, &key).await;
    assert_eq!(again.id, first.id, "{message}");
    let numbers = first.number.as_ref().zip(again.number.as_ref());
    assert!(numbers.is_none_or(|(one, other)| one == other), "{message}: {first:?} {again:?}");
    Told { message, number: first.number.or(again.number), id: first.id }
}

/// Asks one edge after the other until there is a yes; and who said it.
pub async fn insist(edges: &[Client; 2], from: usize, form: &Form, key: &str) -> (Told, usize) {
    let deadline = Instant::now() + PATIENCE;
    for edge in from.. {
        let asked_at = Instant::now();
        let post = edges[edge % 2].post(TICKETS).header("idempotency-key", key).json(form);
        // None from an edge that is being started again.
        if let Ok(answer) = post.try_send().await {
            let took = asked_at.elapsed();
            assert!(took <= within(ANSWER_MAX), "{took:?}: {answer:?}");
            let text = |field: &str| answer.json()["data"][field].as_str().map(str::to_owned);
            match answer.status.as_u16() {
                201 | 202 => {
                    let (id, number) = (text("id").unwrap(), text("ticketNumber"));
                    return (Told { id, number, message: String::new() }, edge);
                }
                503 => {}
                _ => panic!("{answer:?}"),
            }
        }
        assert!(Instant::now() < deadline, "no edge takes {key}");
        tokio::time::sleep(PAUSE).await;
    }
    unreachable!("it asks without end")
}

/// Waits until everything told is one ticket, under the id and number that were told, and nothing else
/// is.
pub async fn becomes_tickets(told: &[Told], system: &TestSystem) {
    let mut store = stored::connect(&system.backing().database_url).await;
    let tickets = eventually(PATIENCE, "what was accepted is stored", async || {
        let tickets = stored::tickets(&mut store).await;
        if tickets.len() >= told.len() { Ok(tickets) } else { Err(tickets.len()) }
    })
    .await;
    assert_eq!(tickets.len(), told.len(), "as many tickets as forms");
    let told: HashMap<_, _> = told.iter().map(|told| (told.id.as_str(), told)).collect();
    for (id, number, message) in &tickets {
        let told = told.get(id.as_str()).unwrap_or_else(|| panic!("nobody's: {id} {message}"));
        assert_eq!(message, &told.message);
        assert!(told.number.as_ref().is_none_or(|told| told == number), "{number}, {told:?}");
    }
}
