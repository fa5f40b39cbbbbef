//! Tickets read page by page.

use std::collections::BTreeSet;

use async_trait::async_trait;
use common::{
    domain::{Email, Message, Name, SubmissionId, Tag, UserId},
    ports::{
        exports::{Choice, ExportedTicket, Exports, Page},
        store::StoreError,
    },
};
use sqlx::FromRow;

use super::{Store, corrupt, failure, json, read, time_text};

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
        let rows = sqlx::query_as::<_, ExportRow>(include_str!("../../sql/export_tickets.sql"))
            // Every id is greater than no text at all.
            .bind(after.map_or_else(String::new, |id| id.to_string()))
            .bind(looked_at_max)
            .bind(json(&statuses)?)
            .bind(json(&priorities)?)
            .bind(json(&subjects)?)
            .bind(from.map(time_text))
            .bind(to.map(time_text))
            .fetch_all(&self.readers)
            .await
            .map_err(failure)?;
        let next = rows.last().map(ExportRow::id).transpose()?;
        let wanted = rows.into_iter().filter(|row| row.is_wanted);
        let tickets = wanted.map(ExportedTicket::try_from).collect::<Result<_, _>>()?;
        Ok(Page { tickets, next })
    }

    async fn count(&self) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar(include_str!("../../sql/count_tickets.sql"))
            .fetch_one(&self.readers)
            .await
            .map_err(failure)?;
        Ok(count.try_into().unwrap_or_default())
    }
}

/// See `export_tickets.sql`.
#[derive(FromRow)]
struct ExportRow {
    id: String,
    number: String,
    name: String,
    email: String,
    subject: String,
    message: String,
    status: String,
    priority: String,
    user_id: Option<String>,
    submitted_at: String,
    updated_at: String,
    resolved_at: Option<String>,
    assignee: Option<String>,
    /// JSON array.
    tags: String,
    is_wanted: bool,
}

impl ExportRow {
    fn id(&self) -> Result<SubmissionId, StoreError> {
        read::<uuid::Uuid>("tickets", &self.number, "id", &self.id).map(Into::into)
    }

    fn tags(&self) -> Result<BTreeSet<Tag>, StoreError> {
        let tags: Vec<String> = serde_json::from_str(&self.tags)
            .map_err(|_| corrupt("ticket_tags", &self.number, "tag"))?;
        Ok(tags.into_iter().map(Tag::stored).collect())
    }
}

impl TryFrom<ExportRow> for ExportedTicket {
    type Error = StoreError;

    fn try_from(row: ExportRow) -> Result<Self, StoreError> {
        let time = |column, text: &str| read("tickets", &row.number, column, text);
        Ok(Self {
            id: row.id()?,
            tags: row.tags()?,
            number: read("tickets", &row.number, "number", &row.number)?,
            subject: read("tickets", &row.number, "subject", &row.subject)?,
            status: read("tickets", &row.number, "status", &row.status)?,
            priority: read("tickets", &row.number, "priority", &row.priority)?,
            submitted_at: time("submitted_at", &row.submitted_at)?,
            updated_at: time("updated_at", &row.updated_at)?,
            resolved_at: row
                .resolved_at
                .as_deref()
                .map(|at| time("resolved_at", at))
                .transpose()?,
            name: Name::stored(row.name),
            email: Email::stored(row.email),
            message: Message::stored(row.message),
            user_id: row.user_id.map(UserId::stored),
            assignee: row.assignee.map(Name::stored),
        })
    }
}
