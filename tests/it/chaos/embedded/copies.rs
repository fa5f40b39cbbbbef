//! Copies of a data folder, made under a server at work, and opened elsewhere.
//!
//! Frozen, its files are what a machine that lost its power would have: `SQLite` promises to open
//! them. Copied one after the other while it writes they may fit each other or not, and what does not
//! fit must not be served.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;

use super::store::{Database, FILES, NUMBER_KEY, copy};
use super::{conclude, data_dir, passes_the_audit};
use crate::bed::instance::Instance;
use crate::bed::seeded::Seeded;
use crate::bed::system::{ADMIN_TOKEN, TestSystem, UNLIMITED};
use crate::bed::wait::eventually;
use crate::chaos::checker::{Findings, Wrong, check};
use crate::chaos::clients::Crowd;
use crate::chaos::ledger::{self, Ledger, Line};
use crate::flow::figure;

/// The part of what a seed decides; see [`crate::chaos::plan`].
const MOMENTS: u64 = 6;

/// Longer than a server takes to look at a copy and to start on it.
const START: Duration = Duration::from_secs(30);

/// An installation, its crowd, and where it is copied to.
struct Scene {
    seed: u64,
    system: TestSystem,
    crowd: Crowd,
}

impl Scene {
    async fn set() -> Self {
        let (seed, system) = (figure("SEED", 1) as u64, TestSystem::embedded().await);
        let ledger = Ledger::begin(&system.folder().join("ledger.jsonl"));
        let crowd = Crowd::gather(seed, &[system.edge(0).address()], 8, ledger);
        Self { seed, system, crowd }
    }

    /// What the crowd's ledger holds so far; its last line may be half there.
    fn ledger(&self) -> Vec<Line> {
        let text = fs::read(self.system.folder().join("ledger.jsonl")).expect("read the ledger");
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines = text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).expect("a ledger's line")).collect()
    }

    /// The original is none the worse.
    async fn end(self) {
        let Self { seed, system, crowd } = self;
        crowd.leave().await;
        let file = system.folder().join("ledger.jsonl");
        conclude(seed, &system, &data_dir(&system), ledger::read(&file)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_files_copied_at_any_moment_open_whole_with_all_that_was_acknowledged() {
    let scene = Scene::set().await;
    let random = &mut Seeded::for_part(scene.seed, MOMENTS);
    let mut acknowledged = Vec::new();
    for number in 0..figure("COPIES", 4) {
        sleep(random.millis(50..=600)).await;
        let copy_dir = scene.system.folder().join(&format!("frozen-{number}"));
        // The index of the log is made anew where it is missing.
        let files = if random.chance(50) { &FILES[..] } else { &FILES[..2] };
        scene.system.edge(0).freeze().await;
        copy(files, &data_dir(&scene.system), &copy_dir);
        // Every yes in it was said before.
        let ledger = scene.ledger();
        scene.system.edge(0).resume();
        copy(&[NUMBER_KEY], &data_dir(&scene.system), &copy_dir);

        let untouched = scene.system.folder().join(&format!("frozen-{number}-untouched"));
        copy(files, &copy_dir, &untouched);
        assert_eq!(Database::open(&untouched).await.integrity().await, "ok");
        let served = serve(&scene.system, &copy_dir).await;
        let served = served.unwrap_or_else(|refusal| panic!("a whole copy is refused: {refusal}"));
        let findings = audited(&scene.system, &served, &copy_dir, ledger).await;
        assert!(findings.violations.is_empty(), "{:?}", findings.violations);
        acknowledged.push(findings.acknowledged);
    }
    println!("seed {}: acknowledged before each copy and in it: {acknowledged:?}", scene.seed);
    scene.end().await;
}

/// Whatever a copy of moving files is, it is refused, or found wanting by the audit, or whole.
#[tokio::test(flavor = "multi_thread")]
async fn files_copied_while_they_change_are_whole_or_said_not_to_be() {
    let scene = Scene::set().await;
    let from = data_dir(&scene.system);
    let random = &mut Seeded::for_part(scene.seed, MOMENTS);
    let (mut refused, mut wanting, mut whole) = (0, 0, 0);
    for number in 0..figure("COPIES", 4) {
        sleep(random.millis(50..=300)).await;
        let copy_dir = scene.system.folder().join(&format!("moving-{number}"));
        let mut files = FILES;
        if random.chance(50) {
            files.reverse();
        }
        let acknowledged = scene.ledger();
        for file in files {
            copy(&[file], &from, &copy_dir);
            sleep(random.millis(0..=200)).await;
        }
        copy(&[NUMBER_KEY], &from, &copy_dir);
        let Ok(served) = serve(&scene.system, &copy_dir).await else {
            let audit = verify(&scene.system, &copy_dir).await;
            assert!(!audit.status.success(), "what is refused does not verify: {audit:?}");
            refused += 1;
            continue;
        };
        let is_wanting = !verify(&scene.system, &copy_dir).await.status.success();
        // What was sent until now: tickets of later ones are in it, too.
        let tickets = {
            served.stop_gracefully().await;
            Database::open(&copy_dir).await.tickets().await
        };
        let findings = check(scene.ledger(), tickets.clone());
        let is_garbage = |wrong| !matches!(wrong, Wrong::Lost | Wrong::Absurd);
        let garbage = findings.violations.iter().find(|it| is_garbage(it.wrong));
        assert!(garbage.is_none(), "serves garbage: {garbage:?}");
        let is_complete = check(acknowledged, tickets).count(Wrong::Lost) == 0;
        assert!(
            is_complete || is_wanting,
            "lacks what was acknowledged, and says that all is well"
        );
        if is_wanting { wanting += 1 } else { whole += 1 }
    }
    println!("seed {}: {refused} refused, {wanting} found wanting, {whole} whole", scene.seed);
    scene.end().await;
}

/// Starts a server on a copy, and waits until it is ready; `Err` with what it says when it ends.
async fn serve(system: &TestSystem, copy_dir: &Path) -> Result<Instance, String> {
    let own = [
        ("SUPPORT_DATA_DIR", copy_dir.to_str().expect("a path of ours")),
        ("SUPPORT_ADMIN_TOKEN", ADMIN_TOKEN),
        ("SUPPORT_LOG_FORMAT", "json"),
    ];
    let settings = own.into_iter().chain(UNLIMITED);
    let settings: Vec<(String, String)> =
        settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let served = Instance::start("serve", system.folder().path(), &settings);
    let is_refused = eventually(START, "a copy is served or refused", async || {
        if !served.is_running() {
            return Ok(true);
        }
        let answer = served.client().get("/readyz").try_send().await;
        let is_ready = answer.is_ok_and(|answer| answer.status == 200);
        if is_ready { Ok(false) } else { Err(served.log()) }
    });
    if is_refused.await { Err(served.log()) } else { Ok(served) }
}

async fn verify(system: &TestSystem, copy_dir: &Path) -> crate::bed::process::Output {
    let setting = [("SUPPORT_DATA_DIR", copy_dir.to_str().expect("a path of ours"))];
    system.run_with(&["verify"], &setting).await
}

/// Waits until a served copy passes the audit, stops it, and holds it against a ledger.
async fn audited(
    system: &TestSystem,
    served: &Instance,
    copy_dir: &Path,
    ledger: Vec<Line>,
) -> Findings {
    passes_the_audit(system, copy_dir).await;
    assert!(served.stop_gracefully().await.status.success(), "{}", served.log());
    let mut database = Database::open(copy_dir).await;
    assert_eq!(database.integrity().await, "ok");
    check(ledger, database.tickets().await)
}
