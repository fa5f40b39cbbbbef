//! Tickets: written by workers in batches, read by edges one at a time.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use common::{
    domain::{
        ClientTimestamp, Email, Fingerprint, Form, KeyHash, Message, Name, NewTicket, PageUrl,
        StatusChange, SubmissionId, Ticket, TicketNumber, UserAgent, UserId,
    },
    ports::{
        cases::posts,
        store::{Inserted, StoreError, TicketReader, TicketWriter, in_place},
    },
};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Store, bounded};

#[async_trait]
impl TicketWriter for Store {
    async fn reserve(&self, year: u16, count: u32) -> Result<Range<u64>, StoreError> {
        let query = sqlx::query_scalar::<_, i64>(include_str!("../../sql/reserve_counters.sql"));
        let query = query.bind(i32::from(year)).bind(i64::from(count));
        let next = bounded(async { query.fetch_one(&mut *self.lend().await?).await }).await?;
        let next = u64::try_from(next)
            .map_err(|_| StoreError::Corrupt("ticket_counters.next".to_owned()))?;
        Ok(next - u64::from(count)..next)
    }

    async fn insert(&self, batch: &[NewTicket]) -> Result<Vec<Inserted>, StoreError> {
        let mut new = self.insert_new(batch).await?;
        let known: Vec<Uuid> = batch
            .iter()
            .map(|ticket| ticket.submission.id.as_uuid())
            .filter(|id| !new.contains(id))
            .collect();
        // The same submission twice in one batch: the second finds the first.
        let repeats = new.len() + known.len() < batch.len();
        let existing = if known.is_empty() && !repeats {
            HashMap::new()
        } else {
            self.existing(batch).await?
        };
        batch.iter().map(|ticket| outcome(ticket, &mut new, &existing)).collect()
    }
}

impl Store {
    /// The ids that were not there before, each to be claimed once.
    async fn insert_new(&self, batch: &[NewTicket]) -> Result<HashSet<Uuid>, StoreError> {
        let columns = Columns::of(batch);
        let query = sqlx::query_scalar::<_, Uuid>(include_str!("../../sql/insert_tickets.sql"))
            .bind(&columns.ids)
            .bind(&columns.numbers)
            .bind(&columns.names)
            .bind(&columns.emails)
            .bind(&columns.subjects)
            .bind(&columns.messages)
            .bind(&columns.priorities)
            .bind(&columns.user_ids)
            .bind(&columns.user_agents)
            .bind(&columns.urls)
            .bind(&columns.client_timestamps)
            .bind(&columns.submitted_ats)
            .bind(&columns.fingerprints)
            .bind(&columns.request_ids)
            .bind(&columns.traceparents)
            .bind(&columns.key_hashes)
            .bind(&columns.people);
        let ids = bounded(async { query.fetch_all(&mut *self.lend().await?).await }).await?;
        Ok(ids.into_iter().collect())
    }

    async fn existing(
        &self,
        batch: &[NewTicket],
    ) -> Result<HashMap<Uuid, ExistingRow>, StoreError> {
        let ids: Vec<Uuid> = batch.iter().map(|ticket| ticket.submission.id.as_uuid()).collect();
        let query = sqlx::query_as::<_, ExistingRow>(include_str!("../../sql/find_existing.sql"));
        let query = query.bind(ids);
        let rows = bounded(async { query.fetch_all(&mut *self.lend().await?).await }).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }
}

#[async_trait]
impl TicketReader for Store {
    async fn by_numbers(
        &self,
        numbers: &[TicketNumber],
    ) -> Result<Vec<Option<Ticket>>, StoreError> {
        let texts: Vec<_> = numbers.iter().map(ToString::to_string).collect();
        let query = sqlx::query_as::<_, TicketRow>(include_str!("../../sql/tickets_by_number.sql"));
        let query = query.bind(texts);
        let rows = bounded(async { query.fetch_all(&mut *self.lend().await?).await }).await?;
        in_place(rows, numbers, |ticket| &ticket.number)
    }

    async fn by_ids(&self, ids: &[SubmissionId]) -> Result<Vec<Option<Ticket>>, StoreError> {
        let uuids: Vec<_> = ids.iter().map(|id| id.as_uuid()).collect();
        let query = sqlx::query_as::<_, TicketRow>(include_str!("../../sql/tickets_by_id.sql"));
        let query = query.bind(uuids);
        let rows = bounded(async { query.fetch_all(&mut *self.lend().await?).await }).await?;
        in_place(rows, ids, |ticket| &ticket.id)
    }

    async fn by_key(&self, key: KeyHash) -> Result<Option<Ticket>, StoreError> {
        let query = sqlx::query_as::<_, TicketRow>(include_str!("../../sql/ticket_by_key.sql"));
        let query = query.bind(key.0.to_vec());
        let row = bounded(async { query.fetch_optional(&mut *self.lend().await?).await }).await?;
        row.map(Ticket::try_from).transpose()
    }
}

fn outcome(
    ticket: &NewTicket,
    new: &mut HashSet<Uuid>,
    existing: &HashMap<Uuid, ExistingRow>,
) -> Result<Inserted, StoreError> {
    let submission = &ticket.submission;
    let id = submission.id.as_uuid();
    if new.remove(&id) {
        return Ok(Inserted::New);
    }
    match existing.get(&id) {
        Some(row) if row.fingerprint == submission.fingerprint().0 => Ok(Inserted::Existing {
            number: row.number.parse().map_err(|_| corrupt("number"))?,
            submitted_at: row.submitted_at,
        }),
        Some(_) => Ok(Inserted::Conflict),
        // Neither inserted nor there: its key is another's.
        None if submission.key.is_some() => Ok(Inserted::Conflict),
        // Nothing deletes tickets in between.
        None => Err(corrupt("id")),
    }
}

