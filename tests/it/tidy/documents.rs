//! Documents that lead where they say, and tell of every setting that there is and no other.

use std::collections::BTreeSet;
use std::path::Path;

use common::{config::Setting, metrics};

use super::{File, assert_none, files, has_extension, root};

/// Where operators look for a setting.
const OPERATORS_DOCUMENTS: [&str; 2] = ["README.md", "docs/operations.md"];

/// The variables that are ours without our prefix.
const URLS: [&str; 3] = ["DATABASE_URL", "AMQP_URL", "REDIS_URL"];

#[test]
fn links_lead_to_files_that_are_there() {
    let mut violations = Vec::new();
    for file in files().iter().filter(|file| file.is_markdown()) {
        for (line, number) in without_code_blocks(&file.text) {
            for target in targets(line).filter(|target| !is_there(file, target)) {
                violations.push(format!("{}:{number}: {target}", file.path));
            }
        }
    }
    assert_none(&violations);
}

/// The lines outside fenced blocks, counted from 1.
fn without_code_blocks(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut is_code = false;
    text.lines().zip(1..).filter(move |(line, _)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// What the line links to: `[text](target)` and `[label]: target`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let inline = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let reference = line.starts_with('[').then(|| line.split_once("]: ")).flatten();
    inline.chain(reference.and_then(|(_, rest)| rest.split(' ').next()))
}

fn is_there(file: &File, target: &str) -> bool {
    let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
    let path = target.split('#').next().unwrap_or_default();
    let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
    is_elsewhere || path.is_empty() || root().join(folder).join(path).exists()
}

#[test]
fn no_document_names_a_variable_that_nothing_reads() {
    let known: BTreeSet<_> = Setting::ALL.iter().map(|setting| setting.environment).collect();
    let mut violations = Vec::new();
    for file in files().iter().filter(|file| is_ours_to_read(&file.path)) {
        for (line, number) in file.text.lines().zip(1..) {
            let unknown = variables(line).filter(|name| !known.contains(name));
            violations.extend(unknown.map(|name| format!("{}:{number}: {name}", file.path)));
        }
    }
    assert_none(&violations);
}

/// Documents, and what deploys or runs the program. Not the sources, whose tests misspell names.
fn is_ours_to_read(path: &str) -> bool {
    !has_extension(path, "rs")
        && (path == "README.md" || path.starts_with("docs/") || path.starts_with("deploy/"))
}

/// The words of a line that are variables of ours by their shape. `SUPPORT_` alone is the prefix.
fn variables(line: &str) -> impl Iterator<Item = &str> {
    let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| {
        URLS.contains(word) || word.strip_prefix("SUPPORT_").is_some_and(|name| !name.is_empty())
    })
}

#[test]
fn every_setting_is_in_an_operators_document() {
    let files = files();
    let documents: String = files
        .iter()
        .filter(|file| OPERATORS_DOCUMENTS.contains(&&*file.path))
        .map(|file| file.text.as_str())
        .collect();
    let missing = Setting::ALL
        .iter()
        .filter(|setting| !variables(&documents).any(|name| name == setting.environment))
        .map(|setting| format!("{} is in none of {OPERATORS_DOCUMENTS:?}", setting.environment));
    assert_none(&missing.collect::<Vec<_>>());
}

#[test]
fn every_metric_is_in_the_operators_document_and_no_other_is() {
    let files = files();
    let document = files.iter().find(|file| file.path == "docs/operations.md").unwrap();
    let (_, section) = document.text.split_once("\n## Metrics\n").unwrap();
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    let told: BTreeSet<_> = cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(|name| format!("supportline_{}", name.split('{').next().unwrap_or_default()))
        .collect();
    let known: BTreeSet<_> = metrics::ALL.iter().map(|metric| metric.name.to_owned()).collect();
    assert_none(&told.symmetric_difference(&known).cloned().collect::<Vec<_>>());
}

#[test]
fn every_promise_names_a_test_that_there_is() {
    let files = files();
    let tests: String = files.iter().filter(|file| file.is_rust()).map(tests_of).collect();
    let mut violations = Vec::new();
    for file in files.iter().filter(|file| makes_promises(&file.path)) {
        // Of a port's documentation only the bullets; the rest names fields and functions.
        let lines = file.text.lines().filter(|line| !file.is_rust() || line.starts_with("//! - `"));
        let missing = lines.flat_map(names).filter(|name| !tests.contains(&format!("fn {name}(")));
        violations.extend(missing.map(|name| format!("{}: {name}", file.path)));
    }
    assert_none(&violations);
}

/// All of an integration test's file; of another one the functions that are tests.
fn tests_of(file: &File) -> String {
    if file.path.starts_with("tests/it/") {
        return file.text.clone();
    }
    let lines = file.text.lines();
    let pairs = lines.clone().zip(lines.skip(1));
    let is_test = |line: &str| ["#[test]", "#[tokio::test"].iter().any(|it| line.starts_with(it));
    pairs.filter(|(above, _)| is_test(above.trim_start())).map(|(_, line)| line).collect()
}

fn makes_promises(path: &str) -> bool {
    ["docs/faults.md", "docs/guarantees.md", "README.md"].contains(&path)
        || path.starts_with("common/src/ports/")
}

/// What stands in backticks and is shaped like a test's name.
fn names(line: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let quoted = line.split('`').skip(1).step_by(2);
    quoted.filter(move |word| word.matches('_').count() > 1 && word.chars().all(is_part))
}

#[test]
fn the_reading_of_lines_is_right() {
    let line = "`a_b_c` and `SUPPORT_NUMBER_KEY`, [`d_e_2`](x.rs), `dead_letters`, f_g_h";
    assert_eq!(names(line).collect::<Vec<_>>(), ["a_b_c", "d_e_2"]);

    let line = "[a](b.md#c), ![d](e.png) and [f](https://g.h/i).";
    assert_eq!(targets(line).collect::<Vec<_>>(), ["b.md#c", "e.png", "https://g.h/i"]);
    assert_eq!(targets("[a]: b.md").collect::<Vec<_>>(), ["b.md"]);
    let line = "`SUPPORT_LISTEN=1` or AMQP_URL, SUPPORT_… and MY_SUPPORT_X";
    assert_eq!(variables(line).collect::<Vec<_>>(), ["SUPPORT_LISTEN", "AMQP_URL"]);
    let text = "a\n```\nb\n```\nc";
    assert_eq!(without_code_blocks(text).collect::<Vec<_>>(), [("a", 1), ("c", 5)]);
}
