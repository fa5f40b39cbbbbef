//! Postgres.

mod actions;
mod audit;
mod cases;
mod events;
mod exports;
mod ledger;
mod loan;
mod migrations;
mod people;
mod records;
mod search;
mod statistics;
mod tickets;
mod tokens;

use std::{str::FromStr, sync::Arc, time::Duration};

use common::ports::store::StoreError;
use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    PgConnection, PgPool,
    error::DatabaseError,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use thiserror::Error;
use tokio::{sync::Semaphore, time::timeout};
use tracing::Instrument;

use self::loan::Loan;

/// How long a caller waits for a connection; longer than a busy pool needs, shorter than anybody
/// waits for an answer.
const ACQUIRE_DEADLINE: Duration = Duration::from_secs(2);

/// Every call but a migration and a full scan gives up by then, also when the server has stopped
/// answering without hanging up. Longer than the server's own limit on a statement, so that normally
/// the server says so first.
const CALL_DEADLINE: Duration = Duration::from_secs(6);

/// A server that has vanished need not hear that we go.
const CLOSE_DEADLINE: Duration = Duration::from_secs(3);

/// The constraint that a ticket's number breaks when another ticket has it.
const NUMBER_IS_UNIQUE: &str = "tickets_number_key";

/// The text is no Postgres address.
#[derive(Debug, Error)]
#[error("expected postgres://user:password@host:port/database")]
pub struct MalformedDatabaseUrl;

/// A pool of connections.
#[derive(Clone)]
pub(crate) struct Store {
    pool: PgPool,
    /// As many as there can be connections; each for somebody who waits for one.
    turns: Arc<Semaphore>,
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
                // What is planned for a large table would be compiled for longer than it then runs.
                ("jit", "off"),
                // To start another process for a search takes longer than the search.
                ("max_parallel_workers_per_gather", "0"),
                // Every start but the first would log that the migrations' table exists.
                ("client_min_messages", "warning"),
            ]);
        let pool = PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(ACQUIRE_DEADLINE)
            .connect_lazy_with(connection);
        let turns =
            usize::try_from(connections_max).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Ok(Self { pool, turns: Arc::new(Semaphore::new(turns)) })
    }

    pub(crate) async fn adopt_key(&self, fingerprint: &str) -> Result<bool, StoreError> {
        let query = sqlx::query_scalar::<_, String>(include_str!("../../sql/adopt_key.sql"));
        let query = query.bind(fingerprint);
        let kept = bounded(async { query.fetch_one(&mut *self.lend().await?).await }).await?;
        Ok(kept == fingerprint)
    }

    pub(crate) async fn kept_key(&self) -> Result<Option<String>, StoreError> {
        let query = sqlx::query_scalar(include_str!("../../sql/kept_key.sql"));
        bounded(async { query.fetch_optional(&mut *self.lend().await?).await }).await
    }

    pub(crate) async fn probe(&self) -> Result<(), StoreError> {
        let query = sqlx::query(include_str!("../../sql/probe.sql"));
        bounded(async { query.execute(&mut *self.lend().await?).await }).await?;
        Ok(())
    }

    pub(crate) async fn close(&self) {
        self.turns.close();
        // It waits for every connection that is still lent.
        let _ = timeout(CLOSE_DEADLINE, self.pool.close()).await;
    }

    /// A connection that nobody else uses.
    ///
    /// Whoever asks may give up early, as an edge does after a tenth of a second. The connection that
    /// is being opened for them must not go with them: they would knock at the server again and again
    /// and never stay for the answer. A server that is slow to let anybody in, since it has just come
    /// back or has much to do, would be kept so, by each of those it has to let in only to see them
    /// gone. So it is a task of its own that opens, at most as many at a time as the pool has places; one
    /// that nobody waits for any more keeps its place until it is open or [`ACQUIRE_DEADLINE`] is over.
    async fn lend(&self) -> Result<Loan, sqlx::Error> {
        let lending = async {
            let turn = Arc::clone(&self.turns).acquire_owned().await;
            let turn = turn.map_err(|_| sqlx::Error::PoolClosed)?;
            let pool = self.pool.clone();
            let acquiring = async move {
                let _turn = turn;
                pool.acquire().await.map(Loan::of)
            };
            let acquiring = tokio::spawn(acquiring.in_current_span());
            acquiring.await.map_err(|_| sqlx::Error::WorkerCrashed)?
        };
        timeout(ACQUIRE_DEADLINE, lending).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    /// A connection of its own on which a statement may take its time; to wait for a lock it still
    /// may not. It is not given back: the limit lifted here must not be lifted for anybody else.
    ///
    /// Whoever gives the statement up drops the connection, and the server, which would go on to the
    /// end of it for nobody, looks once a second whether somebody is there yet.
    async fn unhurried(&self) -> Result<PgConnection, StoreError> {
        bounded(async {
            let mut connection = self.pool.acquire().await?.detach();
            sqlx::query("SET statement_timeout = 0").execute(&mut connection).await?;
            let looks = "SET client_connection_check_interval = '1s'";
            match sqlx::query(looks).execute(&mut connection).await {
                // Servers before version 14 cannot, nor can some systems.
                Ok(_) | Err(sqlx::Error::Database(_)) => Ok(connection),
                Err(error) => Err(error),
            }
        })
        .await
    }
}

