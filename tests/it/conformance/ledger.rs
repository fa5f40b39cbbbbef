//! The promises of `common::ports::ledger`.

use chrono::{DateTime, TimeDelta, Utc};
use common::clock::{Clock, SystemClock};
use common::domain::NewTicket;
use common::ports::ledger::{Balance, Entry};
use futures_util::future::join_all;

use super::installation::{Installation, tickets};
use super::on_both_backends;

on_both_backends! {
    an_entry_stays_until_it_is_a_ticket_or_struck_out,
    a_submission_is_entered_once,
    what_cannot_be_on_its_way_any_more_is_unaccounted_and_stays_so,
}

/// Entries of these tickets' submissions, each accepted a second after the one before.
fn entries(tickets: &[NewTicket], first: DateTime<Utc>) -> Vec<Entry> {
    let seconds = (0..).map(TimeDelta::seconds);
    let entry = |(ticket, later): (&NewTicket, _)| Entry {
        id: ticket.submission.id,
        accepted_at: first + later,
    };
    tickets.iter().zip(seconds).map(entry).collect()
}

async fn an_entry_stays_until_it_is_a_ticket_or_struck_out(it: Installation) {
    let (ledger, worker) = (it.backend.edge().await.ledger, it.backend.worker().await);
    assert_eq!(ledger.balance().await.unwrap(), Balance::default());
    let (tickets, now) = (tickets(0..10), SystemClock.now());
    ledger.enter(&entries(&tickets, now)).await.unwrap();
    worker.tickets.insert(&tickets[..4]).await.unwrap();
    let open = |in_flight: u64, oldest: usize| Balance {
        in_flight,
        oldest_in_flight: Some(entries(&tickets, now)[oldest].accepted_at),
        ..Balance::default()
    };
    assert_eq!(ledger.balance().await.unwrap(), Balance { stored: 4, ..open(6, 4) });
    assert_eq!(ledger.strike_stored().await.unwrap(), 4);
    assert_eq!(ledger.strike_stored().await.unwrap(), 0);
    assert_eq!(ledger.balance().await.unwrap(), open(6, 4));
    let ids: Vec<_> = tickets[2..6].iter().map(|ticket| ticket.submission.id).collect();
    assert_eq!(ledger.strike(&ids).await.unwrap(), 2);
    // Whoever looks: another process, or an audit.
    let audit = it.backend.audit().await.ledger;
    assert_eq!(audit.balance().await.unwrap(), open(4, 6));
    ledger.strike(&[]).await.unwrap();
    ledger.enter(&[]).await.unwrap();
    assert_eq!(audit.balance().await.unwrap(), open(4, 6));
}

async fn a_submission_is_entered_once(it: Installation) {
    let (tickets, now) = (tickets(0..300), SystemClock.now());
    let first = entries(&tickets, now);
    it.backend.edge().await.ledger.enter(&first[..1]).await.unwrap();
    let mut later = entries(&tickets, now + TimeDelta::hours(1));
    let mut edges = Vec::new();
    for _ in 0..4 {
        edges.push((it.backend.edge().await.ledger, later.clone()));
        later.reverse();
    }
    let entered = edges.iter().map(|(ledger, entries)| ledger.enter(entries));
    join_all(entered).await.into_iter().for_each(Result::unwrap);
    let balance = edges[0].0.balance().await.unwrap();
    assert_eq!((balance.in_flight, balance.oldest_in_flight), (300, Some(now)));
    // All at a time as well: each entry is struck out by one of them.
    let ids: Vec<_> = first.iter().map(|entry| entry.id).collect();
    let struck = join_all(edges.iter().map(|(ledger, _)| ledger.strike(&ids))).await;
    assert_eq!(struck.into_iter().map(Result::unwrap).sum::<u64>(), 300);
    assert_eq!(edges[0].0.balance().await.unwrap(), Balance::default());
}

async fn what_cannot_be_on_its_way_any_more_is_unaccounted_and_stays_so(it: Installation) {
    let (ledger, worker) = (it.backend.edge().await.ledger, it.backend.worker().await);
    let (tickets, now) = (tickets(0..6), SystemClock.now());
    let entries = entries(&tickets, now);
    ledger.enter(&entries).await.unwrap();
    worker.tickets.insert(&tickets[..1]).await.unwrap();
    ledger.mark(entries[3].accepted_at).await.unwrap();
    let balance = ledger.balance().await.unwrap();
    let expected = Balance {
        stored: 1,
        in_flight: 3,
        oldest_in_flight: Some(entries[3].accepted_at),
        unaccounted: 2,
        oldest_unaccounted: Some(entries[1].accepted_at),
    };
    assert_eq!(balance, expected, "a ticket is none of them, and what came later is not yet");
    ledger.mark(entries[0].accepted_at).await.unwrap();
    ledger.enter(&entries[1..2]).await.unwrap();
    assert_eq!(
        ledger.balance().await.unwrap(),
        expected,
        "neither an earlier horizon nor a repeat"
    );
    worker.tickets.insert(&tickets[1..2]).await.unwrap();
    assert_eq!(ledger.strike_stored().await.unwrap(), 2);
    let balance = ledger.balance().await.unwrap();
    assert_eq!(
        (balance.unaccounted, balance.oldest_unaccounted),
        (1, Some(entries[2].accepted_at))
    );
}
