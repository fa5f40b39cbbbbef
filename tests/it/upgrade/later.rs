//! The schema of a release to come: what it has added does no harm, and what it has taken away is told
//! before harm is done.

use super::passes_the_audit;
use crate::bed::form::Form;
use crate::bed::servers::Servers;
use crate::bed::system::TestSystem;
use crate::cli::verify::tamper;

const REFUSED: &str =
    "the schema is of a later release, which this one cannot work on: upgrade this one";

const EXPANSION: [&str; 4] = [
    "ALTER TABLE tickets ADD COLUMN mood text",
    "ALTER TABLE audit_entries ADD COLUMN mood text NOT NULL DEFAULT 'good'",
    "CREATE TABLE moods (mood text NOT NULL)",
    // As a migrator notes it.
    "INSERT INTO _sqlx_migrations \
     SELECT 9001, 'x', installed_on, success, checksum, execution_time \
     FROM _sqlx_migrations WHERE version = 1",
];

const CONTRACTION: &str = "INSERT INTO installation (name, value) VALUES ('schema_floor', '9001')";

async fn later_schemas_are_worked_on_or_refused(system: &TestSystem, is_embedded: bool) {
    assert_eq!(system.submit(&Form::valid()).await.status, 201);
    system.stop_gracefully().await;
    for change in EXPANSION {
        tamper(system, is_embedded, change).await;
    }
    let migrated = system.run(&["migrate"]).await;
    assert_eq!(migrated.stdout, "The schema is up to date.\n", "{migrated:?}");
    for process in std::iter::once(system.edge(0)).chain(system.workers()) {
        process.start_again().await;
    }
    assert_eq!(system.submit(&Form::valid()).await.status, 201);
    system.settled(2).await;
    passes_the_audit(system).await;
    system.stop_gracefully().await;

    tamper(system, is_embedded, CONTRACTION).await;
    let role = if is_embedded { "serve" } else { "worker" };
    for command in ["migrate", role] {
        let refused = system.run_with(&[command], &[("SUPPORT_LISTEN", "127.0.0.1:0")]).await;
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let told = refused.stdout.clone() + &refused.stderr;
        assert!(told.contains(REFUSED), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_of_the_next_release_is_worked_on_or_refused_distributed() {
    let backing = Servers::shared().await.backing().await;
    later_schemas_are_worked_on_or_refused(&TestSystem::distributed(backing).await, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_of_the_next_release_is_worked_on_or_refused_embedded() {
    later_schemas_are_worked_on_or_refused(&TestSystem::embedded().await, true).await;
}
