//! Reading all that is on record: both records as one, in the order of time, a page at a time. Each
//! line says where to go on behind it.

use std::{collections::VecDeque, fmt, str::FromStr, sync::Arc};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    clock::rfc3339,
    domain::Record,
    ports::{
        events::{Cursor, MalformedCursor},
        records::{Content, RecordEntry, Records},
        store::StoreError,
    },
};

/// Entries of a record read at a time, and lines of a page at most.
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
    /// What was done to a ticket, by its id or its number.
    pub ticket: Option<[String; 2]>,
}

impl Excerpt {
    fn holds(&self, content: &Content) -> bool {
        let at = content.at();
        let of_the_ticket = |names: &[String; 2]| match content {
            Content::Change(change) => names.contains(&change.ticket_id),
            Content::Action(action) => names.contains(&action.subject),
        };
        self.from.is_none_or(|from| at >= from)
            && self.to.is_none_or(|to| at < to)
            && self.actor.as_ref().is_none_or(|actor| actor == content.actor())
            && self.ticket.as_ref().is_none_or(of_the_ticket)
    }
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
        let lane = |record, read_to| Lane {
            record,
            read_to,
            waiting: VecDeque::new(),
            has_more: excerpt.record.is_none_or(|wanted| wanted == record),
        };
        let read_to = excerpt.after;
        Self {
            records,
            tickets: lane(Record::Tickets, read_to.tickets),
            actions: lane(Record::Actions, read_to.actions),
            read_to,
            excerpt,
        }
    }

    /// Lines of JSON, some more of them at each call; none at the end of what is there.
    pub async fn page(&mut self) -> Result<Option<String>, StoreError> {
        loop {
            let mut lines = String::new();
            for _ in 0..PAGE {
                let Some(entry) = self.next().await? else {
                    return Ok((!lines.is_empty()).then_some(lines));
                };
                if self.excerpt.holds(&entry.content) {
                    lines.push_str(&line(&self.read_to, &entry.content)?);
                    lines.push('\n');
                }
            }
            if !lines.is_empty() {
                return Ok(Some(lines));
            }
        }
    }

    /// The earlier one of what is next in either record.
    async fn next(&mut self) -> Result<Option<RecordEntry>, StoreError> {
        let change = self.tickets.first(&*self.records).await?.map(|it| it.content.at());
        let action = self.actions.first(&*self.records).await?.map(|it| it.content.at());
        let is_change = match (change, action) {
            (Some(change), Some(action)) => change <= action,
            (change, _) => change.is_some(),
        };
        let lane = if is_change { &mut self.tickets } else { &mut self.actions };
        let entry = lane.waiting.pop_front();
        if let Some(entry) = &entry {
            let read_to = &mut self.read_to;
            let place = if is_change { &mut read_to.tickets } else { &mut read_to.actions };
            *place = entry.place;
        }
        Ok(entry)
    }
}

/// One record as far as it is read.
struct Lane {
    record: Record,
    read_to: Cursor,
    waiting: VecDeque<RecordEntry>,
    has_more: bool,
}

impl Lane {
    async fn first(&mut self, records: &dyn Records) -> Result<Option<&RecordEntry>, StoreError> {
        if self.waiting.is_empty() && self.has_more {
            let page = records.entries(self.record, self.read_to, PAGE).await?;
            self.has_more = page.len() == PAGE as usize;
            self.read_to = page.last().map_or(self.read_to, |entry| entry.place);
            self.waiting = page.into();
        }
        Ok(self.waiting.front())
    }
}

/// A change of a ticket as programs read it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangeLine<'a> {
    record: &'static str,
    at: String,
    actor: &'a str,
    ticket_id: &'a str,
    version: i64,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Detail<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<&'a str>,
    request_id: &'a str,
    traceparent: &'a str,
    cursor: String,
}

/// An action as programs read it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ActionLine<'a> {
    record: &'static str,
    at: String,
    actor: &'a str,
    action: &'a str,
    subject: &'a str,
    details: Detail<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    cursor: String,
}

/// JSON to the letter, or what stands where it should.
#[derive(Serialize)]
#[serde(untagged)]
enum Detail<'a> {
    Json(&'a RawValue),
    Text(&'a str),
}

impl<'a> Detail<'a> {
    fn of(text: &'a str) -> Self {
        // A line holds no line break, be it between two members.
        match serde_json::from_str(text) {
            Ok(json) if !text.contains('\n') => Self::Json(json),
            _ => Self::Text(text),
        }
    }
}

fn line(read_to: &Places, content: &Content) -> Result<String, StoreError> {
    let at = rfc3339(content.at());
    let cursor = read_to.to_string();
    let line = match content {
        Content::Change(change) => serde_json::to_string(&ChangeLine {
            record: Record::Tickets.as_str(),
            at,
            actor: &change.actor,
            ticket_id: &change.ticket_id,
            version: change.version,
            kind: &change.kind,
            status: change.status.as_deref(),
            changes: change.changes.as_deref().map(Detail::of),
            address: change.address.as_deref(),
            request_id: &change.request_id,
            traceparent: &change.traceparent,
            cursor,
        }),
        Content::Action(action) => serde_json::to_string(&ActionLine {
            record: Record::Actions.as_str(),
            at,
            actor: &action.actor,
            action: &action.action,
            subject: &action.subject,
            details: Detail::of(&action.details),
            address: action.address.as_deref(),
            request_id: action.request_id.as_deref(),
            cursor,
        }),
    };
    line.map_err(|error| StoreError::Corrupt(format!("an entry on record: {error}")))
}

#[cfg(test)]
mod tests;
