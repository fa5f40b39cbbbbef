//! The table that is a queue on a broker.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use common::ports::{
    dead_letters::{LetterId, ListedLetter, Verdict},
    queue::BuriedLetter,
    store::StoreError,
};
use sqlx::{FromRow, SqliteConnection};

use super::{Store, corrupt, failure, json, read, time_text, writer::Work};

impl Store {
    /// Buries all of them or none; they are durable when this says `Ok`.
    pub(crate) async fn bury(&self, letters: Vec<BuriedLetter>) -> Result<(), StoreError> {
        if letters.is_empty() { Ok(()) } else { self.write(Bury { letters }).await }
    }

    /// How many there are.
    pub(crate) async fn count_dead_letters(&self) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar(include_str!("../../sql/count_dead_letters.sql"))
            .fetch_one(&self.readers)
            .await
            .map_err(failure)?;
        Ok(count.unsigned_abs())
    }

    /// Up to `limit` of them, the oldest first.
    pub(crate) async fn dead_letters(&self, limit: u32) -> Result<Vec<BuriedLetter>, StoreError> {
        let rows: Vec<DeadLetterRow> =
            sqlx::query_as(include_str!("../../sql/list_dead_letters.sql"))
                .bind(limit)
                .fetch_all(&self.readers)
                .await
                .map_err(failure)?;
        rows.into_iter().map(BuriedLetter::try_from).collect()
    }

    /// All of them without their bodies, the oldest first.
    pub(crate) async fn survey_dead_letters(&self) -> Result<Vec<ListedLetter>, StoreError> {
        let rows: Vec<SurveyRow> =
            sqlx::query_as(include_str!("../../sql/survey_dead_letters.sql"))
                .fetch_all(&self.readers)
                .await
                .map_err(failure)?;
        rows.into_iter().map(ListedLetter::try_from).collect()
    }

    /// One of them.
    pub(crate) async fn find_dead_letter(
        &self,
        row: i64,
    ) -> Result<Option<BuriedLetter>, StoreError> {
        let row: Option<DeadLetterRow> =
            sqlx::query_as(include_str!("../../sql/find_dead_letter.sql"))
                .bind(row)
                .fetch_optional(&self.readers)
                .await
                .map_err(failure)?;
        row.map(BuriedLetter::try_from).transpose()
    }

    /// Marks rows to be tried again; tells which.
    pub(crate) async fn requeue_dead_letters(
        &self,
        rows: Vec<i64>,
        now: DateTime<Utc>,
    ) -> Result<Vec<i64>, StoreError> {
        self.write(Requeue { rows, now }).await
    }

    /// Deletes rows, but those that are to be tried again; tells which.
    pub(crate) async fn discard_dead_letters(
        &self,
        rows: Vec<i64>,
    ) -> Result<Vec<i64>, StoreError> {
        self.write(Discard { rows }).await
    }

    /// Deletes rows, or gives them another body; not those that are to be tried again. Tells which.
    pub(crate) async fn redact_dead_letters(
        &self,
        verdicts: Vec<(i64, Verdict)>,
    ) -> Result<Vec<i64>, StoreError> {
        self.write(Redact { verdicts }).await
    }

    /// Up to `limit` of those that are to be tried again, the oldest first.
    pub(crate) async fn marked_dead_letters(
        &self,
        limit: u32,
    ) -> Result<Vec<MarkedLetter>, StoreError> {
        let rows: Vec<(i64, Vec<u8>, String)> =
            sqlx::query_as(include_str!("../../sql/marked_dead_letters.sql"))
                .bind(limit)
                .fetch_all(&self.readers)
                .await
                .map_err(failure)?;
        let marked =
            |(row, body, code): (_, Vec<u8>, _)| MarkedLetter { row, body: body.into(), code };
        Ok(rows.into_iter().map(marked).collect())
    }

    /// How many are to be tried again.
    pub(crate) async fn count_marked_dead_letters(&self) -> Result<u64, StoreError> {
        let count: i64 =
            sqlx::query_scalar(include_str!("../../sql/count_marked_dead_letters.sql"))
                .fetch_one(&self.readers)
                .await
                .map_err(failure)?;
        Ok(count.unsigned_abs())
    }

    /// Deletes rows that were tried again.
    pub(crate) async fn forget_dead_letters(&self, rows: Vec<i64>) -> Result<(), StoreError> {
        self.write(Forget { rows }).await
    }
}

/// A letter that is to be tried again.
pub(crate) struct MarkedLetter {
    /// Its row.
    pub(crate) row: i64,
    /// The bytes as they came.
    pub(crate) body: Bytes,
    /// Why it was given up.
    pub(crate) code: String,
}

