//! The schema changes while others work on it, and while somebody reads for a long time.

use std::time::{Duration, Instant};

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Connection, Executor, PgConnection, SqlSafeStr};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::load::{Load, becomes_tickets};
use super::node::Node;
use super::{PATIENCE, empty, passes_the_audit};
use crate::bed::previous;
use crate::bed::system::TestSystem;
use crate::bed::wait::{until, within};
use crate::conformance::installation::Installation;
use crate::flow::stored;

/// How long somebody reads in one transaction.
const READING: Duration = Duration::from_secs(20);

/// How long a writer may be held up at a time.
const HELD_UP_MAX: Duration = Duration::from_secs(2);

/// As a release to come may have them: each takes a table for itself alone, or needs all who write to
/// have finished.
fn to_come() -> Migrator {
    let migration = |version, sql: &'static str, no_tx| {
        Migration::new(version, "x".into(), MigrationType::Simple, sql.into_sql_str(), no_tx)
    };
    let mut migrations = Migrator::with_migrations(vec![
        migration(9001, "ALTER TABLE tickets ADD COLUMN mood text", false),
        migration(9002, "ALTER TABLE audit_entries ADD COLUMN mood text", false),
        migration(9003, "CREATE INDEX CONCURRENTLY tickets_mood_idx ON tickets (mood)", true),
    ]);
    migrations.set_ignore_missing(true);
    migrations
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_holds_nobody_up_although_somebody_reads_for_long() {
    let (system, old) = (empty().await, previous::oldest().await);
    let _worker = Node::start(&system, "worker-1", "worker", &old).await;
    let edges = [
        Node::start(&system, "edge-1", "ingest", &old).await,
        Node::start(&system, "edge-2", "ingest", &old).await,
    ];
    let load = Load::on([edges[0].client(), edges[1].client()]);
    load.goes_on(100).await;
    leave_an_unfinished_index(&system).await;
    let writer = Writer::start(&system).await;

    let reader = read_everything(&system).await;
    let begun_at = Instant::now();
    let today = system.run(&["migrate"]);
    let backend = Installation::distributed_backend(system.backing());
    let later = async {
        // Today's first, which may have to wait too.
        let today = today.await;
        assert!(today.status.success(), "{today:?}");
        backend.migrate_with(&to_come()).await.unwrap();
        begun_at.elapsed()
    };
    let meanwhile = async {
        roles_start_meanwhile(&system).await;
        tokio::time::sleep(READING.saturating_sub(begun_at.elapsed())).await;
        reader.close().await.unwrap();
        begun_at.elapsed()
    };
    let (migrated_after, read_for) = tokio::join!(later, meanwhile);
    assert!(migrated_after > READING, "nothing had to wait: {migrated_after:?}");
    assert!(migrated_after < read_for + within(Duration::from_secs(10)), "{migrated_after:?}");

    load.goes_on(100).await;
    becomes_tickets(&load.end().await, &system).await;
    let held_up = writer.longest().await;
    println!("migrated after {migrated_after:?}; a writer was held up for {held_up:?} at most");
    assert!(held_up < within(HELD_UP_MAX), "{held_up:?}");
    assert_eq!(invalid_indexes(&system).await, 0);
    passes_the_audit(&system).await;
}

/// A new worker that migrates itself, and an edge and a worker that do not, while the tables are held.
/// What they need may not be there yet: they wait, and take and store submissions as soon as it is.
async fn roles_start_meanwhile(system: &TestSystem) {
    let worker = system.start_on("worker", system.backing());
    let edge = system.start_on("ingest", system.backing());
    for _ in 0..2 {
        edge.ready().await;
        until(PATIENCE, "the worker answers", async || {
            assert!(worker.is_running(), "{}", worker.log());
            let answer = worker.client().get("/livez").try_send().await;
            answer.is_ok_and(|answer| answer.status == 200)
        })
        .await;
        for process in [&worker, &edge] {
            let stopped = process.stop_gracefully().await;
            assert_eq!(stopped.status.code(), Some(0), "{}", process.log());
            process.set_env("SUPPORT_NO_MIGRATE", "true");
            process.relaunch();
        }
    }
}

/// A transaction that has read every table, and stays open.
async fn read_everything(system: &TestSystem) -> PgConnection {
    let mut reader = stored::connect(&system.backing().database_url).await;
    reader.execute("BEGIN").await.unwrap();
    reader
        .execute(
            "DO $$ DECLARE it regclass; BEGIN
                 FOR it IN SELECT oid FROM pg_class
                     WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
                 LOOP EXECUTE format('SELECT count(*) FROM %s', it); END LOOP;
             END $$",
        )
        .await
        .unwrap();
    reader
}

/// As a migration leaves one that breaks off in the middle of building it.
async fn leave_an_unfinished_index(system: &TestSystem) {
    let mut connection = stored::connect(&system.backing().database_url).await;
    let same = "CREATE UNIQUE INDEX CONCURRENTLY tickets_mood_idx ON tickets (subject)";
    connection.execute(same).await.unwrap_err();
    assert_eq!(invalid_indexes(system).await, 1);
}

async fn invalid_indexes(system: &TestSystem) -> i64 {
    let mut connection = stored::connect(&system.backing().database_url).await;
    sqlx::query_scalar("SELECT count(*) FROM pg_index WHERE NOT indisvalid")
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

/// Somebody who writes to the tables, again and again, and notes how long that took at most.
struct Writer {
    writing: JoinHandle<Duration>,
    stop: CancellationToken,
    _guard: DropGuard,
}

impl Writer {
    async fn start(system: &TestSystem) -> Self {
        let mut connection = stored::connect(&system.backing().database_url).await;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        // What is on record stays as it is; its lock is the same for whoever may change it.
        connection.execute("SET session_replication_role = replica").await.unwrap();
        let writing = tokio::spawn(async move {
            let mut longest = Duration::ZERO;
            while !stopped.is_cancelled() {
                for write in [
                    "UPDATE tickets SET updated_at = updated_at \
                     WHERE id = (SELECT min(id::text)::uuid FROM tickets)",
                    "UPDATE audit_entries SET at = at WHERE position = 1",
                ] {
                    let begun_at = Instant::now();
                    connection.execute(write).await.unwrap();
                    longest = longest.max(begun_at.elapsed());
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            longest
        });
        Self { writing, _guard: stop.clone().drop_guard(), stop }
    }

    async fn longest(self) -> Duration {
        self.stop.cancel();
        self.writing.await.unwrap()
    }
}
