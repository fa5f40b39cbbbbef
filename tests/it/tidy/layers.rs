//! Who may know whom.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use super::{assert_none, root};

/// What a package may depend on among ours, and which of others' packages it must not.
struct Layer {
    ours: &'static [&'static str],
    forbidden: &'static [&'static [&'static str]],
}

/// Web servers and clients.
const HTTP: &[&str] =
    &["axum", "http", "http-body-util", "hyper", "hyper-util", "tower", "reqwest"];
/// Servers' clients.
const SERVERS: &[&str] = &["lapin", "sqlx", "redis", "deadpool-redis"];
/// Errors that nobody can match on: for the program, which only prints them.
const OPAQUE_ERRORS: &[&str] = &["anyhow", "eyre"];

/// Every package of the workspace; one that is not here has no place yet.
const LAYERS: [(&str, Layer); 9] = [
    ("supportline-common", Layer { ours: &[], forbidden: &[HTTP, SERVERS, OPAQUE_ERRORS] }),
    ("supportline-desk", Layer { ours: ROLE, forbidden: &[SERVERS, OPAQUE_ERRORS] }),
    ("supportline-http", Layer { ours: COMMON, forbidden: &[SERVERS, OPAQUE_ERRORS] }),
    ("supportline-ingest", Layer { ours: ROLE, forbidden: &[SERVERS, OPAQUE_ERRORS] }),
    ("supportline-worker", Layer { ours: COMMON, forbidden: &[HTTP, SERVERS, OPAQUE_ERRORS] }),
    ("supportline-embedded", Layer { ours: COMMON, forbidden: &[HTTP, OPAQUE_ERRORS] }),
    ("supportline-distributed", Layer { ours: COMMON, forbidden: &[HTTP, OPAQUE_ERRORS] }),
    ("supportline", Layer { ours: ALL, forbidden: &[SERVERS] }),
    ("supportline-counts", Layer { ours: COUNTED, forbidden: &[SERVERS] }),
];
const COMMON: &[&str] = &["supportline-common"];
/// A role that answers over HTTP.
const ROLE: &[&str] = &["supportline-common", "supportline-http"];
/// The program alone knows both a role and a backend.
const ALL: &[&str] = &[
    "supportline-common",
    "supportline-desk",
    "supportline-distributed",
    "supportline-embedded",
    "supportline-http",
    "supportline-ingest",
    "supportline-worker",
];

/// What one submission passes in an embedded installation.
const COUNTED: &[&str] =
    &["supportline-common", "supportline-embedded", "supportline-ingest", "supportline-worker"];

/// Each package's dependencies, those of its tests left out.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version=1", "--no-deps", "--offline"]).current_dir(root());
    let output = cargo.output().expect("run cargo");
    assert!(output.status.success(), "cargo: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let text = |value: &Value| value.as_str().expect("a name").to_owned();
    let of_package = |package: &Value| {
        let all = package["dependencies"].as_array().expect("a list").iter();
        let shipped = all.filter(|dependency| dependency["kind"] != "dev");
        (text(&package["name"]), shipped.map(|dependency| text(&dependency["name"])).collect())
    };
    metadata["packages"].as_array().expect("a list").iter().map(of_package).collect()
}

#[test]
fn packages_depend_downwards_only() {
    let packages = dependencies();
    let layers = BTreeMap::from(LAYERS);
    let names: Vec<_> = packages.keys().map(String::as_str).collect();
    assert_eq!(names, layers.keys().copied().collect::<Vec<_>>(), "each package has its place");
    let mut violations = Vec::new();
    for (package, dependencies) in &packages {
        let layer = &layers[package.as_str()];
        let mut ours: Vec<_> =
            dependencies.iter().filter(|it| it.starts_with("supportline")).collect();
        ours.sort();
        if ours != layer.ours {
            violations.push(format!("{package} depends on {ours:?}, expected {:?}", layer.ours));
        }
        for name in dependencies.iter().map(String::as_str) {
            if layer.forbidden.iter().any(|names| names.contains(&name)) {
                violations.push(format!("{package} must not depend on {name}"));
            }
        }
    }
    assert_none(&violations);
}
