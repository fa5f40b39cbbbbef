//! The store: one connection that writes, in one task, and a few that read.
//!
//! `SQLite` lets one writer in at a time anyway. One task that owns the writing connection turns
//! waiting for each other into a queue, and makes a transaction something no caller can cancel
//! half-way: a caller that goes away drops its answer, not the work.

mod actions;
mod audit;
mod cases;
mod dead_letters;
mod events;
mod exports;
mod ledger;
mod people;
mod records;
mod search;
mod statistics;
mod tickets;
mod tokens;
mod writer;

use std::{
    io,
    path::{Path, PathBuf},
    str::FromStr,
    sync::LazyLock,
    time::Duration,
};

// A time as every table has it.
use common::clock::rfc3339 as time_text;
use common::{
    Cause,
    ports::store::{LaterSchema, StoreError},
};
use sqlx::{
    ConnectOptions, SqliteConnection, SqlitePool,
    error::ErrorKind,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

pub(crate) use self::dead_letters::MarkedLetter;
use self::{
    events::RelayLease,
    writer::{Work, Writer},
};
use crate::data_dir::{self, DataDir, OpenError, unusable};

/// Look-ups at a time. They wait for nobody, so more would only share the same processors.
const READERS_MAX: u32 = 4;

/// How long a look-up waits for a reader before the store counts as overloaded.
const READER_WAIT: Duration = Duration::from_secs(2);

/// How long a statement waits for a lock. The writer is alone, so this is for a reporting tool that
/// holds one, and for the moment in which a checkpoint does.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// The same in a process beside the server's, which stores one batch after the other when it is
/// busy, and lets nobody in between but by chance.
const LOCK_WAIT_BESIDE: Duration = Duration::from_secs(15);

/// `SQLite`'s primary result codes, in the low byte, for data it will never take: `SQLITE_TOOBIG`,
/// `SQLITE_CONSTRAINT` (a strict table's types included), `SQLITE_MISMATCH`.
const REJECTING_CODES: [i32; 3] = [18, 19, 20];

/// How `SQLite`, which does not name the index, says that a number is taken. Never the submission's
/// fault: counters of a restored database are handed out again, and the next ones may be free.
const NUMBER_TAKEN: &str = "UNIQUE constraint failed: tickets.number";

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrations = sqlx::migrate!("./migrations");
    // What a later release has added does no harm; what it has taken away, the floor tells.
    migrations.set_ignore_missing(true);
    migrations
});

/// Tickets, their history, statistics and dead letters.
pub(crate) struct Store {
    readers: SqlitePool,
    writing: Option<Writing>,
    relay_lease: RelayLease,
}

/// What a store opened for an audit lacks.
struct Writing {
    writer: Writer,
    /// Whose lock is held, unless another process serves the directory.
    data_dir: Option<DataDir>,
}

impl Store {
    /// Opens the database of a data directory for reading and writing.
    pub(crate) async fn open(mut data_dir: DataDir) -> Result<Self, OpenError> {
        let path = data_dir.database();
        if data_dir.is_copy() {
            audit::refuse_damaged(&path).await?;
            data_dir.recognise();
        }
        Self::writing(&path, writing_options(&path), Some(data_dir)).await
    }

    /// Opens it for reading and writing, whoever else has it open: each waits for the other's
    /// transactions, which are short.
    pub(crate) async fn open_beside(data_dir: &Path) -> Result<Self, OpenError> {
        let path = existing_database(data_dir)?;
        let options = writing_options(&path).busy_timeout(LOCK_WAIT_BESIDE);
        Self::writing(&path, options, None).await
    }

    async fn writing(
        path: &Path,
        options: SqliteConnectOptions,
        data_dir: Option<DataDir>,
    ) -> Result<Self, OpenError> {
        let writer = Writer::start(options).await.map_err(unopened(path))?;
        let readers = reader_pool().connect_lazy_with(reading_options(path));
        let writing = Some(Writing { writer, data_dir });
        Ok(Self { readers, writing, relay_lease: RelayLease::default() })
    }

    /// Opens it for reading, whoever else has it open.
    pub(crate) async fn open_read_only(data_dir: &Path) -> Result<Self, OpenError> {
        let path = existing_database(data_dir)?;
        let readers =
            reader_pool().connect_with(reading_options(&path)).await.map_err(unopened(&path))?;
        Ok(Self { readers, writing: None, relay_lease: RelayLease::default() })
    }

    /// Brings the schema up to date.
    pub(crate) async fn migrate(&self) -> Result<(), StoreError> {
        self.writer()?.migrate().await
    }

    /// Whether the number key with this fingerprint is the one the database was numbered with; the
    /// first one asked about becomes it.
    pub(crate) async fn adopt_key(&self, fingerprint: &str) -> Result<bool, StoreError> {
        let kept = self.write(AdoptKey { fingerprint: fingerprint.to_owned() }).await?;
        Ok(kept == fingerprint)
    }

    /// The fingerprint of the number key that the database was numbered with.
    pub(crate) async fn kept_key(&self) -> Result<Option<String>, StoreError> {
        sqlx::query_scalar(include_str!("../../sql/kept_key.sql"))
            .fetch_optional(&self.readers)
            .await
            .map_err(failure)
    }

