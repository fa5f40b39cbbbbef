//! Postgres.

mod audit;
mod statistics;
mod tickets;

use std::{str::FromStr, time::Duration};

use common::ports::store::StoreError;
use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    PgPool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};
use thiserror::Error;

/// How long a caller waits for a connection; longer than a busy pool needs, shorter than anybody
/// waits for an answer.
const ACQUIRE_DEADLINE: Duration = Duration::from_secs(2);

/// Every call gives up by then, also when the server has stopped answering without hanging up.
/// Longer than the server's own limit on a statement, so that normally the server says so first.
const CALL_DEADLINE: Duration = Duration::from_secs(6);

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// The text is no Postgres address.
#[derive(Debug, Error)]
#[error("expected postgres://user:password@host:port/database")]
pub struct MalformedDatabaseUrl;

/// A pool of connections.
#[derive(Clone)]
pub(crate) struct Store {
    pool: PgPool,
}

impl Store {
    pub(crate) fn new(
        url: &SecretString,
        connections_max: u32,
    ) -> Result<Self, MalformedDatabaseUrl> {
        let connection = PgConnectOptions::from_str(url.expose_secret())
            .map_err(|_| MalformedDatabaseUrl)?
            .application_name("supportline")
            .options([
                // A hung query must not hold its locks and its caller for ever.
                ("statement_timeout", "5s"),
                ("lock_timeout", "2s"),
                // An answer is a promise: the server's own setting may be weaker.
                ("synchronous_commit", "on"),
                // Every start but the first would log that the migrations' table exists.
                ("client_min_messages", "warning"),
            ]);
        let pool = PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(ACQUIRE_DEADLINE)
            .connect_lazy_with(connection);
        Ok(Self { pool })
    }

    pub(crate) async fn migrate(&self) -> Result<(), StoreError> {
        MIGRATIONS.run(&self.pool).await.map_err(|error| match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                failed(error)
            }
            // The schema is another release's, or was changed by hand.
            other => StoreError::Rejected(Box::new(other)),
        })
    }

    pub(crate) async fn adopt_key(&self, fingerprint: &str) -> Result<bool, StoreError> {
        let query = sqlx::query_scalar::<_, String>(include_str!("../../sql/adopt_key.sql"));
        let kept = bounded(query.bind(fingerprint).fetch_one(&self.pool)).await?;
        Ok(kept == fingerprint)
    }

    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        bounded(sqlx::query("SELECT 1").execute(&self.pool)).await?;
        Ok(())
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Runs a query under [`CALL_DEADLINE`]. No query of ours opens a transaction, so giving one up
/// leaves nothing half done.
async fn bounded<T>(query: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    match tokio::time::timeout(CALL_DEADLINE, query).await {
        Ok(answer) => answer.map_err(failed),
        Err(elapsed) => Err(StoreError::Unavailable(Box::new(elapsed))),
    }
}

/// What the server refused, without its own words: they can quote the value.
#[derive(Debug, Error)]
#[error("SQLSTATE {code} {constraint}")]
struct Refusal {
    code: String,
    constraint: String,
}

/// What a caller can do about an error: try again, or try without the data.
fn failed(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default().into_owned();
            // Classes of SQLSTATE: 22 data exception, 23 integrity constraint, 54 program limit.
            if ["22", "23", "54"].iter().any(|class| code.starts_with(class)) {
                let constraint = database.constraint().unwrap_or_default().to_owned();
                StoreError::Rejected(Box::new(Refusal { code, constraint }))
            } else {
                StoreError::Unavailable(Box::new(sqlx::Error::Database(database)))
            }
        }
        sqlx::Error::ColumnDecode { index, .. } => StoreError::Corrupt(format!("column {index}")),
        // The value cannot even be written to the wire.
        error @ sqlx::Error::Encode(_) => StoreError::Rejected(Box::new(error)),
        error => StoreError::Unavailable(Box::new(error)),
    }
}