/// Runs a query under [`CALL_DEADLINE`]. No query of ours opens a transaction, so giving one up
/// leaves nothing half done.
async fn bounded<T>(query: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    within(CALL_DEADLINE, query).await
}

async fn within<T>(
    deadline: Duration,
    query: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match timeout(deadline, query).await {
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
        sqlx::Error::Database(refused) if is_the_datas_fault(&*refused) => {
            let code = refused.code().unwrap_or_default().into_owned();
            let constraint = refused.constraint().unwrap_or_default().to_owned();
            StoreError::Rejected(Box::new(Refusal { code, constraint }))
        }
        sqlx::Error::ColumnDecode { index, .. } => StoreError::Corrupt(format!("column {index}")),
        // The value cannot even be written to the wire.
        error @ sqlx::Error::Encode(_) => StoreError::Rejected(Box::new(error)),
        error => StoreError::Unavailable(Box::new(error)),
    }
}

/// Whether no retry would help. Classes of SQLSTATE: 22 data exception, 23 integrity constraint, 54
/// program limit.
///
/// A number that is taken is no fault of the submission it was given to. It comes of a block of
/// counters from before the database was restored, and the next block has others.
fn is_the_datas_fault(error: &dyn DatabaseError) -> bool {
    let code = error.code().unwrap_or_default();
    ["22", "23", "54"].iter().any(|class| code.starts_with(class))
        && error.constraint() != Some(NUMBER_IS_UNIQUE)
}

#[cfg(test)]
mod tests {
    use std::{borrow::Cow, fmt};

    use sqlx::error::ErrorKind;

    use super::*;

    /// An error as the server would tell it: SQLSTATE and constraint.
    #[derive(Debug)]
    struct Told(&'static str, Option<&'static str>);

    impl fmt::Display for Told {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Told {}

    impl DatabaseError for Told {
        fn message(&self) -> &str {
            self.0
        }

        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.into())
        }

        fn constraint(&self) -> Option<&str> {
            self.1
        }

        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }

        fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
            self
        }
    }

    #[test]
    fn only_what_no_retry_helps_is_held_against_the_submission() {
        for (told, is_rejected) in [
            (Told("22021", None), true),
            (Told("23514", Some("tickets_subject_check")), true),
            (Told("23505", Some("tickets_number_key")), false),
            (Told("54000", None), true),
            (Told("40P01", None), false),
            (Told("57014", None), false),
            (Told("53300", None), false),
        ] {
            let name = format!("{told:?}");
            let error = failed(sqlx::Error::Database(Box::new(told)));
            assert_eq!(matches!(error, StoreError::Rejected(_)), is_rejected, "{name}");
            assert_eq!(matches!(error, StoreError::Unavailable(_)), !is_rejected, "{name}");
        }
    }
}
