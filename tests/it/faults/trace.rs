//! Failpoints are for tests, and for no installation.

use crate::bed::folder::Folder;
use crate::bed::instance::supportline;
use crate::bed::process::run;
use crate::bed::server::PATIENCE;

/// The name of one of them.
const POINT: &str = "worker.after_receipts";

#[test]
fn a_release_build_has_no_trace_of_failpoints_and_a_debug_build_has() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_supportline")).unwrap();
    let has_trace = String::from_utf8_lossy(&program).contains(POINT);
    assert_eq!(has_trace, cfg!(debug_assertions));
}

#[tokio::test]
async fn a_debug_build_refuses_to_start_with_an_unknown_failpoint() {
    let folder = Folder::new("failpoints");
    let plan = ("FAILPOINTS".to_owned(), "worker.after_comit=abort@1".to_owned());
    let mut command = supportline(&[plan]);
    command.arg("config");
    let output = run("config", folder.path(), command, PATIENCE).await;
    if cfg!(debug_assertions) {
        assert_eq!((output.status.code(), output.stderr.lines().count()), (Some(2), 1));
        let told = r#"error: FAILPOINTS is "worker.after_comit=abort@1"; accepted: "#;
        assert!(output.stderr.starts_with(told) && output.stderr.contains(POINT), "{output:?}");
    } else {
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
}
