//! Words that stand nowhere. (Here each is in two parts, so that this file is no exception.)

use super::{assert_none, files};

/// What is left to do belongs where work is planned, and what is unfinished does not get in.
const UNFINISHED: [&str; 4] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("to", "do!("),
    concat!("unimpl", "emented!("),
];

/// In Rust only: looks left behind, tests that do not run, SQL that is put together.
const IN_RUST: [&str; 3] =
    [concat!("d", "bg!("), concat!("#[ig", "nore"), concat!("AssertSql", "Safe")];

/// Folders of somebody's machine.
const MACHINE: [&str; 3] = [concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/ho", "me/")];

/// Where such a word is right, and why.
const EXCEPTIONS: [(&str, &str, &str); 1] = [(
    "tests/it/bed_tests.rs",
    IN_RUST[1],
    "run by other tests in a process of its own, which must end without cleaning up",
)];

#[test]
fn nothing_unfinished_ignored_or_glued_together() {
    let mut violations = Vec::new();
    for file in files() {
        let of_rust = IN_RUST.iter().filter(|_| file.is_rust());
        for word in UNFINISHED.iter().chain(of_rust) {
            let is_excepted =
                EXCEPTIONS.iter().any(|(path, excepted, _)| *path == file.path && excepted == word);
            let lines = file.text.lines().zip(1..).filter(|(line, _)| line.contains(word));
            let told = lines.filter(|_| !is_excepted);
            violations.extend(told.map(|(_, number)| format!("{}:{number}: {word}", file.path)));
        }
    }
    assert_none(&violations);
}

#[test]
fn every_exception_is_still_needed() {
    let files = files();
    for (path, word, reason) in EXCEPTIONS {
        let file = files.iter().find(|file| file.path == path);
        assert!(file.is_some_and(|file| file.text.contains(word)), "{path}: {word} ({reason})");
    }
}

#[test]
fn no_path_of_somebodys_machine() {
    let mut violations = Vec::new();
    for file in files() {
        for (line, number) in file.text.lines().zip(1..) {
            for folder in MACHINE {
                // Not after a letter: there it is a folder of ours or of a web address.
                let starts = line.match_indices(folder).map(|(at, _)| &line[..at]);
                let is_absolute = |before: &str| {
                    !before.ends_with(|c: char| c.is_alphanumeric() || "._-*}".contains(c))
                };
                if starts.into_iter().any(is_absolute) {
                    violations.push(format!("{}:{number}: {folder}", file.path));
                }
            }
        }
    }
    assert_none(&violations);
}
