//! Every setting with values that it does not take, given in every way there is. A new setting has no
//! place here until it is added, and the test says so.

use std::fs;

use common::config::{Kind, Setting};

use super::{invoke, only_line};
use crate::bed::folder::Folder;

/// Values that are not accepted, by setting. `a-file` is one, in the folder of the test.
const WRONG: &[(&str, &[&str])] = &[
    ("config", &["nowhere.toml"]),
    ("log-format", &["xml", "JSON"]),
    ("listen", &["localhost", "8080", "127.0.0.1:99999"]),
    ("shutdown-grace", &["25", "2h", "-1s"]),
    ("no-migrate", &["yes", "1"]),
    ("data-dir", &["a-file"]),
    ("database-url", &["mysql://localhost/support", "localhost"]),
    ("amqp-url", &["http://localhost", "amqp:"]),
    ("redis-url", &["http://localhost", "localhost:6379"]),
    ("intake-queues", &["0", "17", "many"]),
    ("number-key", &["wrong-wrong-wrong", "0g"]),
    ("admin-token", &["wrong-wrong", "wrong wrong wrong wrong"]),
    ("trusted-proxies", &["10.0.0.0/33", "proxy"]),
    ("client-address-header", &["x-real-ip"]),
    ("limit-create", &["3", "0/10m", "3/25h"]),
    ("limit-lookup", &["20", "0/5m", "OFF"]),
    ("limit-stats", &["30/1", "-1/1m"]),
    ("limit-attempts", &["none", "10001/1m"]),
    ("limit-guesses", &["20", "0/10m"]),
    ("reply-wait", &["2", "61s"]),
    ("unaccounted-after", &["0s", "2h"]),
    ("spool-dir", &["a-folder"]),
    ("spool-max", &["1", "0MiB", "1TiB"]),
    ("cors-origins", &["example.org", "*,null"]),
    ("worker-lanes", &["0", "33", "two"]),
    ("batch-max", &["0", "2001"]),
    ("retention", &["730", "23h", "3651d", "never"]),
];

#[tokio::test]
async fn every_setting_refuses_what_it_does_not_take_however_it_is_given() {
    for setting in Setting::ALL {
        let wrong = WRONG.iter().find(|(name, _)| *name == setting.name);
        let (_, values) = wrong.unwrap_or_else(|| panic!("no wrong {} is tried", setting.name));
        for value in *values {
            is_refused(setting, value).await;
        }
    }
    assert_eq!(WRONG.len(), Setting::ALL.len(), "each is a setting");
}

async fn is_refused(setting: &Setting, value: &str) {
    let folder = Folder::new("wrong");
    fs::write(folder.join("a-file"), "").unwrap();
    let name = setting.name;
    let listen = ("SUPPORT_LISTEN", "127.0.0.1:0");

    let given = [listen, (setting.environment, value)];
    let output = invoke(folder.path(), &given, &["serve"]).await;
    assert_names(setting, value, setting.environment, only_line(&output, 2));

    let flag = format!("--{name}={value}");
    let output = invoke(folder.path(), &[listen], &["serve", &flag]).await;
    assert_names(setting, value, &format!("--{name}"), only_line(&output, 2));

    if *setting != Setting::CONFIG {
        fs::write(folder.join("it.toml"), format!("{name} = \"{value}\"\n")).unwrap();
        let variables = if *setting == Setting::LISTEN { &[][..] } else { &[listen] };
        let output = invoke(folder.path(), variables, &["serve", "--config", "it.toml"]).await;
        assert_names(setting, value, &format!("it.toml:1: {name}"), only_line(&output, 2));
    }
    assert!(!folder.join("data").exists(), "{name}: a start that is refused has not begun");
}

/// The line names the setting as it was given, the value unless it is a secret, and what is accepted.
fn assert_names(setting: &Setting, value: &str, place: &str, line: &str) {
    if *setting == Setting::DATA_DIR {
        // Of the right shape: only its use tells, which knows the setting and not who gave it.
        assert!(line.contains("--data-dir") && line.contains(value), "{line}");
        return;
    }
    if *setting == Setting::SPOOL_DIR {
        // Any folder is a wrong one where there is no broker.
        let refusal = format!("error: {place} is set, and none of the three servers; ");
        assert!(line.starts_with(&refusal), "{line}");
        return;
    }
    assert!(line.starts_with(&format!("error: {place} is ")), "{place}: {line}");
    let accepted = format!("; accepted: {}", setting.documentation().accepted);
    assert!(line.ends_with(&accepted), "{accepted}: {line}");
    match setting.kind {
        Kind::Secret => assert!(!line.contains(value), "{line}"),
        // Where it is unclear what in it is a password, none of it is shown.
        Kind::Url => {}
        Kind::Plain | Kind::Switch => assert!(line.contains(&format!("{value:?}")), "{line}"),
    }
}
