//! The promises of `common::ports::statistics`.

use std::time::Duration;

use common::clock::{Clock, SystemClock};
use common::domain::{Day, Priority, Statistics, Status, Subject};

use super::installation::{Installation, ticket, tickets};
use super::on_both_backends;
use crate::bed::wait::until;

on_both_backends! {
    statistics_equal_a_recount,
    a_ticket_counts_on_the_utc_day_of_its_submission,
    a_snapshot_reads_back_as_it_was_put,
    one_refresher_at_a_time_holds_the_lease,
}

async fn statistics_equal_a_recount(it: Installation) {
    let worker = it.backend.worker().await;
    for batch in [0..1, 1..50, 50..51, 51..200] {
        worker.tickets.insert(&tickets(batch)).await.unwrap();
    }
    let statistics = worker.statistics.statistics(SystemClock.now()).await.unwrap();
    // The submissions take the five subjects in turn.
    assert_eq!(statistics.by_subject, Subject::ALL.iter().map(|it| (*it, 40)).collect());
    assert_eq!(statistics.by_status, [(Status::Open, 200)].into());
    let priorities = [(Priority::High, 40), (Priority::Medium, 80), (Priority::Low, 80)];
    assert_eq!(statistics.by_priority, priorities.into());
    assert_eq!(statistics.daily.values().map(|day| day.created).sum::<u64>(), 200);
    assert_eq!(it.backend.audit().await.store.deviations().await.unwrap(), []);
}

async fn a_ticket_counts_on_the_utc_day_of_its_submission(it: Installation) {
    let worker = it.backend.worker().await;
    let mut batch = tickets(0..4);
    let times = [
        "2026-12-31T23:59:59.999Z",
        "2027-01-01T00:00:00.000Z",
        "2026-01-01T00:00:00.000Z",
        "2025-12-31T23:59:59.999Z",
    ];
    for (ticket, time) in batch.iter_mut().zip(times) {
        ticket.submission.submitted_at = time.parse().unwrap();
    }
    worker.tickets.insert(&batch).await.unwrap();
    let now = "2027-01-01T12:00:00.000Z".parse().unwrap();
    let statistics = worker.statistics.statistics(now).await.unwrap();
    let one = Day { created: 1, resolved: 0 };
    // 366 days end on 1 January 2027: the first is 1 January 2026, one before it is out of reach.
    let days = ["2026-01-01", "2026-12-31", "2027-01-01"];
    assert_eq!(statistics.daily, days.map(|day| (day.parse().unwrap(), one)).into());
    assert_eq!(statistics.total(), 4);
    assert_eq!(statistics.generated_at, now);
}

async fn a_snapshot_reads_back_as_it_was_put(it: Installation) {
    let worker = it.backend.worker().await;
    let edge = it.backend.edge().await;
    assert_eq!(edge.cache.get().await.unwrap(), None);
    worker.tickets.insert(&[ticket(1), ticket(2)]).await.unwrap();
    for statistics in [
        Statistics::as_of(SystemClock.now()),
        worker.statistics.statistics(SystemClock.now()).await.unwrap(),
    ] {
        worker.cache.put(&statistics).await.unwrap();
        assert_eq!(edge.cache.get().await.unwrap(), Some(statistics));
    }
}

async fn one_refresher_at_a_time_holds_the_lease(it: Installation) {
    let cache = it.backend.worker().await.cache;
    let long = Duration::from_mins(1);
    let short = Duration::from_millis(100);
    assert!(cache.lease("first", long).await.unwrap());
    assert!(!cache.lease("second", long).await.unwrap());
    assert!(cache.lease("first", short).await.unwrap(), "its holder renews it");
    until(Duration::from_secs(5), "the lease runs out", async || {
        cache.lease("second", long).await.unwrap()
    })
    .await;
    assert!(!cache.lease("first", long).await.unwrap());
}
