//! `supportline dead-letters …`, beside a running installation.

use std::time::Duration;

use serde_json::Value;

use super::{invoke, only_line};
use crate::bed::folder::Folder;
use crate::bed::form::Form;
use crate::bed::servers::Servers;
use crate::bed::system::TestSystem;
use crate::bed::wait::until;
use crate::cli::verify::tamper;

const DEADLINE: Duration = Duration::from_secs(30);

/// The personal part of every form that becomes a letter here.
const SECRET: &str = "only for support to read";

/// The letters, as programs read them.
pub async fn listed(system: &TestSystem) -> Vec<Value> {
    let output = system.run(&["dead-letters", "list", "--json"]).await;
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), ""), "{output:?}");
    assert!(!output.stdout.contains(SECRET), "a list is not personal");
    serde_json::from_str(&output.stdout).unwrap()
}

/// Makes the store reject what it would otherwise take, and submits so many forms.
pub async fn make_letters(system: &TestSystem, is_embedded: bool, count: usize) {
    let forbid = if is_embedded {
        "CREATE TRIGGER forbidden BEFORE INSERT ON tickets WHEN NEW.message LIKE 'only for%' \
         BEGIN SELECT RAISE(ABORT, 'forbidden'); END"
    } else {
        "ALTER TABLE tickets ADD CONSTRAINT forbidden CHECK (message NOT LIKE 'only for%')"
    };
    tamper(system, is_embedded, forbid).await;
    for number in 0..count {
        let answer = system.submit(&Form::valid().message(&format!("{SECRET} {number}"))).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
    }
    until(DEADLINE, "they are letters", async || listed(system).await.len() == count).await;
}

/// Takes back what [`make_letters`] did to the store.
pub async fn mend(system: &TestSystem, is_embedded: bool) {
    let allow = if is_embedded {
        "DROP TRIGGER forbidden"
    } else {
        "ALTER TABLE tickets DROP CONSTRAINT forbidden"
    };
    tamper(system, is_embedded, allow).await;
}

async fn letters_are_looked_at(system: &TestSystem, letters: &[Value]) {
    let table = system.run(&["dead-letters", "list", "--limit", "2"]).await;
    assert_eq!(table.stdout.lines().count(), 4, "{table:?}");
    assert!(table.stdout.ends_with("\n5 letters: 5 rejected.\n"), "{table:?}");
    assert_eq!(table.stderr, format!("The oldest 2 of {}.\n", letters.len()));
    for letter in letters {
        assert_eq!(letter["code"], "rejected");
        assert!(letter["attempts"].as_u64().is_some_and(|attempts| attempts > 0), "{letter}");
        let id = letter["id"].as_str().unwrap();
        let shown = system.run(&["dead-letters", "show", id]).await;
        assert_eq!((shown.status.code(), &*shown.stderr), (Some(0), ""), "{shown:?}");
        for part in [id, "rejected", letter["firstSeenAt"].as_str().unwrap()] {
            assert!(shown.stdout.contains(part), "{part}: {}", shown.stdout);
        }
        assert!(!shown.stdout.contains(SECRET) && !shown.stdout.contains('@'), "{}", shown.stdout);
        let body = system.run(&["dead-letters", "show", id, "--body"]).await.stdout;
        let body: Value = serde_json::from_str(&body).unwrap();
        let message = body["submissions"][0]["message"].as_str().unwrap();
        assert!(message.starts_with(SECRET), "{message}");
        assert_eq!(letter["bodyBytes"], body.to_string().len());
    }
}

async fn letters_become_tickets_or_go(system: &TestSystem, is_embedded: bool) {
    make_letters(system, is_embedded, 5).await;
    let letters = listed(system).await;
    letters_are_looked_at(system, &letters).await;
    assert_eq!(listed(system).await, letters, "looking changes nothing");
    let id = |number: usize| letters[number]["id"].as_str().unwrap();

    // Not mended: it comes back, as another letter, at the end.
    let requeued = system.run(&["dead-letters", "requeue", id(0)]).await;
    assert!(requeued.stdout.starts_with("1 letter is queued again"), "{requeued:?}");
    until(DEADLINE, "it is a letter again", async || {
        let now = listed(system).await;
        now.len() == 5 && now[..4] == letters[1..]
    })
    .await;

    mend(system, is_embedded).await;
    let gone = system.run(&["dead-letters", "discard", id(1), "--because", "spam"]).await;
    assert_eq!((gone.status.code(), &*gone.stdout), (Some(0), "1 letter is deleted.\n"));
    let again = system.run(&["dead-letters", "requeue", id(2), id(1)]).await;
    let expected = format!("error: there is no dead letter {} (any more)", id(1));
    assert_eq!(only_line(&again, 1), expected);
    assert!(again.stdout.starts_with("1 letter is queued again"), "the other is: {again:?}");
    system.settled(1).await;
    let all = system.run(&["dead-letters", "requeue", "--all"]).await;
    assert!(all.stdout.starts_with("3 letters are queued again"), "{all:?}");
    system.settled(4).await;
    assert_eq!(listed(system).await, [Value::Null; 0]);
    let nothing = system.run(&["dead-letters", "discard", "--all"]).await;
    assert_eq!(nothing.stdout, "0 letters are deleted.\n");
    let verified = system.verify().await;
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
}

