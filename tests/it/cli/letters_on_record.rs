//! What `supportline dead-letters` shows, of whom it tells what they did, and where it stops.

use std::time::Duration;

use serde_json::{Value, json};

use super::dead_letters::{listed, make_letters, mend};
use super::only_line;
use crate::bed::process::{Output, Signal, command, run_well};
use crate::bed::servers::Servers;
use crate::bed::system::TestSystem;

const DEADLINE: Duration = Duration::from_secs(30);

/// What stands in every form, and may stand nowhere that nobody asked for it.
const PERSONAL: [&str; 4] = ["only for support", "Ada", "Lovelace", "@example"];

async fn system(is_embedded: bool) -> TestSystem {
    let plan = if is_embedded {
        TestSystem::embedded()
    } else {
        TestSystem::distributed(Servers::shared().await.backing().await)
    };
    plan.with_env("SUPPORT_REPLY_WAIT", "0s").await
}

/// A command that succeeds and shows nothing personal.
async fn discreet(system: &TestSystem, arguments: &[&str]) -> String {
    let output = system.run(&[&["dead-letters"], arguments].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for personal in PERSONAL {
        let is_shown = output.stdout.contains(personal) || output.stderr.contains(personal);
        assert!(!is_shown, "{personal}: {output:?}");
    }
    output.stdout
}

/// The record, the oldest first: action, letter and reason of each.
async fn record(system: &TestSystem) -> Vec<(String, String, Value)> {
    let actions = discreet(system, &["log", "--json"]).await;
    let actions: Vec<Value> = serde_json::from_str(&actions).unwrap();
    let me = run_well("id", system.folder().path(), whoami(), DEADLINE).await;
    let told = |it: &Value| {
        assert_eq!(it["actor"], format!("user:{}", me.trim()));
        let text = |name| it[name].as_str().unwrap().to_owned();
        (text("action"), text("subject"), it["details"]["because"].clone())
    };
    actions.iter().rev().map(told).collect()
}

fn whoami() -> std::process::Command {
    let mut id = command("id");
    id.arg("-un");
    id
}

async fn letters_are_found_by_reason_and_age(system: &TestSystem) {
    for (filter, found) in [
        (&["--reason", "rejected"][..], true),
        (&["--reason", "conflict", "--reason", "rejected", "--newer-than", "1h"], true),
        (&["--reason", "conflict"], false),
        (&["--older-than", "1h"], false),
        (&["--reason", "rejected", "--older-than", "1h"], false),
    ] {
        let list = discreet(system, &[&["list"], filter].concat()).await;
        let sum = if found { "\n3 letters: 3 rejected.\n" } else { "\nNo letters.\n" };
        assert!(list.ends_with(sum), "{filter:?}: {list}");
        let list = discreet(system, &[&["list", "--json"], filter].concat()).await;
        let list: Vec<Value> = serde_json::from_str(&list).unwrap();
        assert_eq!(list.len(), if found { 3 } else { 0 }, "{filter:?}");
        if !found {
            let discard = ["discard", "--because", "none of them"];
            let gone = discreet(system, &[&discard[..], filter].concat()).await;
            assert_eq!(gone, "0 letters are deleted.\n", "{filter:?}");
        }
    }
}

async fn a_letter_is_masked_unless_it_is_asked_for(system: &TestSystem, id: &str) {
    let shown = discreet(system, &["show", id]).await;
    for part in ["\"message\": \"*** (26 characters)\"", "\"subject\": \"", "\"email\": \"*** ("] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(record(system).await, [], "nothing was done yet");
    let because = ["--because", "case 4711"];
    for (how, more) in [("--reveal", &because[..]), ("--body", &[])] {
        let output = system.run(&[&["dead-letters", "show", id, how], more].concat()).await;
        assert_eq!((output.status.code(), &*output.stderr), (Some(0), ""), "{output:?}");
        assert!(output.stdout.contains(PERSONAL[0]), "{output:?}");
    }
}

async fn nothing_is_shown_or_done_off_the_record(system: &TestSystem, is_embedded: bool) {
    make_letters(system, is_embedded, 3).await;
    let letters = listed(system).await;
    let id = |number: usize| letters[number]["id"].as_str().unwrap();
    letters_are_found_by_reason_and_age(system).await;
    a_letter_is_masked_unless_it_is_asked_for(system, id(0)).await;
    mend(system, is_embedded).await;
    let requeued = discreet(system, &["requeue", id(0)]).await;
    assert!(requeued.starts_with("1 letter is queued again"), "{requeued}");
    discreet(system, &["discard", id(1)]).await;
    let rest = ["requeue", "--reason", "rejected", "--newer-than", "1h", "--because", "mended"];
    let requeued = discreet(system, &rest).await;
    assert!(requeued.starts_with("1 letter is queued again"), "{requeued}");
    system.settled(2).await;
    assert_eq!(listed(system).await, [Value::Null; 0]);

    let row = |action: &str, letter: usize, because: Value| {
        (format!("dead-letter.{action}"), id(letter).to_owned(), because)
    };
    let expected = [
        row("reveal", 0, json!("case 4711")),
        row("reveal", 0, Value::Null),
        row("requeue", 0, Value::Null),
        row("discard", 1, json!("no reason given")),
        row("requeue", 2, json!("mended")),
    ];
    assert_eq!(record(system).await, expected);
    let table = discreet(system, &["log", "--limit", "2"]).await;
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.contains("dead-letter.discard") && table.contains("no reason given"), "{table}");
}

