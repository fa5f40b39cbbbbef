//! Accepted is stored, or a dead letter, or on its way: what is none of these shows, and nothing else
//! does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection};
use tokio::task::JoinHandle;

use crate::api::metrics::Metrics;
use crate::bed::client::Client;
use crate::bed::form::Form;
use crate::bed::servers::Servers;
use crate::bed::system::{TICKETS, TestSystem};
use crate::bed::wait::{eventually, until};
use crate::cli::dead_letters::make_letters;
use crate::flow::crowd::submit_all;

const WINDOW: &str = "SUPPORT_UNACCOUNTED_AFTER";

/// A few windows, the five seconds that clocks may be apart, and a look or two, on a machine that has much
/// else to do.
const DEADLINE: Duration = Duration::from_mins(2);

/// What an edge shows of the whole installation.
async fn shown(client: &Client, name: &str) -> f64 {
    Metrics::of(client).await.sum(name, &[])
}

async fn until_shown(system: &TestSystem, name: &str, expected: f64) {
    for edge in 0..2 {
        let what = format!("edge {edge} shows {name} {expected}");
        eventually(DEADLINE, &what, async || {
            let shown = shown(system.edge(edge).client(), name).await;
            if (shown - expected).abs() < 0.5 { Ok(()) } else { Err(shown) }
        })
        .await;
    }
}

async fn submit_without_waiting(system: &TestSystem, count: u32) {
    for _ in 0..count {
        let post = system.client().post(TICKETS).header("prefer", "respond-async");
        assert_eq!(post.json(&Form::valid()).send().await.status, 202);
    }
}

/// What an operator is told to do; the test does it to the letter.
fn forgetting() -> &'static str {
    let document = include_str!("../../../docs/operations.md");
    let (_, rest) = document.split_once("### Unaccounted submissions").expect("the section");
    let (_, rest) = rest.split_once("```sql\nDELETE").expect("with its statement");
    &rest[..rest.find("```").expect("which ends")]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_vanishes_from_the_queue_is_unaccounted_for_and_stays_so() {
    let backing = Servers::shared().await.backing().await;
    let plan = TestSystem::distributed(backing).with_ingest(2).with_env(WINDOW, "3s");
    let system = plan.await;
    system.worker(0).stop_gracefully().await;
    submit_without_waiting(&system, 5).await;
    until_shown(&system, "in_flight_submissions", 5.0).await;
    until_shown(&system, "unaccounted_submissions", 0.0).await;
    system.backing().purge("support.intake").await;
    until_shown(&system, "unaccounted_submissions", 5.0).await;
    assert!(shown(system.client(), "unaccounted_oldest_age_seconds").await > 5.0);

    // Whoever dies, and whatever comes after them.
    system.edge(0).stop_gracefully().await;
    system.edge(1).kill();
    for process in [system.edge(0), system.edge(1), system.worker(0)] {
        process.start_again().await;
    }
    submit_without_waiting(&system, 7).await;
    system.settled(7).await;
    until_shown(&system, "in_flight_submissions", 0.0).await;
    until_shown(&system, "unaccounted_submissions", 5.0).await;
    let audit = system.verify().await;
    assert_eq!(audit.status.code(), Some(1), "{audit:?}");
    assert!(audit.stdout.contains("FAILED 5 accepted submissions are neither"), "{audit:?}");

    let mut connection = PgConnection::connect(&system.backing().database_url).await.unwrap();
    connection.execute(sqlx::query(&*format!("DELETE{}", forgetting()).leak())).await.unwrap();
    until_shown(&system, "unaccounted_submissions", 0.0).await;
    assert!(system.verify().await.status.success());
}

/// Looks at both edges again and again, and remembers the most that either showed.
struct Watch {
    is_over: Arc<AtomicBool>,
    watching: JoinHandle<(f64, f64)>,
}

