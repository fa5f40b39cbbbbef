//! Tickets on their way out: page by page, at the pace of whoever takes them, in lines of JSON or in
//! CSV. However many there are, two pages of them are held at most.

mod query;
pub(crate) mod route;

use std::{borrow::Cow, sync::Arc};

use common::{
    domain::{Name, SubmissionId, Tag, UserId},
    ports::{
        exports::{Choice, ExportedTicket, Exports},
        store::StoreError,
    },
};
use http::{answer::rfc3339, condition::in_time};
use serde::Serialize;

use crate::{
    cell::{guarded, write_row},
    transfer::Patience,
};

pub use query::moment;

/// Tickets looked at together. The longest, two hundred of them, are eight megabytes.
const PAGE: u32 = 200;

/// How tickets are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A JSON object a line.
    Ndjson,
    /// RFC 4180 with a row of names, in UTF-8.
    Csv,
}

impl Format {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ndjson, Self::Csv];

    /// What it is called, also as the ending of a file's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }

    /// What a media type calls it.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        }
    }

    /// What stands before the first ticket.
    #[must_use]
    pub fn head(self) -> Vec<u8> {
        let mut head = Vec::new();
        if self == Self::Csv {
            write_row(COLUMNS.map(Cow::from), &mut head);
        }
        head
    }

    /// Appends tickets.
    pub fn write(self, tickets: &[ExportedTicket], text: &mut Vec<u8>) {
        for ticket in tickets.iter().map(Record::of) {
            match self {
                // Strings and lists of strings always can be written.
                Self::Ndjson => drop(serde_json::to_writer(&mut *text, &ticket)),
                Self::Csv => write_row(ticket.cells(), text),
            }
            if self == Self::Ndjson {
                text.push(b'\n');
            }
        }
    }
}

/// The columns of a table, named as the members of an object are.
pub const COLUMNS: [&str; 14] = [
    "id",
    "number",
    "name",
    "email",
    "subject",
    "message",
    "status",
    "priority",
    "userId",
    "submittedAt",
    "updatedAt",
    "resolvedAt",
    "assignee",
    "tags",
];

/// A ticket as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    id: String,
    number: String,
    name: &'a str,
    email: &'a str,
    subject: &'static str,
    message: &'a str,
    status: &'static str,
    priority: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    submitted_at: String,
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assignee: Option<&'a str>,
    tags: Vec<&'a str>,
}

impl<'a> Record<'a> {
    fn of(ticket: &'a ExportedTicket) -> Self {
        Self {
            id: ticket.id.to_string(),
            number: ticket.number.to_string(),
            name: ticket.name.as_str(),
            email: ticket.email.as_str(),
            subject: ticket.subject.as_str(),
            message: ticket.message.as_str(),
            status: ticket.status.as_str(),
            priority: ticket.priority.as_str(),
            user_id: ticket.user_id.as_ref().map(UserId::as_str),
            submitted_at: rfc3339(ticket.submitted_at),
            updated_at: rfc3339(ticket.updated_at),
            resolved_at: ticket.resolved_at.map(rfc3339),
            assignee: ticket.assignee.as_ref().map(Name::as_str),
            tags: ticket.tags.iter().map(Tag::as_str).collect(),
        }
    }

    /// In the order of [`COLUMNS`]. No tag holds a space.
    fn cells(self) -> [Cow<'a, str>; 14] {
        [
            self.id.into(),
            self.number.into(),
            guarded(self.name),
            guarded(self.email),
            self.subject.into(),
            guarded(self.message),
            self.status.into(),
            self.priority.into(),
            guarded(self.user_id.unwrap_or_default()),
            self.submitted_at.into(),
            self.updated_at.into(),
            self.resolved_at.unwrap_or_default().into(),
            guarded(self.assignee.unwrap_or_default()),
            self.tags.join(" ").into(),
        ]
    }
}

/// All pages of an export, one after the other.
pub struct Pages {
    exports: Arc<dyn Exports>,
    choice: Choice,
    /// `None` behind the last one.
    place: Option<Place>,
}

/// Behind which ticket the next page begins.
type Place = Option<SubmissionId>;

impl Pages {
    /// Of these tickets.
    #[must_use]
    pub fn of(exports: Arc<dyn Exports>, choice: Choice) -> Self {
        Self { exports, choice, place: Some(None) }
    }

    /// The next tickets; none of a page may have been asked for. `None` at the end. A store that is
    /// away is waited for, some seconds.
    pub async fn next(&mut self) -> Result<Option<Vec<ExportedTicket>>, StoreError> {
        let Some(place) = self.place else { return Ok(None) };
        let mut patience = Patience::new();
        loop {
            match self.read(place).await {
                Ok(tickets) => return Ok(tickets),
                Err(error) => patience.wait(error).await?,
            }
        }
    }

    /// As [`Pages::next`], but once.
    pub async fn next_at_once(&mut self) -> Result<Option<Vec<ExportedTicket>>, StoreError> {
        let Some(place) = self.place else { return Ok(None) };
        self.read(place).await
    }

    async fn read(&mut self, place: Place) -> Result<Option<Vec<ExportedTicket>>, StoreError> {
        let page = in_time(self.exports.page(&self.choice, place, PAGE)).await?;
        self.place = page.next.map(Some);
        Ok(page.next.is_some().then_some(page.tickets))
    }
}

#[cfg(test)]
mod tests;
