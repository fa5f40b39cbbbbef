//! The program as earlier commits of this repository had it; see `tests/previous`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokio::sync::OnceCell;

use super::instance::program;
use super::process::command;

/// Each with what is of note about it, the oldest first.
const COMMITS: &str = include_str!("../../previous/commits");

/// The oldest program that must get along with today's.
pub async fn oldest() -> PathBuf {
    all().await.first().expect("a commit").clone()
}

/// All of them. Built now if they are not there; fails the test where that cannot be.
pub async fn all() -> &'static [PathBuf] {
    static BUILT: OnceCell<Vec<PathBuf>> = OnceCell::const_new();
    BUILT.get_or_init(|| async { tokio::task::spawn_blocking(build).await.unwrap() }).await
}

/// The commits' names.
pub fn commits() -> impl Iterator<Item = &'static str> {
    let lines = COMMITS.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').expect("a commit and a note").0)
}

/// Of these settings those that a program knows, by its own word: one that only a later release has, it
/// refuses.
pub fn known_to(program: &Path, settings: &[(String, String)]) -> Vec<(String, String)> {
    let output = command(program).arg("config").output().expect("run `config`");
    let listing = String::from_utf8(output.stdout).expect("text");
    let names = listing.lines().filter_map(|line| line.split(' ').next());
    let names: HashSet<_> = names.map(|name| name.to_uppercase().replace('-', "_")).collect();
    let is_known = |name: &str| name.strip_prefix("SUPPORT_").is_none_or(|it| names.contains(it));
    settings.iter().filter(|(name, _)| is_known(name)).cloned().collect()
}

fn build() -> Vec<PathBuf> {
    let target = program().ancestors().nth(2).expect("a folder");
    let mut build =
        Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/previous/build"));
    // What cargo tells the tests of today's package is no word on another.
    for (name, _) in std::env::vars_os() {
        let told = name.to_string_lossy();
        if told.starts_with("CARGO") && told != "CARGO_HOME" {
            build.env_remove(&name);
        }
    }
    build.env("CARGO_TARGET_DIR", target).stdin(Stdio::null());
    let output = build.output().expect("run tests/previous/build");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let program = |commit: &str| target.join("previous").join(commit).join("supportline");
    commits().map(program).collect()
}
