//! Ticket numbers where their counter runs over, and where the year does.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use common::clock::Clock;
use common::domain::{NumberCipher, Submission, TicketNumber};

use crate::conformance::installation::{Installation, number_key, publish_until_told, submission};
use crate::conformance::on_both_backends;

on_both_backends! {
    numbers_grow_a_digit_when_the_million_is_used_up,
    the_year_is_the_submissions_and_not_the_workers,
}

/// A clock that stands still.
struct Standing(DateTime<Utc>);

impl Clock for Standing {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }
}

/// Runs a worker whose clock shows `now` until every submission has its receipt.
async fn numbers_for(
    it: &Installation,
    now: &str,
    submissions: Vec<Submission>,
) -> Vec<TicketNumber> {
    let worker = it.run_worker(Arc::new(Standing(now.parse().unwrap()))).await;
    let mut edge = it.backend.edge().await;
    let numbers = publish_until_told(&mut edge, &submissions).await;
    drop(worker);
    numbers
}

async fn numbers_grow_a_digit_when_the_million_is_used_up(it: Installation) {
    it.tamper("INSERT INTO ticket_counters (year, next) VALUES (2026, 999990)").await;
    let submissions: Vec<_> = (0..20)
        .map(|number| Submission {
            submitted_at: "2026-11-22T10:30:00.000Z".parse().unwrap(),
            ..submission(number)
        })
        .collect();
    let numbers = numbers_for(&it, "2026-11-22T10:30:01.000Z", submissions).await;
    assert_eq!(numbers.iter().collect::<HashSet<_>>().len(), 20, "{numbers:?}");
    let digits: Vec<_> =
        numbers.iter().map(|number| number.to_string().len() - "SUP-2026-".len()).collect();
    assert_eq!(digits, [[6; 10], [7; 10]].concat(), "{numbers:?}");
    let reader = it.backend.edge().await.tickets;
    for number in &numbers {
        assert_eq!(number.to_string().parse(), Ok(number.clone()));
        assert!(reader.by_number(number).await.unwrap().is_some());
    }
}

async fn the_year_is_the_submissions_and_not_the_workers(it: Installation) {
    let at = |time: &str, number| Submission {
        submitted_at: time.parse().unwrap(),
        ..submission(number)
    };
    let submissions = vec![at("2026-12-31T23:59:59.999Z", 1), at("2027-01-01T00:00:00.000Z", 2)];
    let numbers = numbers_for(&it, "2027-01-01T00:00:05.000Z", submissions).await;
    assert_eq!([numbers[0].year(), numbers[1].year()], [2026, 2027]);
    // Each is the first of its year.
    let cipher = NumberCipher::new(&number_key());
    assert_eq!([cipher.counter(&numbers[0]), cipher.counter(&numbers[1])], [Some(0), Some(0)]);
    let ticket = it.backend.edge().await.tickets.by_number(&numbers[0]).await.unwrap().unwrap();
    assert_eq!(ticket.submitted_at, "2026-12-31T23:59:59.999Z".parse::<DateTime<Utc>>().unwrap());
}