#[tokio::test]
async fn letters_become_tickets_or_go_embedded() {
    let system = TestSystem::embedded().with_env("SUPPORT_REPLY_WAIT", "0s").await;
    letters_become_tickets_or_go(&system, true).await;
}

#[tokio::test]
async fn letters_become_tickets_or_go_distributed() {
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing).with_env("SUPPORT_REPLY_WAIT", "0s").await;
    letters_become_tickets_or_go(&system, false).await;
}

#[tokio::test]
async fn what_is_requeued_while_nothing_runs_is_tried_at_the_next_start() {
    let system = TestSystem::embedded().with_env("SUPPORT_REPLY_WAIT", "0s").await;
    make_letters(&system, true, 3).await;
    mend(&system, true).await;
    system.stop_gracefully().await;
    let requeued = system.run(&["dead-letters", "requeue", "--all"]).await;
    assert!(requeued.stdout.ends_with("now or when it is started.\n"), "{requeued:?}");
    assert_eq!(listed(&system).await, [Value::Null; 0]);
    let verified = system.verify().await.stdout;
    assert!(verified.contains("info   3 messages wait in the queue"), "{verified}");
    system.edge(0).start_again().await;
    system.settled(3).await;
    // A kill between the ticket and the end of its row has it tried twice, and stored once.
    until(DEADLINE, "nothing waits", async || {
        !system.verify().await.stdout.contains("wait in the queue")
    })
    .await;
    assert_eq!(system.verify().await.status.code(), Some(0));
}

#[tokio::test]
async fn what_is_asked_wrongly_is_told_and_nothing_is_done() {
    let folder = Folder::new("dead-letters");
    for arguments in [
        &["dead-letters"][..],
        &["dead-letters", "show"],
        &["dead-letters", "show", "1", "2"],
        &["dead-letters", "requeue"],
        &["dead-letters", "requeue", "1", "--all"],
        &["dead-letters", "requeue", "1", "--reason", "rejected"],
        &["dead-letters", "requeue", "--all", "--older-than", "1h"],
        &["dead-letters", "requeue", "--all", "--rate", "0/s"],
        &["dead-letters", "requeue", "--all", "--because", ""],
        &["dead-letters", "discard"],
        &["dead-letters", "discard", "--because", "x"],
        &["dead-letters", "discard", "1", "--because", " "],
        &["dead-letters", "discard", "1", "--because", "a\nb"],
        &["dead-letters", "discard", "--all", "1", "--because", "x"],
        &["dead-letters", "show", "1", "--reveal", "--body"],
        &["dead-letters", "list", "--reason", "tedium"],
        &["dead-letters", "list", "--older-than", "2w"],
        &["dead-letters", "log", "--limit", "0"],
        &["dead-letters", "list", "--limit", "0"],
        &["dead-letters", "list", "--limit", "65536"],
        &["dead-letters", "list", "1"],
        &["dead-letters", "bury"],
    ] {
        let output = invoke(folder.path(), &[], arguments).await;
        assert_eq!((output.status.code(), &*output.stdout), (Some(2), ""), "{arguments:?}");
    }
    only_line(&invoke(folder.path(), &[], &["dead-letters", "list"]).await, 2);
    let system = TestSystem::embedded().await;
    for command in ["show", "requeue", "discard"] {
        let output = system.run(&["dead-letters", command, "\u{1b}[2J"]).await;
        let expected = "error: there is no dead letter \\u{1b}[2J (any more)";
        assert_eq!(only_line(&output, 1), expected);
    }
}
