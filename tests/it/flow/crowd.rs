//! A crowd that submits forms over many connections at once and notes what it was told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::bed::client::Client;
use crate::bed::form::Form;
use crate::bed::system::TICKETS;

/// Even an impatient client does not spin; and a broker that boots beside it needs the processors.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_millis(200);

/// What came of one form.
#[derive(Debug, Clone)]
pub struct Told {
    /// Which form, by its place in the crowd's order.
    pub form: usize,
    /// The answer's status; `None` when the connection broke.
    pub status: Option<u16>,
    /// The submission's id, if accepted.
    pub id: Option<String>,
    /// The ticket's number, if there was one yet.
    pub number: Option<String>,
    /// The problem's violations, as `pointer code`.
    pub violations: Vec<String>,
    /// How long the answer took.
    pub took: Duration,
}

impl Told {
    /// Whether the edge took responsibility.
    pub fn is_accepted(&self) -> bool {
        matches!(self.status, Some(201 | 202))
    }
}

/// Submits `form(0)`, `form(1)` … over `connections` connections spread over the edges, until
/// `go_on` says no for the next one. The answers stand in the order of the forms.
pub async fn submit_all(
    edges: &[Client],
    connections: usize,
    form: impl Fn(usize) -> Form + Send + Sync + 'static,
    go_on: impl Fn(usize) -> bool + Send + Sync + 'static,
) -> Vec<Told> {
    let (form, go_on) = (Arc::new(form), Arc::new(go_on));
    let next = Arc::new(AtomicUsize::new(0));
    let told = Arc::new(Mutex::new(Vec::new()));
    let clients = (0..connections).map(|connection| edges[connection % edges.len()].clone());
    let submitters: Vec<_> = clients
        .map(|client| {
            let (form, go_on) = (Arc::clone(&form), Arc::clone(&go_on));
            let (next, told) = (Arc::clone(&next), Arc::clone(&told));
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if !go_on(number) {
                        return;
                    }
                    let answer = submit(&client, number, &form(number)).await;
                    let is_refused = !answer.is_accepted();
                    told.lock().unwrap().push(answer);
                    if is_refused {
                        tokio::time::sleep(PAUSE_AFTER_REFUSAL).await;
                    }
                }
            })
        })
        .collect();
    for submitter in submitters {
        submitter.await.unwrap();
    }
    let mut told = std::mem::take(&mut *told.lock().unwrap());
    told.sort_by_key(|told| told.form);
    told
}

async fn submit(client: &Client, number: usize, form: &Form) -> Told {
    let asked_at = Instant::now();
    let answer = client.post(TICKETS).json(form).try_send().await;
    let took = asked_at.elapsed();
    let Ok(answer) = answer else {
        let (status, id, number_told) = (None, None, None);
        return Told {
            form: number,
            status,
            id,
            number: number_told,
            violations: Vec::new(),
            took,
        };
    };
    let body = answer.json();
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let violation = |error: &serde_json::Value| {
        format!("{} {}", error["pointer"].as_str().unwrap(), error["code"].as_str().unwrap())
    };
    Told {
        form: number,
        status: Some(answer.status.as_u16()),
        id: text(&body["data"]["id"]),
        number: text(&body["data"]["ticketNumber"]),
        violations: body["errors"].as_array().into_iter().flatten().map(violation).collect(),
        took,
    }
}

/// How often each status was answered, for a failing test's message and a long run's report.
pub fn statuses(told: &[Told]) -> std::collections::BTreeMap<Option<u16>, usize> {
    let mut counts = std::collections::BTreeMap::new();
    for told in told {
        *counts.entry(told.status).or_default() += 1;
    }
    counts
}
