//! Bad settings: exit code 2 and one line that names the setting, the value and what is accepted.

use std::fs;

use super::{invoke, only_line};
use crate::bed::folder::Folder;

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const SERVERS: [(&str, &str); 3] = [
    ("DATABASE_URL", "postgres://u:hunter2@localhost/support"),
    ("AMQP_URL", "amqp://u:hunter2@localhost"),
    ("REDIS_URL", "redis://:hunter2@localhost"),
];

/// What is said of a bad value, by setting: the name without prefix, a value, how it is shown,
/// and what is accepted.
const VALUES: [(&str, &str, &str, &str); 16] = [
    ("LISTEN", "localhost", "\"localhost\"", ADDRESS),
    ("LISTEN", "127.0.0.1", "\"127.0.0.1\"", ADDRESS),
    ("LISTEN", "127.0.0.1:99999", "\"127.0.0.1:99999\"", ADDRESS),
    ("REPLY_WAIT", "2", "\"2\"", "a duration from 0s to 60s in ms, s or m, such as 2s"),
    ("REPLY_WAIT", "61s", "\"61s\"", "a duration from 0s to 60s in ms, s or m, such as 2s"),
    ("REPLY_WAIT", "-1s", "\"-1s\"", "a duration from 0s to 60s in ms, s or m, such as 2s"),
    ("SHUTDOWN_GRACE", "2h", "\"2h\"", "a duration from 0s to 1h in ms, s, m or h, such as 25s"),
    ("LOG_FORMAT", "xml", "\"xml\"", "json or pretty"),
    ("NO_MIGRATE", "yes", "\"yes\"", "true or false"),
    ("WORKER_LANES", "0", "\"0\"", "a whole number from 1 to 32"),
    ("WORKER_LANES", "two", "\"two\"", "a whole number from 1 to 32"),
    ("BATCH_MAX", "2001", "\"2001\"", "a whole number from 1 to 2000"),
    ("NUMBER_KEY", "hunter2", "a secret of another shape", HEX),
    ("NUMBER_KEY", "hunter2hunter2hunter2", "a secret of another shape", HEX),
    ("ADMIN_TOKEN", "hunter2", "a secret of another shape", TOKEN),
    ("ADMIN_TOKEN", "hunter2 hunter2 hunter2", "a secret of another shape", TOKEN),
];

const ADDRESS: &str = "an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080";
const HEX: &str = "64 hexadecimal digits, which `openssl rand -hex 32` makes";
const TOKEN: &str = "16 to 512 visible ASCII characters without white space";

#[tokio::test]
async fn a_bad_value_is_named_as_it_was_given() {
    let folder = Folder::new("refusals");
    for (name, value, shown, accepted) in VALUES {
        let key = name.to_lowercase().replace('_', "-");

        let variable = format!("SUPPORT_{name}");
        let output = invoke(folder.path(), &[(&variable, value)], &[]).await;
        let expected = format!("error: {variable} is {shown}; accepted: {accepted}");
        assert_eq!(only_line(&output, 2), expected);

        let flag = format!("--{key}={value}");
        let output = invoke(folder.path(), &[], &[&flag]).await;
        let expected = format!("error: --{key} is {shown}; accepted: {accepted}");
        assert_eq!(only_line(&output, 2), expected);

        let file = folder.join("supportline.toml");
        fs::write(&file, format!("# a comment\n\n{key} = \"{value}\"\n")).unwrap();
        let output = invoke(folder.path(), &[], &["--config", "supportline.toml"]).await;
        let expected = format!("error: supportline.toml:3: {key} is {shown}; accepted: {accepted}");
        assert_eq!(only_line(&output, 2), expected);
    }
    assert_nothing_was_made(&folder);
}

#[tokio::test]
async fn a_bad_url_is_shown_without_its_password() {
    let folder = Folder::new("refusals");
    for (name, value, scheme) in [
        ("DATABASE_URL", "mysql://u:hunter2@localhost/x", "postgres://"),
        ("DATABASE_URL", "postgres://u:hunter2#@localhost/x", "postgres://"),
        ("AMQP_URL", "http://u:hunter2@localhost", "amqp://"),
        ("REDIS_URL", "hunter2@localhost", "redis://"),
    ] {
        let output = invoke(folder.path(), &[(name, value)], &[]).await;
        let line = only_line(&output, 2);
        let (before, accepted) = line.split_once("; accepted: ").unwrap();
        assert!(before.starts_with(&format!("error: {name} is \"")), "{line}");
        assert!(accepted.starts_with(&format!("a URL such as {scheme}")), "{line}");
        assert!(!line.contains("hunter2"), "{line}");
    }
}