struct Requeue {
    rows: Vec<i64>,
    now: DateTime<Utc>,
}

impl Work for Requeue {
    type Answer = Vec<i64>;

    async fn run(self, connection: &mut SqliteConnection) -> Result<Vec<i64>, StoreError> {
        sqlx::query_scalar(include_str!("../../sql/requeue_dead_letters.sql"))
            .bind(json(&self.rows)?)
            .bind(time_text(self.now))
            .fetch_all(connection)
            .await
            .map_err(failure)
    }
}

struct Discard {
    rows: Vec<i64>,
}

impl Work for Discard {
    type Answer = Vec<i64>;

    async fn run(self, connection: &mut SqliteConnection) -> Result<Vec<i64>, StoreError> {
        sqlx::query_scalar(include_str!("../../sql/discard_dead_letters.sql"))
            .bind(json(&self.rows)?)
            .fetch_all(connection)
            .await
            .map_err(failure)
    }
}

struct Redact {
    verdicts: Vec<(i64, Verdict)>,
}

impl Work for Redact {
    type Answer = Vec<i64>;

    async fn run(self, connection: &mut SqliteConnection) -> Result<Vec<i64>, StoreError> {
        let mut done = Vec::new();
        // One statement each: they are few, and bytes do not travel in JSON.
        for (row, verdict) in self.verdicts {
            match verdict {
                Verdict::Keep => {}
                Verdict::Discard => {
                    let discarded = Discard { rows: vec![row] };
                    done.extend(discarded.run(&mut *connection).await?);
                }
                Verdict::Replace(body) => {
                    let replaced: Option<i64> =
                        sqlx::query_scalar(include_str!("../../sql/redact_dead_letter.sql"))
                            .bind(row)
                            .bind(body.as_ref())
                            .fetch_optional(&mut *connection)
                            .await
                            .map_err(failure)?;
                    done.extend(replaced);
                }
            }
        }
        Ok(done)
    }
}

struct Forget {
    rows: Vec<i64>,
}

impl Work for Forget {
    type Answer = ();

    async fn run(self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        sqlx::query(include_str!("../../sql/forget_dead_letters.sql"))
            .bind(json(&self.rows)?)
            .execute(connection)
            .await
            .map_err(failure)?;
        Ok(())
    }
}

struct Bury {
    letters: Vec<BuriedLetter>,
}

impl Work for Bury {
    type Answer = ();

    async fn run(self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        // One statement each: they are few, and bytes do not travel in JSON.
        for letter in self.letters {
            sqlx::query(include_str!("../../sql/insert_dead_letter.sql"))
                .bind(letter.body.as_ref())
                .bind(letter.code)
                .bind(letter.detail)
                .bind(time_text(letter.first_seen_at))
                .bind(letter.attempts)
                .execute(&mut *connection)
                .await
                .map_err(failure)?;
        }
        Ok(())
    }
}

#[derive(FromRow)]
struct DeadLetterRow {
    id: i64,
    body: Vec<u8>,
    code: String,
    detail: String,
    first_seen_at: String,
    attempts: i64,
}

impl TryFrom<DeadLetterRow> for BuriedLetter {
    type Error = StoreError;

    fn try_from(row: DeadLetterRow) -> Result<Self, StoreError> {
        let id = row.id.to_string();
        let attempts =
            u32::try_from(row.attempts).map_err(|_| corrupt("dead_letters", &id, "attempts"))?;
        Ok(Self {
            body: row.body.into(),
            code: row.code,
            detail: row.detail,
            first_seen_at: read("dead_letters", &id, "first_seen_at", &row.first_seen_at)?,
            attempts,
        })
    }
}

#[derive(FromRow)]
struct SurveyRow {
    id: i64,
    code: String,
    detail: String,
    first_seen_at: String,
    attempts: i64,
    body_bytes: i64,
}

impl TryFrom<SurveyRow> for ListedLetter {
    type Error = StoreError;

    fn try_from(row: SurveyRow) -> Result<Self, StoreError> {
        let id = row.id.to_string();
        let corrupt = |column| corrupt("dead_letters", &id, column);
        Ok(Self {
            code: row.code,
            detail: row.detail,
            first_seen_at: read("dead_letters", &id, "first_seen_at", &row.first_seen_at)?,
            attempts: u32::try_from(row.attempts).map_err(|_| corrupt("attempts"))?,
            body_bytes: usize::try_from(row.body_bytes).map_err(|_| corrupt("body"))?,
            id: LetterId::new(&id),
        })
    }
}