    /// Asks a reader, and the writer once it has done what waits before.
    pub(crate) async fn probe(&self) -> Result<(), StoreError> {
        let _: i64 = sqlx::query_scalar(include_str!("../../sql/probe.sql"))
            .fetch_one(&self.readers)
            .await
            .map_err(failure)?;
        if self.writing.is_some() { self.probe_writer().await } else { Ok(()) }
    }

    /// Asks the writer once it has done what waits before.
    pub(crate) async fn probe_writer(&self) -> Result<(), StoreError> {
        self.write(Probe).await
    }

    /// Finishes what was given to the writer, closes the database and gives the directory free.
    pub(crate) async fn close(&self) {
        // Readers first: the last connection to close tidies the write-ahead log away.
        self.readers.close().await;
        if let Some(Writing { writer, data_dir }) = &self.writing {
            writer.close().await;
            data_dir.iter().for_each(DataDir::release);
        }
    }

    async fn write<W: Work>(&self, work: W) -> Result<W::Answer, StoreError> {
        self.writer()?.transact(work).await
    }

    fn writer(&self) -> Result<&Writer, StoreError> {
        let unavailable = || StoreError::Unavailable("the store is open for an audit only".into());
        self.writing.as_ref().map(|writing| &writing.writer).ok_or_else(unavailable)
    }
}

/// The database of a directory that must be there.
fn existing_database(data_dir: &Path) -> Result<PathBuf, OpenError> {
    let found = data_dir.canonicalize().and_then(|data_dir| {
        let database = data_dir::database(&data_dir);
        database.metadata().map(|_| database)
    });
    found.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => {
            let path = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned());
            OpenError::Absent { path }
        }
        _ => unusable(data_dir)(source),
    })
}

fn reader_pool() -> SqlitePoolOptions {
    // A connection to a file does not break while it rests, so there is nothing to test.
    SqlitePoolOptions::new()
        .max_connections(READERS_MAX)
        .acquire_timeout(READER_WAIT)
        .test_before_acquire(false)
}

fn reading_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(LOCK_WAIT)
        .disable_statement_logging()
}

fn writing_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        // Readers go on while the writer writes, and a commit is one write to the end of one file.
        .journal_mode(SqliteJournalMode::Wal)
        // Without it a commit would survive the process, but not a power cut: WAL alone is not
        // synced before the next checkpoint.
        .synchronous(SqliteSynchronous::Full)
        // What is deleted is gone from the file, and does not stay where nobody has written since.
        .pragma("secure_delete", "ON")
        .busy_timeout(LOCK_WAIT)
        .disable_statement_logging()
}

fn unopened(path: &Path) -> impl Fn(sqlx::Error) -> OpenError {
    move |source| OpenError::Database { path: path.to_owned(), source }
}

struct AdoptKey {
    fingerprint: String,
}

impl Work for AdoptKey {
    type Answer = String;

    async fn run(self, connection: &mut SqliteConnection) -> Result<String, StoreError> {
        sqlx::query_scalar(include_str!("../../sql/adopt_key.sql"))
            .bind(self.fingerprint)
            .fetch_one(connection)
            .await
            .map_err(failure)
    }
}

/// A transaction that changes nothing, and so syncs nothing.
struct Probe;

impl Work for Probe {
    type Answer = ();

    async fn run(self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let _: i64 = sqlx::query_scalar(include_str!("../../sql/probe.sql"))
            .fetch_one(connection)
            .await
            .map_err(failure)?;
        Ok(())
    }
}

/// What a failed statement means to the caller. A damaged file counts as unavailable, not as
/// corrupt: submissions wait until somebody has put the file right, instead of being given up.
fn failure(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(cause) if is_rejection(cause.as_ref()) => {
            StoreError::Rejected(error.into())
        }
        sqlx::Error::ColumnDecode { index, .. } => StoreError::Corrupt(format!("column {index}")),
        _ => StoreError::Unavailable(error.into()),
    }
}

fn is_rejection(error: &dyn sqlx::error::DatabaseError) -> bool {
    if error.message() == NUMBER_TAKEN {
        return false;
    }
    let code = error.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or_default();
    !matches!(error.kind(), ErrorKind::Other) || REJECTING_CODES.contains(&(code & 0xff))
}

/// Brings the schema up to date, and refuses one from which a later release has taken something away.
async fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let run = MIGRATIONS.run_direct(None, connection, false).await;
    run.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => failure(error),
        // Somebody edited the schema, which is not put right by another try.
        other => StoreError::Rejected(other.into()),
    })?;
    let floor = sqlx::query_scalar::<_, i64>(include_str!("../../sql/schema_floor.sql"));
    let floor = floor.fetch_optional(connection).await.map_err(failure)?;
    let newest = MIGRATIONS.iter().map(|migration| migration.version).max();
    if floor <= newest { Ok(()) } else { Err(StoreError::Rejected(LaterSchema.into())) }
}

/// Reads a column's text, and says which one it is when it holds something else.
fn read<T: FromStr>(table: &str, row: &str, column: &str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| corrupt(table, row, column))
}

fn corrupt(table: &str, row: &str, column: &str) -> StoreError {
    StoreError::Corrupt(format!("{table}.{column} of {row}"))
}

/// A batch as the one parameter a statement takes.
fn json(batch: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(batch).map_err(|error| StoreError::Rejected(Cause::from(error)))
}

#[cfg(test)]
mod tests;
