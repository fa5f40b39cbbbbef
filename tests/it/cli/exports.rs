//! `supportline export`: to a file or to the standard output, and into another installation.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::only_line;
use crate::bed::form::Form;
use crate::bed::servers::Servers;
use crate::bed::system::TestSystem;

/// Texts that a table could make something else of.
const TEXTS: [&str; 9] = [
    "=HYPERLINK(\"https://example.org\";\"x\")",
    "'=1+1",
    "+49 30 1234567",
    "-1,\"quoted\",'single'",
    "@SUM(A1:A2)",
    "line\r\nbreak\n\n\ttab",
    "\"",
    "O'Hara; \u{feff}a\u{200b}b, c",
    "👩‍👩‍👧 مرحبا \u{202e}abc",
];

/// A ticket but for what another installation gives it.
fn same(line: &str) -> Value {
    let mut ticket: Value = serde_json::from_str(line).unwrap();
    for name in ["id", "number", "updatedAt"] {
        assert!(ticket.as_object_mut().unwrap().remove(name).is_some(), "{name}");
    }
    ticket
}

fn all(export: &str) -> BTreeSet<String> {
    export.lines().map(|line| same(line).to_string()).collect()
}

async fn exported(system: &TestSystem, arguments: &[&str]) -> String {
    let output = system.run(&[&["export"], arguments].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    output.stdout
}

async fn what_goes_out_comes_in_again(system: &TestSystem, other: &TestSystem) {
    for (number, text) in TEXTS.iter().enumerate() {
        let form = Form::valid().name(&format!("=Ada {number}")).message(text);
        let form = form.with("userId", "-7").subject(["billing", "general"][number % 2]);
        assert_eq!(system.submit(&form).await.status, 201, "{text}");
    }
    let lines = exported(system, &[]).await;
    assert_eq!(lines.lines().count(), TEXTS.len());
    other.stop_gracefully().await;
    for (name, format) in [("all.ndjson", "ndjson"), ("all.csv", "csv")] {
        let path = system.folder().join(name);
        let output = system.run(&["export", "--output", path.to_str().unwrap()]).await;
        assert_eq!((&*output.stdout, &*output.stderr), ("", "9 tickets.\n"), "{output:?}");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let streamed = exported(system, &["--format", format]).await;
        assert_eq!(std::fs::read_to_string(&path).unwrap(), streamed);
        let imported = other.run(&["import", path.to_str().unwrap()]).await;
        assert_eq!(imported.status.code(), Some(0), "{imported:?}");
        assert_eq!(all(&exported(other, &[]).await), all(&lines), "{format}");
    }
    let table = exported(system, &["--format", "csv"]).await;
    assert!(table.contains(",\"'=HYPERLINK(\"\"") && table.contains(",'=Ada 0,"), "{table}");
}

#[tokio::test]
async fn what_an_embedded_installation_exports_another_imports() {
    let system = TestSystem::embedded().await;
    let other = TestSystem::embedded().await;
    what_goes_out_comes_in_again(&system, &other).await;
}

#[tokio::test]
async fn what_a_distributed_installation_exports_an_embedded_one_imports() {
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing).await;
    let other = TestSystem::embedded().await;
    what_goes_out_comes_in_again(&system, &other).await;
}

#[tokio::test]
async fn an_export_is_narrowed_down_and_a_word_that_is_none_is_refused() {
    let system = TestSystem::embedded().await;
    for subject in ["billing", "general", "technical"] {
        assert_eq!(system.submit(&Form::valid().subject(subject)).await.status, 201);
    }
    for (arguments, count) in [
        (&["--subject", "billing,general"][..], 2),
        (&["--priority", "high"], 1),
        (&["--status", "closed"], 0),
        (&["--submitted-from", "2020-01-01", "--status", "open"], 3),
        (&["--submitted-to", "2020-01-01T00:00:00+02:00"], 0),
    ] {
        assert_eq!(exported(&system, arguments).await.lines().count(), count, "{arguments:?}");
    }
    for arguments in [
        ["--subject", "money"],
        ["--status", "open;closed"],
        ["--format", "xml"],
        ["--submitted-from", "yesterday"],
    ] {
        let refused = system.run(&[&["export"], &arguments[..]].concat()).await;
        assert_eq!((refused.status.code(), &*refused.stdout), (Some(2), ""), "{arguments:?}");
    }
    let nowhere = system.run(&["export", "--output", "nowhere/tickets.csv"]).await;
    assert!(only_line(&nowhere, 1).starts_with("error: the file cannot be written: "));
}