/// A batch turned by a quarter: one array a column, as `unnest` takes them.
#[derive(Default)]
struct Columns<'a> {
    ids: Vec<Uuid>,
    numbers: Vec<String>,
    names: Vec<&'a str>,
    emails: Vec<&'a str>,
    subjects: Vec<&'a str>,
    messages: Vec<&'a str>,
    priorities: Vec<&'a str>,
    user_ids: Vec<Option<&'a str>>,
    user_agents: Vec<Option<&'a str>>,
    urls: Vec<Option<&'a str>>,
    client_timestamps: Vec<&'a str>,
    submitted_ats: Vec<DateTime<Utc>>,
    fingerprints: Vec<Vec<u8>>,
    request_ids: Vec<&'a str>,
    traceparents: Vec<&'a str>,
    key_hashes: Vec<Option<Vec<u8>>>,
    people: Vec<Vec<u8>>,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a [NewTicket]) -> Self {
        let mut columns = Self::default();
        for NewTicket { submission, number, priority, person } in batch {
            let form = &submission.form;
            let Fingerprint(fingerprint) = submission.fingerprint();
            columns.ids.push(submission.id.as_uuid());
            columns.numbers.push(number.to_string());
            columns.names.push(form.name.as_str());
            columns.emails.push(form.email.as_str());
            columns.subjects.push(form.subject.as_str());
            columns.messages.push(form.message.as_str());
            columns.priorities.push(priority.as_str());
            columns.user_ids.push(form.user_id.as_ref().map(UserId::as_str));
            columns.user_agents.push(form.user_agent.as_ref().map(UserAgent::as_str));
            columns.urls.push(form.url.as_ref().map(PageUrl::as_str));
            columns.client_timestamps.push(form.timestamp.as_str());
            columns.submitted_ats.push(submission.submitted_at);
            columns.fingerprints.push(fingerprint.to_vec());
            columns.request_ids.push(&submission.trace.request_id);
            columns.traceparents.push(&submission.trace.traceparent);
            columns.key_hashes.push(submission.key.map(|KeyHash(hash)| hash.to_vec()));
            columns.people.push(person.0.to_vec());
        }
        columns
    }
}

#[derive(FromRow)]
struct ExistingRow {
    id: Uuid,
    number: String,
    submitted_at: DateTime<Utc>,
    fingerprint: Vec<u8>,
}

/// A ticket as every statement has it that reads whole ones.
#[derive(FromRow)]
pub(super) struct TicketRow {
    id: Uuid,
    number: String,
    name: String,
    email: String,
    subject: String,
    message: String,
    status: String,
    priority: String,
    user_id: Option<String>,
    user_agent: Option<String>,
    url: Option<String>,
    client_timestamp: String,
    submitted_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    resolved_at: Option<DateTime<Utc>>,
    /// Of every status it had, in order: at which version, which, and since when.
    versions: Option<Vec<i32>>,
    statuses: Option<Vec<String>>,
    times: Option<Vec<DateTime<Utc>>>,
    /// JSON, where the statement reads it.
    #[sqlx(default)]
    replies: Option<String>,
}

pub(super) fn corrupt(column: &str) -> StoreError {
    StoreError::Corrupt(format!("tickets.{column}"))
}

impl TicketRow {
    fn history(&mut self) -> Result<Vec<StatusChange>, StoreError> {
        let corrupt = |column| StoreError::Corrupt(format!("audit_entries.{column}"));
        let versions = self.versions.take().unwrap_or_default();
        let statuses = self.statuses.take().unwrap_or_default();
        let times = self.times.take().unwrap_or_default();
        let steps = versions.into_iter().zip(statuses).zip(times);
        let change = |((version, status), at): ((i32, String), _)| {
            let version = version.try_into().map_err(|_| corrupt("version"))?;
            let status = status.parse().map_err(|_| corrupt("status"))?;
            Ok(StatusChange { version, status, at })
        };
        steps.map(change).collect()
    }
}

impl TryFrom<TicketRow> for Ticket {
    type Error = StoreError;

    fn try_from(mut row: TicketRow) -> Result<Self, StoreError> {
        let number = row.number.parse().map_err(|_| corrupt("number"))?;
        let replies = row.replies.as_deref().map(|replies| posts(&number, replies));
        Ok(Self {
            replies: replies.transpose()?.unwrap_or_default(),
            history: row.history()?,
            id: row.id.into(),
            number,
            form: Form {
                name: Name::stored(row.name),
                email: Email::stored(row.email),
                subject: row.subject.parse().map_err(|_| corrupt("subject"))?,
                message: Message::stored(row.message),
                timestamp: ClientTimestamp::stored(row.client_timestamp),
                user_id: row.user_id.map(UserId::stored),
                user_agent: row.user_agent.map(UserAgent::stored),
                url: row.url.map(PageUrl::stored),
            },
            status: row.status.parse().map_err(|_| corrupt("status"))?,
            priority: row.priority.parse().map_err(|_| corrupt("priority"))?,
            submitted_at: row.submitted_at,
            updated_at: row.updated_at,
            resolved_at: row.resolved_at,
        })
    }
}
