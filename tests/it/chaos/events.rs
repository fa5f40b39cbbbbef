//! A listener to the events, who must hear of each ticket at least once and of nothing else.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use serde_json::Value;
use tokio::time::timeout;

use super::checker::{Violation, Wrong};
use super::strangers::Session;
use crate::bed::servers::Backing;

/// Where events wait for it, as the broker declares queues by default: on all of its nodes. One for a
/// whole campaign, since a queue that is new when its broker is killed is a trouble of its own.
pub const QUEUE: &str = "chaos.events";

/// What the queue holds comes without a pause. Were one longer, events would be missed, and the run fail.
const SILENCE: Duration = Duration::from_secs(2);

/// From now on, all events are heard.
pub async fn listen(backing: &Backing) {
    let session = Session::open(backing).await.expect("the broker is there");
    let channel = &session.channel;
    let (options, none) = (QueueDeclareOptions::durable(), FieldTable::default());
    let mut quorum = none.clone();
    quorum.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(QUEUE.into(), options, quorum).await.expect("a queue");
    let (options, exchange) = (QueueBindOptions::default(), "support.events".into());
    let bound = channel.queue_bind(QUEUE.into(), exchange, "#".into(), options, none).await;
    bound.expect("a binding");
}

/// Takes out what was heard: the ids of the tickets whose creation was told, as often as it was.
pub async fn take(backing: &Backing) -> Vec<String> {
    let session = Session::open(backing).await.expect("the broker is there");
    let (options, none) =
        (BasicConsumeOptions { no_ack: true, ..Default::default() }, FieldTable::default());
    let heard = session.channel.basic_consume(QUEUE.into(), "".into(), options, none);
    let mut heard = heard.await.expect("a consumer");
    let mut ids = Vec::new();
    while let Ok(Some(message)) = timeout(SILENCE, heard.next()).await {
        let message = message.expect("the events can be read");
        let kind = message.properties.kind().as_ref().expect("a type");
        assert_eq!(kind.as_str(), "supportline.ticket.created");
        let event: Value = serde_json::from_slice(&message.data).expect("an event is JSON");
        ids.push(event["id"].as_str().expect("an id").to_owned());
    }
    ids
}

/// Holds what was heard against what is stored.
pub fn check(heard: &[String], stored: &[String]) -> Vec<Violation> {
    let (told, tickets): (HashSet<_>, HashSet<_>) =
        (heard.iter().collect(), stored.iter().collect());
    let silent = tickets.difference(&told).map(|id| violation(Wrong::Lost, id));
    let idle = told.difference(&tickets).map(|id| violation(Wrong::Unexpected, id));
    silent.chain(idle).collect()
}

fn violation(wrong: Wrong, id: &str) -> Violation {
    Violation { wrong, who: "an event".to_owned(), evidence: id.to_owned() }
}

#[test]
fn an_event_that_was_not_told_and_one_of_no_ticket_are_found() {
    let ids = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect::<Vec<_>>();
    let wrongs = |heard: &[&str]| {
        let violations = check(&ids(heard), &ids(&["a", "b"]));
        violations.into_iter().map(|it| (it.wrong, it.evidence)).collect::<Vec<_>>()
    };
    assert_eq!(wrongs(&["b", "a", "b"]), []);
    assert_eq!(wrongs(&["a"]), [(Wrong::Lost, "b".to_owned())]);
    assert_eq!(wrongs(&["a", "b", "c"]), [(Wrong::Unexpected, "c".to_owned())]);
}