#[tokio::test]
async fn an_unknown_name_leads_to_the_nearest_one() {
    let folder = Folder::new("refusals");
    for (name, nearest) in [
        ("SUPPORT_LISTN", "SUPPORT_LISTEN"),
        ("SUPPORT_REPLYWAIT", "SUPPORT_REPLY_WAIT"),
        ("SUPPORT_ADMIN_TOKENS", "SUPPORT_ADMIN_TOKEN"),
    ] {
        let output = invoke(folder.path(), &[(name, "x")], &[]).await;
        let expected = format!("error: {name} is no setting; the nearest one is {nearest}");
        assert_eq!(only_line(&output, 2), expected);
    }
    fs::write(folder.join("file.toml"), "listen = \"127.0.0.1:1\"\nreply_wait = \"2s\"\n").unwrap();
    let output = invoke(folder.path(), &[("SUPPORT_CONFIG", "file.toml")], &[]).await;
    assert_eq!(
        only_line(&output, 2),
        "error: file.toml:2: reply_wait is no setting; the nearest one is reply-wait"
    );
    let output = invoke(folder.path(), &[], &["--listn", "x"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stderr.contains("unexpected argument '--listn'"), "{output:?}");
    assert!(output.stderr.contains("'--listen'"), "the nearest one: {output:?}");
}

#[tokio::test]
async fn a_file_that_is_none_is_refused_with_its_line() {
    let folder = Folder::new("refusals");
    let output = invoke(folder.path(), &[], &["--config", "nowhere.toml"]).await;
    let line = only_line(&output, 2);
    assert!(
        line.starts_with("error: --config is \"nowhere.toml\", which cannot be read: "),
        "{line}"
    );
    assert!(line.ends_with("; accepted: the path of a TOML file"), "{line}");
    for (text, expected) in [
        ("\nlisten = \n", "error: file.toml:2 is not TOML: "),
        (
            "listen = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"\n",
            "error: file.toml:2 is not TOML: ",
        ),
        ("config = \"other.toml\"", "error: file.toml:1: config is in a file; accepted: "),
        ("listen = 1.5", "error: file.toml:1: listen is float; accepted: "),
        ("[listen]\nport = 1", "error: file.toml:1: listen is table; accepted: "),
        ("admin-token = \"hunter2", "error: file.toml:1 is not TOML: "),
        ("admin-token = hunter2", "error: file.toml:1 is not TOML: "),
    ] {
        fs::write(folder.join("file.toml"), text).unwrap();
        let output = invoke(folder.path(), &[], &["--config", "file.toml"]).await;
        let line = only_line(&output, 2);
        assert!(line.starts_with(expected) && !line.contains("hunter2"), "{text:?}: {line}");
    }
}

#[tokio::test]
async fn some_servers_are_refused_and_the_missing_ones_named() {
    let folder = Folder::new("refusals");
    let [database, amqp, redis] = SERVERS;
    let cases = [
        (vec![database], "DATABASE_URL", vec!["amqp-url (AMQP_URL)", "redis-url (REDIS_URL)"]),
        (vec![amqp], "AMQP_URL", vec!["database-url (DATABASE_URL)", "redis-url (REDIS_URL)"]),
        (vec![database, redis], "DATABASE_URL and REDIS_URL", vec!["amqp-url (AMQP_URL)"]),
    ];
    for (set, given, missing) in cases {
        let output = invoke(folder.path(), &set, &["serve"]).await;
        let line = only_line(&output, 2);
        let expected = format!(
            "error: of the three servers only {given} is set; missing: {};",
            missing.join(", ")
        );
        assert!(line.starts_with(&expected), "{line}");
        assert!(!line.contains("hunter2"), "{line}");
    }
    assert_nothing_was_made(&folder);
}

#[tokio::test]
async fn a_distributed_installation_needs_a_key_and_a_role_needs_servers() {
    let folder = Folder::new("refusals");
    for command in ["serve", "ingest", "desk", "worker", "migrate", "verify"] {
        let output = invoke(folder.path(), &SERVERS, &[command]).await;
        let line = only_line(&output, 2);
        assert!(line.starts_with("error: number-key (SUPPORT_NUMBER_KEY) is not set;"), "{line}");
        assert!(line.ends_with("make it with `openssl rand -hex 32`"), "{line}");
    }
    for role in ["ingest", "desk", "worker"] {
        let output = invoke(folder.path(), &[("SUPPORT_NUMBER_KEY", KEY)], &[role]).await;
        let line = only_line(&output, 2);
        let expected =
            format!("error: `supportline {role}` needs database-url, amqp-url and redis-url");
        assert!(line.starts_with(&expected), "{line}");
    }
    assert_nothing_was_made(&folder);
}

#[tokio::test]
async fn a_flag_that_a_command_does_not_use_is_refused_and_no_secret_shown() {
    let folder = Folder::new("refusals");
    for (arguments, said) in [
        (["migrate", "--reply-wait=1s"], "unexpected argument '--reply-wait'"),
        (["--reply-wait=1s", "migrate"], "`supportline migrate` does not use --reply-wait"),
        (["worker", "--admin-token=hunter2hunter2hunter2"], "unexpected argument '--admin-token'"),
        (["desk", "--limit-create=3/10m"], "unexpected argument '--limit-create'"),
    ] {
        let output = invoke(folder.path(), &[], &arguments).await;
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stderr.contains(said), "{output:?}");
        assert!(!output.stderr.contains("hunter2"), "{output:?}");
    }
}

#[tokio::test]
async fn a_spool_is_refused_where_there_is_no_broker_to_wait_for() {
    let folder = Folder::new("refusals");
    let output = invoke(folder.path(), &[], &["serve", "--spool-dir", "spool"]).await;
    let line = only_line(&output, 2);
    let expected = "error: --spool-dir is set, and none of the three servers; an embedded";
    assert!(line.starts_with(expected), "{line}");
    assert!(!folder.join("spool").exists(), "a spool");
    assert_nothing_was_made(&folder);
}

/// A start that is refused has not begun.
fn assert_nothing_was_made(folder: &Folder) {
    assert!(!folder.join("data").exists(), "a data folder");
}
