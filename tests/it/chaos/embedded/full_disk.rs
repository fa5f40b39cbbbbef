//! A disk that is full again and again while a crowd submits, and a process that is killed upon it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::conclude;
use crate::bed::disk::Disk;
use crate::bed::folder::Folder;
use crate::bed::instance::Instance;
use crate::bed::seeded::Seeded;
use crate::bed::system::TestSystem;
use crate::bed::wait::{is_alone, until};
use crate::chaos::clients::Crowd;
use crate::chaos::ledger::{self, Ledger};
use crate::flow::figure;

/// The part of what a seed decides; see [`crate::chaos::plan`].
const PHASES: u64 = 5;

/// Everything is well again so long after there is space.
const RECOVERY: Duration = Duration::from_secs(30);

/// As promised for a 503. A start counts as well, and takes what it takes where the test does not have
/// the machine to itself.
const ANSWER_MAX_MS: u64 = 2_500;

/// Room for what is submitted while the disk is not full.
const DISK_MEBIBYTES: u32 = 128;

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_full_again_and_again_and_kills_upon_it_cost_nothing_accepted() {
    let (rounds, seed) = (figure("FILLS", 6), figure("SEED", 1) as u64);
    let begun = Instant::now();
    let folder = Folder::new("full-disk");
    let disk = Disk::mount(&folder, "data", DISK_MEBIBYTES).await;
    let setting = disk.path().display().to_string();
    let system = TestSystem::embedded().with_env("SUPPORT_DATA_DIR", &setting).await;
    let serve = system.edge(0);
    let file = folder.join("ledger.jsonl");
    let crowd = Crowd::gather(seed, &[serve.address()], 8, Ledger::begin(&file));
    let random = &mut Seeded::for_part(seed, PHASES);
    let heard = crowd.heard();
    let mut kills = 0;
    for round in 0..rounds {
        grows(&heard.accepted, "forms are accepted").await;
        sleep(random.millis(50..=300)).await;
        disk.fill();
        grows(&heard.refused, "forms are refused").await;
        sleep(random.millis(50..=500)).await;
        // Killed every other time, and started again before there is space or after.
        if round % 2 == 1 {
            serve.kill();
            kills += 1;
            if round % 4 == 1 {
                starts_or_says_why_not(serve).await;
            }
        }
        disk.free();
        // Its supervisor's part. One that was not killed recovers by itself.
        if round % 2 == 1 && !serve.is_running() {
            serve.relaunch();
        }
        serve.ready().await;
    }
    let longest_ms = heard.longest_ms.load(Ordering::Relaxed);
    assert!(longest_ms < ANSWER_MAX_MS || !is_alone(), "somebody waited for {longest_ms} ms");
    crowd.leave().await;
    let conclusion = conclude(seed, &system, disk.path(), ledger::read(&file)).await;
    println!(
        "seed {seed}: full {rounds} times, {kills} kills while full, longest wait {longest_ms} ms; \
         {conclusion}; {:.0?}",
        begun.elapsed()
    );
}

async fn grows(count: &AtomicU64, what: &str) {
    let before = count.load(Ordering::Relaxed);
    until(RECOVERY, what, async || count.load(Ordering::Relaxed) > before).await;
}

/// Starts it on the full disk, and waits for what comes of that: a server that cannot take anything
/// yet, or one line.
async fn starts_or_says_why_not(serve: &Instance) {
    let errors = || serve.log().matches("error: ").count();
    let before = errors();
    serve.relaunch();
    until(RECOVERY, "it starts or ends", async || {
        !serve.is_running() || serve.client().get("/livez").try_send().await.is_ok()
    })
    .await;
    assert!(serve.is_running() || errors() > before, "{}", serve.log());
}
