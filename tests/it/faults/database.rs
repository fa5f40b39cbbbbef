//! A database that is slow. (Stopped, killed, frozen: `flow::faults`. Full: `disks`.)

use std::time::Duration;

use super::Told;
use crate::bed::link::Mode;
use crate::bed::servers::Servers;
use crate::bed::system::TestSystem;

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_database_costs_no_submission_and_is_worked_with_all_the_same() {
    let (backing, links) = Servers::shared().await.backing().await.over_links().await;
    let system = TestSystem::distributed(backing.clone()).with_ingest(2).with_worker(2).await;
    let mut told = Told::default();
    told.submit_well(system.client(), 5).await;
    // There and back: almost half a second for each statement.
    links.postgres.set(Mode::Delay(Duration::from_millis(200)));
    for edge in [0, 1] {
        told.submit_well(system.edge(edge).client(), 50).await;
    }
    told.are_stored(&backing.database_url).await;
    links.postgres.set(Mode::Pass);
    told.becomes_tickets(&system).await;
}
