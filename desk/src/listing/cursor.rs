//! Where a list goes on, handed to whoever reads it and handed back.
//!
//! A cursor is of one query: under another it would leave tickets out, and nobody would notice. So it
//! carries a keyed hash of the query, and one over all of it.

use chrono::{DateTime, TimeDelta, Utc};
use common::{
    domain::{Between, Email, Place, RuleViolation, Search, Tag, TicketQuery},
    keys::{NumberKey, hex, keyed_hash, unhex},
};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

/// What is read now, and told apart from what a later release writes.
const VERSION: u8 = 1;

/// How long a cursor leads on: whoever reads a list does so in a day.
const LIFETIME: TimeDelta = TimeDelta::days(1);

const QUERY_BYTES: usize = 8;
const CHECK_BYTES: usize = 16;
/// Version, time, place, query.
const CONTENT_BYTES: usize = 1 + 8 + Place::BYTES + QUERY_BYTES;
const CURSOR_BYTES: usize = CONTENT_BYTES + CHECK_BYTES;

/// Makes cursors, and knows its own.
pub struct Cursors {
    key: [u8; 32],
}

impl Cursors {
    /// Those of an installation.
    pub fn new(key: &NumberKey) -> Self {
        Self { key: key.derive("ticket-cursor") }
    }

    /// The text of a place in this query's list.
    pub fn issue(&self, query: &TicketQuery, place: &Place, now: DateTime<Utc>) -> String {
        let mut cursor = vec![VERSION];
        cursor.extend(now.timestamp_millis().to_be_bytes());
        cursor.extend(place.to_bytes());
        cursor.extend(self.query(query));
        cursor.extend(self.check(&cursor));
        hex(&cursor)
    }

    /// The place that a text stands for in this query's list.
    pub fn read(
        &self,
        text: &str,
        query: &TicketQuery,
        now: DateTime<Utc>,
    ) -> Result<Place, RuleViolation> {
        let cursor = unhex::<CURSOR_BYTES>(text).ok_or_else(invalid)?;
        let (content, check) = cursor.split_at(CONTENT_BYTES);
        let is_ours: bool = self.check(content).ct_eq(check).into();
        let fields = is_ours.then(|| Content::read(content)).flatten().ok_or_else(invalid)?;
        if fields.query != self.query(query) {
            let detail = "was made for other filters, another search or another sort";
            return Err(RuleViolation::new("foreign_cursor", detail));
        }
        let issued_at = DateTime::from_timestamp_millis(fields.issued_at_ms).ok_or_else(invalid)?;
        if now - issued_at > LIFETIME {
            let detail = "is older than a day; begin with the first page again";
            return Err(RuleViolation::new("expired_cursor", detail));
        }
        Ok(fields.place)
    }

    fn check(&self, content: &[u8]) -> [u8; CHECK_BYTES] {
        truncated(keyed_hash(&self.key, &[b"cursor", content]))
    }

    fn query(&self, query: &TicketQuery) -> [u8; QUERY_BYTES] {
        truncated(keyed_hash(&self.key, &[b"query", canonical(query).to_string().as_bytes()]))
    }
}

fn truncated<const BYTES: usize>(hash: [u8; 32]) -> [u8; BYTES] {
    let mut first = [0; BYTES];
    first.copy_from_slice(&hash[..BYTES]);
    first
}

fn invalid() -> RuleViolation {
    RuleViolation::new("invalid_cursor", "must be the next of an answer, as it was told")
}

/// All that decides what is on which page; how many are on a page does not.
fn canonical(query: &TicketQuery) -> Value {
    let filters = &query.filters;
    let between = |it: &Between| {
        let millis = |at: Option<DateTime<Utc>>| at.map(|at| at.timestamp_millis());
        json!([millis(it.from), millis(it.to)])
    };
    let search = |it: &Search| {
        let email = it.email.as_ref().map(Email::as_str);
        json!([it.number.as_ref().map(ToString::to_string), email, it.phrases])
    };
    json!([
        filters.status_words(),
        filters.priority_words(),
        filters.subject_words(),
        filters.assignee(),
        filters.is_unassigned(),
        filters.tag.as_ref().map(Tag::as_str),
        filters.has_reply,
        between(&filters.submitted),
        between(&filters.updated),
        query.sort.as_str(),
        query.search.as_ref().map(search),
    ])
}

