//! The alerts for Prometheus: well formed, about metrics that there are, and telling what they should.

use std::collections::BTreeSet;
use std::process::Command;

use common::metrics;

use super::{path, read};

const RULES: &str = "deploy/prometheus/alerts.yml";

/// What Prometheus makes of a histogram.
const OF_HISTOGRAMS: [&str; 3] = ["_bucket", "_sum", "_count"];

#[test]
fn promtool_reads_the_alerts_and_sees_them_fire_and_not_fire() {
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        let mut promtool = Command::new("promtool");
        promtool.args(arguments).current_dir(path("deploy/prometheus"));
        let output = promtool.output().expect("promtool is installed: make deps");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }
}

#[test]
fn alerts_are_about_metrics_that_there_are() {
    let known: BTreeSet<_> = metrics::ALL.iter().map(|metric| metric.name).collect();
    let rules = read(RULES);
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let used: BTreeSet<_> = words.filter(|word| word.starts_with("supportline_")).collect();
    assert!(used.len() > 5, "{used:?}");
    let is_known = |word: &&&str| {
        let of_histogram = OF_HISTOGRAMS.iter().find_map(|suffix| word.strip_suffix(suffix));
        known.contains(of_histogram.unwrap_or(word)) || known.contains(**word)
    };
    let unknown: Vec<_> = used.iter().filter(|word| !is_known(word)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn every_alert_says_what_to_do() {
    let (rules, operations) = (read(RULES), read("docs/operations.md"));
    let anchors: BTreeSet<_> = operations
        .lines()
        .filter(|line| line.starts_with("##"))
        .map(|heading| heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-"))
        .collect();
    let runbooks = rules.lines().filter_map(|line| line.trim().strip_prefix("runbook: "));
    let runbooks: Vec<_> = runbooks.collect();
    assert_eq!(runbooks.len(), rules.matches("- alert: ").count());
    for runbook in runbooks {
        let anchor = runbook.strip_prefix("docs/operations.md#").expect("a section of it");
        assert!(anchors.contains(anchor), "{runbook}");
    }
}