impl Watch {
    fn on(system: &TestSystem) -> Self {
        let is_over = Arc::<AtomicBool>::default();
        let edges = [0, 1].map(|edge| Client::new(system.edge(edge).address()));
        let over = Arc::clone(&is_over);
        let watching = tokio::spawn(async move {
            let (mut in_flight, mut unaccounted) = (0.0_f64, 0.0_f64);
            while !over.load(Ordering::Relaxed) {
                for edge in &edges {
                    // One that is being killed does not answer.
                    if let Some(metrics) = Metrics::try_of(edge).await {
                        in_flight = in_flight.max(metrics.sum("in_flight_submissions", &[]));
                        unaccounted = unaccounted.max(metrics.sum("unaccounted_submissions", &[]));
                    }
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            (in_flight, unaccounted)
        });
        Self { is_over, watching }
    }

    /// The most that was in flight, and the most that was unaccounted for.
    async fn end(self) -> (f64, f64) {
        self.is_over.store(true, Ordering::Relaxed);
        self.watching.await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_unaccounted_for_through_kills_and_restarts() {
    let backing = Servers::shared().await.backing().await;
    let plan = TestSystem::distributed(backing).with_ingest(2).with_worker(2);
    let system = plan.with_env(WINDOW, "5s").await;
    let watch = Watch::on(&system);
    let is_over = Arc::<AtomicBool>::default();
    let (edges, over) = ([0, 1].map(|it| system.edge(it).client().clone()), Arc::clone(&is_over));
    let crowd = tokio::spawn(async move {
        submit_all(&edges, 4, |_| Form::valid(), move |_| !over.load(Ordering::Relaxed)).await
    });
    for round in 0..4 {
        // While neither works, what is accepted goes into the ledger.
        system.worker(0).kill();
        system.worker(1).stop_gracefully().await;
        until(DEADLINE, "something is in flight", async || {
            shown(system.edge(0).client(), "in_flight_submissions").await > 0.5
        })
        .await;
        system.edge(round % 2).kill();
        system.edge(round % 2).start_again().await;
        system.worker(0).start_again().await;
        system.worker(1).start_again().await;
        system.edge(1 - round % 2).stop_gracefully().await;
        system.edge(1 - round % 2).start_again().await;
    }
    is_over.store(true, Ordering::Relaxed);
    let accepted = crowd.await.unwrap().iter().filter(|told| told.is_accepted()).count();
    until_shown(&system, "in_flight_submissions", 0.0).await;
    let (in_flight, unaccounted) = watch.end().await;
    println!("{accepted} accepted, at most {in_flight} in flight, {unaccounted} unaccounted for");
    assert!(in_flight > 0.5 && unaccounted < 0.5, "{in_flight} {unaccounted}");
    assert!(system.verify().await.status.success());
}

/// Dead letters, each of which an edge has seen.
async fn dead_letters(system: &TestSystem, is_embedded: bool) {
    make_letters(system, is_embedded, 3).await;
    let buried = ["fate=\"dead_lettered\""];
    let nothing = ["in_flight_submissions", "unaccounted_submissions", "followed_submissions"];
    until(DEADLINE, "the letters are accounted for, and nothing else is open", async || {
        // The look that strikes them out counts them first, and shows what is left at its end.
        let metrics = Metrics::of(system.client()).await;
        metrics.sum("accounted_submissions_total", &buried) > 2.5
            && nothing.iter().all(|name| metrics.sum(name, &[]) < 0.5)
    })
    .await;
}

async fn a_dead_letter_is_accounted_for(system: &TestSystem, is_embedded: bool) {
    dead_letters(system, is_embedded).await;
    let metrics = Metrics::of(system.client()).await;
    assert!((metrics.sum("accepted_submissions_total", &[]) - 3.0).abs() < 0.5);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_tried_again_and_vanishes_is_unaccounted_for() {
    let backing = Servers::shared().await.backing().await;
    let plan = TestSystem::distributed(backing).with_ingest(2).with_env(WINDOW, "1s");
    let system = plan.with_env("SUPPORT_REPLY_WAIT", "0s").await;
    dead_letters(&system, false).await;
    system.worker(0).stop_gracefully().await;
    let requeued = system.run(&["dead-letters", "requeue", "--all", "--rate", "off"]).await;
    assert!(requeued.status.success(), "{requeued:?}");
    until_shown(&system, "in_flight_submissions", 3.0).await;
    system.backing().purge("support.intake").await;
    until_shown(&system, "unaccounted_submissions", 3.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_accounted_for_embedded() {
    let plan = TestSystem::embedded().with_env("SUPPORT_REPLY_WAIT", "0s");
    a_dead_letter_is_accounted_for(&plan.with_env(WINDOW, "1s").await, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_accounted_for_distributed() {
    let backing = Servers::shared().await.backing().await;
    let plan = TestSystem::distributed(backing).with_env("SUPPORT_REPLY_WAIT", "0s");
    a_dead_letter_is_accounted_for(&plan.with_env(WINDOW, "1s").await, false).await;
}
