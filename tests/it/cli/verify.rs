//! `supportline verify`: 0 where everything holds, 1 and the reason where something does not.

use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Confirmation, Connection, ConnectionProperties};
use sqlx::{Connection as _, Executor, PgConnection, SqliteConnection};

use super::invoke;
use crate::bed::folder::Folder;
use crate::bed::forgery;
use crate::bed::form::Form;
use crate::bed::servers::Servers;
use crate::bed::system::TestSystem;
use crate::bed::wait::until;

/// Runs a statement behind the program's back.
pub async fn tamper(system: &TestSystem, is_embedded: bool, statement: &'static str) {
    if is_embedded {
        let url = format!("sqlite:{}", system.folder().join("data/supportline.db").display());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        connection.execute(sqlx::query(statement)).await.unwrap();
    } else {
        let mut connection = PgConnection::connect(&system.backing().database_url).await.unwrap();
        connection.execute(sqlx::query(statement)).await.unwrap();
    }
}

/// The same by somebody who has taken away what keeps the record as it is.
async fn forge(system: &TestSystem, is_embedded: bool, statement: &'static str) {
    if is_embedded {
        forgery::in_sqlite(system.folder(), statement).await;
    } else {
        forgery::in_postgres(&system.backing().database_url, statement).await;
    }
}

/// The checks that failed, without their details.
async fn faults(system: &TestSystem) -> Vec<String> {
    let output = system.verify().await;
    let failed: Vec<_> = output
        .stdout
        .lines()
        .filter(|line| line.starts_with("FAILED "))
        .map(str::to_owned)
        .collect();
    let expected = i32::from(!failed.is_empty());
    assert_eq!(output.status.code(), Some(expected), "{output:?}");
    assert_eq!(output.stderr, "");
    for line in output.stdout.lines() {
        let marks = ["ok     ", "FAILED ", "info   "];
        assert!(marks.iter().any(|mark| line.starts_with(mark)), "{line}");
    }
    failed
}

/// What is changed, what is told of it, and how it is mended; the last is not.
const HARMS: [(&str, &str, &str); 7] = [
    (
        "UPDATE statistics SET count = count + 1 WHERE dimension = 'subject' AND value = 'billing'",
        "FAILED 1 counts differ from a recount: subject billing says 2, recounted 1",
        "UPDATE statistics SET count = count - 1 WHERE dimension = 'subject' AND value = 'billing'",
    ),
    (
        "UPDATE tickets SET number = substr(number, 1, 9) || '0' || substr(number, 10) WHERE subject = 'feature'",
        "FAILED 1 of 5 ticket numbers are wrong: \"SUP-",
        "UPDATE tickets SET number = substr(number, 1, 9) || substr(number, 11) WHERE subject = 'feature'",
    ),
    (
        "UPDATE tickets SET number = 'x' || number WHERE subject = 'general'",
        "FAILED 1 of 5 ticket numbers are wrong: \"xSUP-",
        "UPDATE tickets SET number = substr(number, 2) WHERE subject = 'general'",
    ),
    (
        "UPDATE tickets SET user_agent = number, number = '' WHERE subject = 'account'",
        "FAILED 1 of 5 ticket numbers are wrong: \"\" is not well formed",
        "UPDATE tickets SET number = user_agent, user_agent = NULL WHERE subject = 'account'",
    ),
    (
        "UPDATE installation SET value = 'x' || value WHERE name = 'number_key_fingerprint'",
        "FAILED the number key has the fingerprint ",
        "UPDATE installation SET value = substr(value, 2) WHERE name = 'number_key_fingerprint'",
    ),
    (
        "INSERT INTO ledger (id, accepted_at, is_unaccounted) \
         VALUES ('00000000-0000-0000-0000-000000000007', '2026-11-22T10:30:00.000Z', true)",
        "FAILED 1 accepted submissions are neither tickets nor dead letters nor on their way; the \
         oldest was accepted at 2026-11-22T10:30:00Z",
        "DELETE FROM ledger",
    ),
    ("UPDATE ticket_counters SET next = 0", "FAILED 5 of 5 ticket numbers are wrong: \"SUP-", ""),
];

