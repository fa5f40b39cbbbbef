//! An entry as a line of JSON.

use serde::Serialize;
use serde_json::value::RawValue;

use super::Places;
use crate::{
    clock::rfc3339,
    domain::Record,
    ports::{records::Content, store::StoreError},
};

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

/// What an entry says, and where to go on behind it.
pub fn line(read_to: &Places, content: &Content) -> Result<String, StoreError> {
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
