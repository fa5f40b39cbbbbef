//! The promises of `common::ports::statistics`.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use common::clock::{Clock, SystemClock};
use common::domain::{
    Assignment, Change, Day, Done, Message, Name, NewTicket, PostKind, Priority, Statistics,
    Status, Subject,
};

use super::installation::{Installation, done, ticket, tickets};
use super::on_both_backends;
use crate::bed::wait::until;

on_both_backends! {
    statistics_equal_a_recount,
    a_ticket_counts_on_the_utc_day_of_its_submission,
    days_are_tallied_by_the_quarter_of_an_hour,
    a_day_that_changes_when_it_is_over_is_revised,
    what_staff_do_is_tallied_and_equals_a_recount,
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

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// Tickets submitted at these times.
fn submitted(times: &[&str]) -> Vec<NewTicket> {
    let mut batch = tickets(0..u32::try_from(times.len()).unwrap());
    for (ticket, at) in batch.iter_mut().zip(times) {
        ticket.submission.submitted_at = time(at);
    }
    batch
}

async fn a_ticket_counts_on_the_utc_day_of_its_submission(it: Installation) {
    let worker = it.backend.worker().await;
    let times = [
        "2026-12-31T23:59:59.999Z",
        "2027-01-01T00:00:00.000Z",
        "2026-01-01T00:00:00.000Z",
        "2025-12-31T23:59:59.999Z",
    ];
    worker.tickets.insert(&submitted(&times)).await.unwrap();
    let now = time("2027-01-01T12:00:00.000Z");
    let statistics = worker.statistics.statistics(now).await.unwrap();
    let one = Day { created: 1, resolved: 0 };
    // 366 days end on 1 January 2027: the first is 1 January 2026, one before it is out of reach.
    let days = ["2026-01-01", "2026-12-31", "2027-01-01"];
    assert_eq!(statistics.daily, days.map(|day| (day.parse().unwrap(), one)).into());
    assert_eq!(statistics.total(), 4);
    assert_eq!(statistics.generated_at, now);
}

async fn days_are_tallied_by_the_quarter_of_an_hour(it: Installation) {
    let worker = it.backend.worker().await;
    let times = [
        "2026-11-22T23:59:59.999Z",
        "2026-11-22T23:45:00.000Z",
        "2026-11-22T23:44:59.999Z",
        "2026-11-19T00:00:00.000Z",
        "2026-11-19T10:14:00.000Z",
        "2026-11-19T10:15:00.000Z",
        "2026-11-18T10:15:00.000Z",
    ];
    worker.tickets.insert(&submitted(&times)).await.unwrap();
    let counts = |quarters: &[(&str, u64)]| -> BTreeMap<DateTime<Utc>, u64> {
        quarters.iter().map(|(at, count)| (time(at), *count)).collect()
    };
    let last = counts(&[("2026-11-22T23:30:00Z", 1), ("2026-11-22T23:45:00Z", 2)]);
    let first = counts(&[
        ("2026-11-19T00:00:00Z", 1),
        ("2026-11-19T10:00:00Z", 1),
        ("2026-11-19T10:15:00Z", 1),
    ]);
    // The last three days come with the counts, others when they are asked for.
    let read = worker.statistics.statistics(time("2026-11-22T23:59:59.999Z")).await.unwrap();
    let dates: Vec<_> = read.tallies.days.keys().copied().collect();
    assert_eq!(dates, [date("2026-11-22")]);
    assert_eq!(read.tallies.days[&date("2026-11-22")].created, last);
    let days = worker.statistics.days(date("2026-11-19")..date("2026-11-22")).await.unwrap();
    let dates: Vec<_> = days.keys().copied().collect();
    assert_eq!(dates, [date("2026-11-19")]);
    assert_eq!(days[&date("2026-11-19")].created, first);
}

async fn a_day_that_changes_when_it_is_over_is_revised(it: Installation) {
    let (worker, desk) = (it.backend.worker().await, it.backend.desk().await);
    let now = SystemClock.now();
    let (early, late) = (now - TimeDelta::days(40), now - TimeDelta::days(30));
    let mut batch = tickets(0..3);
    batch[0].submission.submitted_at = early;
    batch[1].submission.submitted_at = early;
    worker.tickets.insert(&batch).await.unwrap();
    let revised = async || {
        let read = worker.statistics.statistics(SystemClock.now()).await.unwrap();
        read.tallies.revised.into_iter().filter(|(date, _)| *date < now.date_naive()).collect()
    };
    let told: BTreeMap<NaiveDate, u64> = revised().await;
    assert_eq!(told.keys().copied().collect::<Vec<_>>(), [early.date_naive()], "two came late");
    // What is done on a day does not revise it. What is undone later does.
    done(&*desk.cases, &batch[0], late, &status(Status::InProgress)).await;
    done(&*desk.cases, &batch[0], late, &status(Status::Resolved)).await;
    assert_eq!(revised().await, told);
    done(&*desk.cases, &batch[0], now, &given_to("Ada")).await;
    let given: BTreeMap<NaiveDate, u64> = revised().await;
    assert!(given[&late.date_naive()] > 0, "whose it was has changed");
    done(&*desk.cases, &batch[0], now, &status(Status::InProgress)).await;
    assert!(revised().await[&late.date_naive()] > given[&late.date_naive()]);
}

fn status(status: Status) -> Change {
    Change { status: Some(status), ..Change::default() }
}

fn given_to(name: &str) -> Change {
    let assignee = Some(Assignment::To(Name::parse(name).unwrap()));
    Change { assignee, ..Change::default() }
}

fn reply() -> Change {
    let post = Some((PostKind::Reply, Message::parse("We look into it.").unwrap()));
    Change { post, ..Change::default() }
}

async fn what_staff_do_is_tallied_and_equals_a_recount(it: Installation) {
    let (worker, desk) = (it.backend.worker().await, it.backend.desk().await);
    let submitted_at = "2026-11-20T10:00:00.123Z";
    let batch = submitted(&[submitted_at; 4]);
    worker.tickets.insert(&batch).await.unwrap();
    let cases = &*desk.cases;
    done(cases, &batch[0], time("2026-11-20T10:16:07.124Z"), &given_to("Grace/2")).await;
    done(cases, &batch[0], time("2026-11-20T11:59:59.999Z"), &reply()).await;
    done(cases, &batch[0], time("2026-11-22T10:29:00.000Z"), &status(Status::Resolved)).await;
    done(cases, &batch[0], time("2026-11-22T10:31:00.000Z"), &status(Status::Closed)).await;
    done(cases, &batch[1], time("2026-11-20T10:00:00.123Z"), &status(Status::InProgress)).await;
    done(cases, &batch[1], time("2026-11-20T10:00:00.124Z"), &status(Status::Resolved)).await;
    done(cases, &batch[1], time("2026-11-22T10:00:00.000Z"), &status(Status::InProgress)).await;
    done(cases, &batch[2], time("2026-11-20T09:00:00.000Z"), &given_to("Ada")).await;
    done(cases, &batch[2], time("2026-11-20T09:00:00.000Z"), &reply()).await;
    done(cases, &batch[3], time("2026-11-22T10:00:00.000Z"), &status(Status::InProgress)).await;
    done(cases, &batch[3], time("2026-11-22T10:00:00.000Z"), &status(Status::Resolved)).await;
    done(cases, &batch[3], time("2026-11-22T10:00:00.000Z"), &given_to("Ada")).await;

    let audit = it.backend.audit().await.store;
    assert_eq!(audit.deviations().await.unwrap(), []);
    let read = worker.statistics.statistics(time("2026-11-22T12:00:00.000Z")).await.unwrap();
    let tallies = &read.tallies;
    assert_eq!(tallies.settled, [(date("2026-11-20"), 2)].into());
    assert_eq!(tallies.assigned, [("Ada".to_owned(), 1)].into());
    let (first, last) = (&tallies.days[&date("2026-11-20")], &tallies.days[&date("2026-11-22")]);
    assert_eq!((first.response.count(), first.response.milliseconds), (3, 7_199_876 + 1 + 1));
    assert_eq!((first.resolution.count(), first.resolved.len()), (0, 0), "reopened");
    let quarters = ["2026-11-22T10:00:00Z", "2026-11-22T10:15:00Z"];
    assert_eq!(last.resolved, quarters.map(|at| (time(at), 1)).into());
    let two_days = 2 * 86_400_000;
    let took = [two_days + 1_740_000 - 123, two_days - 123];
    assert_eq!(last.resolution.milliseconds, took.iter().sum::<u64>());
    let [by_grace, by_ada] = took.map(|milliseconds| Done { resolved: 1, milliseconds });
    assert_eq!(last.members, [("Grace/2".into(), by_grace), ("Ada".into(), by_ada)].into());
    // And it goes through the cache as it is.
    worker.cache.put(&read).await.unwrap();
    assert_eq!(it.backend.edge().await.cache.get().await.unwrap(), Some(read));
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
