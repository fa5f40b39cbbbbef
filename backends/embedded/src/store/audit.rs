//! What `verify` asks the store.

use std::path::Path;

use async_trait::async_trait;
use common::ports::{
    audit::{Deviation, OutboxAudit, StoreAudit, StoredNumber},
    events::Cursor,
    store::StoreError,
};
use sqlx::{ConnectOptions, Connection, FromRow, SqliteConnection, error::DatabaseError};

use super::{
    Store, corrupt,
    events::{place, signed},
    failure, read, reading_options, unopened,
};
use crate::data_dir::OpenError;

/// `SQLITE_CORRUPT` and `SQLITE_NOTADB`, in the low byte, for a file that cannot even be looked at.
const DAMAGE_CODES: [i32; 2] = [11, 26];

/// What `SQLite` says of a file that is whole.
const WHOLE: &str = "ok";

/// Looks at all of a database, which a server that knows the file has no need to: what commits is
/// whole, whatever befalls the process. Reads the file once, at the disk's speed.
pub(super) async fn refuse_damaged(path: &Path) -> Result<(), OpenError> {
    tracing::info!("the database was not served here before, and is looked at as a whole");
    let damaged = |finding| OpenError::Damaged { path: path.to_owned(), finding };
    let looked_at = async {
        // Only for reading: what is damaged stays as it is.
        let mut connection = reading_options(path).connect().await?;
        let findings = findings(&mut connection).await;
        connection.close().await?;
        findings
    };
    match looked_at.await {
        Ok(findings) => findings.into_iter().next().map_or(Ok(()), |finding| Err(damaged(finding))),
        Err(error) if is_damage(&error) => Err(damaged(error.to_string())),
        Err(error) => Err(unopened(path)(error)),
    }
}

/// The first few things that are wrong with a database, each on a line.
async fn findings(connection: &mut SqliteConnection) -> Result<Vec<String>, sqlx::Error> {
    let mut found: Vec<String> =
        sqlx::query_scalar(include_str!("../../sql/audit_file.sql")).fetch_all(connection).await?;
    found.retain(|finding| finding != WHOLE);
    // Some begin with a heading on a line of its own.
    Ok(found.iter().map(|finding| finding.replace('\n', " ")).collect())
}

fn is_damage(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    let code = code.and_then(|code| code.parse::<i32>().ok()).unwrap_or_default();
    DAMAGE_CODES.contains(&(code & 0xff))
}

#[async_trait]
impl StoreAudit for Store {
    async fn damage(&self) -> Result<Option<Vec<String>>, StoreError> {
        let mut reader = self.readers.acquire().await.map_err(failure)?;
        match findings(&mut reader).await {
            Ok(findings) => Ok(Some(findings)),
            Err(error) if is_damage(&error) => Ok(Some(vec![error.to_string()])),
            Err(error) => Err(failure(error)),
        }
    }

    async fn tickets(&self) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar(include_str!("../../sql/audit_tickets.sql"))
            .fetch_one(&self.readers)
            .await
            .map_err(failure)?;
        Ok(count.unsigned_abs())
    }

    async fn numbers(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<StoredNumber>, StoreError> {
        let rows: Vec<NumberRow> = sqlx::query_as(include_str!("../../sql/audit_numbers.sql"))
            .bind(after)
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(failure)?;
        rows.into_iter().map(StoredNumber::try_from).collect()
    }

    async fn reserved(&self, year: u16) -> Result<u64, StoreError> {
        let next: Option<i64> = sqlx::query_scalar(include_str!("../../sql/audit_reserved.sql"))
            .bind(year)
            .fetch_optional(&self.readers)
            .await
            .map_err(failure)?;
        u64::try_from(next.unwrap_or_default())
            .map_err(|_| corrupt("ticket_counters", &year.to_string(), "next"))
    }

    async fn deviations(&self) -> Result<Vec<Deviation>, StoreError> {
        let rows: Vec<DeviationRow> =
            sqlx::query_as(include_str!("../../sql/audit_statistics.sql"))
                .fetch_all(&self.readers)
                .await
                .map_err(failure)?;
        Ok(rows.into_iter().map(Deviation::from).collect())
    }

    async fn unaudited(&self) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar(include_str!("../../sql/audit_unaudited.sql"))
            .fetch_one(&self.readers)
            .await
            .map_err(failure)?;
        Ok(count.unsigned_abs())
    }

    async fn untold(&self) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar(include_str!("../../sql/audit_untold.sql"))
            .fetch_one(&self.readers)
            .await
            .map_err(failure)?;
        Ok(count.unsigned_abs())
    }
}

#[async_trait]
impl OutboxAudit for Store {
    async fn head(&self) -> Result<Cursor, StoreError> {
        let position: Option<i64> =
            sqlx::query_scalar(include_str!("../../sql/audit_outbox_head.sql"))
                .fetch_optional(&self.readers)
                .await
                .map_err(failure)?;
        position.map_or(Ok(Cursor::START), place)
    }

    async fn unpublished(&self, through: Cursor) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar(include_str!("../../sql/audit_unpublished.sql"))
            .bind(signed(through.position))
            .fetch_one(&self.readers)
            .await
            .map_err(failure)?;
        Ok(count.unsigned_abs())
    }
}

#[derive(FromRow)]
struct NumberRow {
    number: String,
    submitted_at: String,
}

impl TryFrom<NumberRow> for StoredNumber {
    type Error = StoreError;

    fn try_from(row: NumberRow) -> Result<Self, StoreError> {
        let submitted_at = read("tickets", &row.number, "submitted_at", &row.submitted_at)?;
        Ok(Self { number: row.number, submitted_at })
    }
}

#[derive(FromRow)]
struct DeviationRow {
    dimension: String,
    value: String,
    kept: i64,
    recounted: i64,
}

impl From<DeviationRow> for Deviation {
    fn from(DeviationRow { dimension, value, kept, recounted }: DeviationRow) -> Self {
        Self { dimension, value, kept, recounted }
    }
}
