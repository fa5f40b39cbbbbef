//! The image: how it is built, of what, and who it runs as.

use std::path::Path;
use std::time::Duration;

use super::compose::Compose;
use super::dockerfile::Dockerfile;
use super::{path, read, root};
use crate::bed::folder::Folder;
use crate::bed::process::{command, run_well};

#[test]
fn the_image_is_built_in_stages_of_pinned_images_and_locked_dependencies() {
    let file = Dockerfile::ours();
    assert!(file.stages.len() >= 2);
    for stage in &file.stages {
        let base = stage[0].rest.split(' ').next().unwrap();
        let tag = base.split_once(':').map(|(_, tag)| tag).unwrap_or_default();
        assert!(!tag.is_empty() && tag != "latest", "{base}");
    }
    let build = file.stages[0].iter().find(|it| it.rest.contains("cargo build")).unwrap();
    for part in ["--locked", "--release", "--bin supportline", "target/release/supportline"] {
        assert!(build.rest.contains(part), "{part} is not in {}", build.rest);
    }
    // Of both stages the same Debian: the one links with the C library of the other.
    assert!(file.stages[0][0].rest.contains("bookworm"));
    assert!(file.image()[0].rest.contains("debian12"));
}

#[test]
fn the_program_is_run_where_it_was_put_by_a_user_without_rights() {
    let file = Dockerfile::ours();
    let install = &file.stages[0].iter().find(|it| it.rest.contains("install -D")).unwrap().rest;
    let [program] = &file.entrypoint()[..] else { panic!("{:?}", file.entrypoint()) };
    assert!(install.contains(&format!("/image{program} ")), "{install}");
    assert_eq!(file.image().iter().filter(|it| it.word == "COPY").count(), 1);
    assert_eq!(file.last("COPY"), "--from=build /image/ /");
    assert_eq!(file.health_command(), [program.as_str(), "probe"]);
    let (user, group) = file.user();
    assert!(user != 0 && group != 0);
    // Its data folder belongs to it, and a volume there takes the owner over.
    let data = &file.environment()["SUPPORT_DATA_DIR"];
    let owned = format!("install -d -o {user} -g {group} -m 0700 /image{data}");
    assert!(install.contains(&owned), "{install}");
    assert_eq!(file.last("STOPSIGNAL"), "SIGTERM");
    let listen = &file.environment()["SUPPORT_LISTEN"];
    assert_eq!(listen, &format!("0.0.0.0:{}", file.last("EXPOSE")));
}

#[tokio::test]
async fn compose_builds_this_image_and_asks_its_health_as_it_says() {
    let folder = Folder::new("compose");
    let compose = Compose::read(folder.path(), &read(".env.example")).await;
    let file = Dockerfile::ours();
    let ours: Vec<_> = compose.ours().map(|(name, _)| name).collect();
    assert_eq!(ours, ["desk", "ingest", "migrate", "worker"]);
    for (name, service) in compose.ours() {
        assert_eq!(service.build.as_ref().unwrap().dockerfile, "deploy/Dockerfile");
        if let Some(command) = service.health_command() {
            assert_eq!(command, file.health_command(), "{name}");
        }
    }
}

/// What `.dockerignore` lets into the build, which is a list of what it takes.
fn taken() -> Vec<String> {
    let text = read(".dockerignore");
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines[0], "*", "nothing gets in that is not named");
    lines.iter().filter_map(|line| line.strip_prefix('!')).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_build_is_given_all_that_cargo_needs_and_no_secret() {
    let folder = Folder::new("build");
    let taken = taken();
    // `cp --parents` keeps a path as it is typed, so it has to be typed from the root.
    let mut copy = command("sh");
    copy.args(["-c", "cd \"$0\" && exec cp -r --parents -t \"$@\""]).arg(root());
    copy.arg(folder.path()).args(&taken);
    run_well("cp", folder.path(), copy, Duration::from_secs(30)).await;

    // For this platform alone: cargo has fetched what that needs, and no more.
    let mut cargo = command(env!("CARGO"));
    cargo.args(["metadata", "--locked", "--offline", "--format-version=1"]);
    cargo.args(["--filter-platform", &host(folder.path()).await, "--manifest-path"]);
    cargo.arg(folder.join("Cargo.toml")).envs(registry());
    let metadata = run_well("cargo", folder.path(), cargo, Duration::from_mins(1)).await;
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    assert!(metadata["workspace_members"].as_array().unwrap().len() >= 6);
    for secret in [".env", "data", ".git", "target"] {
        assert!(!taken.iter().any(|it| it == secret), "{secret} gets into the build");
    }
}

/// The platform that was built for.
async fn host(folder: &Path) -> String {
    let mut rustc = command("rustc");
    rustc.arg("-vV").envs(registry());
    let version = run_well("rustc", folder, rustc, Duration::from_secs(30)).await;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc names it").to_owned()
}

/// Where cargo has the sources of the dependencies, if that was said.
fn registry() -> impl Iterator<Item = (&'static str, std::ffi::OsString)> {
    let names = ["CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "HOME"];
    names.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)))
}

/// Whatever a crate reads while it is compiled lies in a folder that the build is given; its tests,
/// which are not built there, may read anything.
#[test]
fn what_is_compiled_in_lies_where_the_build_has_it() {
    let taken = taken();
    let folders: Vec<_> = taken.iter().filter(|it| path(it).is_dir()).collect();
    let mut found = 0;
    for file in folders.iter().flat_map(|folder| rust_files(&path(folder))) {
        let text = std::fs::read_to_string(&file).unwrap();
        let shipped = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
        for included in
            shipped.split("include_str!(\"").skip(1).filter_map(|it| it.split('"').next())
        {
            let target = file.parent().unwrap().join(included).canonicalize().unwrap();
            let is_given = folders.iter().any(|folder| target.starts_with(path(folder)));
            assert!(is_given, "{}: {included}", file.display());
            found += 1;
        }
    }
    assert!(found > 0, "nothing is included: the test looks at the wrong place");
}

fn rust_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
    files
}
