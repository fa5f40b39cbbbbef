//! Servers that go away under load and come back.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::crowd::{Told, statuses, submit_all};
use super::stored;
use crate::bed::form::Form;
use crate::bed::server::Server;
use crate::bed::servers::Servers;
use crate::bed::system::{TICKETS, TestSystem};
use crate::bed::wait::{eventually, within};

/// Longer than any deadline of ours on the way, shorter than a person's patience.
const ANSWER_MAX: Duration = Duration::from_millis(2_500);
const CONNECTIONS: usize = 16;

/// Some load before, while and after each server is away.
const SOME_LOAD: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn servers_go_away_under_load_and_nothing_is_lost() {
    let mut servers = Servers::own().await;
    let system =
        TestSystem::distributed(servers.backing().await).with_ingest(2).with_worker(2).await;
    let load = Load::on(&system);
    go_through_the_faults(&mut servers).await;
    let told = load.end().await;
    assert_every_answer_is_honest_and_in_time(&told);
    assert_no_process_needed_a_restart(&system);
    assert_tickets_equal_what_was_accepted(&system, &told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_are_killed_under_load_and_nothing_accepted_is_lost() {
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing).with_ingest(2).with_worker(2).await;
    let load = Load::on(&system);
    for round in 0..6 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let victim = if round % 3 == 2 { system.edge(1) } else { system.worker(round % 2) };
        victim.kill();
        victim.start_again().await;
    }
    let told = load.end().await;
    assert_tickets_equal_what_was_accepted(&system, &told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_full_queue_refuses_is_refused_and_what_it_took_becomes_a_ticket() {
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing).await;
    system.worker(0).stop_gracefully().await;
    system.backing().set_policy("support.intake", r#"{"max-length": 20}"#).await;
    let mut accepted = 0;
    let mut refused = 0;
    for number in 0.. {
        let post = system.client().post(TICKETS).header("prefer", "respond-async");
        let answer = post.json(&Form::valid().message(&message(number))).send().await;
        match answer.status.as_u16() {
            202 => accepted += 1,
            503 => refused += 1,
            other => panic!("{other}: {}", answer.text()),
        }
        if refused == 20 {
            break;
        }
        assert!(number < 1_000, "the queue is never full");
    }
    assert!(accepted >= 20, "{accepted} before the queue was full");
    system.worker(0).start_again().await;
    system.settled(accepted).await;
}

async fn go_through_the_faults(servers: &mut Servers) {
    stop_kill_and_freeze(&mut servers.redis).await;
    stop_kill_and_freeze(&mut servers.postgres).await;
    stop_kill_and_freeze(&mut servers.rabbitmq).await;
    // Out of memory, a broker reads nothing more from those who publish.
    servers.rabbitmq.control().run(&["set_vm_memory_high_watermark", "0"]).await;
    tokio::time::sleep(SOME_LOAD).await;
    servers.rabbitmq.control().run(&["set_vm_memory_high_watermark", "0.4"]).await;
    tokio::time::sleep(SOME_LOAD).await;
}

/// A crowd at both edges that goes on until it is told to stop.
struct Load {
    is_over: Arc<AtomicBool>,
    crowd: JoinHandle<Vec<Told>>,
}

impl Load {
    fn on(system: &TestSystem) -> Self {
        let edges = [0, 1].map(|edge| system.edge(edge).client().clone());
        let is_over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&is_over);
        let crowd = tokio::spawn(async move {
            let form = |number| Form::valid().message(&message(number));
            submit_all(&edges, CONNECTIONS, form, move |_| !stop.load(Ordering::Relaxed)).await
        });
        Self { is_over, crowd }
    }

    async fn end(self) -> Vec<Told> {
        self.is_over.store(true, Ordering::Relaxed);
        self.crowd.await.unwrap()
    }
}

/// Some load before each fault, while it lasts, and after.
async fn stop_kill_and_freeze(server: &mut impl Server) {
    tokio::time::sleep(SOME_LOAD).await;
    server.stop().await;
    tokio::time::sleep(SOME_LOAD).await;
    server.start_again().await;
    tokio::time::sleep(SOME_LOAD).await;
    server.kill();
    tokio::time::sleep(SOME_LOAD).await;
    server.start_again().await;
    tokio::time::sleep(SOME_LOAD).await;
    // Frozen, it keeps its connections and answers nothing.
    server.pause();
    tokio::time::sleep(SOME_LOAD).await;
    server.resume();
    tokio::time::sleep(SOME_LOAD).await;
}

fn message(number: usize) -> String {
    format!("Submission {number} through the faults")
}

fn assert_every_answer_is_honest_and_in_time(told: &[Told]) {
    let counts = statuses(told);
    println!("answers by status: {counts:?}");
    for told in told {
        assert!(matches!(told.status, Some(201 | 202 | 503)), "{told:?}");
        assert!(told.took <= within(ANSWER_MAX), "{told:?}");
    }
    assert!(counts.get(&Some(201)).is_some_and(|count| *count > 0), "{counts:?}");
    assert!(counts.get(&Some(202)).is_some_and(|count| *count > 0), "while Postgres is away");
    assert!(counts.get(&Some(503)).is_some_and(|count| *count > 0), "while the broker is away");
}

fn assert_no_process_needed_a_restart(system: &TestSystem) {
    let all = [system.edge(0), system.edge(1), system.worker(0), system.worker(1)];
    assert!(all.iter().all(|process| process.is_running()));
}

/// Every accepted submission is one ticket, and every ticket was accepted — or was not answered with
/// a yes, while the broker had it already and could not say so.
async fn assert_tickets_equal_what_was_accepted(system: &TestSystem, told: &[Told]) {
    let (accepted, open): (Vec<&Told>, Vec<&Told>) = told.iter().partition(|it| it.is_accepted());
    let accepted: HashMap<String, &Told> =
        accepted.into_iter().map(|told| (told.id.clone().unwrap(), told)).collect();
    let open: HashSet<String> = open.into_iter().map(|told| message(told.form)).collect();
    let tickets = tickets_with_all_of(system, &accepted).await;
    let mut recovered = 0;
    let mut messages = HashSet::new();
    for (id, number, message) in &tickets {
        assert!(messages.insert(message), "a submission became two tickets: {message}");
        match accepted.get(id) {
            Some(told) => {
                assert!(
                    told.number.as_ref().is_none_or(|told| told == number),
                    "{told:?} {number}"
                );
            }
            None if open.contains(message) => recovered += 1,
            None => panic!("a ticket nobody submitted: {message}"),
        }
    }
    assert_eq!(tickets.len(), accepted.len() + recovered);
    println!("{} accepted, {} tickets, {recovered} without a yes", accepted.len(), tickets.len());
    system.settled(tickets.len() as u64).await;
    let audit = system.verify().await;
    assert!(audit.status.success(), "{audit:?}");
}

async fn tickets_with_all_of(
    system: &TestSystem,
    accepted: &HashMap<String, &Told>,
) -> Vec<(String, String, String)> {
    let mut connection = stored::connect(&system.backing().database_url).await;
    let what = "every accepted submission is a ticket";
    eventually(Duration::from_mins(1), what, async || {
        let tickets = stored::tickets(&mut connection).await;
        let ids: HashSet<_> = tickets.iter().map(|(id, _, _)| id.clone()).collect();
        let missing: Vec<_> =
            accepted.iter().filter(|(id, _)| !ids.contains(*id)).map(|(_, told)| told).collect();
        if missing.is_empty() {
            return Ok(tickets);
        }
        Err(format!("missing {missing:?}, queued {:?}", system.backing().queues().await))
    })
    .await
}
