//! The figures of a campaign.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::checker::{Findings, Wrong};
use super::plan::Plan;
use super::run::Outcome;

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
    faults: BTreeMap<String, u64>,
    took: Duration,
}

impl Report {
    /// Adds a run.
    pub fn add(&mut self, plan: &Plan, outcome: &Outcome) {
        let Outcome { findings, letters, letters_expected, audit, took } = outcome;
        self.runs += 1;
        self.sums.attempts += findings.attempts;
        self.sums.acknowledged += findings.acknowledged;
        self.sums.refused += findings.refused;
        self.sums.unknown += findings.unknown;
        self.sums.recovered += findings.recovered;
        self.sums.violations.extend(findings.violations.iter().cloned());
        self.letters += letters;
        self.letters_expected += letters_expected;
        self.checks_passed += audit.passed;
        self.checks_failed += audit.failed;
        if !outcome.is_good() {
            self.bad_seeds.push(plan.seed);
        }
        self.took += *took;
        for planned in &plan.faults {
            *self.faults.entry(planned.fault.kind()).or_default() += 1;
        }
    }

    /// Submissions with a yes.
    pub fn acknowledged(&self) -> u64 {
        self.sums.acknowledged
    }

    /// The seeds of the runs in which something was wrong.
    pub fn bad_seeds(&self) -> &[u64] {
        &self.bad_seeds
    }

    fn rows(&self) -> [(&'static str, u64); 17] {
        let Self { runs, sums, faults, took, .. } = self;
        [
            ("runs", *runs),
            ("faults", faults.values().sum()),
            ("attempts", sums.attempts),
            ("submissions acknowledged", sums.acknowledged),
            ("refused", sums.refused),
            ("unknown", sums.unknown),
            ("of these two, recovered", sums.recovered),
            ("**lost**", sums.count(Wrong::Lost)),
            ("**duplicated**", sums.count(Wrong::Duplicated)),
            ("**unexpected**", sums.count(Wrong::Unexpected)),
            ("**corrupt**", sums.count(Wrong::Corrupt)),
            ("absurd answers", sums.count(Wrong::Absurd)),
            ("foreign messages that must be dead letters", self.letters_expected),
            ("dead letters, with those buried twice", self.letters),
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
        writeln!(f, "\n| fault | times |\n| --- | ---: |")?;
        let mut faults = self.faults.iter();
        faults.try_for_each(|(kind, count)| writeln!(f, "| {kind} | {} |", thousands(*count)))
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
        "seed {}: {} edges, {} workers, {} faults; {attempts} attempts, {acknowledged} acknowledged, \
         {refused} refused, {unknown} unknown, {recovered} recovered, in {:.1?}",
        plan.seed,
        plan.edges,
        plan.workers,
        plan.faults.len(),
        outcome.took
    )
}
