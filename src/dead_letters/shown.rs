//! Letters, and what was done to them, as people and programs read it.

use chrono::{DateTime, SecondsFormat, Utc};
use common::{
    letters::{BodyView, LetterView, code, detail},
    ports::{
        actions::RecordedAction,
        dead_letters::{FoundLetter, ListedLetter, Listing},
    },
};
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use crate::{
    table::{harmless, table},
    terminal::thousands,
};

/// A table, and how many there are of each reason.
pub fn listed(listing: &Listing) -> String {
    let heading = ["ID", "REASON", "FIRST SEEN", "ATTEMPTS", "BYTES", "DETAIL"];
    let rows: Vec<_> = listing.letters.iter().map(row).collect();
    let counts = listing.counts.iter();
    let counts = counts.map(|(reason, count)| format!("{} {}", thousands(*count), code(reason)));
    let there = listing.counts.values().sum();
    let counts = counts.collect::<Vec<_>>().join(", ");
    let sum = match there {
        0 => "No letters.".to_owned(),
        1 => format!("1 letter: {counts}."),
        _ => format!("{} letters: {counts}.", thousands(there)),
    };
    format!("{}\n{}", table(&heading, &rows), harmless(&sum))
}

/// An array.
pub fn json(listing: &Listing) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&listing.letters.iter().map(Row::from).collect::<Vec<_>>())
}

fn row(letter: &ListedLetter) -> Vec<String> {
    vec![
        letter.id.to_string(),
        harmless(&code(&letter.code)),
        shown(letter.first_seen_at, SecondsFormat::Secs),
        letter.attempts.to_string(),
        letter.body_bytes.to_string(),
        harmless(&detail(&letter.code, &letter.detail)),
    ]
}

/// A letter as it may be shown to anybody.
pub fn described(view: &LetterView) -> String {
    let body = match &view.body {
        BodyView::Readable(_) => format!("{} bytes", view.body_bytes),
        BodyView::Unreadable { sha256 } => {
            format!("{} bytes, not readable, SHA-256 {sha256}", view.body_bytes)
        }
    };
    let mut lines = vec![
        ("id", view.id.to_string()),
        ("reason", view.code.clone()),
        ("detail", view.detail.clone()),
        ("first seen", shown(view.first_seen_at, SecondsFormat::Millis)),
        ("attempts", view.attempts.to_string()),
        ("body", body),
    ];
    lines.extend(view.properties.iter().map(|(name, value)| (name.as_str(), value.clone())));
    if view.other_properties > 0 {
        lines.push(("other headers", view.other_properties.to_string()));
    }
    let head = lines_of(lines);
    match &view.body {
        BodyView::Readable(body) => format!("{head}\n\n{body:#}\n\n(--reveal shows all of it)"),
        BodyView::Unreadable { .. } => format!("{head}\n\n(--reveal shows all of it)"),
    }
}

/// A letter as it is.
pub fn revealed(found: &FoundLetter) -> String {
    let letter = &found.letter;
    let mut lines = vec![
        ("id", found.id.to_string()),
        ("reason", letter.code.clone()),
        ("detail", letter.detail.clone()),
        ("first seen", shown(letter.first_seen_at, SecondsFormat::Millis)),
        ("attempts", letter.attempts.to_string()),
        ("body", format!("{} bytes", letter.body.len())),
    ];
    lines.extend(found.properties.iter().map(|(name, value)| (name.as_str(), value.clone())));
    let body = match serde_json::from_slice::<Value>(&letter.body) {
        Ok(value) => format!("{value:#}"),
        Err(_) => String::from_utf8_lossy(&letter.body).into_owned(),
    };
    let body = body.lines().map(harmless).collect::<Vec<_>>().join("\n");
    format!("{}\n\n{body}", lines_of(lines))
}

fn lines_of(lines: Vec<(&str, String)>) -> String {
    let lines = lines.into_iter().map(|(name, value)| vec![harmless(name), harmless(&value)]);
    table(&["", ""], &lines.collect::<Vec<_>>()).trim_start().to_owned()
}

/// A table of what was done.
pub fn logged(actions: &[RecordedAction]) -> String {
    let row = |it: &RecordedAction| {
        let because = serde_json::from_str::<Value>(&it.details).unwrap_or_default();
        let because = because["because"].as_str().unwrap_or_default();
        let at = shown(it.acted_at, SecondsFormat::Secs);
        let cells = [&at, &it.actor, &it.action, &it.subject, because];
        cells.map(harmless).to_vec()
    };
    let rows: Vec<_> = actions.iter().map(row).collect();
    table(&["AT", "ACTOR", "ACTION", "LETTER", "BECAUSE"], &rows)
}

/// An array of what was done.
pub fn log_json(actions: &[RecordedAction]) -> serde_json::Result<String> {
    let rows = actions.iter().map(|it| {
        Ok(LogRow {
            at: shown(it.acted_at, SecondsFormat::Millis),
            actor: &it.actor,
            action: &it.action,
            subject: &it.subject,
            details: serde_json::from_str(&it.details)?,
            address: it.address.as_deref(),
            request_id: it.request_id.as_deref(),
        })
    });
    serde_json::to_string_pretty(&rows.collect::<serde_json::Result<Vec<_>>>()?)
}

fn shown(time: DateTime<Utc>, precision: SecondsFormat) -> String {
    time.to_rfc3339_opts(precision, true)
}

/// An action as programs read it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogRow<'a> {
    at: String,
    actor: &'a str,
    action: &'a str,
    subject: &'a str,
    details: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

/// A letter as programs read it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    id: &'a str,
    code: String,
    detail: String,
    first_seen_at: String,
    attempts: u32,
    body_bytes: usize,
}

impl<'a> From<&'a ListedLetter> for Row<'a> {
    fn from(letter: &'a ListedLetter) -> Self {
        Self {
            id: letter.id.as_str(),
            code: code(&letter.code),
            detail: detail(&letter.code, &letter.detail),
            first_seen_at: shown(letter.first_seen_at, SecondsFormat::Millis),
            attempts: letter.attempts,
            body_bytes: letter.body_bytes,
        }
    }
}
