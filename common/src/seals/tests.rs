use super::*;
use crate::keys::hex;

fn key() -> SealKey {
    SealKey::new(&NumberKey::from_hex(&"42".repeat(32)).unwrap())
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn change() -> RecordedChange {
    RecordedChange {
        ticket_id: "019a2b3c-0000-7000-8000-000000000007".to_owned(),
        version: 2,
        kind: "ticket.status_changed".to_owned(),
        status: Some("in-progress".to_owned()),
        at: time("2026-11-22T10:30:00.123Z"),
        actor: "token:95344202d105:agent".to_owned(),
        address: Some("192.0.2.1".to_owned()),
        request_id: "order-66".to_owned(),
        traceparent: "00-1-2-01".to_owned(),
        changes: Some(r#"{"status":["open","in-progress"]}"#.to_owned()),
    }
}

fn action() -> RecordedAction {
    RecordedAction {
        acted_at: time("2026-11-22T10:30:00.123Z"),
        actor: "user:ada".to_owned(),
        action: "dead-letter.discard".to_owned(),
        subject: "4f0c2a91d3b7e658".to_owned(),
        details: "{}".to_owned(),
        address: None,
        request_id: None,
    }
}

/// The seal over these entries, as hexadecimal digits.
fn sealed(record: Record, contents: &[Content]) -> String {
    let key = key();
    let mut chain = Chain::behind(&key, record, None);
    for content in contents {
        chain.pass(content);
    }
    hex(&chain.seal(Cursor::START, time("2026-11-22T10:31:00Z")).digest)
}

#[test]
fn what_is_sealed_today_is_sealed_alike_for_ever() {
    let entries = [Content::Change(change()), Content::Action(action())];
    assert_eq!(sealed(Record::Tickets, &entries), GOLDEN);
}

/// Databases have it.
const GOLDEN: &str = "15cfce756e775be5474306d9975b3773b26f55cc5ad9532375e10c85887dda0b";

#[test]
fn every_field_of_an_entry_is_under_the_seal() {
    let changes: [fn(&mut RecordedChange); 12] = [
        |_| {},
        |it| it.ticket_id.replace_range(..1, "1"),
        |it| it.version = 3,
        |it| it.kind.push('x'),
        |it| it.status = None,
        |it| it.at += chrono::TimeDelta::milliseconds(1),
        |it| it.actor = "submitter".to_owned(),
        |it| it.address = None,
        |it| it.request_id.clear(),
        |it| it.traceparent.push('x'),
        |it| it.changes = Some(String::new()),
        |it| it.changes = None,
    ];
    let actions: [fn(&mut RecordedAction); 8] = [
        |_| {},
        |it| it.acted_at += chrono::TimeDelta::milliseconds(1),
        |it| it.actor.push('x'),
        |it| it.action.push('x'),
        |it| it.subject.push('x'),
        |it| it.details.push(' '),
        |it| it.address = Some(String::new()),
        |it| it.request_id = Some(String::new()),
    ];
    let mut digests = std::collections::BTreeSet::new();
    for alter in changes {
        let mut change = change();
        alter(&mut change);
        digests.insert(sealed(Record::Tickets, &[Content::Change(change)]));
    }
    for alter in actions {
        let mut action = action();
        alter(&mut action);
        digests.insert(sealed(Record::Actions, &[Content::Action(action)]));
    }
    assert_eq!(digests.len(), changes.len() + actions.len());
}

#[test]
fn what_moves_from_one_field_to_the_next_is_noticed() {
    let moved = RecordedAction {
        actor: "user:adadead-letter".to_owned(),
        action: ".discard".to_owned(),
        ..action()
    };
    let [one, other] = [action(), moved].map(|it| sealed(Record::Actions, &[Content::Action(it)]));
    assert_ne!(one, other);
}

#[test]
fn a_seal_depends_on_order_on_what_was_before_and_on_the_key() {
    let (one, other) = (Content::Change(change()), Content::Action(action()));
    let there = sealed(Record::Tickets, &[one.clone(), other.clone()]);
    assert_ne!(there, sealed(Record::Tickets, &[other.clone(), one.clone()]));
    assert_ne!(there, sealed(Record::Tickets, std::slice::from_ref(&one)));
    assert_ne!(there, sealed(Record::Actions, &[one.clone(), other]));
    assert_ne!(sealed(Record::Tickets, &[]), sealed(Record::Actions, &[]));

    let (key, stranger) = (key(), SealKey([7; 32]));
    let (place, now) = (Cursor { transaction: 7, position: 9 }, time("2026-11-22T10:31:00Z"));
    let first = Chain::behind(&key, Record::Tickets, None).seal(place, now);
    let next = |key: &SealKey, before: &Seal, at| {
        let mut chain = Chain::behind(key, Record::Tickets, Some(before));
        chain.pass(&one);
        chain.seal(place, at)
    };
    let second = next(&key, &first, now);
    assert_eq!((second.number, second.entries), (2, 1));
    assert_eq!(next(&key, &first, now), second);
    assert_ne!(next(&stranger, &first, now).digest, second.digest);
    assert_ne!(next(&key, &second, now).digest, second.digest);
    let later = now + chrono::TimeDelta::milliseconds(1);
    assert_ne!(next(&key, &first, later).digest, second.digest, "the time is under it as well");
}
