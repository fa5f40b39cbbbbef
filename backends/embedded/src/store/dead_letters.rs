//! The table that is a queue on a broker.

use common::ports::{queue::BuriedLetter, store::StoreError};
use sqlx::{FromRow, SqliteConnection};

use super::{Store, corrupt, failure, read, time_text, writer::Work};

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
