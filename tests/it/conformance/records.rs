//! The promises of `common::ports::records`.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use common::clock::{Clock, SystemClock};
use common::domain::{ActionKind, Actor, OperatorAction, Origin, Record};
use common::ports::actions::RecordedAction;
use common::ports::events::Cursor;
use common::ports::records::{Content, RecordEntry, RecordedChange, Records, TicketNames};
use common::seals::{Chain, Seal, SealKey};
use serde_json::json;

use super::installation::{Installation, number_key, ticket, tickets};
use super::on_both_backends;
use crate::bed::wait::until;

const DEADLINE: Duration = Duration::from_secs(30);

on_both_backends! {
    an_entry_of_a_record_is_read_back_in_every_field,
    what_was_read_of_a_record_is_never_preceded_by_anything_new,
    what_is_on_record_of_a_ticket_is_read_alone,
    a_seal_is_read_back_as_it_was_set,
    of_two_who_set_a_seal_one_succeeds,
    entries_and_seals_stay_as_they_are,
    the_same_entries_are_sealed_alike_on_every_backend,
}

fn action(subject: &str) -> OperatorAction {
    OperatorAction {
        acted_at: "2026-11-22T10:30:00.123Z".parse().unwrap(),
        actor: Actor::User("o'hara".to_owned()),
        origin: Origin { address: Some("2001:db8::7".to_owned()), request_id: None },
        action: ActionKind::Discard,
        subject: subject.to_owned(),
        details: json!({"because": "«λ» \u{1f469}", "z": 1, "a": null}),
    }
}

/// All entries of a record, read two at a time.
async fn read(records: &dyn Records, record: Record) -> Vec<RecordEntry> {
    let (mut all, mut after) = (Vec::<RecordEntry>::new(), Cursor::START);
    loop {
        let page = records.entries(record, after, 2).await.unwrap();
        let Some(last) = page.last() else { return all };
        after = last.place;
        all.extend(page);
    }
}

/// The same, once nothing can be put before so many any more: others' transactions on the same server
/// may be older.
async fn read_all(records: &dyn Records, record: Record, count: usize) -> Vec<RecordEntry> {
    let mut entries = Vec::new();
    until(DEADLINE, "they can be read", async || {
        entries = read(records, record).await;
        entries.len() == count
    })
    .await;
    entries
}

async fn an_entry_of_a_record_is_read_back_in_every_field(it: Installation) {
    let worker = it.backend.worker().await;
    let stored = ticket(7);
    worker.tickets.insert(std::slice::from_ref(&stored)).await.unwrap();
    it.tamper(
        "INSERT INTO audit_entries \
         (ticket_id, version, kind, status, at, actor, address, request_id, traceparent, changes) \
         VALUES ('019a2b3c-4d5e-7f60-8a7b-9c0d1e2f3a4b', 2, 'ticket.status_changed', NULL, \
         '2026-11-22T10:30:00.123Z', 'token:95344202d105:agent', '192.0.2.1', 'r «7»', '00-1-2-01', \
         '{ \"z\": 1,\n\"a\":[null] }')",
    )
    .await;
    let created = RecordedChange {
        ticket_id: stored.submission.id.to_string(),
        version: 1,
        kind: "ticket.created".to_owned(),
        status: Some("open".to_owned()),
        at: stored.submission.submitted_at,
        actor: "submitter".to_owned(),
        address: None,
        request_id: stored.submission.trace.request_id.clone(),
        traceparent: stored.submission.trace.traceparent.clone(),
        changes: None,
    };
    let changed = RecordedChange {
        ticket_id: "019a2b3c-4d5e-7f60-8a7b-9c0d1e2f3a4b".to_owned(),
        version: 2,
        kind: "ticket.status_changed".to_owned(),
        status: None,
        at: "2026-11-22T10:30:00.123Z".parse().unwrap(),
        actor: "token:95344202d105:agent".to_owned(),
        address: Some("192.0.2.1".to_owned()),
        request_id: "r «7»".to_owned(),
        traceparent: "00-1-2-01".to_owned(),
        changes: Some("{ \"z\": 1,\n\"a\":[null] }".to_owned()),
    };
    let contents = |entries: Vec<RecordEntry>| -> Vec<_> {
        assert!(entries.is_sorted_by_key(|entry| entry.place));
        entries.into_iter().map(|entry| entry.content).collect()
    };
    let expected = [created, changed].map(Content::Change);
    assert_eq!(contents(read_all(&*worker.records, Record::Tickets, 2).await), expected);

    let operator = it.backend.operator().await;
    operator.actions.record(&[action("a"), action("b"), action("c")]).await.unwrap();
    let recorded = ["a", "b", "c"].map(|subject| {
        let action = action(subject);
        Content::Action(RecordedAction {
            acted_at: action.acted_at,
            actor: "user:o'hara".to_owned(),
            action: "dead-letter.discard".to_owned(),
            subject: subject.to_owned(),
            details: action.details.to_string(),
            address: Some("2001:db8::7".to_owned()),
            request_id: None,
        })
    });
    assert_eq!(contents(read_all(&*operator.records, Record::Actions, 3).await), recorded);
}

