//! The checker sees what is wrong. One that cannot fail would be worth nothing.

use super::checker::{Findings, Stored, Wrong, check};
use super::ledger::{self, Ledger, Line, Outcome, Sent, Told};
use super::order::{Form, Order};
use crate::bed::folder::Folder;

fn form(number: u64) -> Form {
    Order::of(1, number).form
}

fn sent(attempt: u64, number: u64) -> Line {
    Line::Sent(Sent { attempt, key: None, is_whole: true, form: form(number) })
}

fn told(attempt: u64, outcome: Outcome) -> Line {
    Line::Told(Told { attempt, outcome })
}

fn accepted(attempt: u64, id: &str, number: Option<&str>) -> Line {
    told(attempt, Outcome::Accepted { id: id.to_owned(), number: number.map(str::to_owned) })
}

fn stored(id: &str, form: Form) -> Stored {
    let priority = match form.subject.as_str() {
        "technical" => "high",
        "billing" | "account" => "medium",
        _ => "low",
    };
    let (id, number) = (id.to_owned(), format!("SUP-{id}"));
    Stored { id, number, form, priority: priority.to_owned() }
}

/// Three that were told a yes, one refused, two without an answer of which one became a ticket.
fn ledger() -> Vec<Line> {
    vec![
        sent(0, 0),
        sent(1, 1),
        accepted(1, "b", None),
        accepted(0, "a", Some("SUP-a")),
        sent(2, 2),
        told(2, Outcome::Unknown("hung up".to_owned())),
        sent(3, 2),
        told(3, Outcome::Refused),
        sent(4, 2),
        accepted(4, "c", Some("SUP-c")),
        sent(5, 3),
        told(5, Outcome::Refused),
        sent(6, 4),
        told(6, Outcome::Unknown("reset".to_owned())),
        sent(7, 5),
    ]
}

fn store() -> Vec<Stored> {
    [("a", 0), ("b", 1), ("c", 2), ("d", 4)].map(|(id, number)| stored(id, form(number))).into()
}

/// What is found wrong, and with whom.
fn wrongs(ledger: Vec<Line>, store: Vec<Stored>) -> Vec<(Wrong, u64)> {
    let findings = check(ledger, store);
    let number = |who: &str| who[4..who.len() - "@example.org".len()].parse().unwrap();
    findings.violations.iter().map(|it| (it.wrong, number(&it.who))).collect()
}

#[test]
fn what_is_as_it_was_told_is_counted() {
    let expected = Findings {
        attempts: 8,
        acknowledged: 3,
        refused: 1,
        unknown: 2,
        recovered: 1,
        recovered_refused: 0,
        violations: Vec::new(),
    };
    assert_eq!(check(ledger(), store()), expected);
}

#[test]
fn a_ticket_of_whom_every_attempt_was_refused_is_counted_apart() {
    let mut store = store();
    store.push(stored("f", form(3)));
    let findings = check(ledger(), store);
    assert_eq!((findings.recovered, findings.recovered_refused), (2, 1));
    assert_eq!(findings.violations, []);
}

#[test]
fn an_acknowledged_submission_without_a_ticket_is_lost() {
    for (place, number) in [(0, 0), (1, 1), (2, 2)] {
        let mut store = store();
        store.remove(place);
        assert_eq!(wrongs(ledger(), store), [(Wrong::Lost, number)]);
    }
    // Told by its line alone: the same without the answer is nobody's loss.
    let mut ledger = ledger();
    ledger.remove(2);
    assert_eq!(wrongs(ledger, store().into_iter().filter(|it| it.id != "b").collect()), []);
}

#[test]
fn a_second_ticket_is_duplicated_whoever_was_told_what() {
    for number in [0, 4] {
        let mut store = store();
        store.push(stored("e", form(number)));
        assert_eq!(wrongs(ledger(), store), [(Wrong::Duplicated, number)]);
    }
    let mut store = store();
    store[3].number = "SUP-a".to_owned();
    assert_eq!(wrongs(ledger(), store), [(Wrong::Duplicated, 4)], "a number");
}

