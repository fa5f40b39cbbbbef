//! The program beside earlier ones, on one set of servers or in one data folder: what either wrote the
//! other reads, in whatever order they come and go.

mod beside;
mod embedded;
mod later;
mod load;
mod migrations;
mod node;
mod rolling;
mod tallies;

use std::time::Duration;

use serde_json::Value;

use crate::bed::servers::Servers;
use crate::bed::system::TestSystem;
use crate::bed::wait::eventually;

const PATIENCE: Duration = Duration::from_mins(1);

/// Servers, settings and commands, and no process yet.
async fn empty() -> TestSystem {
    let backing = Servers::shared().await.backing().await;
    TestSystem::distributed(backing).with_ingest(0).with_worker(0).await
}

/// Holds today's audit against an installation until it passes.
async fn passes_the_audit(system: &TestSystem) {
    eventually(PATIENCE, "the audit is passed", async || {
        let audit = system.verify().await;
        if audit.status.success() { Ok(()) } else { Err(audit) }
    })
    .await;
}

/// Whether all that the one answer tells, the other tells likewise; it may tell more.
fn agrees(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => one.iter().all(|(field, value)| {
            // When it was made, and of what.
            ["timestamp", "generatedAt", "source"].contains(&field.as_str())
                || other.get(field).is_some_and(|told| agrees(value, told))
        }),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| agrees(one, other))
        }
        _ => one == other,
    }
}