const LATE_CHANGE: &str = "INSERT INTO audit_entries \
     (ticket_id, version, kind, at, actor, request_id, traceparent) \
     VALUES ('019a2b3c-4d5e-7f60-8a7b-9c0d1e2f3a4b', 1, 'late', '2026-11-22T10:30:00.000Z', 'x', 'r', 't')";
const LATE_ACTION: &str = "INSERT INTO operator_actions (acted_at, actor, action, subject, details) \
     VALUES ('2026-11-22T10:30:00.000Z', 'x', 'late', 's', '{}')";

async fn what_was_read_of_a_record_is_never_preceded_by_anything_new(it: Installation) {
    if !it.has_many_writers() {
        return;
    }
    let (worker, operator) = (it.backend.worker().await, it.backend.operator().await);
    for (record, late) in [(Record::Tickets, LATE_CHANGE), (Record::Actions, LATE_ACTION)] {
        // Others write and commit while one that began before them has not.
        let open = it.begin(late).await;
        match record {
            Record::Tickets => drop(worker.tickets.insert(&tickets(0..2)).await.unwrap()),
            Record::Actions => {
                operator.actions.record(&[action("a"), action("b")]).await.unwrap();
            }
        }
        let before = read(&*worker.records, record).await;
        open.commit().await;
        let after = read_all(&*worker.records, record, 3).await;
        assert_eq!(after[..before.len()], before, "{record}");
    }
}

async fn what_is_on_record_of_a_ticket_is_read_alone(it: Installation) {
    let (worker, operator) = (it.backend.worker().await, it.backend.operator().await);
    let new = tickets(0..4);
    worker.tickets.insert(&new).await.unwrap();
    it.tamper(LATE_CHANGE).await;
    let (id, number) = (new[1].submission.id, new[1].number.clone());
    let (by_id, by_number) = (id.to_string(), number.to_string());
    let subjects = [&by_number, "tickets", &by_id, "SUP-2026-999999", &by_number];
    operator.actions.record(&subjects.map(action)).await.unwrap();
    let names = TicketNames { id: Some(id), number: Some(number.clone()) };
    for (record, count, of_it) in [(Record::Tickets, 5, 1), (Record::Actions, 5, 3)] {
        let all = read_all(&*operator.records, record, count).await;
        let is_its = |entry: &&RecordEntry| match &entry.content {
            Content::Change(change) => change.ticket_id == by_id,
            Content::Action(action) => [&by_id, &by_number].contains(&&action.subject),
        };
        let expected: Vec<_> = all.iter().filter(is_its).cloned().collect();
        assert_eq!(expected.len(), of_it);
        let entries = async |names: &TicketNames, after| {
            operator.records.entries_of(record, names, after, 2).await.unwrap()
        };
        let (mut found, mut after) = (Vec::new(), Cursor::START);
        loop {
            let page = entries(&names, after).await;
            let Some(last) = page.last() else { break };
            after = last.place;
            found.extend(page);
        }
        assert_eq!(found, expected, "two at a time, in order");
        let nothing = TicketNames { id: None, number: None };
        assert_eq!(entries(&nothing, Cursor::START).await, []);
        let alone = TicketNames { id: None, number: Some(number.clone()) };
        let by_number_alone = entries(&alone, Cursor::START).await.len();
        assert_eq!(by_number_alone, if record == Record::Actions { 2 } else { 0 });
    }
}

/// The next seal over what there is of a record, with so many entries under it at most.
async fn next_seal(records: &dyn Records, record: Record, limit: u32) -> Seal {
    let key = SealKey::new(&number_key());
    let last = records.last_seal(record).await.unwrap();
    let place = last.as_ref().map_or(Cursor::START, |seal| seal.place);
    let mut page = Vec::new();
    until(DEADLINE, "they can be read", async || {
        page = records.entries(record, place, limit).await.unwrap();
        page.len() == limit as usize
    })
    .await;
    let mut chain = Chain::behind(&key, record, last.as_ref());
    for entry in &page {
        chain.pass(&entry.content);
    }
    chain.seal(page.last().unwrap().place, SystemClock.now())
}