async fn verify_tells_good_from_bad(system: &TestSystem, is_embedded: bool) {
    assert_eq!(faults(system).await, [""; 0], "a fresh installation");
    for subject in ["technical", "billing", "feature", "account", "general"] {
        assert_eq!(system.submit(&Form::valid().subject(subject)).await.status, 201);
    }
    system.settled(5).await;
    assert_eq!(faults(system).await, [""; 0], "a used one, while it runs");
    system.stop_gracefully().await;
    assert_eq!(faults(system).await, [""; 0], "and while it does not");

    for (harm, told, repair) in HARMS {
        tamper(system, is_embedded, harm).await;
        let faults_told = faults(system).await;
        assert!(
            faults_told.len() == 1 && faults_told[0].starts_with(told),
            "{harm}: {faults_told:?}"
        );
        if !repair.is_empty() {
            tamper(system, is_embedded, repair).await;
            assert_eq!(faults(system).await, [""; 0], "after {repair}");
        }
    }
    several_faults_are_told_at_once(system, is_embedded).await;
}

async fn several_faults_are_told_at_once(system: &TestSystem, is_embedded: bool) {
    let forget = if is_embedded {
        "UPDATE relay SET position = 0"
    } else {
        "UPDATE relay SET transaction_id = '0'"
    };
    tamper(system, is_embedded, forget).await;
    forge(
        system,
        is_embedded,
        "DELETE FROM audit_entries \
         WHERE ticket_id IN (SELECT id FROM tickets WHERE subject = 'general')",
    )
    .await;
    if is_embedded {
        let bury = "INSERT INTO dead_letters (body, code, detail, first_seen_at, attempts) \
                    VALUES (x'00', 'unreadable', 'none', '2026-11-22T10:30:00.000Z', 1)";
        tamper(system, is_embedded, bury).await;
    } else {
        publish_to(system, "support.dead-letters").await;
        publish_to(system, "support.unrouted").await;
    }
    let faults_told = faults(system).await;
    for (told, is_expected) in [
        ("FAILED 4 events are not published", true),
        ("FAILED 1 tickets lack their audit entry", true),
        ("FAILED 1 tickets have changes that no audit entry tells of", true),
        ("FAILED 1 messages are dead letters; the first 1: 1 ", true),
        ("FAILED 1 messages are unrouted", !is_embedded),
    ] {
        let is_told = faults_told.iter().any(|line| line.starts_with(told));
        assert_eq!(is_told, is_expected, "{told}: {faults_told:?}");
    }
}

/// Puts a message into a queue that nobody consumes while the workers are away.
async fn publish_to(system: &TestSystem, queue: &str) {
    let url = &system.backing().amqp_url;
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    let published = channel.basic_publish("".into(), queue.into(), options, b"?", properties);
    assert_eq!(published.await.unwrap().await.unwrap(), Confirmation::Ack(None));
}

/// What is done to what is on record, and what is told of it.
const FORGERIES: [(&str, &str); 10] = [
    (
        "UPDATE audit_entries SET actor = 'admin-key' \
         WHERE position = (SELECT min(position) + 2 FROM kept_entries)",
        CHANGES,
    ),
    (
        "UPDATE audit_entries SET address = '' \
         WHERE position = (SELECT max(position) FROM kept_entries)",
        CHANGES,
    ),
    (
        "DELETE FROM audit_entries WHERE position = (SELECT min(position) FROM kept_entries)",
        CHANGES,
    ),
    (
        "DELETE FROM audit_entries WHERE position = (SELECT min(position) + 2 FROM kept_entries)",
        CHANGES,
    ),
    (
        "DELETE FROM audit_entries WHERE position = (SELECT max(position) FROM kept_entries)",
        CHANGES,
    ),
    ("DELETE FROM audit_entries", CHANGES),
    (
        "UPDATE audit_entries SET request_id = (SELECT kept.request_id FROM kept_entries AS kept \
         WHERE kept.position = (SELECT min(position) + max(position) FROM kept_entries) \
             - audit_entries.position)",
        CHANGES,
    ),
    ("UPDATE audit_seals SET entries = entries - 1 WHERE record = 'tickets'", CHANGES),
    ("UPDATE operator_actions SET subject = 'x'", ACTIONS),
    ("DELETE FROM operator_actions", ACTIONS),
];

/// An entry put before all others.
const INSERTION_IN_SQLITE: &str = "INSERT INTO audit_entries \
     (position, ticket_id, kind, status, at, actor, request_id, traceparent) \
     SELECT 0, ticket_id, kind, status, at, actor, request_id, traceparent \
     FROM kept_entries ORDER BY position LIMIT 1";
const INSERTION_IN_POSTGRES: &str = "INSERT INTO audit_entries \
     (position, transaction_id, ticket_id, kind, status, at, actor, request_id, traceparent) \
     OVERRIDING SYSTEM VALUE \
     SELECT 0, transaction_id, ticket_id, kind, status, at, actor, request_id, traceparent \
     FROM kept_entries ORDER BY position LIMIT 1";

