//! The deliberate breakages of `make mutants`.

use std::process::Command;

use super::{File, assert_none, files, has_extension, root};

/// The tests that a patch says must go red.
fn reds(patch: &str) -> Vec<&str> {
    let reds = patch.lines().filter_map(|line| line.strip_prefix("red: "));
    reds.map(|red| red.rsplit(' ').next().unwrap_or_default()).collect()
}

/// Whether the code still has the places that a patch changes.
fn applies(patch: &File) -> bool {
    let mut git = Command::new("git");
    git.args(["apply", "--check"]).arg(&patch.path).current_dir(root());
    git.status().expect("run git").success()
}

#[test]
fn every_mutant_applies_and_names_a_test_that_there_is() {
    let files = files();
    let is_mutant = |file: &&File| {
        file.path.starts_with("tests/mutants/") && has_extension(&file.path, "patch")
    };
    let is_test = |name: &str| {
        files.iter().any(|it| it.is_rust() && it.text.contains(&format!("fn {name}(")))
    };
    let mutants: Vec<_> = files.iter().filter(is_mutant).collect();
    assert!(mutants.len() >= 10, "{} mutants", mutants.len());
    let is_seen = |reds: Vec<&str>| !reds.is_empty() && reds.into_iter().all(is_test);
    let stale = mutants.iter().filter(|it| !applies(it) || !is_seen(reds(&it.text)));
    assert_none(&stale.map(|it| it.path.clone()).collect::<Vec<_>>());
}