#[tokio::test]
async fn nothing_is_shown_or_done_off_the_record_embedded() {
    nothing_is_shown_or_done_off_the_record(&system(true).await, true).await;
}

#[tokio::test]
async fn nothing_is_shown_or_done_off_the_record_distributed() {
    nothing_is_shown_or_done_off_the_record(&system(false).await, false).await;
}

#[tokio::test]
async fn what_cannot_be_put_on_record_is_not_done() {
    let system = system(false).await;
    make_letters(&system, false, 2).await;
    mend(&system, false).await;
    let letters = listed(&system).await;
    let id = letters[0]["id"].as_str().unwrap();
    // A port where nobody listens, for these commands alone.
    let away = [("DATABASE_URL", "postgres://nobody:nothing@127.0.0.1:1/nowhere")];
    for arguments in [
        &["requeue", "--all"][..],
        &["requeue", id],
        &["discard", "--all", "--because", "spam"],
        &["show", id, "--reveal"],
        &["show", id, "--body"],
    ] {
        let arguments = [&["dead-letters"], arguments].concat();
        let output: Output = system.run_with(&arguments, &away).await;
        let line = only_line(&output, 1);
        let expected =
            "error: it cannot be put on record, so it is not done; 0 letters were handled";
        assert!(line.starts_with(expected), "{arguments:?}: {line}");
        assert_eq!(output.stdout, "", "{arguments:?}");
        assert!(!line.contains("nothing@"), "no password: {line}");
    }
    let masked = system.run_with(&["dead-letters", "show", id], &away).await;
    assert_eq!(masked.status.code(), Some(0), "what is masked needs no record: {masked:?}");
    assert_eq!(listed(&system).await, letters, "and all of them are where they were");
    assert_eq!(record(&system).await, []);
}

async fn an_interrupted_requeue_stops_between_letters(is_embedded: bool) {
    let system = system(is_embedded).await;
    make_letters(&system, is_embedded, 3).await;
    mend(&system, is_embedded).await;
    let requeue = system.start(&["dead-letters", "requeue", "--all", "--rate", "1/h"]);
    system.settled(1).await;
    requeue.signal(Signal::Int);
    let status = requeue.wait(DEADLINE).await;
    let output = Output { status, stdout: requeue.stdout(), stderr: requeue.stderr() };
    let line = only_line(&output, 1);
    assert_eq!(line, "error: stopped on request; the other letters are where they were");
    assert!(output.stdout.starts_with("1 letter is queued again"), "{output:?}");
    assert_eq!(listed(&system).await.len(), 2);
    assert_eq!(record(&system).await.len(), 1, "of the others there is nothing to tell");
    discreet(&system, &["requeue", "--all", "--rate", "off"]).await;
    system.settled(3).await;
}

#[tokio::test]
async fn an_interrupted_requeue_stops_between_letters_embedded() {
    an_interrupted_requeue_stops_between_letters(true).await;
}

#[tokio::test]
async fn an_interrupted_requeue_stops_between_letters_distributed() {
    an_interrupted_requeue_stops_between_letters(false).await;
}
