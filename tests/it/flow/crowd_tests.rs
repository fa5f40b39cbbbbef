//! Many at once. `make load` runs the same test with 100,000 submissions over 256 connections.

use std::collections::HashSet;
use std::time::Instant;

use common::domain::TicketNumber;

use super::crowd::{statuses, submit_all};
use super::{figure, stored};
use crate::bed::form::Form;
use crate::bed::servers::Servers;
use crate::bed::system::TestSystem;

#[tokio::test(flavor = "multi_thread")]
async fn every_submission_of_a_crowd_becomes_one_ticket() {
    let submissions = figure("SUBMISSIONS", 3_000);
    let connections = figure("CONNECTIONS", 64);
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing).with_ingest(2).with_worker(2).await;
    let edges = [0, 1].map(|edge| system.edge(edge).client().clone());

    let begun = Instant::now();
    let form = |number| Form::valid().message(&format!("Submission {number} of a crowd"));
    let told = submit_all(&edges, connections, form, move |number| number < submissions).await;
    let took = begun.elapsed();

    assert_eq!(statuses(&told), [(Some(201), submissions)].into(), "nothing but 201s");
    let numbers: HashSet<TicketNumber> =
        told.iter().map(|told| told.number.as_ref().unwrap().parse().unwrap()).collect();
    assert_eq!(numbers.len(), submissions, "no number twice");
    system.settled(submissions as u64).await;
    let mut connection = stored::connect(&system.backing().database_url).await;
    let tickets = stored::tickets(&mut connection).await;
    let messages: HashSet<_> = tickets.iter().map(|(_, _, message)| message).collect();
    assert_eq!((tickets.len(), messages.len()), (submissions, submissions));
    let told_numbers: HashSet<_> = told.iter().filter_map(|told| told.number.as_ref()).collect();
    assert!(tickets.iter().all(|(_, number, _)| told_numbers.contains(number)));
    let queues = system.backing().queues().await;
    assert!(queues.contains(&("support.dead-letters".to_owned(), 0)), "{queues:?}");
    let audit = system.verify().await;
    assert!(audit.status.success(), "{audit:?}");
    println!(
        "{submissions} submissions over {connections} connections: {submissions} tickets, \
         {} distinct numbers, no dead letter, nothing but 201s, in {took:?}",
        numbers.len()
    );
}
