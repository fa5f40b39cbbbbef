//! A database that is slow, or whose tickets cannot be written. (Stopped, killed, frozen: `flow::faults`. Full: `disks`.)

use std::time::Duration;

use common::clock::{Clock, SystemClock};
use common::domain::Email;
use common::ports::store::StoreError;
use sqlx::Executor;

use super::{RECOVERY, Told};
use crate::api::metrics::Metrics;
use crate::bed::client::Client;
use crate::bed::form::Form;
use crate::bed::link::Mode;
use crate::bed::servers::Servers;
use crate::bed::system::TestSystem;
use crate::bed::wait::until;
use crate::conformance::installation::{Installation, tickets};
use crate::flow::stored;

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

#[tokio::test(flavor = "multi_thread")]
async fn while_tickets_are_locked_idle_lanes_take_nothing_and_use_up_no_delivery() {
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing.clone()).await;
    assert_eq!(system.submit(&Form::valid()).await.status, 201);
    let worker = Client::new(system.worker(0).address());
    let mut other = stored::connect(&backing.database_url).await;
    other.execute("BEGIN; LOCK TABLE tickets IN ACCESS EXCLUSIVE MODE").await.unwrap();
    until(RECOVERY, "no lane consumes", async || worker.get("/readyz").send().await.status == 503)
        .await;
    assert_eq!(system.submit(&Form::valid()).await.status, 202);
    other.execute("COMMIT").await.unwrap();
    system.settled(2).await;
    let again = Metrics::of(&worker).await.sum("deliveries_total", &["attempt=\"again\""]);
    assert!(again < 0.5, "{again} deliveries came again");
}

/// What a lane asks before it consumes. `insert` of nothing writes nothing, and needs all the same what
/// an insert of tickets needs.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_batch_is_stored_only_where_tickets_could_be() {
    let backing = Servers::shared().await.backing().await;
    let system = Installation::on(backing.clone());
    system.backend.migrate().await.unwrap();
    let mut other = stored::connect(&backing.database_url).await;
    other
        .execute(
            "CREATE ROLE clerk LOGIN PASSWORD 'clerk-secret'; \
             GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk; \
             GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO clerk",
        )
        .await
        .unwrap();
    let (_, place) = backing.database_url.split_once('@').unwrap();
    let as_clerk = backing.with_database(format!("postgres://clerk:clerk-secret@{place}"));
    let worker = Installation::on(as_clerk).backend.worker().await;
    for statement in [
        "LOCK TABLE tickets IN ACCESS EXCLUSIVE MODE",
        "LOCK TABLE audit_entries IN ACCESS EXCLUSIVE MODE",
    ] {
        assert_eq!(worker.tickets.insert(&[]).await.unwrap(), []);
        other.execute("BEGIN").await.unwrap();
        other.execute(statement).await.unwrap();
        assert!(worker.tickets.reserve(2026, 0).await.is_ok(), "the counters can be written");
        let refused = worker.tickets.insert(&[]).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{statement}: {refused:?}");
        other.execute("COMMIT").await.unwrap();
    }
    assert_eq!(worker.tickets.insert(&tickets(0..1)).await.unwrap().len(), 1);
    other.execute("REVOKE INSERT ON tickets FROM clerk").await.unwrap();
    let refused = worker.tickets.insert(&[]).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
}

/// A server goes on with a statement until it has something to say, whoever has left meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_search_for_a_person_that_is_given_up_ends_in_the_database() {
    let backing = Servers::shared().await.backing().await;
    let system = Installation::on(backing.clone());
    system.backend.migrate().await.unwrap();
    system.backend.worker().await.tickets.insert(&tickets(1..3)).await.unwrap();
    let mut other = stored::connect(&backing.database_url).await;
    let slow = "ALTER TABLE tickets RENAME TO kept; \
                CREATE VIEW tickets AS SELECT kept.* FROM kept, pg_sleep(120)";
    other.execute(slow).await.unwrap();
    let people = system.backend.operator().await.people;
    let email = Email::parse("ada+1@example.org").unwrap();
    let searching = tokio::spawn(async move {
        people.tickets_of(&email, SystemClock.now(), None, 10).await.map(drop)
    });
    let mut searches = async || {
        let running = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                       AND state = 'active' AND query LIKE '-- tickets_of_person%'";
        sqlx::query_scalar::<_, i64>(running).fetch_one(&mut other).await.unwrap()
    };
    until(RECOVERY, "it is searched for", async || searches().await == 1).await;
    searching.abort();
    until(RECOVERY, "the search has ended", async || searches().await == 0).await;
}
