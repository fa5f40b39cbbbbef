//! A broker that goes away while an edge has a spool. `make spool` runs the first test for a minute at
//! 200 forms a second.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use common::keys::unhex;
use serde_json::json;
use sqlx::{Executor, PgConnection};
use tokio::time::sleep;

use super::open_loop::{OpenLoop, are_tickets, percentile};
use super::{ANSWER_MAX, RECOVERY, Told, passes_the_audit, post, until_ready};
use crate::api::metrics::Metrics;
use crate::bed::client::Client;
use crate::bed::disk::Disk;
use crate::bed::folder::Folder;
use crate::bed::form::Form;
use crate::bed::link::Mode;
use crate::bed::rabbitmq::RabbitMq;
use crate::bed::server::Server;
use crate::bed::servers::Servers;
use crate::bed::system::{Plan, TestSystem};
use crate::bed::wait::{eventually, is_alone, until, within};
use crate::cli::dead_letters::listed;
use crate::flow::{figure, stored};

const DIR: &str = "SUPPORT_SPOOL_DIR";
const MAX: &str = "SUPPORT_SPOOL_MAX";

/// Some load before and after.
const SOME_LOAD: Duration = Duration::from_secs(2);

/// From the broker's return until the last of it is drained.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// Long forms, of which a mebibyte is soon full.
const MESSAGE_BYTES: usize = 9_000;

/// An installation on a broker of its own, and the folder in which its edge's spool is.
async fn plan(rabbitmq: &RabbitMq, dir: &Path) -> Plan {
    let backing = Servers::shared().await.backing().await.with_broker(rabbitmq).await;
    TestSystem::distributed(backing).with_env(DIR, &dir.display().to_string())
}

/// Waits until health says so.
async fn until_health_is(edge: &Client, status: &str) {
    eventually(RECOVERY, "health has noticed", async || {
        let health = edge.get("/api/support/health").send().await.json();
        if health["status"] == status { Ok(()) } else { Err(health) }
    })
    .await;
}

async fn shown(edge: &Client, name: &str) -> f64 {
    Metrics::of(edge).await.sum(name, &[])
}

async fn until_drained(edge: &Client) {
    let is_drained = async || shown(edge, "spool_submissions").await < 0.5;
    until(RECOVERY, "the spool is drained", is_drained).await;
}

/// Submits so many, all of which are to be spooled.
async fn spool(told: &mut Told, edge: &Client, count: usize) {
    let before = shown(edge, "spooled_submissions_total").await;
    told.submit_well(edge, count).await;
    let spooled = shown(edge, "spooled_submissions_total").await - before;
    assert!(spooled > as_shown(count) - 0.5, "{spooled} of {count}");
}

/// A count as metrics have it.
fn as_shown(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("a count"))
}

