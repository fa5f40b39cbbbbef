//! A data folder of an earlier release: this one takes it over, and that one may have it back.

use std::collections::BTreeMap;
use std::path::Path;

use super::passes_the_audit;
use crate::bed::form::Form;
use crate::bed::instance::program;
use crate::bed::previous;
use crate::bed::system::{ADMIN_TOKEN, TICKETS, TestSystem};

/// Forms that are sent to each program in its turn.
const FORMS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_goes_from_release_to_release_and_back() {
    for old in previous::all().await {
        let plan = TestSystem::embedded().with_ingest(0);
        let system = plan.with_env("SUPPORT_NO_MIGRATE", "true").await;
        let mut told = BTreeMap::new();
        migrates(&system, old).await;
        serves(&system, old, &mut told).await;
        migrates(&system, program()).await;
        for program in [program(), old, program()] {
            serves(&system, program, &mut told).await;
            passes_the_audit(&system).await;
        }
    }
}

/// Earlier ones take no schema for theirs that they do not know, unless told not to look.
#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_release_refuses_a_migrated_folder_in_one_line_and_without_harm() {
    let (system, old) = (TestSystem::embedded().await, previous::oldest().await);
    assert_eq!(system.submit(&Form::valid()).await.status, 201);
    system.stop_gracefully().await;
    let refused = system.run_program(&old, &["serve", "--listen", "127.0.0.1:0"]).await;
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let line = refused.stderr.trim_end();
    assert!(line.starts_with("error: cannot prepare the store: "), "{refused:?}");
    assert!(line.ends_with("is missing in the resolved migrations"), "{refused:?}");
    system.edge(0).start_again().await;
    system.settled(1).await;
}

async fn migrates(system: &TestSystem, program: &Path) {
    let migrated = system.run_program(program, &["migrate"]).await;
    assert!(migrated.status.success(), "{migrated:?}");
}

/// Serves the folder with that program: what any told before is known, and more is taken.
async fn serves(system: &TestSystem, program: &Path, told: &mut BTreeMap<String, String>) {
    let serve = system.start_program(program, "serve");
    serve.ready().await;
    let edge = serve.client();
    for (id, number) in told.iter() {
        let answer = edge.get(&format!("{TICKETS}/{id}")).send().await.json();
        assert_eq!(answer["data"]["ticketNumber"], number.as_str(), "{answer}");
    }
    for _ in 0..FORMS {
        let answer = edge.post(TICKETS).json(&Form::valid()).send().await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let text = |field: &str| answer.json()["data"][field].as_str().unwrap().to_owned();
        told.insert(text("id"), text("ticketNumber"));
    }
    let statistics = edge.get("/api/support/stats").bearer(ADMIN_TOKEN).send().await;
    assert_eq!(statistics.status, 200, "{statistics:?}");
    assert_eq!(serve.stop_gracefully().await.status.code(), Some(0), "{}", serve.log());
}
