//! `docker-compose.yml` as Docker Compose itself understands it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::root;
use crate::bed::process::{Output, command, run};

/// It starts an interpreter of its own.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks `docker-compose config` what it makes of the file when `.env` has these lines.
pub async fn config(folder: &Path, environment: &str) -> Output {
    let file = folder.join("compose.env");
    fs::write(&file, environment).unwrap();
    let mut compose = command("docker-compose");
    compose.arg("--project-directory").arg(root());
    compose.arg("--file").arg(root().join("docker-compose.yml"));
    compose.arg("--env-file").arg(&file).arg("config");
    run("docker-compose", folder, compose, PATIENCE).await
}

/// The part of the file that tests look at.
#[derive(Debug, Deserialize)]
pub struct Compose {
    pub services: BTreeMap<String, Service>,
}

#[derive(Debug, Deserialize)]
pub struct Service {
    #[serde(default)]
    pub command: Vec<String>,
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    #[serde(default)]
    pub depends_on: BTreeMap<String, Dependency>,
    pub healthcheck: HealthCheck,
    #[serde(default)]
    pub deploy: Deploy,
    #[serde(default)]
    pub volumes: Vec<Volume>,
    #[serde(default)]
    pub read_only: bool,
    #[serde(default)]
    pub security_opt: Vec<String>,
    #[serde(default)]
    pub cap_drop: Vec<String>,
    pub restart: String,
    #[serde(default)]
    pub stop_grace_period: Option<String>,
    pub logging: Logging,
    pub image: String,
    #[serde(default)]
    pub build: Option<Build>,
    #[serde(default)]
    pub ports: Vec<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
pub struct Dependency {
    pub condition: String,
}

#[derive(Debug, Deserialize)]
pub struct HealthCheck {
    #[serde(default)]
    pub test: Vec<String>,
    #[serde(default)]
    pub disable: bool,
}

#[derive(Debug, Default, Deserialize)]
pub struct Deploy {
    pub replicas: Option<usize>,
    #[serde(default)]
    pub resources: serde_json::Value,
}

#[derive(Debug, Deserialize)]
pub struct Logging {
    pub options: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
pub struct Build {
    pub dockerfile: String,
}

/// A named volume in the short form, or a file of ours in the long one.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Volume {
    Long { source: String, target: String },
    Short(serde::de::IgnoredAny),
}

impl Compose {
    /// Reads the file with an environment that Compose accepts.
    pub async fn read(folder: &Path, environment: &str) -> Self {
        let output = config(folder, environment).await;
        assert!(output.status.success(), "{output:?}");
        serde_saphyr::from_str(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", output.stdout))
    }

    /// The services that run the image made here.
    pub fn ours(&self) -> impl Iterator<Item = (&str, &Service)> {
        self.services.iter().filter(|it| it.1.build.is_some()).map(|(name, it)| (&**name, it))
    }
}

impl Service {
    /// The command of its health check, without the `CMD` before it. None when it has none.
    pub fn health_command(&self) -> Option<&[String]> {
        match &*self.healthcheck.test {
            _ if self.healthcheck.disable => None,
            [none] if none == "NONE" => None,
            [form, command @ ..] if form == "CMD" && !command.is_empty() => Some(command),
            other => panic!("not a health check without a shell: {other:?}"),
        }
    }

    /// How long after the request to stop it is killed.
    pub fn stop_grace(&self) -> Duration {
        // What Docker waits when nothing is said.
        seconds(self.stop_grace_period.as_deref().unwrap_or("10s"))
    }

    /// The file of ours that is seen at a path inside.
    pub fn mounted(&self, inside: &str) -> Option<&str> {
        self.volumes.iter().find_map(|volume| match volume {
            Volume::Long { source, target } if target == inside => Some(&**source),
            _ => None,
        })
    }
}

/// A duration as Compose writes it: `35s`, `1m0s`.
fn seconds(text: &str) -> Duration {
    let (minutes, rest) = text.split_once('m').unwrap_or(("0", text));
    let seconds = rest.strip_suffix('s').unwrap_or("0");
    let count = |digits: &str| digits.parse::<u64>().unwrap_or_else(|_| panic!("{text}"));
    Duration::from_secs(count(minutes) * 60 + count(seconds))
}

#[test]
fn durations_are_read_as_both_releases_of_compose_write_them() {
    assert_eq!(["35s", "1m0s", "60s", "2m"].map(|it| seconds(it).as_secs()), [35, 60, 60, 120]);
}