fn long_form() -> Form {
    let form = Form::valid();
    let message = form.json()["message"].as_str().unwrap().to_owned();
    form.message(&format!("{message} {}", "x".repeat(MESSAGE_BYTES)))
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_broker_is_away_everything_is_spooled_and_drained_when_it_is_back() {
    let (seconds, rate) = (figure("SECONDS", 8), figure("RATE", 40));
    let (mut rabbitmq, folder) = (RabbitMq::start().await, Folder::new("spool"));
    let system = plan(&rabbitmq, &folder.join("spool")).await.await;
    let edge = system.client();
    until_health_is(edge, "ok").await;
    let load = OpenLoop::start(vec![edge.clone()], rate);
    sleep(SOME_LOAD).await;
    rabbitmq.kill();
    until_health_is(edge, "degraded").await;
    sleep(Duration::from_secs(seconds as u64)).await;
    let (backlog, age) =
        (shown(edge, "spool_submissions").await, shown(edge, "spool_oldest_age_seconds").await);
    rabbitmq.start_again().await;
    let back_at = Instant::now();
    until_drained(edge).await;
    let drained_in = back_at.elapsed();
    until_health_is(edge, "ok").await;
    sleep(SOME_LOAD).await;
    let sent = load.end().await;

    let refused: Vec<_> = sent.iter().filter(|sent| !sent.is_accepted()).collect();
    assert!(refused.is_empty(), "{} of {}: {refused:?}", refused.len(), sent.len());
    let slowest = percentile(&sent, 100);
    assert!(slowest <= within(ANSWER_MAX), "{slowest:?}");
    assert!(backlog >= as_shown(seconds * rate) * 0.8, "{backlog}");
    assert!(age >= as_shown(seconds) * 0.8, "{age}");
    // Exactly so many: none lost, none doubled.
    are_tickets(&sent, &system).await;
    passes_the_audit(&system).await;
    println!(
        "{} forms at {rate} a second, the broker killed for {seconds} s and its boot: 0 refused, 0 \
         lost, 0 doubled; {backlog} in the spool when it began to boot, the last drained {drained_in:?} \
         after it was back; p50 {:?}, p99 {:?}, at most {slowest:?}",
        sent.len(),
        percentile(&sent, 50),
        percentile(&sent, 99),
    );
    assert!(drained_in <= DRAIN_MAX || !is_alone(), "{drained_in:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_ends_while_the_broker_is_away_finds_its_spool_again() {
    let (mut rabbitmq, folder) = (RabbitMq::start().await, Folder::new("spool"));
    let dir = folder.join("spool");
    let system = plan(&rabbitmq, &dir).await.await;
    let (edge, mut told) = (system.edge(0), Told::default());
    until_health_is(edge.client(), "ok").await;
    told.submit_well(edge.client(), 3).await;
    rabbitmq.kill();
    until_health_is(edge.client(), "degraded").await;
    let answer = post(edge.client(), &Form::valid()).await;
    let id = answer.json()["data"]["id"].clone();
    let queued = json!({"id": id, "status": "queued"});
    let spooled = json!({"id": id, "status": "queued", "durability": "spooled"});
    assert_eq!((answer.status.as_u16(), &answer.json()["data"]), (202, &spooled));
    spool(&mut told, edge.client(), 20).await;

    edge.kill();
    // What the kill might have left: the beginning of a record.
    let mut newest = File::options().append(true).open(newest_segment(&dir)).unwrap();
    newest.write_all(b"SUBM\x40\x01").unwrap();
    edge.start_again().await;
    assert!(edge.log().contains("of the spool the end of a write is missing"), "{}", edge.log());
    assert!(shown(edge.client(), "spool_submissions").await > 20.5);
    let look_up = system.look_up(id.as_str().unwrap()).await.json();
    assert_eq!(look_up["data"], queued);
    spool(&mut told, edge.client(), 5).await;

    let stopped = edge.stop_gracefully().await;
    assert!(stopped.status.success(), "{stopped:?}");
    assert!(edge.log().contains("left in the spool for the next start"), "{}", edge.log());
    rabbitmq.start_again().await;
    edge.start_again().await;
    until_drained(edge.client()).await;
    told.submit_well(edge.client(), 1).await;
    // With the one whose answer was looked at.
    system.settled(told.accepted.len() as u64 + 1).await;
    told.are_stored(&system.backing().database_url).await;
    passes_the_audit(&system).await;
    assert!(segments(&dir).is_empty());
}

fn segments(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    let mut segments: Vec<_> = names.filter(|name| name.ends_with(".segment")).collect();
    segments.sort();
    segments
}

fn newest_segment(dir: &Path) -> std::path::PathBuf {
    dir.join(segments(dir).pop().expect("a segment"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spool_refuses_in_time_and_takes_again_what_it_has_room_for() {
    let (mut rabbitmq, folder) = (RabbitMq::start().await, Folder::new("spool"));
    let system = plan(&rabbitmq, &folder.join("spool")).await.with_env(MAX, "1MiB").await;
    let (edge, mut told) = (system.client(), Told::default());
    until_health_is(edge, "ok").await;
    rabbitmq.kill();
    while told.submit(edge, &long_form()).await {
        assert!(told.accepted.len() < 200, "the spool is never full");
    }
    // The first one is waited for at the queue, and then the bound is met.
    assert!(told.accepted.len() > 80, "{}", told.accepted.len());
    assert!(!told.submit(edge, &long_form()).await, "it is full");
    assert!(shown(edge, "spool_refused_submissions_total").await > 0.5);
    until(RECOVERY, "the edge is not ready", async || {
        edge.get("/readyz").send().await.status == 503
    })
    .await;
    rabbitmq.start_again().await;
    until_ready(edge).await;
    until_drained(edge).await;
    told.submit_well(edge, 1).await;
    told.becomes_tickets(&system).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_without_disk_space_refuses_in_time_and_keeps_what_it_has() {
    let (mut rabbitmq, folder) = (RabbitMq::start().await, Folder::new("spool"));
    let disk = Disk::mount(&folder, "spool", 4).await;
    let system = plan(&rabbitmq, disk.path()).await.await;
    let (edge, mut told) = (system.client(), Told::default());
    until_health_is(edge, "ok").await;
    rabbitmq.kill();
    spool(&mut told, edge, 5).await;
    disk.fill();
    while told.submit(edge, &long_form()).await {
        assert!(told.accepted.len() < 200, "the disk is never full");
    }
    until(RECOVERY, "the edge is not ready", async || {
        edge.get("/readyz").send().await.status == 503
    })
    .await;
    // Started anew on a full disk, it has what it had, and is there for look-ups.
    system.edge(0).kill();
    system.edge(0).relaunch();
    let spooled = as_shown(told.accepted.len());
    eventually(RECOVERY, "the edge is there again", async || {
        let metrics = Metrics::try_of(edge).await.ok_or(f64::NAN)?;
        let found = metrics.sum("spool_submissions", &[]);
        if found > spooled - 0.5 { Ok(()) } else { Err(found) }
    })
    .await;
    assert!(!told.submit(edge, &long_form()).await, "the disk is full");
    disk.free();
    until_ready(edge).await;
    spool(&mut told, edge, 5).await;
    rabbitmq.start_again().await;
    until_drained(edge).await;
    told.becomes_tickets(&system).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_edge_on_a_spool_is_refused_in_one_line() {
    let folder = Folder::new("spool");
    let dir = folder.join("spool").display().to_string();
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing).with_env(DIR, &dir).await;
    let listen = [("SUPPORT_LISTEN", "127.0.0.1:0")];
    for role in ["ingest", "serve"] {
        let output = system.run_with(&[role], &listen).await;
        assert_eq!(
            (output.status.code(), output.stderr.lines().count()),
            (Some(2), 1),
            "{output:?}"
        );
        let told = format!(
            "error: the spool folder {dir} (--spool-dir) is in use by another process; each edge \
             needs one of its own"
        );
        assert_eq!(output.stderr.trim_end(), told);
    }
    let file = folder.join("file");
    fs::write(&file, "").unwrap();
    let file = file.display().to_string();
    let output = system.run_with(&["ingest"], &[listen[0], (DIR, &file)]).await;
    assert_eq!((output.status.code(), output.stderr.lines().count()), (Some(2), 1), "{output:?}");
    assert!(output.stderr.contains("cannot use the spool folder"), "{output:?}");
    assert_eq!(system.client().get("/readyz").send().await.status, 200, "the first goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_a_spool_is_not_unaccounted_for_however_long() {
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing).with_env("SUPPORT_UNACCOUNTED_AFTER", "1s").await;
    let (linked, links) = system.backing().over_links().await;
    let edge = system.start_on("ingest", &linked);
    edge.ready().await;
    edge.stop_gracefully().await;
    let folder = Folder::new("spool");
    edge.set_env(DIR, &folder.join("spool").display().to_string());
    edge.start_again().await;
    until_health_is(edge.client(), "ok").await;
    links.rabbitmq.set(Mode::Cut);
    let mut told = Told::default();
    spool(&mut told, edge.client(), 5).await;
    // One that is missing, younger than those: when it is missed, they would have been.
    let mut store: PgConnection = stored::connect(&system.backing().database_url).await;
    let missing = "INSERT INTO ledger (id, accepted_at) VALUES (gen_random_uuid(), now())";
    store.execute(missing).await.unwrap();
    let unaccounted = async || shown(system.client(), "unaccounted_submissions").await;
    until(RECOVERY, "one is missed", async || unaccounted().await > 0.5).await;
    assert!(unaccounted().await < 1.5, "{}", unaccounted().await);
    store.execute("DELETE FROM ledger WHERE is_unaccounted").await.unwrap();
    links.rabbitmq.set(Mode::Pass);
    until_drained(edge.client()).await;
    told.becomes_tickets(&system).await;
}

/// A rollback finds what the later release had put there. The bytes were put together from the
/// description of the format.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_later_release_left_in_a_spool_is_a_dead_letter_and_not_lost() {
    const BODY: &str = r#"{"v":2,"submissions":[{"later":true}]}"#;
    const HEAD: &str = "5355424d260000000100000000e897b69a01000014404c057735e9ab";
    let folder = Folder::new("spool");
    let dir = folder.join("spool");
    fs::create_dir(&dir).unwrap();
    let mut segment = b"SUPSPOOL\x01\0\0\0".to_vec();
    segment.extend(unhex::<28>(HEAD).unwrap());
    segment.extend_from_slice(BODY.as_bytes());
    fs::write(dir.join("00000000000000000001.segment"), segment).unwrap();
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing).with_env(DIR, &dir.display().to_string()).await;
    until_drained(system.client()).await;
    until(RECOVERY, "it is a dead letter", async || listed(&system).await.len() == 1).await;
    let letter = &listed(&system).await[0];
    assert_eq!(letter["code"], "unknown-version");
    let show = ["dead-letters", "show", letter["id"].as_str().unwrap(), "--body"];
    assert_eq!(system.run(&show).await.stdout.trim_end(), BODY);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "there is nothing but the lock");
    assert!(shown(system.client(), "spool_set_aside_files").await < 0.5);
    assert_eq!(system.submit(&Form::valid()).await.status, 201, "a neighbour");
}
