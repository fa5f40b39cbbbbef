//! Tickets going in, and tickets looked up.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    str::FromStr,
};

use async_trait::async_trait;
use common::{
    domain::{
        ClientTimestamp, Email, Fingerprint, Form, KeyHash, Message, Name, NewTicket, PageUrl,
        StatusChange, SubmissionId, Ticket, TicketNumber, UserAgent, UserId,
    },
    keys::hex,
    ports::{
        cases::posts,
        store::{Inserted, StoreError, TicketReader, TicketWriter, in_place},
    },
};
use serde::Serialize;
use sqlx::{FromRow, SqliteConnection};

use super::{Store, corrupt, failure, json, read, time_text, writer::Work};

#[async_trait]
impl TicketWriter for Store {
    async fn reserve(&self, year: u16, count: u32) -> Result<Range<u64>, StoreError> {
        self.write(ReserveCounters { year, count }).await
    }

    async fn insert(&self, batch: &[NewTicket]) -> Result<Vec<Inserted>, StoreError> {
        // One lock is all there is, and whoever reserves counters has met it.
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.write(InsertBatch::try_from(batch)?).await
    }
}

#[async_trait]
impl TicketReader for Store {
    async fn by_numbers(
        &self,
        numbers: &[TicketNumber],
    ) -> Result<Vec<Option<Ticket>>, StoreError> {
        let texts: Vec<_> = numbers.iter().map(ToString::to_string).collect();
        let rows = self.rows(include_str!("../../sql/tickets_by_number.sql"), json(&texts)?);
        in_place(rows.await?, numbers, |ticket| &ticket.number)
    }

    async fn by_ids(&self, ids: &[SubmissionId]) -> Result<Vec<Option<Ticket>>, StoreError> {
        let texts: Vec<_> = ids.iter().map(ToString::to_string).collect();
        let rows = self.rows(include_str!("../../sql/tickets_by_id.sql"), json(&texts)?);
        in_place(rows.await?, ids, |ticket| &ticket.id)
    }

    async fn by_key(&self, key: KeyHash) -> Result<Option<Ticket>, StoreError> {
        let mut rows = self.rows(include_str!("../../sql/ticket_by_key.sql"), hex(&key.0)).await?;
        rows.pop().map(Ticket::try_from).transpose()
    }
}

impl Store {
    async fn rows(&self, sql: &'static str, names: String) -> Result<Vec<TicketRow>, StoreError> {
        sqlx::query_as(sql).bind(names).fetch_all(&self.readers).await.map_err(failure)
    }
}

struct ReserveCounters {
    year: u16,
    count: u32,
}

impl Work for ReserveCounters {
    type Answer = Range<u64>;

    async fn run(self, connection: &mut SqliteConnection) -> Result<Range<u64>, StoreError> {
        // SQLite writes no row that stays as it is, so one counter comes and goes for none: whoever
        // reserves none wants to know whether a write succeeds.
        let taken = self.count.max(1);
        let next: i64 = sqlx::query_scalar(include_str!("../../sql/reserve_counters.sql"))
            .bind(self.year)
            .bind(taken)
            .fetch_one(&mut *connection)
            .await
            .map_err(failure)?;
        if self.count < taken {
            sqlx::query(include_str!("../../sql/return_counter.sql"))
                .bind(self.year)
                .execute(connection)
                .await
                .map_err(failure)?;
        }
        let next = u64::try_from(next)
            .map_err(|_| corrupt("ticket_counters", &self.year.to_string(), "next"))?;
        let first = next.saturating_sub(taken.into());
        Ok(first..first + u64::from(self.count))
    }
}

/// A batch, made ready by the caller's task so that the writer only writes.
struct InsertBatch {
    /// JSON array of [`TicketParameters`].
    tickets: String,
    /// Who each of them is, in the order of the batch.
    identities: Vec<Identity>,
}

struct Identity {
    id: String,
    fingerprint: Fingerprint,
    is_keyed: bool,
}

