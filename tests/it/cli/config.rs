//! `supportline config`: every setting, its value, and where that came from.

use std::fs;

use common::config::Setting;

use super::running::Running;
use super::{invoke, settings};
use crate::bed::folder::Folder;
use crate::bed::process::Signal;

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

#[tokio::test]
async fn each_value_is_shown_with_its_origin_and_secrets_are_masked() {
    let folder = Folder::new("config");
    fs::write(folder.join("s.toml"), "# one\nreply-wait = \"1s\"\nbatch-max = 7\n").unwrap();
    let environment = [
        ("SUPPORT_CONFIG", "s.toml"),
        ("SUPPORT_BATCH_MAX", "8"),
        ("SUPPORT_ADMIN_TOKEN", "hunter2hunter2hunter2"),
        ("DATABASE_URL", "postgres://u:hunter2@db/support?password=hunter2"),
        ("AMQP_URL", "amqp://u:hunter2@broker:5672/%2f"),
        ("REDIS_URL", "redis://:hunter2@cache"),
    ];
    let arguments = ["config", "--worker-lanes", "3", "--number-key", KEY];
    let output = invoke(folder.path(), &environment, &arguments).await;
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), ""), "{output:?}");
    assert!(!output.stdout.contains("hunter2") && !output.stdout.contains(KEY), "{output:?}");

    let rows = rows(&output.stdout);
    let names: Vec<_> = rows.iter().map(|row| row[0].as_str()).collect();
    let settings: Vec<_> = Setting::ALL.iter().map(|setting| setting.name).collect();
    assert_eq!(names, settings);
    for expected in [
        ["config", "s.toml", "environment SUPPORT_CONFIG"],
        ["listen", "127.0.0.1:8080", "default"],
        ["reply-wait", "1s", "s.toml:2"],
        ["batch-max", "8", "environment SUPPORT_BATCH_MAX"],
        ["worker-lanes", "3", "flag --worker-lanes"],
        ["log-format", "json", "default"],
        ["number-key", "(secret)", "flag --number-key"],
        ["admin-token", "(secret)", "environment SUPPORT_ADMIN_TOKEN"],
        ["amqp-url", "amqp://u:***@broker:5672/%2f", "environment AMQP_URL"],
        ["redis-url", "redis://:***@cache", "environment REDIS_URL"],
    ] {
        assert!(rows.contains(&expected.map(str::to_owned)), "{expected:?} in {}", output.stdout);
    }
}

#[tokio::test]
async fn what_does_not_fit_together_is_listed_and_then_refused() {
    let folder = Folder::new("config");
    let output = invoke(folder.path(), &[("REDIS_URL", "redis://cache")], &["config"]).await;
    assert_eq!(rows(&output.stdout).len(), Setting::ALL.len());
    let line = super::only_line(&output, 2);
    assert!(line.starts_with("error: of the three servers only REDIS_URL is set"), "{line}");
    assert!(!folder.join("data").exists(), "to look is not to begin");
}

#[tokio::test]
async fn a_filter_of_log_lines_that_is_none_is_refused_and_an_empty_one_is_not_set() {
    let folder = Folder::new("config");
    let refused = invoke(folder.path(), &[("RUST_LOG", "supportline=loud")], &["config"]).await;
    let line = super::only_line(&refused, 2);
    assert!(line.starts_with("error: RUST_LOG is \"supportline=loud\"; accepted: "), "{line}");
    let empty = settings(&[("RUST_LOG", "")]);
    let serve = Running::start("serve", folder.path(), &empty).await;
    assert!(serve.stop(Signal::Term).await.0.success());
    assert!(serve.stderr().contains("stopped, with everything finished"), "{}", serve.stderr());
}

/// Columns are two or more blanks apart.
fn rows(listing: &str) -> Vec<[String; 3]> {
    let cells = |line: &str| -> Vec<String> {
        let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
        cells.map(str::to_owned).collect()
    };
    let row = |line| cells(line).try_into().unwrap_or_else(|cells| panic!("{cells:?}"));
    listing.lines().map(row).collect()
}
