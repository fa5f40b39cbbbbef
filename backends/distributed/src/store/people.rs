//! What is stored about people, found and erased.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use common::{
    clock::rfc3339,
    domain::{Email, PersonHash, SubmissionId},
    ports::{
        people::{Erasure, People, SeenTicket},
        store::StoreError,
    },
};
use sqlx::{Connection, FromRow};
use uuid::Uuid;

use super::{Store, bounded, failed};

#[async_trait]
impl People for Store {
    async fn forget(&self, person: PersonHash, now: DateTime<Utc>) -> Result<(), StoreError> {
        let query = sqlx::query(include_str!("../../sql/forget_person.sql"));
        let query = query.bind(person.0.to_vec()).bind(now);
        bounded(async { query.execute(&mut *self.lend().await?).await }).await?;
        Ok(())
    }

    async fn forgotten_at(&self, person: PersonHash) -> Result<Option<DateTime<Utc>>, StoreError> {
        let query = sqlx::query_scalar(include_str!("../../sql/forgotten_at.sql"));
        let query = query.bind(person.0.to_vec());
        bounded(async { query.fetch_optional(&mut *self.lend().await?).await }).await
    }

    async fn tickets_of(
        &self,
        email: &Email,
        until: DateTime<Utc>,
        after: Option<SubmissionId>,
        limit: u32,
    ) -> Result<Vec<SeenTicket>, StoreError> {
        let query = sqlx::query_as(include_str!("../../sql/tickets_of_person.sql"))
            .bind(email.as_str().to_ascii_lowercase())
            .bind(until)
            .bind(after.map(SubmissionId::as_uuid).unwrap_or_default())
            .bind(i64::from(limit));
        self.searched(query).await
    }

    async fn untouched(
        &self,
        since: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<SeenTicket>, StoreError> {
        let query = sqlx::query_as(include_str!("../../sql/untouched_tickets.sql"));
        self.searched(query.bind(since).bind(i64::from(limit))).await
    }

    async fn erase(
        &self,
        tickets: &[SeenTicket],
        Erasure { at, actor, address, trace }: &Erasure,
    ) -> Result<Vec<SubmissionId>, StoreError> {
        let ids: Vec<_> = tickets.iter().map(|ticket| ticket.id.as_uuid()).collect();
        let versions: Vec<_> = tickets.iter().map(|ticket| ticket.version.cast_signed()).collect();
        let query = sqlx::query_scalar::<_, Uuid>(include_str!("../../sql/erase_tickets.sql"))
            .bind(ids)
            .bind(versions)
            .bind(at)
            .bind(actor)
            .bind(&trace.request_id)
            .bind(&trace.traceparent)
            .bind(address);
        let erased = bounded(async { query.fetch_all(&mut *self.lend().await?).await }).await?;
        Ok(erased.into_iter().map(SubmissionId::from).collect())
    }

    async fn take_turn(
        &self,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let query = sqlx::query(include_str!("../../sql/take_retention_turn.sql"));
        let query = query.bind(rfc3339(now)).bind(rfc3339(until));
        let taken = bounded(async { query.execute(&mut *self.lend().await?).await }).await?;
        Ok(taken.rows_affected() > 0)
    }
}

type Search<'q> = sqlx::query::QueryAs<'q, sqlx::Postgres, SeenRow, sqlx::postgres::PgArguments>;

impl Store {
    /// Whatever time it takes: many tickets may have to be read.
    async fn searched(&self, query: Search<'_>) -> Result<Vec<SeenTicket>, StoreError> {
        let mut connection = self.unhurried().await?;
        let rows = query.fetch_all(&mut connection).await.map_err(failed)?;
        // It is not given back, so nobody waits for a farewell that fails.
        drop(connection.close().await);
        rows.into_iter().map(SeenTicket::try_from).collect()
    }
}

#[derive(FromRow)]
struct SeenRow {
    id: Uuid,
    version: i32,
}

impl TryFrom<SeenRow> for SeenTicket {
    type Error = StoreError;

    fn try_from(SeenRow { id, version }: SeenRow) -> Result<Self, StoreError> {
        let version = version.try_into();
        let version = version.map_err(|_| StoreError::Corrupt("tickets.version".to_owned()))?;
        Ok(Self { id: id.into(), version })
    }
}
