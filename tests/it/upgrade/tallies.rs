//! Tickets are tallied by a trigger, and those of before by a migration, while others insert more.

use std::path::Path;

use sqlx::migrate::Migrator;
use sqlx::{Connection, PgConnection};

use super::PATIENCE;
use crate::bed::servers::Servers;
use crate::bed::wait::until;
use crate::conformance::installation::Installation;
use crate::flow::stored;

/// Which makes the trigger, and which tallies what was there before.
const TRIGGER: i64 = 15;
const BEFORE: i64 = 16;

/// Some tickets, as a release that knows of no tallies inserts them.
const INSERT: &str = "
    WITH inserted AS (
        INSERT INTO tickets (
            id, number, name, email, subject, message, status, priority, client_timestamp, submitted_at,
            updated_at, fingerprint, request_id, traceparent
        )
        SELECT
            gen_random_uuid(), gen_random_uuid()::text, 'A', 'a@b.io', 'general', '?', 'open', 'low', '',
            now() - n * interval '5 minutes', now(), '', '', ''
        FROM generate_series(1, 10) AS n
        RETURNING id, submitted_at
    )
    INSERT INTO audit_entries (ticket_id, kind, status, at, actor, request_id, traceparent)
    SELECT id, 'ticket.created', 'open', submitted_at, 'submitter', '', ''
    FROM inserted";

/// Those of the schema up to this one.
async fn migrations(last: i64) -> Migrator {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("backends/distributed/migrations");
    let all = Migrator::new(folder).await.unwrap();
    let these = all.iter().filter(|it| it.version <= last).cloned();
    let mut these = Migrator::with_migrations(these.collect());
    these.set_ignore_missing(true);
    these
}

/// Tickets, and how many of them are tallied.
async fn counts(connection: &mut PgConnection) -> (i64, i64) {
    sqlx::query_as(
        "SELECT (SELECT count(*) FROM tickets), \
         (SELECT coalesce(sum(amount), 0)::bigint FROM tallies WHERE dimension = 'submitted_in')",
    )
    .fetch_one(connection)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_that_come_before_meanwhile_and_after_are_tallied_once() {
    let backing = Servers::shared().await.backing().await;
    let (it, backend) =
        (Installation::on(backing.clone()), Installation::distributed_backend(&backing));
    backend.migrate_with(&migrations(TRIGGER - 1).await).await.unwrap();
    it.tamper(INSERT).await;

    // Somebody has inserted some and not committed yet, and others go on while the trigger is made.
    let open = it.begin(INSERT).await;
    let trigger = migrations(TRIGGER).await;
    let making = tokio::spawn(async move { backend.migrate_with(&trigger).await });
    let mut connection = stored::connect(&backing.database_url).await;
    until(PATIENCE, "the migration waits", async || waits(&mut connection).await).await;
    it.tamper(INSERT).await;
    open.commit().await;
    making.await.unwrap().unwrap();
    assert_eq!(counts(&mut connection).await.0, 30);

    // The same while the others are tallied: who has not committed is not seen, and is not forgotten.
    it.tamper(INSERT).await;
    let open = it.begin(INSERT).await;
    let backend = Installation::distributed_backend(&backing);
    backend.migrate_with(&migrations(BEFORE).await).await.unwrap();
    open.commit().await;
    it.tamper(INSERT).await;
    assert_eq!(counts(&mut connection).await, (60, 60));
    connection.close().await.unwrap();

    it.backend.migrate().await.unwrap();
    let deviations = it.backend.audit().await.store.deviations().await.unwrap();
    let of_quarters = deviations.iter().filter(|it| it.dimension == "submitted_in");
    assert_eq!(of_quarters.count(), 0, "{deviations:?}");
}

/// Whether the migration that makes the trigger waits for a lock; the server shows how it begins.
async fn waits(connection: &mut PgConnection) -> bool {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
         AND wait_event_type = 'Lock' AND query LIKE '-- What is counted of tickets by time%')",
    )
    .fetch_one(connection)
    .await
    .unwrap()
}
