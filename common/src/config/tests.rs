//! Layering, refusals and secrecy, through the same two steps as the program.

use std::{ffi::OsString, io::Write as _};

use super::*;

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const SERVERS: [(&str, &str); 3] = [
    ("DATABASE_URL", "postgres://u:hunter2@db/support"),
    ("AMQP_URL", "amqp://u:hunter2@broker"),
    ("REDIS_URL", "redis://:hunter2@cache"),
];

fn layers(
    flags: &[(&'static Setting, &str)],
    environment: &[(&str, &str)],
) -> Result<Layers, ConfigError> {
    let flags = flags.iter().map(|(setting, text)| (*setting, (*text).to_owned())).collect();
    let pair = |(name, text): &(&str, &str)| (OsString::from(name), OsString::from(text));
    Layers::gather(flags, environment.iter().map(pair))
}

fn config(environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::new(&layers(&[], environment)?)
}

/// The line that refuses the environment.
fn refusal(environment: &[(&str, &str)]) -> String {
    let line = config(environment).unwrap_err().to_string();
    assert_eq!(line.lines().count(), 1, "{line}");
    line
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// The line that refuses the file, its path cut off.
fn file_refusal(text: &str) -> String {
    let file = file(text);
    let path = file.path().to_str().unwrap();
    refusal(&[("SUPPORT_CONFIG", path)]).replace(path, "FILE")
}

#[test]
fn without_any_setting_the_installation_is_embedded() {
    let config = config(&[]).unwrap();
    assert_eq!(config.process.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.process.shutdown_grace, Duration::from_secs(25));
    assert!(config.process.migrate);
    assert_eq!(config.edge.reply_wait, Duration::from_secs(2));
    assert!(config.edge.admin_token.is_none());
    assert_eq!((config.worker.lanes, config.worker.batch_submissions_max), (2, 500));
    let Backends::Embedded(embedded) = config.backends else { panic!("{config:?}") };
    assert_eq!(embedded.data_dir, PathBuf::from("./data"));
    assert!(embedded.number_key.is_none());
}

#[test]
fn all_three_servers_and_a_key_make_it_distributed() {
    let key = [("SUPPORT_NUMBER_KEY", KEY)];
    let config = config(&[&SERVERS[..], &key].concat()).unwrap();
    assert_eq!(config.backends.distributed("worker").unwrap().number_key.to_hex(), KEY);
}

#[test]
fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
    let file = file("reply-wait = \"1s\"\nworker-lanes = 3\nbatch-max = 30\nno-migrate = true\n");
    let environment = [
        ("SUPPORT_CONFIG", file.path().to_str().unwrap()),
        ("SUPPORT_WORKER_LANES", "4"),
        ("SUPPORT_BATCH_MAX", "40"),
    ];
    let layers = layers(&[(&Setting::BATCH_MAX, "50")], &environment).unwrap();
    let config = Config::new(&layers).unwrap();
    assert_eq!(config.process.shutdown_grace, Duration::from_secs(25));
    assert_eq!(config.edge.reply_wait, Duration::from_secs(1));
    assert!(!config.process.migrate);
    assert_eq!((config.worker.lanes, config.worker.batch_submissions_max), (4, 50));
}

#[test]
fn a_file_named_by_a_flag_beats_one_named_by_the_environment() {
    let (strong, weak) = (file("worker-lanes = 7"), file("worker-lanes = 8"));
    let flags = [(&Setting::CONFIG, strong.path().to_str().unwrap())];
    let environment = [("SUPPORT_CONFIG", weak.path().to_str().unwrap())];
    let config = Config::new(&layers(&flags, &environment).unwrap()).unwrap();
    assert_eq!(config.worker.lanes, 7);
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let environment = [("DATABASE_URL", ""), ("SUPPORT_LISTEN", ""), ("SUPPORT_OLD", "")];
    assert!(matches!(config(&environment).unwrap().backends, Backends::Embedded(_)));
}

#[test]
fn a_copy_of_the_defaults_is_a_file_that_changes_nothing() {
    let file = file(setting::DEFAULTS);
    let environment = [("SUPPORT_CONFIG", file.path().to_str().unwrap())];
    assert!(matches!(config(&environment).unwrap().backends, Backends::Embedded(_)));
}

#[test]
fn a_value_is_refused_under_the_name_it_was_given_by() {
    let layers = layers(&[(&Setting::LISTEN, "localhost")], &[]).unwrap();
    assert_eq!(
        Config::new(&layers).unwrap_err().to_string(),
        "--listen is \"localhost\"; accepted: an IP address and a port, such as 127.0.0.1:8080 \
         or [::1]:8080"
    );
    assert_eq!(
        refusal(&[("SUPPORT_REPLY_WAIT", "2")]),
        "SUPPORT_REPLY_WAIT is \"2\"; accepted: a duration from 0s to 60s in ms, s or m, such as 2s"
    );
    assert_eq!(
        file_refusal("\n# two\nbatch-max = 2001\n"),
        "FILE:3: batch-max is \"2001\"; accepted: a whole number from 1 to 2000"
    );
}

#[test]
fn every_other_value_that_does_not_fit_is_refused() {
    for (name, text) in [
        ("SUPPORT_LOG_FORMAT", "xml"),
        ("SUPPORT_SHUTDOWN_GRACE", "61m"),
        ("SUPPORT_NO_MIGRATE", "yes"),
        ("SUPPORT_WORKER_LANES", "0"),
        ("SUPPORT_SPOOL_MAX", "1GB"),
        ("SUPPORT_NUMBER_KEY", "abc"),
        ("SUPPORT_ADMIN_TOKEN", "fifteen-letters"),
        ("DATABASE_URL", "mysql://db"),
        ("AMQP_URL", "http://broker"),
        ("REDIS_URL", "cache:6379"),
    ] {
        let line = refusal(&[(name, text)]);
        assert!(line.starts_with(&format!("{name} is ")) && line.contains("accepted: "), "{line}");
    }
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest_one() {
    assert_eq!(
        refusal(&[("SUPPORT_LISTN", "x")]),
        "SUPPORT_LISTN is no setting; the nearest one is SUPPORT_LISTEN"
    );
    assert_eq!(
        file_refusal("[worker]\nlanes = 1"),
        "FILE:1: worker is no setting; the nearest one is worker-lanes"
    );
    assert_eq!(
        file_refusal("reply_wait = 1"),
        "FILE:1: reply_wait is no setting; the nearest one is reply-wait"
    );
}

#[test]
fn variables_of_other_programs_are_nobodys_mistake() {
    assert!(config(&[("PATH", "/bin"), ("SUPPORTED", "x"), ("DATABASE_URI", "x")]).is_ok());
}

#[test]
fn a_file_that_cannot_be_read_is_refused() {
    let line = refusal(&[("SUPPORT_CONFIG", "/nowhere/at.all")]);
    assert!(line.starts_with("SUPPORT_CONFIG is \"/nowhere/at.all\", which cannot be"), "{line}");
    assert!(file_refusal("listen = \n").starts_with("FILE:1 is not TOML: "));
    assert_eq!(
        file_refusal("listen = 1.5"),
        "FILE:1: listen is float; accepted: an IP address and a port, such as 127.0.0.1:8080 or \
         [::1]:8080"
    );
    assert!(file_refusal("config = \"other.toml\"").starts_with("FILE:1: config is in a file;"));
}

#[test]
fn some_servers_are_refused_and_the_missing_ones_named() {
    assert_eq!(
        refusal(&SERVERS[..1]),
        "of the three servers only DATABASE_URL is set; missing: amqp-url (AMQP_URL), redis-url \
         (REDIS_URL); set all three for a distributed installation, or none for the embedded one"
    );
    assert!(
        refusal(&SERVERS[..2]).contains("only DATABASE_URL and AMQP_URL is set; missing: redis")
    );
}

#[test]
fn a_distributed_installation_without_a_key_is_told_how_to_make_one() {
    assert!(refusal(&SERVERS).contains("openssl rand -hex 32"));
}

#[test]
fn a_spool_is_for_a_distributed_installation() {
    let spool = [("SUPPORT_SPOOL_DIR", "/var/spool/x"), ("SUPPORT_SPOOL_MAX", "2MiB")];
    let line = refusal(&spool);
    assert!(line.starts_with("SUPPORT_SPOOL_DIR is set, and none of the three servers;"), "{line}");
    let key = [("SUPPORT_NUMBER_KEY", KEY)];
    let servers = [&SERVERS[..], &key].concat();
    assert_eq!(config(&servers).unwrap().edge.spool, None, "off by default");
    let spooling = config(&[&servers[..], &spool].concat()).unwrap();
    let expected = Spool { dir: PathBuf::from("/var/spool/x"), bytes_max: 2 << 20 };
    assert_eq!(spooling.edge.spool, Some(expected));
}

#[test]
fn a_role_without_servers_is_told_what_it_needs() {
    let error = config(&[]).unwrap().backends.distributed("worker").unwrap_err().to_string();
    assert!(error.starts_with("`supportline worker` needs database-url"), "{error}");
}

#[test]
fn no_secret_is_ever_printed() {
    const TOKEN: &str = "hunter2-hunter2-hunter2";
    let secrets = [("SUPPORT_NUMBER_KEY", KEY), ("SUPPORT_ADMIN_TOKEN", TOKEN)];
    let layers = layers(&[], &[&SERVERS[..], &secrets].concat()).unwrap();
    let config = Config::new(&layers).unwrap();
    for shown in [layers.listing(), format!("{layers:?}"), format!("{config:?}")] {
        assert!(!shown.contains("hunter2") && !shown.contains(KEY), "{shown}");
    }
    for (name, text) in [
        ("SUPPORT_NUMBER_KEY", "hunter2"),
        ("SUPPORT_ADMIN_TOKEN", "hunter2"),
        ("DATABASE_URL", "mysql://u:hunter2@db"),
        ("DATABASE_URL", "postgres://u:hunter2#@db"),
        ("AMQP_URL", "hunter2"),
    ] {
        let line = refusal(&[(name, text)]);
        assert!(!line.contains("hunter2"), "{line}");
    }
    assert!(!file_refusal("admin-token = \"hunter2").contains("hunter2"));
    assert!(!file_refusal("number-key = hunter2").contains("hunter2"));
}

#[test]
fn the_listing_says_where_each_value_came_from() {
    let file = file("reply-wait = \"1s\"");
    let path = file.path().to_str().unwrap();
    let environment = [("SUPPORT_CONFIG", path), SERVERS[0]];
    let flags = [(&Setting::WORKER_LANES, "3"), (&Setting::NUMBER_KEY, KEY)];
    let listing = layers(&flags, &environment).unwrap().listing();
    let row = |name: &str| {
        let line = listing.lines().find(|line| line.split(' ').next() == Some(name)).unwrap();
        line.split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect::<Vec<_>>()
    };
    assert_eq!(listing.lines().count(), Setting::ALL.len());
    assert_eq!(row("listen"), ["listen", "127.0.0.1:8080", "default"]);
    assert_eq!(row("reply-wait"), ["reply-wait", "1s", &format!("{path}:1")]);
    assert_eq!(row("worker-lanes"), ["worker-lanes", "3", "flag --worker-lanes"]);
    assert_eq!(row("number-key"), ["number-key", "(secret)", "flag --number-key"]);
    assert_eq!(row("redis-url"), ["redis-url", "(not set)", "default"]);
    let database = "postgres://u:***@db/support";
    assert_eq!(row("database-url"), ["database-url", database, "environment DATABASE_URL"]);
}
