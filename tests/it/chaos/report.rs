//! The figures of a campaign.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::checker::{Findings, Wrong};
use super::fault::Suffered;
use super::plan::Plan;
use super::run::Outcome;

/// A run with fewer answers of 2xx amid its faults puts hardly anything to the test.
const ACCEPTED_MIN: u64 = 100;

/// What all runs of a campaign came to.
#[derive(Default)]
pub struct Report {
    runs: u64,
    sums: Findings,
    letters: u64,
    letters_expected: u64,
    checks_passed: u64,
    checks_failed: u64,
    bad_seeds: Vec<u64>,
    idle_seeds: Vec<u64>,
    events: u64,
    /// How many of each kind were planned, and how many of them made a difference.
    faults: BTreeMap<String, (u64, u64)>,
    took: Duration,
}

impl Report {
    /// Adds a run.
    pub fn add(&mut self, plan: &Plan, outcome: &Outcome) {
        let Outcome { findings, letters, letters_expected, events, audit, took, .. } = outcome;
        self.runs += 1;
        self.sums.attempts += findings.attempts;
        self.sums.acknowledged += findings.acknowledged;
        self.sums.refused += findings.refused;
        self.sums.unknown += findings.unknown;
        self.sums.recovered += findings.recovered;
        self.sums.recovered_refused += findings.recovered_refused;
        self.sums.violations.extend(findings.violations.iter().cloned());
        self.letters += letters;
        self.letters_expected += letters_expected;
        self.checks_passed += audit.passed;
        self.checks_failed += audit.failed;
        if !outcome.is_good() {
            self.bad_seeds.push(plan.seed);
        }
        if outcome.accepted_amid < ACCEPTED_MIN {
            self.idle_seeds.push(plan.seed);
        }
        self.events += events;
        self.took += *took;
        for Suffered { kind, was_felt } in &outcome.suffered {
            let (planned, felt) = self.faults.entry(kind.clone()).or_default();
            *planned += 1;
            *felt += u64::from(*was_felt);
        }
    }

    /// The seeds of the runs that put hardly anything to the test.
    pub fn idle_seeds(&self) -> &[u64] {
        &self.idle_seeds
    }

    /// The seeds of the runs in which something was wrong.
    pub fn bad_seeds(&self) -> &[u64] {
        &self.bad_seeds
    }

    fn rows(&self) -> [(&'static str, u64); 20] {
        let Self { runs, sums, faults, took, .. } = self;
        [
            ("runs", *runs),
            ("faults planned", faults.values().map(|(planned, _)| planned).sum()),
            ("**faults** that made a difference", faults.values().map(|(_, felt)| felt).sum()),
            ("attempts", sums.attempts),
            ("submissions acknowledged", sums.acknowledged),
            ("refused", sums.refused),
            ("unknown", sums.unknown),
            ("of these two, recovered", sums.recovered),
            ("of these, refused", sums.recovered_refused),
            ("**lost**", sums.count(Wrong::Lost)),
            ("**duplicated**", sums.count(Wrong::Duplicated)),
            ("**unexpected**", sums.count(Wrong::Unexpected)),
            ("**corrupt**", sums.count(Wrong::Corrupt)),
            ("absurd answers", sums.count(Wrong::Absurd)),
            ("foreign messages that must be dead letters", self.letters_expected),
            ("dead letters, with those buried twice", self.letters),
            ("events, with those told twice", self.events),
            ("checks of `supportline verify` passed", self.checks_passed),
            ("**failed**", self.checks_failed),
            ("seconds", took.as_secs()),
        ]
    }
}

/// Two tables in Markdown.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| | |\n| --- | ---: |")?;
        for (name, count) in self.rows() {
            writeln!(f, "| {name} | {} |", thousands(count))?;
        }
        writeln!(f, "\n| fault | planned | felt |\n| --- | ---: | ---: |")?;
        let mut faults = self.faults.iter();
        faults.try_for_each(|(kind, (planned, felt))| {
            writeln!(f, "| {kind} | {} | {} |", thousands(*planned), thousands(*felt))
        })
    }
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(|group| std::str::from_utf8(group).expect("digits")).collect();
    groups.join(",")
}

/// A run on one line, while a campaign goes on.
pub fn line(plan: &Plan, outcome: &Outcome) -> String {
    let Findings { attempts, acknowledged, refused, unknown, recovered, .. } = &outcome.findings;
    format!(
        "seed {}: {} edges, {} workers, {} faults, {} felt; {attempts} attempts, {acknowledged} \
         acknowledged ({} answers amid faults), {refused} refused, {unknown} unknown, {recovered} \
         recovered, {} violations, in {:.1?}",
        plan.seed,
        plan.edges,
        plan.workers,
        plan.faults.len(),
        outcome.suffered.iter().filter(|suffered| suffered.was_felt).count(),
        outcome.accepted_amid,
        outcome.findings.violations.len(),
        outcome.took
    )
}