async fn a_seal_is_read_back_as_it_was_set(it: Installation) {
    let worker = it.backend.worker().await;
    worker.tickets.insert(&tickets(0..5)).await.unwrap();
    it.backend.operator().await.actions.record(&[action("a")]).await.unwrap();
    let records = it.backend.audit().await.records;
    assert_eq!(records.last_seal(Record::Tickets).await.unwrap(), None);
    let mut seals = Vec::new();
    for limit in [2, 2, 1] {
        let seal = next_seal(&*records, Record::Tickets, limit).await;
        assert!(worker.records.set(Record::Tickets, &seal).await.unwrap());
        assert_eq!(records.last_seal(Record::Tickets).await.unwrap().as_ref(), Some(&seal));
        seals.push(seal);
    }
    assert_eq!(records.seals(Record::Tickets, 0, 10).await.unwrap(), seals);
    assert_eq!(records.seals(Record::Tickets, 0, 2).await.unwrap(), seals[..2]);
    assert_eq!(records.seals(Record::Tickets, 2, 10).await.unwrap(), seals[2..]);
    assert_eq!(seals.iter().map(|seal| seal.entries).collect::<Vec<_>>(), [2, 4, 5]);
    // Each record has seals of its own.
    let seal = next_seal(&*records, Record::Actions, 1).await;
    assert!(worker.records.set(Record::Actions, &seal).await.unwrap());
    assert_eq!(records.seals(Record::Actions, 0, 10).await.unwrap(), [seal]);
}

async fn of_two_who_set_a_seal_one_succeeds(it: Installation) {
    let worker = it.backend.worker().await;
    worker.tickets.insert(&tickets(0..5)).await.unwrap();
    let (one, other) = (it.backend.worker().await.records, it.backend.worker().await.records);
    let seal = next_seal(&*one, Record::Tickets, 2).await;
    let (one_did, other_did) =
        tokio::join!(one.set(Record::Tickets, &seal), other.set(Record::Tickets, &seal));
    assert!(one_did.unwrap() ^ other_did.unwrap());
    let gap = Seal { number: 3, ..seal.clone() };
    assert!(!one.set(Record::Tickets, &gap).await.unwrap(), "the second one is not there");
    assert!(!one.set(Record::Actions, &gap).await.unwrap());
    assert_eq!(one.seals(Record::Tickets, 0, 10).await.unwrap(), [seal]);
}

async fn entries_and_seals_stay_as_they_are(it: Installation) {
    let worker = it.backend.worker().await;
    worker.tickets.insert(&tickets(0..5)).await.unwrap();
    let seal = next_seal(&*worker.records, Record::Tickets, 5).await;
    assert!(worker.records.set(Record::Tickets, &seal).await.unwrap());
    let before = read_all(&*worker.records, Record::Tickets, 5).await;
    let truncate = ["TRUNCATE audit_entries", "TRUNCATE audit_seals"];
    let truncate = truncate.into_iter().filter(|_| it.has_many_writers());
    let harms = [
        "UPDATE audit_entries SET actor = 'nobody'",
        "DELETE FROM audit_entries WHERE version = 1",
        "UPDATE audit_seals SET entries = 7",
        "DELETE FROM audit_seals",
    ];
    for harm in harms.into_iter().chain(truncate) {
        let refused = it.try_to_tamper(harm).await.unwrap_err().to_string();
        assert!(refused.contains("what is on record stays as it is"), "{harm}: {refused}");
    }
    assert_eq!(read_all(&*worker.records, Record::Tickets, 5).await, before);
    assert_eq!(worker.records.seals(Record::Tickets, 0, 9).await.unwrap(), [seal]);
}

async fn the_same_entries_are_sealed_alike_on_every_backend(it: Installation) {
    it.backend.operator().await.actions.record(&[action("a"), action("b")]).await.unwrap();
    it.tamper(LATE_CHANGE).await;
    let worker = it.backend.worker().await;
    let at: DateTime<Utc> = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
    let mut digests = Vec::new();
    for (record, count) in [(Record::Tickets, 1), (Record::Actions, 2)] {
        let key = SealKey::new(&number_key());
        let mut chain = Chain::behind(&key, record, None);
        let entries = read_all(&*worker.records, record, count).await;
        for entry in &entries {
            chain.pass(&entry.content);
        }
        digests.push(common::keys::hex(&chain.seal(Cursor::START, at).digest[..8]));
    }
    assert_eq!(digests, ["c095fb1f6972ed58", "1abc654e2a25936d"]);
}
