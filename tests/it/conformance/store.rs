//! The promises of `common::ports::store`.

use std::collections::HashSet;
use std::sync::Arc;

use common::domain::{Message, NewTicket, Status, StatusChange, Ticket};
use common::ports::store::{Inserted, StoreError};

use super::installation::{Installation, submission, ticket, tickets};
use super::on_both_backends;

on_both_backends! {
    a_batch_is_stored_whole_with_its_audit_entries_and_statistics,
    a_batch_with_one_bad_ticket_leaves_no_trace,
    a_taken_number_is_not_the_submissions_fault,
    a_submission_is_stored_once,
    a_submission_inserted_by_many_at_a_time_is_stored_once,
    another_form_under_a_stored_id_is_a_conflict,
    counters_are_handed_out_once,
    a_ticket_is_found_by_number_and_by_id,
    migrating_again_changes_nothing,
    another_number_key_is_told_from_the_first,
}

async fn a_batch_is_stored_whole_with_its_audit_entries_and_statistics(it: Installation) {
    let worker = it.backend.worker().await;
    let inserted = worker.tickets.insert(&tickets(0..300)).await.unwrap();
    assert_eq!(inserted, vec![Inserted::New; 300]);
    let statistics = worker.statistics.statistics(today()).await.unwrap();
    assert_eq!(statistics.total(), 300);
    let audit = it.backend.audit().await;
    assert_eq!(audit.store.unaudited().await.unwrap(), 0);
    assert_eq!(audit.store.deviations().await.unwrap(), []);
}

async fn a_batch_with_one_bad_ticket_leaves_no_trace(it: Installation) {
    it.forbid_poison().await;
    let worker = it.backend.worker().await;
    let mut batch = tickets(0..100);
    batch[50].submission.form.message = Message::parse("poison").unwrap();
    let error = worker.tickets.insert(&batch).await.unwrap_err();
    assert!(matches!(error, StoreError::Rejected(_)), "{error}");
    assert_eq!(worker.statistics.statistics(today()).await.unwrap().total(), 0);
    let edge = it.backend.edge().await;
    assert_eq!(edge.tickets.by_id(batch[0].submission.id).await.unwrap(), None);
    batch.remove(50);
    assert_eq!(worker.tickets.insert(&batch).await.unwrap(), vec![Inserted::New; 99]);
}