const KEEP: [&str; 3] = [
    "CREATE TABLE kept_entries AS SELECT * FROM audit_entries",
    "CREATE TABLE kept_seals AS SELECT * FROM audit_seals",
    "CREATE TABLE kept_actions AS SELECT * FROM operator_actions",
];
const CLEAR: [&str; 3] =
    ["DELETE FROM audit_entries", "DELETE FROM audit_seals", "DELETE FROM operator_actions"];
const RESTORE_SQLITE: [&str; 3] = [
    "INSERT INTO audit_entries SELECT * FROM kept_entries",
    "INSERT INTO audit_seals SELECT * FROM kept_seals",
    "INSERT INTO operator_actions SELECT * FROM kept_actions",
];
const RESTORE_POSTGRES: [&str; 3] = [
    "INSERT INTO audit_entries OVERRIDING SYSTEM VALUE SELECT * FROM kept_entries",
    "INSERT INTO audit_seals SELECT * FROM kept_seals",
    "INSERT INTO operator_actions OVERRIDING SYSTEM VALUE SELECT * FROM kept_actions",
];

const CHANGES: &str = " seals of changes of tickets are broken: ";
const ACTIONS: &str = " seals of actions of operators are broken: ";

/// Waits until what is on record is sealed, which happens at the worker's leisure.
async fn sealed(system: &TestSystem) {
    until(Duration::from_mins(1), "all of it is sealed", async || {
        let told = system.verify().await.stdout;
        let whole = ["ok     5 changes of tickets are ", "ok     1 actions of operators are "];
        let is_told = |whole| told.lines().any(|it| it.starts_with(whole) && it.ends_with(')'));
        whole.into_iter().all(is_told)
    })
    .await;
}

async fn what_is_on_record_is_not_changed_unseen(system: &TestSystem, is_embedded: bool) {
    for subject in ["technical", "billing", "feature", "account", "general"] {
        assert_eq!(system.submit(&Form::valid().subject(subject)).await.status, 201);
    }
    system.settled(5).await;
    let made = system.run(&["token", "create", "--role", "stats"]).await;
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    sealed(system).await;
    system.stop_gracefully().await;
    let (insertion, restore) = if is_embedded {
        (INSERTION_IN_SQLITE, RESTORE_SQLITE)
    } else {
        (INSERTION_IN_POSTGRES, RESTORE_POSTGRES)
    };
    for statement in KEEP {
        forge(system, is_embedded, statement).await;
    }
    for (harm, expected) in FORGERIES.into_iter().chain([(insertion, CHANGES)]) {
        forge(system, is_embedded, harm).await;
        let told = faults(system).await;
        assert!(told.iter().any(|line| line.contains(expected)), "{harm}: {told:?}");
        for statement in CLEAR.into_iter().chain(restore) {
            forge(system, is_embedded, statement).await;
        }
        assert_eq!(faults(system).await, [""; 0], "after {harm}");
    }
    // What nothing but a copy elsewhere tells: the last entries together with the seals over them.
    forge(system, is_embedded, "DELETE FROM audit_seals WHERE record = 'actions'").await;
    forge(system, is_embedded, "DELETE FROM operator_actions").await;
    assert_eq!(faults(system).await, [""; 0]);
}

#[tokio::test]
async fn what_is_on_record_is_not_changed_unseen_embedded() {
    what_is_on_record_is_not_changed_unseen(&TestSystem::embedded().await, true).await;
}

#[tokio::test]
async fn what_is_on_record_is_not_changed_unseen_distributed() {
    let backing = Servers::shared().await.backing().await;
    what_is_on_record_is_not_changed_unseen(&TestSystem::distributed(backing).await, false).await;
}

#[tokio::test]
async fn verify_tells_good_from_bad_embedded() {
    verify_tells_good_from_bad(&TestSystem::embedded().await, true).await;
}

#[tokio::test]
async fn verify_tells_good_from_bad_distributed() {
    let backing = Servers::shared().await.backing().await;
    verify_tells_good_from_bad(&TestSystem::distributed(backing).await, false).await;
}

#[tokio::test]
async fn an_installation_that_is_not_there_does_not_verify_and_is_not_made() {
    let folder = Folder::new("verify");
    let output = invoke(folder.path(), &[], &["verify"]).await;
    // The folder that is named is not there: a setting, and not a finding.
    super::only_line(&output, 2);
    assert!(!folder.join("data").exists());
}