/// One element of the array that `insert_tickets.sql` takes apart.
#[derive(Serialize)]
struct TicketParameters<'a> {
    id: String,
    number: String,
    name: &'a str,
    email: &'a str,
    subject: &'a str,
    message: &'a str,
    priority: &'a str,
    user_id: Option<&'a str>,
    user_agent: Option<&'a str>,
    url: Option<&'a str>,
    client_timestamp: &'a str,
    submitted_at: String,
    /// Hexadecimal, as JSON has no bytes.
    fingerprint: String,
    request_id: &'a str,
    traceparent: &'a str,
    /// Hexadecimal.
    key_hash: Option<String>,
    /// Hexadecimal.
    person: String,
}

impl<'a> From<&'a NewTicket> for TicketParameters<'a> {
    fn from(ticket: &'a NewTicket) -> Self {
        let form = &ticket.submission.form;
        Self {
            id: ticket.submission.id.to_string(),
            number: ticket.number.to_string(),
            name: form.name.as_str(),
            email: form.email.as_str(),
            subject: form.subject.as_str(),
            message: form.message.as_str(),
            priority: ticket.priority.as_str(),
            user_id: form.user_id.as_ref().map(UserId::as_str),
            user_agent: form.user_agent.as_ref().map(UserAgent::as_str),
            url: form.url.as_ref().map(PageUrl::as_str),
            client_timestamp: form.timestamp.as_str(),
            submitted_at: time_text(ticket.submission.submitted_at),
            fingerprint: hex(&ticket.submission.fingerprint().0),
            request_id: &ticket.submission.trace.request_id,
            traceparent: &ticket.submission.trace.traceparent,
            key_hash: ticket.submission.key.map(|KeyHash(hash)| hex(&hash)),
            person: hex(&ticket.person.0),
        }
    }
}

impl TryFrom<&[NewTicket]> for InsertBatch {
    type Error = StoreError;

    fn try_from(batch: &[NewTicket]) -> Result<Self, StoreError> {
        let tickets: Vec<_> = batch.iter().map(TicketParameters::from).collect();
        let identity = |NewTicket { submission, .. }: &NewTicket| Identity {
            id: submission.id.to_string(),
            fingerprint: submission.fingerprint(),
            is_keyed: submission.key.is_some(),
        };
        Ok(Self { tickets: json(&tickets)?, identities: batch.iter().map(identity).collect() })
    }
}

impl Work for InsertBatch {
    type Answer = Vec<Inserted>;

    async fn run(self, connection: &mut SqliteConnection) -> Result<Vec<Inserted>, StoreError> {
        if self.identities.iter().any(|identity| identity.is_keyed) {
            sqlx::query(include_str!("../../sql/insert_idempotency_keys.sql"))
                .bind(&self.tickets)
                .execute(&mut *connection)
                .await
                .map_err(failure)?;
        }
        let mut inserted: HashSet<String> =
            sqlx::query_scalar(include_str!("../../sql/insert_tickets.sql"))
                .bind(self.tickets)
                .fetch_all(&mut *connection)
                .await
                .map_err(failure)?
                .into_iter()
                .collect();
        // Of two under one id the first was stored, and the second finds it stored.
        let ids = self.identities.iter().map(|identity| identity.id.as_str());
        let (new, others): (Vec<_>, Vec<_>) = ids.partition(|id| inserted.remove(*id));
        if !new.is_empty() {
            complete(connection, &json(&new)?).await?;
        }
        let existing = if others.is_empty() {
            HashMap::new()
        } else {
            find_existing(connection, &json(&others)?).await?
        };
        let mut new: HashSet<_> = new.into_iter().collect();
        self.identities
            .iter()
            .map(|identity| {
                if new.remove(identity.id.as_str()) {
                    Ok(Inserted::New)
                } else {
                    judge(existing.get(&identity.id), identity)
                }
            })
            .collect()
    }
}

/// Writes what goes with new tickets.
async fn complete(connection: &mut SqliteConnection, ids: &str) -> Result<(), StoreError> {
    let statements = [
        include_str!("../../sql/insert_audit_entries.sql"),
        include_str!("../../sql/add_statistics.sql"),
    ];
    for sql in statements {
        sqlx::query(sql).bind(ids).execute(&mut *connection).await.map_err(failure)?;
    }
    Ok(())
}

