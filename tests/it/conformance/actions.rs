//! The promises of `common::ports::actions`, and of the dead letter office that stands on it.

use std::sync::Arc;

use chrono::TimeDelta;
use common::clock::{Clock, SystemClock};
use common::domain::{ActionKind, Actor, Because, OperatorAction, Origin, Role, TokenId};
use common::letters::{AtOnce, LetterOffice, Order};
use common::ports::actions::RecordedAction;
use common::ports::dead_letters::Selection;
use common::ports::ledger::{Balance, Entry};
use serde_json::{Value, json};

use super::dead_letters::{bury, envelopes, list};
use super::installation::Installation;
use super::on_both_backends;

on_both_backends! {
    actions_are_read_back_as_they_were_recorded,
    an_action_on_record_stays_as_it_is,
    what_is_done_to_letters_is_on_record,
    a_discarded_letter_is_not_missed,
}

/// Actions of every kind, of everybody, with peculiar words.
fn actions() -> Vec<OperatorAction> {
    let now = SystemClock.now();
    let token = Actor::Token { id: TokenId::typed("95344202d105"), role: Role::Agent };
    let actors = [Actor::User("o'hara".to_owned()), token, Actor::AdminKey];
    let kinds = ActionKind::ALL.iter().zip(actors).zip(0..);
    let action = |((action, actor), number): ((&ActionKind, _), _)| OperatorAction {
        // Each a little earlier than the one before: the order is that of the record.
        acted_at: now - TimeDelta::milliseconds(number),
        actor,
        origin: Origin {
            address: (number > 0).then(|| "192.0.2.1".to_owned()),
            request_id: (number > 1).then(|| "«r» \"7\"".to_owned()),
        },
        action: *action,
        subject: format!("letter \"{number}\""),
        details: json!({"because": "'; DROP TABLE tickets; -- \u{1f469}", "z": [1], "a": null}),
    };
    kinds.map(action).collect()
}

fn recorded(action: &OperatorAction) -> RecordedAction {
    RecordedAction {
        acted_at: action.acted_at,
        actor: action.actor.to_string(),
        action: action.action.to_string(),
        subject: action.subject.clone(),
        details: action.details.to_string(),
        address: action.origin.address.clone(),
        request_id: action.origin.request_id.clone(),
    }
}

async fn actions_are_read_back_as_they_were_recorded(it: Installation) {
    let log = it.backend.operator().await.actions;
    assert_eq!(log.latest(10).await.unwrap(), []);
    let actions = actions();
    log.record(&actions[..1]).await.unwrap();
    log.record(&[]).await.unwrap();
    log.record(&actions[1..]).await.unwrap();
    let mut expected: Vec<_> = actions.iter().map(recorded).collect();
    expected.reverse();
    assert_eq!(log.latest(10).await.unwrap(), expected);
    assert_eq!(log.latest(2).await.unwrap(), expected[..2]);
}

async fn an_action_on_record_stays_as_it_is(it: Installation) {
    let log = it.backend.operator().await.actions;
    log.record(&actions()).await.unwrap();
    let before = log.latest(10).await.unwrap();
    let truncate = it.has_many_writers().then_some("TRUNCATE operator_actions");
    let harms = [
        "UPDATE operator_actions SET actor = 'user:nobody'",
        "DELETE FROM operator_actions WHERE actor = 'admin-key'",
        "DELETE FROM operator_actions",
    ];
    for harm in harms.into_iter().chain(truncate) {
        let refused = it.try_to_tamper(harm).await.unwrap_err().to_string();
        assert!(refused.contains("what is on record stays as it is"), "{harm}: {refused}");
    }
    assert_eq!(log.latest(10).await.unwrap(), before);
}

async fn what_is_done_to_letters_is_on_record(it: Installation) {
    let (submissions, bodies) = envelopes(3);
    let buried = bury(&it, "rejected", bodies).await;
    let ports = it.backend.operator().await;
    let office = LetterOffice::new(&ports, Arc::new(SystemClock));
    let ada = Actor::User("ada".to_owned());
    let origin =
        Origin { address: Some("2001:db8::7".to_owned()), request_id: Some("r-7".to_owned()) };
    let order = Order { actor: ada.clone(), origin: origin.clone(), because: None };
    assert!(office.show(&buried[0].id).await.unwrap().is_some());
    assert_eq!(office.log(10).await.unwrap(), [], "a masked letter may be seen by anybody");
    office.reveal(&buried[0].id, &order).await.unwrap().unwrap();
    let first = Selection::These([buried[0].id.clone()].into());
    assert_eq!(office.requeue(&first, &order, &AtOnce).await.unwrap().len(), 1);
    let because = Because::parse("spam").unwrap();
    office.discard(&Selection::All, ada, origin, because, &AtOnce).await.unwrap();

    let mut log = office.log(10).await.unwrap();
    log.reverse();
    let expected = [("reveal", 0), ("requeue", 0), ("discard", 1), ("discard", 2)];
    assert_eq!(log.len(), expected.len());
    for (row, (action, letter)) in log.iter().zip(expected) {
        let told = (row.actor.as_str(), row.action.as_str(), row.subject.as_str());
        let action = format!("dead-letter.{action}");
        assert_eq!(told, ("user:ada", &*action, buried[letter].id.as_str()));
        let from = (row.address.as_deref(), row.request_id.as_deref());
        assert_eq!(from, (Some("2001:db8::7"), Some("r-7")));
        let details: Value = serde_json::from_str(&row.details).unwrap();
        assert_eq!(details["code"], "rejected");
        assert_eq!(details["submissions"], json!([submissions[letter].id.to_string()]));
        let because = if letter > 0 { json!("spam") } else { Value::Null };
        assert_eq!(details["because"], because);
    }
}

async fn a_discarded_letter_is_not_missed(it: Installation) {
    let (submissions, bodies) = envelopes(3);
    bury(&it, "rejected", bodies).await;
    let ports = it.backend.operator().await;
    let accepted_at = SystemClock.now();
    let entry = |id| Entry { id, accepted_at };
    let entries: Vec<_> = submissions.iter().map(|it| entry(it.id)).collect();
    ports.ledger.enter(&entries).await.unwrap();
    let office = LetterOffice::new(&ports, Arc::new(SystemClock));
    let because = Because::parse("spam").unwrap();
    let (admin, origin) = (Actor::AdminKey, Origin::default());
    office.discard(&Selection::All, admin, origin, because, &AtOnce).await.unwrap();
    assert_eq!(ports.ledger.balance().await.unwrap(), Balance::default());
    assert_eq!(list(&*ports.dead_letters, 10).await, []);
}
