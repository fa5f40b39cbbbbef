//! `supportline verify`: 0 where everything holds, 1 and the reason where something does not.

use sqlx::{Connection, Executor, PgConnection, SqliteConnection};

use super::invoke;
use crate::bed::folder::Folder;
use crate::bed::form::Form;
use crate::bed::servers::Servers;
use crate::bed::system::TestSystem;

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

async fn verify_tells_good_from_bad(system: &TestSystem, is_embedded: bool) {
    assert_eq!(faults(system).await, [""; 0], "a fresh installation");
    for subject in ["technical", "billing", "feature", "account", "general"] {
        assert_eq!(system.submit(&Form::valid().subject(subject)).await.status, 201);
    }
    system.settled(5).await;
    assert_eq!(faults(system).await, [""; 0], "a used one, while it runs");
    system.stop_gracefully().await;
    assert_eq!(faults(system).await, [""; 0], "and while it does not");

    let once = [
        (
            "UPDATE statistics SET count = count + 1 WHERE dimension = 'subject' AND value = 'billing'",
            "FAILED 1 counts differ from a recount: subject billing says 2, recounted 1",
            "UPDATE statistics SET count = count - 1 WHERE dimension = 'subject' AND value = 'billing'",
        ),
        (
            "UPDATE tickets SET number = 'SUP-2026-0' || substr(number, 10) WHERE subject = 'feature'",
            "FAILED 1 of 5 ticket numbers are wrong: \"SUP-2026-0",
            "UPDATE tickets SET number = 'SUP-2026-' || substr(number, 11) WHERE subject = 'feature'",
        ),
        (
            "UPDATE tickets SET number = 'x' || number WHERE subject = 'general'",
            "FAILED 1 of 5 ticket numbers are wrong: \"xSUP-",
            "UPDATE tickets SET number = substr(number, 2) WHERE subject = 'general'",
        ),
        (
            "UPDATE ticket_counters SET next = 0",
            "FAILED 5 of 5 ticket numbers are wrong: \"SUP-",
            "",
        ),
    ];
    for (harm, told, repair) in once {
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
    let forget = if is_embedded {
        "UPDATE relay SET position = 0"
    } else {
        "UPDATE relay SET transaction_id = '0'"
    };
    tamper(system, is_embedded, forget).await;
    let faults_told = faults(system).await;
    assert!(
        faults_told.contains(&"FAILED 5 events are not published".to_owned()),
        "{faults_told:?}"
    );
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
