//! The rules that `docker-compose.yml` keeps.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::compose::{Compose, config};
use super::{path, read};
use crate::bed::folder::Folder;
use crate::bed::process::{command, run_well};

fn example() -> String {
    read(".env.example")
}

/// The variables that an environment file sets, with their values.
fn variables(environment: &str) -> Vec<(&str, &str)> {
    let lines = environment.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split_once('=').unwrap_or_else(|| panic!("{line}"))).collect()
}

fn is_secret(name: &str) -> bool {
    ["PASSWORD", "KEY", "TOKEN"].iter().any(|end| name.ends_with(end))
}

#[tokio::test]
async fn the_compose_file_is_accepted_with_the_example_and_refused_without_any_line_of_it() {
    let folder = Folder::new("compose");
    let output = config(folder.path(), &example()).await;
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert!(!output.stdout.contains("${"), "{}", output.stdout);
    for (name, value) in variables(&example()).into_iter().filter(|it| !it.1.is_empty()) {
        let missing = example().replace(&format!("{name}={value}\n"), "");
        let empty = example().replace(&format!("{name}={value}\n"), &format!("{name}=\n"));
        for environment in [missing, empty] {
            assert_ne!(environment, example(), "{name}");
            let output = config(folder.path(), &environment).await;
            assert!(!output.status.success(), "{name}: {output:?}");
            assert!(output.stderr.contains(name), "{name}: {output:?}");
        }
    }
}

#[test]
fn no_file_but_the_example_knows_a_secret_of_the_example() {
    let example = example();
    let secrets: Vec<_> = variables(&example).into_iter().filter(|it| is_secret(it.0)).collect();
    assert!(secrets.len() >= 5, "{secrets:?}");
    for file in ["docker-compose.yml", "deploy/Dockerfile", "deploy/proxy/haproxy.cfg"] {
        let text = read(file);
        for (name, secret) in &secrets {
            assert!(!text.contains(secret), "{file} has the example's {name}");
        }
        // Where a secret stands, a variable stands that has to be set.
        for (number, line) in (1..).zip(text.lines()) {
            let is_plain = line.contains("PASSWORD:") && !line.contains(":?");
            assert!(!is_plain, "{file}:{number}: {line}");
        }
    }
}

#[tokio::test]
async fn make_env_gives_every_secret_a_value_of_its_own() {
    let folder = Folder::new("make-env");
    for file in ["Makefile", ".env.example"] {
        std::fs::copy(path(file), folder.join(file)).unwrap();
    }
    let mut make = command("make");
    make.args(["--silent", ".env"]);
    run_well("make", folder.path(), make, Duration::from_secs(10)).await;
    let result = std::fs::read_to_string(folder.join(".env")).unwrap();
    let mode = std::fs::metadata(folder.join(".env")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let example = example();
    let (before, after) = (variables(&example), variables(&result));
    assert_eq!(before.len(), after.len());
    let mut secrets = Vec::new();
    for ((name, old), (name_after, new)) in before.into_iter().zip(after) {
        assert_eq!(name, name_after);
        if is_secret(name) {
            assert!(new.len() == 64 && new.bytes().all(|b| b.is_ascii_hexdigit()), "{name}={new}");
            secrets.push(new);
        } else {
            assert_eq!(old, new, "{name}");
        }
    }
    let count = secrets.len();
    secrets.sort_unstable();
    secrets.dedup();
    assert_eq!(secrets.len(), count, "each is another");
    assert!(config(folder.path(), &result).await.status.success());
}

#[tokio::test]
async fn every_service_is_hardened_bounded_watched_and_started_again() {
    let folder = Folder::new("compose");
    let compose = Compose::read(folder.path(), &example()).await;
    let names: Vec<_> = compose.services.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["desk", "ingest", "migrate", "postgres", "proxy", "rabbitmq", "redis", "worker"]
    );
    for (name, service) in &compose.services {
        let is_one_shot = name == "migrate";
        assert_eq!(service.security_opt, ["no-new-privileges:true"], "{name}");
        assert_eq!(service.cap_drop, ["ALL"], "{name}");
        assert_eq!(service.health_command().is_none(), is_one_shot, "{name}");
        let restart = if is_one_shot { "no" } else { "unless-stopped" };
        assert_eq!(service.restart, restart, "{name}");
        assert!(service.logging.options.contains_key("max-size"), "{name}");
        let memory = service.deploy.resources.pointer("/limits/memory");
        assert!(memory.is_some(), "{name} has no bound on its memory");
        // The broker's image writes beside its volume.
        assert_eq!(service.read_only, name != "rabbitmq", "{name}");
        assert_eq!(!service.ports.is_empty(), name == "proxy", "{name}");
        assert!(service.build.is_some() || service.image.contains(':'), "{name} is not pinned");
    }
    for name in ["ingest", "worker"] {
        assert_eq!(compose.services[name].deploy.replicas, Some(2), "{name}");
    }
}

#[tokio::test]
async fn what_others_wait_for_can_come_about() {
    let folder = Folder::new("compose");
    let compose = Compose::read(folder.path(), &example()).await;
    for (name, service) in &compose.services {
        for (other, dependency) in &service.depends_on {
            let other_service = &compose.services[other];
            match &*dependency.condition {
                "service_healthy" => assert!(other_service.health_command().is_some(), "{name}"),
                "service_completed_successfully" => assert_eq!(other_service.restart, "no"),
                other => panic!("{name}: {other}"),
            }
        }
    }
    let waits = |name: &str| compose.services[name].depends_on.keys().collect::<Vec<_>>();
    assert_eq!(waits("ingest"), ["migrate", "postgres", "rabbitmq", "redis"]);
    assert_eq!(waits("desk"), ["migrate", "postgres", "rabbitmq", "redis"]);
    assert_eq!(waits("worker"), ["migrate", "postgres", "rabbitmq", "redis"]);
    assert_eq!(waits("proxy"), ["ingest"]);
}