struct Content {
    issued_at_ms: i64,
    place: Place,
    query: [u8; QUERY_BYTES],
}

impl Content {
    fn read(mut bytes: &[u8]) -> Option<Self> {
        let [VERSION] = take(&mut bytes)? else { return None };
        let issued_at_ms = i64::from_be_bytes(take(&mut bytes)?);
        let place = Place::from_bytes(take(&mut bytes)?);
        Some(Self { issued_at_ms, place, query: take(&mut bytes)? })
    }
}

fn take<const LENGTH: usize>(bytes: &mut &[u8]) -> Option<[u8; LENGTH]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use common::domain::{Filters, Sort, Status};

    use super::*;

    fn query(change: impl FnOnce(&mut TicketQuery)) -> TicketQuery {
        let filters = Filters { statuses: [Status::Open].into(), ..Filters::default() };
        let mut query =
            TicketQuery { filters, search: None, sort: Sort::NewestFirst, after: None, limit: 25 };
        change(&mut query);
        query
    }

    fn cursors(digit: &str) -> Cursors {
        Cursors::new(&NumberKey::from_hex(&digit.repeat(64)).unwrap())
    }

    fn now() -> DateTime<Utc> {
        "2026-11-22T10:30:00.123Z".parse().unwrap()
    }

    fn place() -> Place {
        Place::from_bytes([0xa5; Place::BYTES])
    }

    fn code(read: Result<Place, RuleViolation>) -> &'static str {
        read.err().map_or("ok", |violation| violation.code)
    }

    #[test]
    fn a_cursor_leads_back_for_a_day_and_for_any_number_of_tickets() {
        let (cursors, asked) = (cursors("5"), query(|_| {}));
        let text = cursors.issue(&asked, &place(), now());
        assert!(text.bytes().all(|it| it.is_ascii_alphanumeric()), "{text}");
        assert_eq!(cursors.read(&text, &asked, now() + LIFETIME), Ok(place()));
        let later = now() + LIFETIME + TimeDelta::milliseconds(1);
        assert_eq!(code(cursors.read(&text, &asked, later)), "expired_cursor");
        assert_eq!(cursors.read(&text, &query(|it| it.limit = 100), now()), Ok(place()));
    }

    #[test]
    fn a_cursor_of_another_query_is_refused() {
        let cursors = cursors("5");
        let text = cursors.issue(&query(|_| {}), &place(), now());
        let changes: [fn(&mut TicketQuery); 7] = [
            |it| it.filters.statuses = [Status::Open, Status::Closed].into(),
            |it| it.filters.has_reply = Some(false),
            |it| it.filters.assignee = Some(common::domain::Assignment::Nobody),
            |it| it.filters.submitted.to = Some(now()),
            |it| it.filters.updated.to = Some(now()),
            |it| it.sort = Sort::OldestFirst,
            |it| it.search = Search::parse("ada").unwrap(),
        ];
        for change in changes {
            assert_eq!(code(cursors.read(&text, &query(change), now())), "foreign_cursor");
        }
        let of_a_search = query(|it| it.search = Search::parse("ada").unwrap());
        let text = cursors.issue(&of_a_search, &place(), now());
        let another = query(|it| it.search = Search::parse("eda").unwrap());
        assert_eq!(code(cursors.read(&text, &another, now())), "foreign_cursor");
    }

    #[test]
    fn what_is_no_cursor_of_this_installation_is_refused() {
        let (ours, asked) = (cursors("5"), query(|_| {}));
        let text = ours.issue(&asked, &place(), now());
        assert_eq!(code(cursors("6").read(&text, &asked, now())), "invalid_cursor");
        for at in 0..text.len() {
            let mut tampered = text.clone().into_bytes();
            tampered[at] = if tampered[at] == b'0' { b'1' } else { b'0' };
            let tampered = String::from_utf8(tampered).unwrap();
            assert_eq!(code(ours.read(&tampered, &asked, now())), "invalid_cursor", "{at}");
        }
        let longer = format!("{text}00");
        for text in ["", "x", &text[2..], &longer, &text.to_uppercase(), &"é".repeat(65)] {
            assert_eq!(code(ours.read(text, &asked, now())), "invalid_cursor", "{text}");
        }
    }
}
