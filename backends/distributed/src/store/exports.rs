//! Tickets read page by page.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use common::{
    domain::{Email, Message, Name, SubmissionId, Tag, UserId},
    ports::{
        exports::{Choice, ExportedTicket, Exports, Page},
        store::StoreError,
    },
};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Store, bounded, tickets::corrupt};

#[async_trait]
impl Exports for Store {
    async fn page(
        &self,
        choice: &Choice,
        after: Option<SubmissionId>,
        looked_at_max: u32,
    ) -> Result<Page, StoreError> {
        let Choice { statuses, priorities, subjects, from, to } = choice;
        let statuses: Vec<_> = statuses.iter().map(|it| it.as_str()).collect();
        let priorities: Vec<_> = priorities.iter().map(|it| it.as_str()).collect();
        let subjects: Vec<_> = subjects.iter().map(|it| it.as_str()).collect();
        let query = sqlx::query_as::<_, ExportRow>(include_str!("../../sql/export_tickets.sql"))
            // No id that is issued is all zeros.
            .bind(after.map_or_else(Uuid::nil, SubmissionId::as_uuid))
            .bind(i64::from(looked_at_max))
            .bind(statuses)
            .bind(priorities)
            .bind(subjects)
            .bind(*from)
            .bind(*to);
        let rows = bounded(async { query.fetch_all(&mut *self.lend().await?).await }).await?;
        let next = rows.last().map(|row| row.id.into());
        let wanted = rows.into_iter().filter(|row| row.is_wanted);
        let tickets = wanted.map(ExportedTicket::try_from).collect::<Result<_, _>>()?;
        Ok(Page { tickets, next })
    }

    async fn count(&self) -> Result<u64, StoreError> {
        let query = sqlx::query_scalar::<_, i64>(include_str!("../../sql/count_tickets.sql"));
        let count = bounded(async { query.fetch_one(&mut *self.lend().await?).await }).await?;
        Ok(count.try_into().unwrap_or_default())
    }
}

/// See `export_tickets.sql`.
#[derive(FromRow)]
struct ExportRow {
    id: Uuid,
    number: String,
    name: String,
    email: String,
    subject: String,
    message: String,
    status: String,
    priority: String,
    user_id: Option<String>,
    submitted_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    resolved_at: Option<DateTime<Utc>>,
    assignee: Option<String>,
    tags: Vec<String>,
    is_wanted: bool,
}

impl TryFrom<ExportRow> for ExportedTicket {
    type Error = StoreError;

    fn try_from(row: ExportRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            number: row.number.parse().map_err(|_| corrupt("number"))?,
            name: Name::stored(row.name),
            email: Email::stored(row.email),
            subject: row.subject.parse().map_err(|_| corrupt("subject"))?,
            message: Message::stored(row.message),
            status: row.status.parse().map_err(|_| corrupt("status"))?,
            priority: row.priority.parse().map_err(|_| corrupt("priority"))?,
            user_id: row.user_id.map(UserId::stored),
            submitted_at: row.submitted_at,
            updated_at: row.updated_at,
            resolved_at: row.resolved_at,
            assignee: row.assignee.map(Name::stored),
            tags: row.tags.into_iter().map(Tag::stored).collect(),
        })
    }
}
