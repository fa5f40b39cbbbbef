//! `--help` is complete, for every command.

use common::config::{Documentation, Setting};

use super::invoke;
use crate::bed::folder::Folder;

/// The commands that take settings.
const COMMANDS: [&str; 22] = [
    "serve",
    "ingest",
    "desk",
    "worker",
    "migrate",
    "config",
    "verify",
    "probe",
    "token create",
    "token list",
    "token rotate",
    "token revoke",
    "audit export",
    "dead-letters list",
    "dead-letters show",
    "dead-letters requeue",
    "dead-letters discard",
    "dead-letters log",
    "people export",
    "people erase",
    "import",
    "export",
];
/// Those that take none.
const WITHOUT_SETTINGS: [&str; 6] =
    ["completions", "man", "token", "audit", "dead-letters", "people"];

async fn help(arguments: &[&str]) -> String {
    let folder = Folder::new("help");
    let output = invoke(folder.path(), &[], arguments).await;
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), ""), "{arguments:?}");
    output.stdout
}

/// The text with every run of white space as one blank: lines are wrapped to the terminal.
fn flowing(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn the_programs_help_names_every_command_and_every_setting() {
    let text = help(&["--help"]).await;
    let names = COMMANDS.iter().chain(&WITHOUT_SETTINGS);
    for command in names.filter_map(|it| it.split(' ').next()) {
        assert!(text.lines().any(|line| line.trim_start().starts_with(command)), "{command}");
    }
    for setting in Setting::ALL {
        assert_documented(setting, &text);
    }
    assert!(text.contains("Examples:\n  supportline "), "{text}");
}

#[tokio::test]
async fn every_commands_help_documents_each_of_its_flags_and_shows_an_example() {
    for command in COMMANDS {
        let text = help(&with_help(command)).await;
        let example = format!("  supportline {command}");
        assert!(text.contains("Examples"), "{command}: {text}");
        assert!(text.lines().any(|line| line.contains(example.trim())), "{command}: {text}");
        let flags: Vec<_> = flags(&text);
        assert!(flags.len() >= 3, "{command}: {flags:?}");
        for flag in flags.iter().filter(|flag| **flag != "help") {
            // Also of one that is the command's own, and no setting.
            let words = meaning(&text, flag).split(' ').count();
            assert!(words > 3, "{command} --{flag}: {text}");
            if let Some(setting) = Setting::ALL.iter().find(|setting| setting.name == *flag) {
                assert_documented(setting, &text);
            }
        }
    }
    assert_eq!(flags(&help(&["serve", "--help"]).await).len(), Setting::ALL.len() + 1);
    for command in WITHOUT_SETTINGS {
        let text = help(&with_help(command)).await;
        assert!(text.contains(&format!("Examples:\n  supportline {command}")), "{command}: {text}");
        assert!(!text.contains("--data-dir <"), "{command}: {text}");
    }
}

/// Whatever the help shows can be typed. `config` takes every flag and does nothing with it.
#[tokio::test]
async fn every_flag_shown_is_taken() {
    let folder = Folder::new("help");
    std::fs::write(folder.join("empty.toml"), "").unwrap();
    for flag in flags(&help(&["config", "--help"]).await) {
        let value = match &*flag {
            "help" => continue,
            "config" => "empty.toml",
            "log-format" => "json",
            "listen" => "127.0.0.1:0",
            "no-migrate" => "true",
            "data-dir" => "elsewhere",
            "number-key" => "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            "admin-token" => "-sixteen-characters-",
            "database-url" => "postgres://localhost/x",
            "amqp-url" => "amqp://localhost",
            "redis-url" => "redis://localhost",
            "worker-lanes" | "batch-max" | "intake-queues" => "7",
            "trusted-proxies" => "10.0.0.0/8",
            "client-address-header" => "forwarded",
            "limit-create" | "limit-lookup" | "limit-stats" | "limit-attempts"
            | "limit-guesses" => "3/10m",
            "retention" => "730d",
            _ => "1s",
        };
        let given = format!("--{flag}={value}");
        let output = invoke(folder.path(), &[], &["config", &given]).await;
        let row = output.stdout.lines().find(|line| line.starts_with(&format!("{flag} ")));
        let row = row.unwrap_or_else(|| panic!("{flag}: {output:?}"));
        assert!(row.ends_with(&format!("flag --{flag}")), "{row}");
    }
}

#[tokio::test]
async fn the_version_is_the_packages() {
    let expected = format!("supportline {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(help(&["--version"]).await, expected);
}

fn with_help(command: &str) -> Vec<&str> {
    command.split(' ').chain(["--help"]).collect()
}

/// What the help says of a flag: all that stands below it up to the next one.
fn meaning(text: &str, flag: &str) -> String {
    let at = text.lines().position(|line| line.trim_start().starts_with(&format!("--{flag}")));
    let below = text.lines().skip(at.expect("the flag is listed") + 1);
    let own = below.take_while(|line| !line.trim_start().starts_with('-') && !line.is_empty());
    flowing(&own.collect::<Vec<_>>().join(" "))
}

/// The flags that a help text lists, without their hyphens.
fn flags(text: &str) -> Vec<String> {
    let flag = |line: &str| {
        let (before, rest) = line.trim_start().split_once("--")?;
        let is_listed = before.is_empty() || before == "-h, " || before == "-V, ";
        let name = rest.split([' ', '[', '<', '=']).next().unwrap_or_default();
        (is_listed && name != "version").then(|| name.to_owned())
    };
    text.lines().filter(|line| line.starts_with("  ")).filter_map(flag).collect()
}

/// The flag stands there with its meaning, what it accepts, its variable and its default.
fn assert_documented(setting: &Setting, text: &str) {
    let text = flowing(text);
    let Documentation { meaning, accepted, default } = setting.documentation();
    let default = if default.is_empty() { "none" } else { default };
    for part in [
        format!("--{}", setting.name),
        flowing(&meaning),
        format!("Accepted: {}", flowing(&accepted)),
        format!("[environment: {}]", setting.environment),
        format!("[default: {default}]"),
    ] {
        assert!(text.contains(&part), "{part:?} is not in: {text}");
    }
}
