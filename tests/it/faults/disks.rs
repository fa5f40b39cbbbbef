//! Disks that are full.

use std::path::Path;

use sqlx::{Connection, SqliteConnection};

use super::{RECOVERY, Told, passes_the_audit, until_ready};
use crate::bed::disk::Disk;
use crate::bed::folder::Folder;
use crate::bed::form::Form;
use crate::bed::postgres::Postgres;
use crate::bed::server::Server;
use crate::bed::servers::Servers;
use crate::bed::system::TestSystem;
use crate::bed::wait::until;

/// Long forms, so that what little room is left in files and logs is used up soon.
const MESSAGE_BYTES: usize = 9_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_disk_space_costs_no_submission_and_makes_no_dead_letter() {
    let (mut postgres, disk) = Postgres::on_a_small_disk(96).await;
    let database_url = postgres.create_database("small").await;
    let backing = Servers::shared().await.backing().await.with_database(database_url);
    let system = TestSystem::distributed(backing).await;
    let mut told = Told::default();
    told.submit_well(system.client(), 5).await;
    until(RECOVERY, "the first tickets are stored", async || {
        system.statistics().await["total"] == 5
    })
    .await;
    disk.fill();
    // Until the worker meets it, and for a while after.
    until(RECOVERY, "the disk is seen to be full", async || {
        told.submit_well(system.client(), 20).await;
        postgres.process().log().contains("No space left on device")
    })
    .await;
    told.submit_well(system.client(), 100).await;
    assert!(system.worker(0).is_running() && system.edge(0).is_running());

    disk.free();
    // One that could not even write its log has ended, and waits for its supervisor.
    if !postgres.process().is_running() {
        postgres.start_again().await;
    }
    told.becomes_tickets(&system).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_installation_without_disk_space_refuses_in_time_and_keeps_what_it_has() {
    let folder = Folder::new("disk");
    let disk = Disk::mount(&folder, "data", 16).await;
    let data_dir = disk.path().display().to_string();
    let system = TestSystem::embedded().with_env("SUPPORT_DATA_DIR", &data_dir).await;
    let mut told = Told::default();
    // The second time it is killed while the disk is full.
    for is_killed in [false, true] {
        told.submit_well(system.client(), 5).await;
        disk.fill();
        while told.submit(system.client(), &long_form()).await {
            assert!(told.accepted.len() < 5_000, "the disk is never full");
        }
        for _ in 0..2 {
            assert!(!told.submit(system.client(), &long_form()).await, "the disk is full");
        }
        are_there(&system, &told).await;
        if is_killed {
            system.edge(0).kill();
        }
        disk.free();
        if is_killed {
            system.edge(0).start_again().await;
        }
        until_ready(system.client()).await;
    }
    told.submit_well(system.client(), 1).await;
    are_there(&system, &told).await;
    let total = system.statistics().await["total"].as_u64().unwrap();
    let accepted = told.accepted.len() as u64;
    let possible = accepted..=accepted + told.refused.len() as u64;
    assert!(possible.contains(&total), "{total} tickets, {possible:?}");
    passes_the_audit(&system).await;
    system.stop_gracefully().await;
    assert_eq!(integrity(&disk.path().join("supportline.db")).await, "ok");
}

/// Everything accepted can be read.
async fn are_there(system: &TestSystem, told: &Told) {
    for (id, message) in &told.accepted {
        let ticket = system.look_up(id).await.json();
        assert!(ticket["data"]["ticketNumber"].is_string(), "{ticket}");
        assert_eq!(ticket["data"]["message"], message.as_str());
    }
}

/// What `SQLite` says of its file.
async fn integrity(database: &Path) -> String {
    let url = format!("sqlite:{}", database.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut connection).await.unwrap()
}

/// A form that takes room.
fn long_form() -> Form {
    let form = Form::valid();
    let message = form.json()["message"].as_str().unwrap().to_owned();
    form.message(&format!("{message} {}", "x".repeat(MESSAGE_BYTES)))
}
