//! `supportline people …`, beside a running installation and without one.

use std::time::Duration;

use serde_json::{Value, json};

use super::{invoke, only_line};
use crate::bed::folder::Folder;
use crate::bed::form::Form;
use crate::bed::process::Output;
use crate::bed::servers::Servers;
use crate::bed::stranger::Stranger;
use crate::bed::system::{ADMIN_TOKEN, TestSystem};
use crate::bed::wait::until;

const DEADLINE: Duration = Duration::from_secs(30);
const ADDRESS: &str = "zqcanary@example.org";

/// What is stored about the address, a value for each line.
async fn exported(system: &TestSystem) -> Vec<Value> {
    let output = system.run(&["people", "export", ADDRESS]).await;
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), ""), "{output:?}");
    output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn erase(system: &TestSystem, more: &[&str]) -> Output {
    let asked = ["people", "erase", ADDRESS, "--because", "they asked"];
    system.run(&[&asked, more].concat()).await
}

/// A hundred and one tickets of theirs, in other letters, and one of somebody else.
async fn stored(system: &TestSystem) {
    let line = |number: u32| {
        json!({
            "name": "zqcanary", "email": ADDRESS.to_uppercase(), "subject": "billing",
            "message": format!("zqcanary {number}"),
        })
    };
    let lines: Vec<_> = (0..101).map(|number| line(number).to_string()).collect();
    let route = "/api/support/admin/tickets/import?rate=10000";
    let asked = system.desk().client().post(route).bearer(ADMIN_TOKEN);
    let asked = asked.header("content-type", "application/x-ndjson").body(lines.join("\n"));
    assert_eq!(asked.send().await.json()["data"]["accepted"], 101);
    system.submit(&Form::valid().email("bob@example.org")).await;
    system.settled(102).await;
}

async fn a_person_is_told_and_erased(system: &TestSystem) {
    stored(system).await;
    let told = exported(system).await;
    let tickets: Vec<_> = told.iter().map(|it| it["tickets"].as_array().unwrap().len()).collect();
    assert_eq!(tickets, [100, 1]);
    let route = "/api/support/admin/people/export";
    let asked = system.desk().client().post(route).bearer(ADMIN_TOKEN);
    let answer = asked.json(&json!({"email": ADDRESS})).send().await;
    assert_eq!(answer.json()["data"], told[0], "as the staff API tells it");

    let refused = erase(system, &[]).await;
    assert_eq!((refused.status.code(), &*refused.stdout), (Some(2), ""), "{refused:?}");
    assert!(refused.stderr.contains("--yes"), "{refused:?}");
    assert_eq!(exported(system).await, told, "and nothing is erased");

    let erased = erase(system, &["--yes"]).await;
    assert_eq!((erased.status.code(), &*erased.stderr), (Some(0), ""), "{erased:?}");
    assert_eq!(erased.stdout, "101 tickets and 0 dead letters erased.\n");
    let told = exported(system).await;
    assert_eq!((told.len(), &told[0]["tickets"]), (1, &json!([])));
    assert!(told[0]["erasedAt"].is_string(), "{told:?}");
    let again = erase(system, &["--yes"]).await;
    assert_eq!(again.stdout, "0 tickets and 0 dead letters erased.\n");
}

/// Who did what, under a hash of whom, and why; never the address.
async fn it_is_on_record(system: &TestSystem) {
    let log = system.run(&["dead-letters", "log", "--json"]).await.stdout;
    assert!(!log.to_lowercase().contains("zqcanary"), "{log}");
    let log: Vec<Value> = serde_json::from_str(&log).unwrap();
    let of = |action: &str| log.iter().filter(|it| it["action"] == action).collect::<Vec<_>>();
    let (told, erased) = (of("person.export"), of("person.erase"));
    assert_eq!((told.len(), erased.len()), (6, 2), "{log:?}");
    assert!(erased.iter().all(|it| it["actor"].as_str().unwrap().starts_with("user:")));
    assert!(erased.iter().all(|it| it["details"]["because"] == "they asked"), "{erased:?}");
    assert!(told.iter().chain(&erased).all(|it| it["subject"] == erased[0]["subject"]));
    assert_eq!(erased[0]["subject"].as_str().unwrap().len(), 32);
    let verified = system.verify().await;
    assert!(verified.status.success(), "{verified:?}");
}

#[tokio::test]
async fn a_person_is_told_and_erased_beside_a_running_installation_embedded() {
    let system = TestSystem::embedded().await;
    a_person_is_told_and_erased(&system).await;
    it_is_on_record(&system).await;
    // And beside none.
    system.stop_gracefully().await;
    assert_eq!(exported(&system).await[0]["tickets"], json!([]));
    assert!(erase(&system, &["--yes"]).await.status.success());
}

#[tokio::test]
async fn a_person_is_told_and_erased_beside_a_running_installation_distributed() {
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing.clone()).with_desk().await;
    a_person_is_told_and_erased(&system).await;
    it_is_on_record(&system).await;

    // Nobody would be known as erased by another key.
    let other = "f".repeat(64);
    let asked = ["people", "erase", ADDRESS, "--because", "they asked", "--yes"];
    let refused = system.run_with(&asked, &[("SUPPORT_NUMBER_KEY", &other)]).await;
    assert!(only_line(&refused, 2).contains("number-key"), "{refused:?}");

    Stranger::at(&backing).await.publish(format!("From: {ADDRESS}").as_bytes()).await;
    until(DEADLINE, "it is a dead letter", async || {
        !exported(&system).await[0]["undecidedDeadLetters"].as_array().unwrap().is_empty()
    })
    .await;
    let id = exported(&system).await[0]["undecidedDeadLetters"][0].as_str().unwrap().to_owned();
    let erased = erase(&system, &["--yes"]).await;
    assert_eq!(erased.stdout, "0 tickets and 0 dead letters erased.\n");
    let line = only_line(&erased, 1);
    assert!(line.contains(&id) && !line.contains(ADDRESS), "{line}");
}

#[tokio::test]
async fn what_is_asked_wrongly_is_told_and_nothing_is_done() {
    let folder = Folder::new("people");
    for arguments in [
        &["people"][..],
        &["people", "export"],
        &["people", "export", "zqcanary"],
        &["people", "export", ADDRESS, "--yes"],
        &["people", "erase", ADDRESS, "--yes"],
        &["people", "erase", ADDRESS, "--because", " ", "--yes"],
        &["people", "erase", ADDRESS, "--because", "they asked"],
        &["people", "erase", ADDRESS, "bob@example.org", "--because", "they asked", "--yes"],
    ] {
        let output = invoke(folder.path(), &[], arguments).await;
        assert_eq!((output.status.code(), &*output.stdout), (Some(2), ""), "{arguments:?}");
    }
    // Well asked, where there is no installation.
    let output = invoke(folder.path(), &[], &["people", "export", ADDRESS]).await;
    only_line(&output, 2);
    assert!(!folder.join("data").exists());
}
