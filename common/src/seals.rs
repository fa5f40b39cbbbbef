//! What makes the records tamper-evident: a keyed hash that runs over every entry of a record in
//! order, and is written down from time to time as a seal.
//!
//! Whoever has the database and not the installation's key can change entries and seals, and cannot
//! make the ones fit the others. The hash runs behind the writers, so none of them waits for another.

use chrono::{DateTime, Utc};

use crate::{
    domain::Record,
    keys::{NumberKey, keyed_hash},
    ports::{
        actions::RecordedAction,
        events::Cursor,
        records::{Content, RecordedChange},
    },
};

/// How the key is derived from the installation's secret.
const PURPOSE: &str = "audit-seals";

/// Which fields are hashed, and how they are written. Another version would seal from its release on.
const ENCODING: u8 = 1;

/// What is hashed, so that nothing of one kind passes for one of another.
const BEGINNING: u8 = 0;
const CHANGE: u8 = 1;
const ACTION: u8 = 2;
const SEAL: u8 = 3;

/// How far a record is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// 1 for the first of a record, and none is left out.
    pub number: u64,
    /// The place of the last entry under it.
    pub place: Cursor,
    /// How many entries are under it and all before it.
    pub entries: u64,
    /// When it was set.
    pub sealed_at: DateTime<Utc>,
    /// The hash over all of these entries and seals.
    pub digest: [u8; 32],
}

/// The key of the seals.
#[derive(Clone)]
pub struct SealKey([u8; 32]);

impl SealKey {
    /// Of an installation.
    #[must_use]
    pub fn new(number_key: &NumberKey) -> Self {
        Self(number_key.derive(PURPOSE))
    }
}

/// A hash that runs over a record.
pub struct Chain<'a> {
    key: &'a SealKey,
    link: [u8; 32],
    number: u64,
    entries: u64,
}

impl<'a> Chain<'a> {
    /// Goes on behind a seal, or from the beginning of the record.
    #[must_use]
    pub fn behind(key: &'a SealKey, record: Record, seal: Option<&Seal>) -> Self {
        let begin = || {
            let encoded = Encoded::of(BEGINNING).text(record.as_str());
            keyed_hash(&key.0, &[&encoded.0])
        };
        let link = seal.map_or_else(begin, |seal| seal.digest);
        let (number, entries) = seal.map_or((0, 0), |seal| (seal.number, seal.entries));
        Self { key, link, number, entries }
    }

    /// Comes past the next entry.
    pub fn pass(&mut self, content: &Content) {
        let encoded = match content {
            Content::Change(change) => encoded_change(change),
            Content::Action(action) => encoded_action(action),
        };
        self.link = keyed_hash(&self.key.0, &[&self.link, &encoded.0]);
        self.entries += 1;
    }

    /// How many entries it has come past, those before it included.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.entries
    }

    /// The seal to set at this place. The place itself is not hashed: where a database moves to
    /// another server, places are translated, and the order stays.
    #[must_use]
    pub fn seal(&self, place: Cursor, sealed_at: DateTime<Utc>) -> Seal {
        let number = self.number + 1;
        let encoded = Encoded::of(SEAL).number(number).number(self.entries).time(sealed_at);
        let digest = keyed_hash(&self.key.0, &[&self.link, &encoded.0]);
        Seal { number, place, entries: self.entries, sealed_at, digest }
    }
}

fn encoded_change(change: &RecordedChange) -> Encoded {
    Encoded::of(CHANGE)
        .text(&change.ticket_id)
        .number(change.version)
        .text(&change.kind)
        .optional(change.status.as_deref())
        .time(change.at)
        .text(&change.actor)
        .optional(change.address.as_deref())
        .text(&change.request_id)
        .text(&change.traceparent)
        .optional(change.changes.as_deref())
}

fn encoded_action(action: &RecordedAction) -> Encoded {
    Encoded::of(ACTION)
        .time(action.acted_at)
        .text(&action.actor)
        .text(&action.action)
        .text(&action.subject)
        .text(&action.details)
        .optional(action.address.as_deref())
        .optional(action.request_id.as_deref())
}

/// Fields one after the other, each with its length before it: no two entries are written alike.
struct Encoded(Vec<u8>);

impl Encoded {
    fn of(kind: u8) -> Self {
        Self(vec![ENCODING, kind])
    }

    fn optional(mut self, text: Option<&str>) -> Self {
        match text {
            None => {
                self.0.push(0);
                self
            }
            Some(text) => {
                self.0.push(1);
                self.text(text)
            }
        }
    }

    fn text(mut self, text: &str) -> Self {
        self.0.extend((text.len() as u64).to_be_bytes());
        self.0.extend(text.as_bytes());
        self
    }

    fn number(mut self, number: impl Into<i128>) -> Self {
        self.0.extend(number.into().to_be_bytes());
        self
    }

    /// To the millisecond, as every store keeps it.
    fn time(self, time: DateTime<Utc>) -> Self {
        self.number(time.timestamp_millis())
    }
}

#[cfg(test)]
mod tests;
