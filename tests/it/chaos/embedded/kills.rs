//! One process, killed again and again while a crowd submits. `make kills` kills it 500 times.

use std::fmt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::store::{Database, FILES, copy};
use super::{conclude, data_dir};
use crate::bed::instance::Instance;
use crate::bed::seeded::Seeded;
use crate::bed::system::TestSystem;
use crate::chaos::clients::Crowd;
use crate::chaos::ledger::{self, Ledger};
use crate::flow::figure;

/// The part of what a seed decides; see [`crate::chaos::plan`].
const LIVES: u64 = 3;

/// How a life ends, and how often of a hundred times.
const ENDS: [(u64, End); 4] =
    [(72, End::Kill), (10, End::KillFrozen), (8, End::KillStarting), (10, End::Stop)];

/// How often of a hundred times a life is interrupted by a freeze.
const FREEZES: u64 = 20;

#[derive(Clone, Copy)]
enum End {
    /// SIGKILL, while forms come in.
    Kill,
    /// The same while it is frozen.
    KillFrozen,
    /// The same before it is ready.
    KillStarting,
    /// SIGTERM.
    Stop,
}

/// What was done, and hit.
#[derive(Default)]
struct Lives {
    kills: usize,
    frozen: usize,
    starting: usize,
    /// Kills that broke connections whose requests had no answer yet.
    hits: usize,
    freezes: usize,
    stops: usize,
    /// How often the files were looked at between two lives.
    looks: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_under_load_lose_double_and_garble_nothing() {
    let (kills, seed) = (figure("KILLS", 15), figure("SEED", 1) as u64);
    let begun = Instant::now();
    let system = TestSystem::embedded().await;
    let file = system.folder().join("ledger.jsonl");
    let serve = system.edge(0);
    let connections = figure("CONNECTIONS", 16);
    let crowd = Crowd::gather(seed, &[serve.address()], connections, Ledger::begin(&file));
    let random = &mut Seeded::for_part(seed, LIVES);
    let mut lives = Lives::default();
    while lives.kills < kills {
        lives.live(random, serve, &crowd).await;
        // At any kills, but not too often: a look takes the longer the more there is.
        if (lives.looks + 1) * kills.div_ceil(20).max(5) <= lives.kills {
            lives.looks += 1;
            look_at_a_copy(&data_dir(&system), &system.folder().join("look")).await;
        }
        serve.relaunch();
    }
    serve.ready().await;
    let broken = crowd.heard().broken.load(Ordering::Relaxed);
    crowd.leave().await;
    let conclusion = conclude(seed, &system, &data_dir(&system), ledger::read(&file)).await;
    println!(
        "seed {seed}: {lives}, {broken} requests broken; {conclusion}; {:.0?}",
        begun.elapsed()
    );
    assert!(lives.hits * 2 > lives.kills, "most kills hit nothing: {lives}");
    assert!(conclusion.findings.acknowledged > 10 * kills as u64, "hardly anything was at stake");
}

impl Lives {
    /// A life from its start to its end.
    async fn live(&mut self, random: &mut Seeded, serve: &Instance, crowd: &Crowd) {
        let end = random.weighted(&ENDS);
        if let End::KillStarting = end {
            sleep(random.millis(0..=60)).await;
        } else {
            serve.ready().await;
            if random.chance(FREEZES) {
                sleep(random.millis(0..=100)).await;
                serve.freeze().await;
                sleep(random.millis(20..=300)).await;
                serve.resume();
                self.freezes += 1;
            }
            sleep(random.millis(100..=700)).await;
        }
        assert!(serve.is_running(), "it ended by itself: {}", serve.log());
        let broken = crowd.heard().broken.load(Ordering::Relaxed);
        if let End::Stop = end {
            let stopped = serve.stop_gracefully().await;
            assert!(stopped.status.success(), "{stopped:?}: {}", serve.log());
            self.stops += 1;
            return;
        }
        if let End::KillFrozen = end {
            serve.freeze().await;
        }
        serve.kill();
        self.kills += 1;
        self.frozen += usize::from(matches!(end, End::KillFrozen));
        self.starting += usize::from(matches!(end, End::KillStarting));
        // The kernel closes what the dead held, and whoever waited is told within a moment.
        sleep(Duration::from_millis(10)).await;
        self.hits += usize::from(crowd.heard().broken.load(Ordering::Relaxed) > broken);
    }
}

/// What a kill left, opened as the next life would open it. A copy, since that life shall do so, too.
async fn look_at_a_copy(data_dir: &Path, copy_dir: &Path) {
    copy(&FILES, data_dir, copy_dir);
    assert_eq!(Database::open(copy_dir).await.integrity().await, "ok");
    std::fs::remove_dir_all(copy_dir).expect("remove a folder of ours");
}

impl fmt::Display for Lives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, frozen, starting, hits, freezes, stops, looks } = self;
        write!(
            f,
            "{kills} kills ({frozen} while frozen, {starting} while starting; {hits} while requests \
             were in flight), {freezes} freezes, {stops} orderly restarts, {looks} looks at the files"
        )
    }
}