async fn a_taken_number_is_not_the_submissions_fault(it: Installation) {
    let worker = it.backend.worker().await;
    worker.tickets.insert(&tickets(0..1)).await.unwrap();
    // As after a restore that lost the latest counters.
    let late = NewTicket { number: "SUP-2026-000000".parse().unwrap(), ..ticket(1) };
    let error = worker.tickets.insert(&[late]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
}

async fn a_submission_is_stored_once(it: Installation) {
    let worker = it.backend.worker().await;
    let first = ticket(1);
    let again = NewTicket { number: "SUP-2026-000002".parse().unwrap(), ..first.clone() };
    let other = ticket(3);
    let batch = [first.clone(), again.clone(), other.clone()];
    let (number, submitted_at) = (first.number.clone(), first.submission.submitted_at);
    let existing = Inserted::Existing { number, submitted_at };
    assert_eq!(
        worker.tickets.insert(&batch).await.unwrap(),
        [Inserted::New, existing.clone(), Inserted::New]
    );
    assert_eq!(
        worker.tickets.insert(&[again, ticket(4)]).await.unwrap(),
        [existing, Inserted::New]
    );
    assert_eq!(worker.statistics.statistics(today()).await.unwrap().total(), 3);
}

async fn a_submission_inserted_by_many_at_a_time_is_stored_once(it: Installation) {
    let worker = Arc::new(it.backend.worker().await);
    let submissions: Vec<_> = (0..20).map(submission).collect();
    let inserting = (0..8_u32).map(|inserter| {
        let worker = Arc::clone(&worker);
        let batch: Vec<_> = submissions
            .iter()
            .zip(tickets(inserter * 20..inserter * 20 + 20))
            .map(|(submission, ticket)| NewTicket { submission: submission.clone(), ..ticket })
            .collect();
        tokio::spawn(async move {
            let inserted = worker.tickets.insert(&batch).await.unwrap();
            batch.into_iter().zip(inserted).collect::<Vec<_>>()
        })
    });
    let answers: Vec<_> = futures_util::future::join_all(inserting.collect::<Vec<_>>())
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .collect();
    let is_new = |(_, inserted): &&(NewTicket, Inserted)| *inserted == Inserted::New;
    assert_eq!(answers.iter().filter(is_new).count(), 20);
    let told: HashSet<_> = answers
        .iter()
        .map(|(ticket, inserted)| match inserted {
            Inserted::New => (ticket.submission.id, ticket.number.clone()),
            Inserted::Existing { number, .. } => (ticket.submission.id, number.clone()),
            Inserted::Conflict => panic!("the same form is no conflict"),
        })
        .collect();
    assert_eq!(told.len(), 20, "every inserter is told the same number");
    assert_eq!(it.backend.audit().await.store.deviations().await.unwrap(), []);
}

async fn another_form_under_a_stored_id_is_a_conflict(it: Installation) {
    let worker = it.backend.worker().await;
    let (first, mut other) = (ticket(1), ticket(2));
    other.submission.id = first.submission.id;
    worker.tickets.insert(std::slice::from_ref(&first)).await.unwrap();
    assert_eq!(worker.tickets.insert(&[other]).await.unwrap(), [Inserted::Conflict]);
    let stored = it.backend.edge().await.tickets.by_id(first.submission.id).await.unwrap();
    assert_eq!(stored.unwrap().form, first.submission.form);
}

async fn counters_are_handed_out_once(it: Installation) {
    let worker = Arc::new(it.backend.worker().await);
    let reserving = (0..50_u32).map(|count| {
        let worker = Arc::clone(&worker);
        tokio::spawn(async move { worker.tickets.reserve(2026, count % 7 + 1).await.unwrap() })
    });
    let ranges = futures_util::future::join_all(reserving.collect::<Vec<_>>()).await;
    let mut counters: Vec<u64> = ranges.into_iter().flat_map(Result::unwrap).collect();
    counters.sort_unstable();
    assert!(counters.iter().copied().eq(0..counters.len() as u64), "{counters:?}");
    assert_eq!(worker.tickets.reserve(2027, 0).await.unwrap(), 0..0);
    assert_eq!(worker.tickets.reserve(2027, 3).await.unwrap(), 0..3);
    let audit = it.backend.audit().await;
    assert_eq!(audit.store.reserved(2026).await.unwrap(), counters.len() as u64);
    assert_eq!(audit.store.reserved(1999).await.unwrap(), 0);
}

async fn a_ticket_is_found_by_number_and_by_id(it: Installation) {
    let worker = it.backend.worker().await;
    let new = ticket(7);
    let mut bare = ticket(8);
    (bare.submission.form.user_id, bare.submission.form.user_agent) = (None, None);
    bare.submission.form.url = None;
    worker.tickets.insert(&[new.clone(), bare.clone()]).await.unwrap();
    let reader = it.backend.edge().await.tickets;
    for NewTicket { submission, number, priority, .. } in [new, bare] {
        let at = submission.submitted_at;
        let expected = Ticket {
            id: submission.id,
            number: number.clone(),
            form: submission.form,
            status: Status::Open,
            priority,
            submitted_at: at,
            updated_at: at,
            resolved_at: None,
            history: vec![StatusChange { version: 1, status: Status::Open, at }],
            replies: vec![],
        };
        assert_eq!(reader.by_number(&number).await.unwrap().as_ref(), Some(&expected));
        assert_eq!(reader.by_id(submission.id).await.unwrap(), Some(expected));
    }
    assert_eq!(reader.by_number(&"SUP-2025-000007".parse().unwrap()).await.unwrap(), None);
    assert_eq!(reader.by_id(submission(9).id).await.unwrap(), None);
}

async fn migrating_again_changes_nothing(it: Installation) {
    it.backend.worker().await.tickets.insert(&tickets(0..1)).await.unwrap();
    let (first, second) = tokio::join!(it.backend.migrate(), it.backend.migrate());
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    let statistics = it.backend.worker().await.statistics.statistics(today()).await.unwrap();
    assert_eq!(statistics.total(), 1);
}

async fn another_number_key_is_told_from_the_first(it: Installation) {
    assert!(it.backend.adopt_key("0123456789abcdef").await.unwrap());
    assert_eq!(it.backend.kept_key().await.unwrap().as_deref(), Some("0123456789abcdef"));
    assert!(!it.backend.adopt_key("fedcba9876543210").await.unwrap());
    assert!(it.backend.adopt_key("0123456789abcdef").await.unwrap());
}

fn today() -> chrono::DateTime<chrono::Utc> {
    use common::clock::{Clock, SystemClock};
    SystemClock.now()
}
