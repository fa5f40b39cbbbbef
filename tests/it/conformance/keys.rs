//! The promises of `common::ports::store` about keys.

use std::collections::HashSet;
use std::sync::Arc;

use common::domain::{KeyHash, NewTicket, SubmissionId};
use common::ports::store::Inserted;
use uuid::Uuid;

use super::installation::{Installation, ticket, tickets};
use super::on_both_backends;

on_both_backends! {
    a_key_is_of_one_ticket,
    a_key_that_workers_race_for_is_of_one_ticket,
    the_same_key_twice_in_a_batch_is_of_the_first,
    a_ticket_is_found_by_its_key,
    a_batch_that_is_rejected_takes_no_key,
}

fn key(number: u8) -> KeyHash {
    KeyHash([number; 16])
}

/// The `number`-th ticket, sent under a key.
fn keyed(number: u32, key: KeyHash) -> NewTicket {
    let mut ticket = ticket(number);
    ticket.submission.key = Some(key);
    ticket
}

/// The same submission, to be stored under another number.
fn again(ticket: &NewTicket, number: u32) -> NewTicket {
    NewTicket { number: format!("SUP-2026-{number:06}").parse().unwrap(), ..ticket.clone() }
}

fn existing(ticket: &NewTicket) -> Inserted {
    let submitted_at = ticket.submission.submitted_at;
    Inserted::Existing { number: ticket.number.clone(), submitted_at }
}

async fn total(it: &Installation) -> u64 {
    use common::clock::{Clock, SystemClock};
    let statistics = it.backend.worker().await.statistics;
    statistics.statistics(SystemClock.now()).await.unwrap().total()
}

async fn a_key_is_of_one_ticket(it: Installation) {
    let store = it.backend.worker().await.tickets;
    let first = keyed(1, key(1));
    assert_eq!(store.insert(std::slice::from_ref(&first)).await.unwrap(), [Inserted::New]);
    let later = NewTicket {
        submission: common::domain::Submission {
            submitted_at: "2026-11-22T10:30:00.000Z".parse().unwrap(),
            ..first.submission.clone()
        },
        ..again(&first, 2)
    };
    let batch = [later, keyed(3, key(1)), keyed(4, key(2)), ticket(5), again(&first, 6)];
    assert_eq!(
        store.insert(&batch).await.unwrap(),
        [existing(&first), Inserted::Conflict, Inserted::New, Inserted::New, existing(&first)]
    );
    let reader = it.backend.edge().await.tickets;
    assert_eq!(reader.by_id(batch[1].submission.id).await.unwrap(), None);
    assert_eq!(total(&it).await, 3);
    assert_eq!(it.backend.audit().await.store.deviations().await.unwrap(), []);
}

/// Each of eight workers has every key in its batch, half of them with a submission that all share
/// and half with one of its own.
async fn a_key_that_workers_race_for_is_of_one_ticket(it: Installation) {
    const KEYS: u8 = 40;
    let store = it.backend.worker().await.tickets;
    let shared = tickets(0..u32::from(KEYS));
    let inserting = (0..8_u32).map(|worker| {
        let store = Arc::clone(&store);
        let mut batch: Vec<_> = (0..KEYS)
            .map(|place| {
                let number = 100 + worker * 100 + u32::from(place);
                let ticket = match place % 2 {
                    0 => again(&shared[usize::from(place)], number),
                    _ => ticket(number),
                };
                let submission =
                    common::domain::Submission { key: Some(key(place)), ..ticket.submission };
                NewTicket { submission, ..ticket }
            })
            .collect();
        // In another order each, so that they would wait for each other in a circle.
        batch.rotate_left(worker as usize * 5);
        tokio::spawn(async move {
            let inserted = store.insert(&batch).await.unwrap();
            batch.into_iter().zip(inserted).collect::<Vec<_>>()
        })
    });
    let answers: Vec<(NewTicket, Inserted)> =
        futures_util::future::join_all(inserting.collect::<Vec<_>>())
            .await
            .into_iter()
            .flat_map(Result::unwrap)
            .collect();
    for place in 0..KEYS {
        let of_key = answers.iter().filter(|(it, _)| it.submission.key == Some(key(place)));
        let (stored, refused): (Vec<_>, Vec<_>) =
            of_key.partition(|(_, inserted)| *inserted != Inserted::Conflict);
        let new = stored.iter().filter(|(_, inserted)| *inserted == Inserted::New).count();
        assert_eq!(
            (new, stored.len(), refused.len()),
            if place % 2 == 0 { (1, 8, 0) } else { (1, 1, 7) }
        );
        let told: HashSet<(SubmissionId, String)> = stored
            .iter()
            .map(|(it, inserted)| match inserted {
                Inserted::Existing { number, .. } => (it.submission.id, number.to_string()),
                _ => (it.submission.id, it.number.to_string()),
            })
            .collect();
        assert_eq!(told.len(), 1, "everybody is told the same");
        let found = it.backend.edge().await.tickets.by_key(key(place)).await.unwrap().unwrap();
        assert_eq!(told.into_iter().next().unwrap(), (found.id, found.number.to_string()));
    }
    assert_eq!(total(&it).await, u64::from(KEYS));
    assert_eq!(it.backend.audit().await.store.deviations().await.unwrap(), []);
}

async fn the_same_key_twice_in_a_batch_is_of_the_first(it: Installation) {
    let store = it.backend.worker().await.tickets;
    let first = keyed(1, key(1));
    let mut other = keyed(2, key(1));
    // Whatever way ids sort.
    other.submission.id = Uuid::from_u128(1).into();
    let batch = [first.clone(), again(&first, 3), other.clone(), again(&first, 4)];
    assert_eq!(
        store.insert(&batch).await.unwrap(),
        [Inserted::New, existing(&first), Inserted::Conflict, existing(&first)]
    );
    assert_eq!(store.insert(&[other]).await.unwrap(), [Inserted::Conflict]);
    assert_eq!(total(&it).await, 1);
}

async fn a_ticket_is_found_by_its_key(it: Installation) {
    let store = it.backend.worker().await.tickets;
    let (first, second) = (keyed(1, key(1)), keyed(2, key(2)));
    store.insert(&[first.clone(), ticket(3), second.clone()]).await.unwrap();
    let reader = it.backend.edge().await.tickets;
    for (expected, hash) in [(&first, key(1)), (&second, key(2))] {
        let found = reader.by_key(hash).await.unwrap();
        assert_eq!(found, reader.by_id(expected.submission.id).await.unwrap());
        assert_eq!(found.unwrap().form, expected.submission.form);
    }
    assert_eq!(reader.by_key(key(3)).await.unwrap(), None);
}

async fn a_batch_that_is_rejected_takes_no_key(it: Installation) {
    it.forbid_poison().await;
    let store = it.backend.worker().await.tickets;
    let mut bad = keyed(1, key(1));
    bad.submission.form.message = common::domain::Message::parse("poison").unwrap();
    store.insert(&[keyed(2, key(2)), bad]).await.unwrap_err();
    let reader = it.backend.edge().await.tickets;
    for hash in [key(1), key(2)] {
        assert_eq!(reader.by_key(hash).await.unwrap(), None);
    }
    let others = [keyed(3, key(1)), keyed(4, key(2))];
    assert_eq!(store.insert(&others).await.unwrap(), [Inserted::New, Inserted::New]);
}
