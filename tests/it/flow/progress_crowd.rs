//! Many followers at once. `make progress` runs the same test with 2,000 of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::task::JoinSet;

use super::figure;
use super::progress::ticket;
use crate::bed::event_stream::EventStream;
use crate::bed::servers::Servers;
use crate::bed::system::TestSystem;
use crate::bed::wait::{eventually, within};

/// What was promised: from the commit of a change until whoever follows the ticket has been told.
const TOLD_WITHIN: Duration = Duration::from_secs(1);

/// For a stream to be opened, and for the slowest to fail the test by its delay and not by silence.
const PATIENCE: Duration = Duration::from_mins(1);
const CONNECTING_AT_ONCE: usize = 32;

#[tokio::test(flavor = "multi_thread")]
async fn everybody_who_follows_a_ticket_is_told_within_a_second_embedded() {
    let system = TestSystem::embedded().await;
    all_are_told("embedded", &system).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_who_follows_a_ticket_is_told_within_a_second_distributed() {
    let system = TestSystem::distributed(Servers::shared().await.backing().await).await;
    all_are_told("distributed", &system).await;
}

/// One ticket each, one change each, all of them in one transaction: the worst that can come.
async fn all_are_told(backend: &str, system: &TestSystem) {
    let subscribers = figure("SUBSCRIBERS", 300);
    let tickets = tickets(system, subscribers).await;
    let resident_before = system.edge(0).resident_bytes();
    let streams = follow_all(system, &tickets).await;
    let resident_after = system.edge(0).resident_bytes();

    let mut telling = JoinSet::new();
    for mut stream in streams {
        telling.spawn(async move {
            let event = stream.next(PATIENCE).await.expect("the stream goes on");
            let told_at = Instant::now();
            assert_eq!((&*event.id, &event.data["status"]), ("2", &Value::from("in-progress")));
            (told_at, stream)
        });
    }
    let numbers: Vec<_> = tickets.into_iter().map(|(_, number)| number).collect();
    system.change_status(&numbers, "in-progress").await;
    let changed_at = Instant::now();
    let told = telling.join_all().await;

    let mut delays: Vec<_> =
        told.iter().map(|(told_at, _)| told_at.saturating_duration_since(changed_at)).collect();
    delays.sort_unstable();
    assert_eq!(delays.len(), subscribers);
    let (median, slowest) = (delays[subscribers / 2], delays[subscribers - 1]);
    let per_subscriber = resident_after.saturating_sub(resident_before) / subscribers as u64;
    println!(
        "{backend}: {subscribers} subscribers, one change each, all told: median {median:?}, \
         slowest {slowest:?}; {per_subscriber} bytes of memory a subscriber \
         ({resident_before} before, {resident_after} after)"
    );
    assert!(slowest < within(TOLD_WITHIN), "{slowest:?}");
}

/// Makes tickets, and gives back ids and numbers.
async fn tickets(system: &TestSystem, count: usize) -> Vec<(String, String)> {
    stream::iter(0..count)
        .map(async |_| ticket(system).await)
        .buffer_unordered(CONNECTING_AT_ONCE)
        .collect()
        .await
}

/// Opens a stream for each, and waits until each has told that its ticket is open.
async fn follow_all(system: &TestSystem, tickets: &[(String, String)]) -> Vec<EventStream> {
    let address = system.edge(0).address();
    let ids: Vec<Arc<str>> = tickets.iter().map(|(id, _)| id.as_str().into()).collect();
    stream::iter(ids)
        .map(async |id| {
            let opening = async || EventStream::try_open(address, &id, None).await;
            let mut stream = eventually(PATIENCE, "a stream is opened", async || {
                opening().await.map_err(|error| error.to_string())
            })
            .await;
            let event = stream.next(PATIENCE).await.expect("the stream goes on");
            assert_eq!(event.id, "1");
            stream
        })
        .buffer_unordered(CONNECTING_AT_ONCE)
        .collect()
        .await
}
