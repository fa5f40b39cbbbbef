//! What is stored about people, found and erased.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use common::{
    domain::{Email, PersonHash, SubmissionId},
    keys::hex,
    ports::{
        people::{Erasure, People, SeenTicket},
        store::StoreError,
    },
};
use serde_json::{Value, json};
use sqlx::{FromRow, SqliteConnection};
use uuid::Uuid;

use super::{Store, failure, json as parameter, read, time_text, writer::Work};

#[async_trait]
impl People for Store {
    async fn forget(&self, person: PersonHash, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.write(Forget { person: hex(&person.0), now: time_text(now) }).await
    }

    async fn forgotten_at(&self, person: PersonHash) -> Result<Option<DateTime<Utc>>, StoreError> {
        let person = hex(&person.0);
        let at: Option<String> = sqlx::query_scalar(include_str!("../../sql/forgotten_at.sql"))
            .bind(&person)
            .fetch_optional(&self.readers)
            .await
            .map_err(failure)?;
        at.map(|at| read("erasures", &person, "erased_at", &at)).transpose()
    }

    async fn tickets_of(
        &self,
        email: &Email,
        until: DateTime<Utc>,
        after: Option<SubmissionId>,
        limit: u32,
    ) -> Result<Vec<SeenTicket>, StoreError> {
        let rows = sqlx::query_as(include_str!("../../sql/tickets_of_person.sql"))
            .bind(email.as_str().to_ascii_lowercase())
            .bind(time_text(until))
            .bind(after.map(|id| id.to_string()).unwrap_or_default())
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(failure)?;
        rows.into_iter().map(|row: SeenRow| row.try_into()).collect()
    }

    async fn untouched(
        &self,
        since: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<SeenTicket>, StoreError> {
        let rows = sqlx::query_as(include_str!("../../sql/untouched_tickets.sql"))
            .bind(time_text(since))
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(failure)?;
        rows.into_iter().map(|row: SeenRow| row.try_into()).collect()
    }

    async fn erase(
        &self,
        tickets: &[SeenTicket],
        erasure: &Erasure,
    ) -> Result<Vec<SubmissionId>, StoreError> {
        let one = |it: &SeenTicket| json!({"id": it.id.to_string(), "version": it.version});
        let seen = tickets.iter().map(one).collect();
        let erased = self.write(EraseTickets { seen, erasure: erasure.clone() }).await?;
        erased.iter().map(|id| read::<Uuid>("tickets", id, "id", id).map(Into::into)).collect()
    }

    async fn take_turn(
        &self,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.write(TakeTurn { now: time_text(now), until: time_text(until) }).await
    }
}

struct Forget {
    person: String,
    now: String,
}

impl Work for Forget {
    type Answer = ();

    async fn run(self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        sqlx::query(include_str!("../../sql/forget_person.sql"))
            .bind(self.person)
            .bind(self.now)
            .execute(connection)
            .await
            .map_err(failure)?;
        Ok(())
    }
}

struct EraseTickets {
    seen: Vec<Value>,
    erasure: Erasure,
}

impl Work for EraseTickets {
    type Answer = Vec<String>;

    async fn run(self, connection: &mut SqliteConnection) -> Result<Vec<String>, StoreError> {
        let Erasure { at, actor, address, trace } = self.erasure;
        let erased: Vec<String> = sqlx::query_scalar(include_str!("../../sql/erase_tickets.sql"))
            .bind(parameter(&self.seen)?)
            .bind(time_text(at))
            .fetch_all(&mut *connection)
            .await
            .map_err(failure)?;
        let ids = parameter(&erased)?;
        sqlx::query(include_str!("../../sql/insert_erasure_entries.sql"))
            .bind(&ids)
            .bind(actor)
            .bind(trace.request_id)
            .bind(trace.traceparent)
            .bind(address)
            .execute(&mut *connection)
            .await
            .map_err(failure)?;
        for sql in [
            include_str!("../../sql/erase_posts.sql"),
            include_str!("../../sql/erase_tags.sql"),
            include_str!("../../sql/erase_search.sql"),
        ] {
            sqlx::query(sql).bind(&ids).execute(&mut *connection).await.map_err(failure)?;
        }
        Ok(erased)
    }
}

struct TakeTurn {
    now: String,
    until: String,
}

impl Work for TakeTurn {
    type Answer = bool;

    async fn run(self, connection: &mut SqliteConnection) -> Result<bool, StoreError> {
        let taken = sqlx::query(include_str!("../../sql/take_retention_turn.sql"))
            .bind(self.now)
            .bind(self.until)
            .execute(connection)
            .await
            .map_err(failure)?;
        Ok(taken.rows_affected() > 0)
    }
}

#[derive(FromRow)]
struct SeenRow {
    id: String,
    version: u32,
}

impl TryFrom<SeenRow> for SeenTicket {
    type Error = StoreError;

    fn try_from(SeenRow { id, version }: SeenRow) -> Result<Self, StoreError> {
        Ok(Self { id: read::<Uuid>("tickets", &id, "id", &id)?.into(), version })
    }
}
