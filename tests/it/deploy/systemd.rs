//! The units in `deploy/systemd`, as systemd itself reads them.

use std::fs;
use std::time::Duration;

use super::read;
use crate::bed::folder::Folder;
use crate::bed::process::{command, run};

#[tokio::test]
async fn systemd_accepts_the_units() {
    let folder = Folder::new("systemd");
    let mut systemd = command("systemd-analyze");
    systemd.arg("verify");
    for (role, port) in [("ingest", 8081), ("desk", 8071), ("worker", 8091)] {
        let unit = read(&format!("deploy/systemd/supportline-{role}@.service"));
        let run = format!("/usr/local/bin/supportline {role} --listen 127.0.0.1:%i");
        assert!(unit.contains(&run), "{unit}");
        // It wants the program to be there.
        let unit = unit.replace("/usr/local/bin/supportline", env!("CARGO_BIN_EXE_supportline"));
        fs::write(folder.join(&format!("supportline-{role}@.service")), unit).unwrap();
        systemd.arg(format!("./supportline-{role}@{port}.service"));
    }
    let output = run("systemd", folder.path(), systemd, Duration::from_secs(30)).await;
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
