//! The schema, brought up to date beside those who work on it.
//!
//! A statement that changes a table waits for all who read it, and whoever comes after it waits
//! behind it, writers too. So it waits a moment only, lets them pass, and is tried again.

use std::{collections::HashSet, sync::LazyLock, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use common::ports::store::{LaterSchema, StoreError};
use sqlx::{
    PgConnection,
    error::DatabaseError,
    migrate::{Migrate, MigrateError, Migration, Migrator},
};
use tokio::time::timeout;

use super::{Store, failed};

/// A migration may read a large table. The deadline is for a server that is gone without a word:
/// waiting for an answer on a connection that nothing is sent on, nobody would ever notice.
const DEADLINE: Duration = Duration::from_hours(1);

/// How long a statement waits for a table, and with it everybody who writes to that table. A worker
/// gives a statement of its own up after twice as long.
const TABLE_WAIT: &str = "1s";

/// How long to wait for whoever else migrates, in one statement. Building an index concurrently waits
/// for all statements that began before; the server calls it a deadlock after a second.
const TURN_WAIT: &str = "500ms";

/// Others are waited for without end: nobody waits behind an index that is built concurrently.
const NO_LIMIT: &str = "0";

/// Drops what is left of indexes whose concurrent building broke off, to be built again.
const DROP_UNFINISHED_INDEXES: &str = "
    DO $$
    DECLARE unfinished regclass;
    BEGIN
        FOR unfinished IN
            SELECT pg_class.oid FROM pg_class JOIN pg_index ON indexrelid = pg_class.oid
            WHERE NOT indisvalid AND relnamespace = current_schema()::regnamespace
        LOOP
            EXECUTE format('DROP INDEX %s', unfinished);
        END LOOP;
    END $$";

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrations = sqlx::migrate!("./migrations");
    // What a later release has added does no harm; what it has taken away, the floor tells.
    migrations.set_ignore_missing(true);
    migrations
});

impl Store {
    /// Brings the schema up to date, however long others hold a table.
    pub(crate) async fn migrate(&self) -> Result<(), StoreError> {
        self.apply(&MIGRATIONS).await
    }

    /// The same with these migrations.
    pub(crate) async fn apply(&self, migrations: &Migrator) -> Result<(), StoreError> {
        let attempts = (|| async { attempt(&mut self.unhurried().await?, migrations).await })
            .retry(between_attempts())
            .when(|error| matches!(error, Failure::HeldUp))
            .notify(|_, delay| {
                tracing::warn!(
                    ?delay,
                    "a migration waits: somebody else migrates or holds a table"
                );
            });
        match timeout(DEADLINE, attempts).await {
            Ok(result) => result.map_err(StoreError::from),
            Err(elapsed) => Err(StoreError::Unavailable(Box::new(elapsed))),
        }
    }
}

/// From 200 ms to 2 s, for as long as it takes: time for those who waited to get their work done.
fn between_attempts() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(2))
        .with_jitter()
        .without_max_times()
}

/// The connection is not used again, and the turn ends with it.
async fn attempt(connection: &mut PgConnection, migrations: &Migrator) -> Result<(), Failure> {
    wait_at_most(connection, TURN_WAIT).await?;
    connection.lock().await?;
    let pending = pending(connection, migrations).await?;
    if pending.iter().any(|migration| migration.no_tx) {
        wait_at_most(connection, TABLE_WAIT).await?;
        sqlx::query(DROP_UNFINISHED_INDEXES).execute(&mut *connection).await?;
    }
    for migration in pending {
        let limit = if migration.no_tx { NO_LIMIT } else { TABLE_WAIT };
        wait_at_most(connection, limit).await?;
        migrations.run_direct(Some(migration.version), connection, false).await?;
    }
    // Those that were there before are still what they were.
    migrations.run_direct(None, connection, false).await?;
    refuse_later(connection, migrations).await
}

async fn wait_at_most(connection: &mut PgConnection, limit: &str) -> Result<(), sqlx::Error> {
    let set = sqlx::query("SELECT set_config('lock_timeout', $1, false)");
    set.bind(limit).execute(connection).await.map(drop)
}

async fn pending<'a>(
    connection: &mut PgConnection,
    migrations: &'a Migrator,
) -> Result<Vec<&'a Migration>, MigrateError> {
    let table = &migrations.table_name;
    connection.ensure_migrations_table(table).await?;
    let applied = connection.list_applied_migrations(table).await?;
    let applied: HashSet<_> = applied.into_iter().map(|migration| migration.version).collect();
    Ok(migrations.iter().filter(|migration| !applied.contains(&migration.version)).collect())
}

/// Whether a later release has taken something away that this one reads.
async fn refuse_later(connection: &mut PgConnection, migrations: &Migrator) -> Result<(), Failure> {
    let floor = sqlx::query_scalar::<_, i64>(include_str!("../../sql/schema_floor.sql"));
    let floor = floor.fetch_optional(connection).await?;
    let newest = migrations.iter().map(|migration| migration.version).max();
    if floor <= newest { Ok(()) } else { Err(Failure::Later) }
}

enum Failure {
    /// Somebody else migrates, or holds a table.
    HeldUp,
    /// The schema is a later release's.
    Later,
    Store(StoreError),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(DatabaseError::code);
        // Lock not available, and deadlock detected.
        match code.as_deref() {
            Some("55P03" | "40P01") => Self::HeldUp,
            _ => Self::Store(failed(error)),
        }
    }
}

impl From<MigrateError> for Failure {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            // The schema was changed by hand.
            other => Self::Store(StoreError::Rejected(Box::new(other))),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::HeldUp => Self::Unavailable("somebody holds a table".into()),
            Failure::Later => Self::Rejected(Box::new(LaterSchema)),
            Failure::Store(error) => error,
        }
    }
}
