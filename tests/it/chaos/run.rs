//! One run: a seed's processes, submissions and faults, and what was found afterwards.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::checker::{Findings, check};
use super::clients::Crowd;
use super::fault::{Suffered, befall};
use super::ledger::{self, Ledger};
use super::plan::Plan;
use super::stage::{Ground, Stage};
use super::{events, letters, store};
use crate::bed::process::Output;

/// How long submissions go on after everything was healed.
const CODA: Duration = Duration::from_millis(500);

/// What came of a run.
pub struct Outcome {
    /// What its ledger and its store say.
    pub findings: Findings,
    /// How many messages ended in the dead letters.
    pub letters: u64,
    /// How many of the strangers' had to.
    pub letters_expected: u64,
    /// How many events were told, with those told twice.
    pub events: u64,
    /// The faults as they came to pass.
    pub suffered: Vec<Suffered>,
    /// Answers of 2xx before everything was healed.
    pub accepted_amid: u64,
    /// What the product's own audit says.
    pub audit: Audit,
    /// How long it took with everything.
    pub took: Duration,
}

impl Outcome {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.findings.violations.is_empty() && self.audit.failed == 0
    }
}

/// What `supportline verify` found.
pub struct Audit {
    /// Checks of which it says that all is well.
    pub passed: u64,
    /// Checks that failed, or could not be made.
    pub failed: u64,
    text: String,
}

impl Audit {
    async fn of(stage: &Stage) -> Self {
        let Output { status, stdout, stderr } = stage.system().verify().await;
        let count =
            |mark: &str| stdout.lines().filter(|line| line.starts_with(mark)).count() as u64;
        let (passed, failed) = (count("ok "), count("FAILED "));
        let failed = if status.success() { failed } else { failed.max(1) };
        Self { passed, failed, text: stdout + &stderr }
    }
}

/// Plays a plan. Fails the test when something does not even come to its end; tells when what was
/// found is wrong.
pub async fn play(ground: &Ground, plan: &Plan, connections: usize) -> Outcome {
    let begun = Instant::now();
    let stage = Stage::set(ground, plan).await;
    let folder = stage.system().folder().path().to_owned();
    let file = folder.join("ledger.jsonl");
    let evidence = Evidence { plan, connections, folder };

    let ledger = Ledger::begin(&file);
    let crowd = Crowd::gather(plan.seed, &stage.addresses(), connections, ledger);
    let suffered = befall(ground, &stage, plan).await;
    let accepted_amid = crowd.heard().accepted.load(Ordering::Relaxed);
    stage.ready().await;
    crowd.heal();
    sleep(CODA).await;
    stage.all_work().await;
    crowd.leave().await;
    stage.drained(ground).await;
    stage.strike().await;
    let ((sent, found), heard) = (stage.letters().await, stage.events().await);

    let mut store = store::connect(&stage.system().backing().database_url).await;
    let tickets: Vec<_> = store::tickets(&mut store).await.collect();
    let ids: Vec<_> = tickets.iter().map(|ticket| ticket.id.clone()).collect();
    let mut findings = check(ledger::read(&file), tickets);
    findings.violations.extend(letters::check(&sent, &found));
    findings.violations.extend(events::check(&heard, &ids));
    let outcome = Outcome {
        findings,
        letters: found.len() as u64,
        letters_expected: sent.iter().filter(|letter| letter.is_taken).count() as u64,
        events: heard.len() as u64,
        suffered,
        accepted_amid,
        audit: Audit::of(&stage).await,
        took: begun.elapsed(),
    };
    if !outcome.is_good() {
        evidence.tell(&outcome);
    }
    drop(store);
    stage.clear(ground).await;
    outcome
}

/// What a run leaves behind that fails: its plan on the screen, its ledger and logs in a folder.
struct Evidence<'a> {
    plan: &'a Plan,
    connections: usize,
    folder: PathBuf,
}

impl Evidence<'_> {
    fn tell(&self, outcome: &Outcome) {
        let Outcome { findings, audit, .. } = outcome;
        for violation in findings.violations.iter().take(20) {
            println!("{violation}");
        }
        println!("{} violations\n{}", findings.violations.len(), audit.text);
        self.leave();
    }

    fn leave(&self) {
        println!("{}", self.plan);
        println!("ledger and logs: {:?}", self.keep());
        let Plan { seed, length, nodes, .. } = self.plan;
        let (seconds, connections) = (length.as_secs(), self.connections);
        println!(
            "once more: make chaos SEED={seed} RUNS=1 SECONDS={seconds} NODES={nodes} \
             CONNECTIONS={connections}"
        );
    }

    /// Copies the files that are there.
    fn keep(&self) -> std::io::Result<PathBuf> {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let target = target.join(format!("chaos-{}", self.plan.seed));
        std::fs::create_dir_all(&target)?;
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                std::fs::copy(entry.path(), target.join(entry.file_name()))?;
            }
        }
        Ok(target)
    }
}

impl Drop for Evidence<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.leave();
        }
    }
}
