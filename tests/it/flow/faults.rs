//! Servers that go away under load and come back.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::crowd::{Told, statuses, submit_all};
use super::stored;
use crate::bed::form::Form;
use crate::bed::server::Server;
use crate::bed::servers::Servers;
use crate::bed::system::TestSystem;

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
    let edges = [0, 1].map(|edge| system.edge(edge).client().clone());
    let is_over = Arc::new(AtomicBool::new(false));
    let load = {
        let is_over = Arc::clone(&is_over);
        tokio::spawn(async move {
            let go_on = move |_| !is_over.load(Ordering::Relaxed);
            submit_all(&edges, CONNECTIONS, |number| Form::valid().message(&message(number)), go_on)
                .await
        })
    };

    tokio::time::sleep(SOME_LOAD).await;
    servers.redis.stop().await;
    tokio::time::sleep(SOME_LOAD).await;
    servers.redis.start_again().await;
    tokio::time::sleep(SOME_LOAD).await;
    servers.postgres.stop().await;
    tokio::time::sleep(SOME_LOAD).await;
    servers.postgres.start_again().await;
    tokio::time::sleep(SOME_LOAD).await;
    servers.rabbitmq.stop().await;
    tokio::time::sleep(SOME_LOAD).await;
    servers.rabbitmq.start_again().await;
    tokio::time::sleep(SOME_LOAD).await;
    is_over.store(true, Ordering::Relaxed);

    let told = load.await.unwrap();
    assert_every_answer_is_honest_and_in_time(&told);
    assert_no_process_needed_a_restart(&system);
    assert_tickets_equal_what_was_accepted(&system, &told).await;
    let audit = system.verify().await;
    assert!(audit.status.success(), "{audit:?}");
}

fn message(number: usize) -> String {
    format!("Submission {number} through the faults")
}

fn assert_every_answer_is_honest_and_in_time(told: &[Told]) {
    let counts = statuses(told);
    println!("answers by status: {counts:?}");
    for told in told {
        assert!(matches!(told.status, Some(201 | 202 | 503)), "{told:?}");
        assert!(told.took <= ANSWER_MAX, "{told:?}");
    }
    assert!(counts.get(&Some(201)).is_some_and(|count| *count > 0), "{counts:?}");
    assert!(counts.get(&Some(202)).is_some_and(|count| *count > 0), "while Postgres is away");
    assert!(counts.get(&Some(503)).is_some_and(|count| *count > 0), "while the broker is away");
}

fn assert_no_process_needed_a_restart(system: &TestSystem) {
    let all = [system.edge(0), system.edge(1), system.worker(0), system.worker(1)];
    assert!(all.iter().all(|process| process.is_running()));
}

/// Every accepted submission is one ticket, and every ticket was accepted — or was refused with a
/// 503 while the broker had it already and could not say so.
async fn assert_tickets_equal_what_was_accepted(system: &TestSystem, told: &[Told]) {
    let accepted: HashMap<String, &Told> = told
        .iter()
        .filter(|told| told.is_accepted())
        .map(|told| (told.id.clone().unwrap(), told))
        .collect();
    let refused: HashSet<String> =
        told.iter().filter(|told| !told.is_accepted()).map(|told| message(told.form)).collect();
    let mut connection = stored::connect(&system.backing().database_url).await;
    let tickets = crate::bed::wait::eventually(
        Duration::from_mins(1),
        "every accepted submission is a ticket",
        async || {
            let tickets = stored::tickets(&mut connection).await;
            let ids: HashSet<_> = tickets.iter().map(|(id, _, _)| id.clone()).collect();
            let missing = accepted.keys().filter(|id| !ids.contains(*id)).count();
            if missing == 0 { Ok(tickets) } else { Err(format!("{missing} missing")) }
        },
    )
    .await;
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
            None if refused.contains(message) => recovered += 1,
            None => panic!("a ticket nobody submitted: {message}"),
        }
    }
    assert_eq!(tickets.len(), accepted.len() + recovered);
    println!("{} accepted, {} tickets, {recovered} of them refused", accepted.len(), tickets.len());
    system.settled(tickets.len() as u64).await;
}