async fn find_existing(
    connection: &mut SqliteConnection,
    ids: &str,
) -> Result<HashMap<String, ExistingRow>, StoreError> {
    let rows: Vec<ExistingRow> = sqlx::query_as(include_str!("../../sql/find_existing.sql"))
        .bind(ids)
        .fetch_all(connection)
        .await
        .map_err(failure)?;
    Ok(rows.into_iter().map(|row| (row.id.clone(), row)).collect())
}

fn judge(existing: Option<&ExistingRow>, sent: &Identity) -> Result<Inserted, StoreError> {
    const ROW: &str = "an existing ticket";
    match existing {
        Some(row) if row.fingerprint == sent.fingerprint.0 => Ok(Inserted::Existing {
            number: read("tickets", ROW, "number", &row.number)?,
            submitted_at: read("tickets", ROW, "submitted_at", &row.submitted_at)?,
        }),
        Some(_) => Ok(Inserted::Conflict),
        // Neither inserted nor there: its key is another's.
        None if sent.is_keyed => Ok(Inserted::Conflict),
        // Nothing deletes tickets, so another try will tell.
        None => Err(StoreError::Unavailable("a ticket vanished meanwhile".into())),
    }
}

#[derive(FromRow)]
struct ExistingRow {
    id: String,
    number: String,
    submitted_at: String,
    fingerprint: Vec<u8>,
}

/// A ticket as every statement has it that reads whole ones.
#[derive(FromRow)]
pub(super) struct TicketRow {
    id: String,
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
    submitted_at: String,
    updated_at: String,
    resolved_at: Option<String>,
    /// JSON array of `[version, status, at]`, a status it had each, in order.
    history: String,
    /// JSON, where the statement reads it.
    #[sqlx(default)]
    replies: Option<String>,
}

impl TryFrom<TicketRow> for Ticket {
    type Error = StoreError;

    fn try_from(row: TicketRow) -> Result<Self, StoreError> {
        let resolved_at = row.resolved_at.as_deref();
        let number = row.read("number", &row.number)?;
        let replies = row.replies.as_deref().map(|replies| posts(&number, replies));
        Ok(Self {
            replies: replies.transpose()?.unwrap_or_default(),
            id: row.read::<uuid::Uuid>("id", &row.id)?.into(),
            number,
            status: row.read("status", &row.status)?,
            priority: row.read("priority", &row.priority)?,
            submitted_at: row.read("submitted_at", &row.submitted_at)?,
            updated_at: row.read("updated_at", &row.updated_at)?,
            resolved_at: resolved_at.map(|at| row.read("resolved_at", at)).transpose()?,
            history: row.history()?,
            form: Form {
                subject: row.read("subject", &row.subject)?,
                name: Name::stored(row.name),
                email: Email::stored(row.email),
                message: Message::stored(row.message),
                timestamp: ClientTimestamp::stored(row.client_timestamp),
                user_id: row.user_id.map(UserId::stored),
                user_agent: row.user_agent.map(UserAgent::stored),
                url: row.url.map(PageUrl::stored),
            },
        })
    }
}

impl TicketRow {
    /// What people call it.
    pub(super) fn number(&self) -> &str {
        &self.number
    }

    fn read<T: FromStr>(&self, column: &str, text: &str) -> Result<T, StoreError> {
        read("tickets", &self.number, column, text)
    }

    fn history(&self) -> Result<Vec<StatusChange>, StoreError> {
        let steps: Vec<(u32, String, String)> = serde_json::from_str(&self.history)
            .map_err(|_| corrupt("audit_entries", &self.number, "status"))?;
        let change = |(version, status, at): (u32, String, String)| {
            let status = read("audit_entries", &self.number, "status", &status)?;
            let at = read("audit_entries", &self.number, "at", &at)?;
            Ok(StatusChange { version, status, at })
        };
        steps.into_iter().map(change).collect()
    }
}
