//! Reading all that is on record, a page at a time: each record in the order in which it was written, the two
//! merged by time. Each line says where to go on behind it.

mod lane;
mod line;

use std::{fmt, str::FromStr, sync::Arc};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use self::{lane::Lane, line::line};
use crate::{
    clock::rfc3339,
    domain::{Record, SubmissionId, TicketNumber},
    ports::{
        cases::{Cases, Reference},
        events::{Cursor, MalformedCursor},
        records::{Content, RecordEntry, Records, TicketNames},
        store::StoreError,
    },
};

/// Entries of a record read at a time.
const PAGE: u32 = 500;

/// A place in either record. Opaque to whoever is handed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Places {
    /// In that of tickets.
    tickets: Cursor,
    /// In that of operators.
    actions: Cursor,
}

impl fmt::Display for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.tickets, self.actions)
    }
}

impl FromStr for Places {
    type Err = MalformedCursor;

    fn from_str(text: &str) -> Result<Self, MalformedCursor> {
        let (tickets, actions) = text.split_at_checked(32).ok_or(MalformedCursor)?;
        Ok(Self { tickets: tickets.parse()?, actions: actions.parse()? })
    }
}

/// What somebody wants to read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Excerpt {
    /// This record alone.
    pub record: Option<Record>,
    /// What is behind this place.
    pub after: Places,
    /// What happened then or later.
    pub from: Option<DateTime<Utc>>,
    /// What happened before.
    pub to: Option<DateTime<Utc>>,
    /// What was done by this one.
    pub actor: Option<String>,
    /// What was done to a ticket.
    pub ticket: Option<TicketNames>,
}

impl Excerpt {
    /// How it is on record that somebody reads it.
    #[must_use]
    pub fn details(&self) -> Value {
        let ticket = self.ticket.as_ref();
        let number = ticket.and_then(|it| it.number.as_ref()).map(ToString::to_string);
        let id = ticket.and_then(|it| it.id).map(|id| id.to_string());
        json!({
            "record": self.record.map(Record::as_str),
            "from": self.from.map(rfc3339),
            "to": self.to.map(rfc3339),
            "actor": self.actor,
            "ticket": number.or(id),
        })
    }

    fn holds(&self, content: &Content) -> bool {
        let at = content.at();
        self.from.is_none_or(|from| at >= from)
            && self.to.is_none_or(|to| at < to)
            && self.actor.as_ref().is_none_or(|actor| actor == content.actor())
    }
}

/// Which ticket somebody names by its number, in capitals or not, or by its id.
#[must_use]
pub fn reference(text: &str) -> Option<Reference> {
    let id = text.parse::<Uuid>().ok().map(|id| Reference::Id(SubmissionId::from(id)));
    let number = || text.to_ascii_uppercase().parse::<TicketNumber>().ok().map(Reference::Number);
    id.or_else(number)
}

/// What the records call a ticket. One that is not there any more they call as it is asked for.
pub async fn names(cases: &dyn Cases, ticket: &Reference) -> Result<TicketNames, StoreError> {
    let found = cases.one(ticket).await?.map(|case| case.ticket);
    Ok(match (found, ticket) {
        (Some(ticket), _) => TicketNames { id: Some(ticket.id), number: Some(ticket.number) },
        (None, Reference::Id(id)) => TicketNames { id: Some(*id), number: None },
        (None, Reference::Number(number)) => TicketNames { id: None, number: Some(number.clone()) },
    })
}

/// Goes through an excerpt, with a page of each record in memory.
pub struct Reading {
    records: Arc<dyn Records>,
    excerpt: Excerpt,
    read_to: Places,
    tickets: Lane,
    actions: Lane,
}

impl Reading {
    /// Begins.
    #[must_use]
    pub fn new(records: Arc<dyn Records>, excerpt: Excerpt) -> Self {
        let read_to = excerpt.after;
        Self {
            records,
            tickets: Lane::new(Record::Tickets, read_to.tickets, &excerpt),
            actions: Lane::new(Record::Actions, read_to.actions, &excerpt),
            read_to,
            excerpt,
        }
    }

    /// Asks the store once, and gives the lines of JSON that this makes known: none, where nothing
    /// that was read is wanted. `None` at the end of what is there.
    ///
    /// So whoever calls this can bound each wait by itself, however much there is to be read. After a
    /// failure, or given up half-way, it can be called again.
    pub async fn page(&mut self) -> Result<Option<String>, StoreError> {
        if let Some(lane) = [&mut self.tickets, &mut self.actions].into_iter().find(|it| it.waits())
        {
            lane.read(&*self.records, &self.excerpt).await?;
        }
        let mut lines = String::new();
        while let Some(entry) = self.next() {
            if self.excerpt.holds(&entry.content) {
                lines.push_str(&line(&self.read_to, &entry.content)?);
                lines.push('\n');
            }
        }
        let goes_on = self.tickets.waits() || self.actions.waits();
        Ok((goes_on || !lines.is_empty()).then_some(lines))
    }

    /// The earlier one of what is next in either record; none where that is not known yet.
    fn next(&mut self) -> Option<RecordEntry> {
        if self.tickets.waits() || self.actions.waits() {
            return None;
        }
        let is_change = match (self.tickets.next_at(), self.actions.next_at()) {
            (Some(change), Some(action)) => change <= action,
            (change, _) => change.is_some(),
        };
        let (lane, read_to) = if is_change {
            (&mut self.tickets, &mut self.read_to.tickets)
        } else {
            (&mut self.actions, &mut self.read_to.actions)
        };
        let entry = lane.take()?;
        *read_to = entry.place;
        Some(entry)
    }
}

#[cfg(test)]
mod tests;