#[test]
fn a_ticket_that_nobody_sent_is_unexpected() {
    let mut store = store();
    store.push(stored("e", form(6)));
    assert_eq!(wrongs(ledger(), store), [(Wrong::Unexpected, 6)]);
}

#[test]
fn a_ticket_of_a_part_of_a_request_is_unexpected() {
    let in_part =
        |number| Line::Sent(Sent { attempt: 8, key: None, is_whole: false, form: form(number) });
    for (number, expected) in [(4, vec![]), (6, vec![(Wrong::Unexpected, 6)])] {
        let (mut ledger, mut store) = (ledger(), store());
        ledger.push(in_part(number));
        if number == 6 {
            store.push(stored("e", form(6)));
        }
        assert_eq!(wrongs(ledger, store), expected);
    }
}

#[test]
fn a_field_that_is_not_what_was_sent_is_corrupt() {
    let changes: [fn(&mut Form); 7] = [
        |form| form.name.push('\u{301}'),
        |form| form.subject = "other".to_owned(),
        |form| form.message = form.message.to_lowercase() + " ",
        |form| form.timestamp = form.timestamp.replace("+01:00", "Z"),
        |form| form.user_id = Some("somebody".to_owned()),
        |form| form.user_agent = Some(String::new()),
        |form| form.url = Some("https://example.com/".to_owned()),
    ];
    for change in changes {
        // Whether anybody was told a yes or not.
        for (place, number) in [(0, 0), (3, 4)] {
            let mut store = store();
            change(&mut store[place].form);
            let found = wrongs(ledger(), store);
            assert!(found.iter().all(|it| *it == (Wrong::Corrupt, number)), "{found:?}");
            assert!(!found.is_empty());
        }
    }
    let mut store = store();
    store[0].form.email = form(9).email;
    assert_eq!(wrongs(ledger(), store), [(Wrong::Lost, 0), (Wrong::Unexpected, 9)]);
    let mut store = self::store();
    store[1].priority = "none".to_owned();
    assert_eq!(wrongs(ledger(), store), [(Wrong::Corrupt, 1)]);
}

#[test]
fn a_ticket_that_is_not_what_was_told_is_corrupt() {
    let mut other_number = store();
    other_number[0].number = "SUP-e".to_owned();
    assert_eq!(wrongs(ledger(), other_number), [(Wrong::Corrupt, 0)]);
    let mut other_id = store();
    other_id[1].id = "e".to_owned();
    assert_eq!(wrongs(ledger(), other_id), [(Wrong::Corrupt, 1)]);
    for (id, number) in [("e", None), ("c", Some("SUP-e"))] {
        let mut told_twice = ledger();
        told_twice.extend([sent(8, 2), accepted(8, id, number)]);
        assert_eq!(wrongs(told_twice, store()), [(Wrong::Corrupt, 2)]);
    }
}

#[test]
fn an_answer_that_nobody_should_get_is_absurd() {
    let mut ledger = ledger();
    ledger.push(told(7, Outcome::Absurd("500: oops".to_owned())));
    assert_eq!(wrongs(ledger, store()), [(Wrong::Absurd, 5)]);
}

#[tokio::test]
async fn a_ledger_reads_back_what_was_written() {
    let folder = Folder::new("ledger");
    let file = folder.join("ledger.jsonl");
    let writing = Ledger::begin(&file);
    for number in 0..20 {
        let attempt = writing.attempt(&Order::of(1, number), number % 2 == 0).await;
        assert_eq!(attempt, number);
        // It is there before anything can be sent.
        let is_it = |line| matches!(line, Line::Sent(sent) if sent.attempt == attempt);
        assert!(ledger::read(&file).any(is_it));
        writing.told(attempt, Outcome::Refused);
    }
    writing.end();
    let lines: Vec<_> = ledger::read(&file).collect();
    assert_eq!(lines.len(), 40);
    for number in 0..20 {
        let Order { key, form, .. } = Order::of(1, number);
        assert!(lines.contains(&Line::Sent(Sent {
            attempt: number,
            key,
            is_whole: number % 2 == 0,
            form
        })));
        assert!(lines.contains(&told(number, Outcome::Refused)));
    }
}
