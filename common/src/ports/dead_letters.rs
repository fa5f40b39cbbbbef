//! What could not become a ticket, in an operator's hands.
//!
//! Guarantees:
//! - `letters_are_listed_by_reason_and_by_age`, and counted by reason, however few are listed;
//! - `looking_at_letters_changes_nothing`: neither which there are, nor their order, nor their ids;
//! - `a_requeued_letter_is_delivered_again`, as if for the first time, and is no letter any more;
//! - `a_requeued_letter_that_fails_again_is_a_letter_again`;
//! - `a_discarded_letter_is_gone`;
//! - `other_letters_keep_their_place`, whatever is done with one of them;
//! - `two_operators_at_a_time_lose_no_letter`;
//! - `a_letter_that_is_not_there_is_left_out`;
//! - `letters_are_chosen_by_reason_and_by_age`, where they are handled;
//! - `nothing_is_done_to_a_letter_that_its_overseer_was_not_shown`, nor once the overseer objects;
//! - `an_overseer_says_how_many_are_handled_at_a_time_and_when_to_stop`;
//! - `every_letter_is_read_as_it_lies_there`;
//! - `a_redacted_letter_holds_what_its_censor_leaves`, and all else that it was: its reason, its time and
//!   its attempts. One of which nothing is left is gone, and the others are as they were.
//!
//! What is interrupted may have been done: a letter is taken out only after it is safe in the queue,
//! so it can be in both places, and is never in none. The store tells a repeat from a new one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use thiserror::Error;

use super::queue::{BuriedLetter, ConsumeError};
use crate::Cause;

/// Letters handled together at most: so many can be done again, and nobody waits long for them.
pub const TOGETHER_MAX: usize = 64;

/// Names a letter for as long as it lies there. Letters that are alike in everything, as a broker
/// may duplicate one, share theirs and are handled together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LetterId(String);

impl LetterId {
    /// What a backend calls it, or what somebody typed.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A letter in a list, without its body, which is personal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedLetter {
    /// Its name.
    pub id: LetterId,
    /// Why, for programs.
    pub code: String,
    /// Why, for people.
    pub detail: String,
    /// When it was given up.
    pub first_seen_at: DateTime<Utc>,
    /// How often it was delivered.
    pub attempts: u32,
    /// How long its body is.
    pub body_bytes: usize,
}

/// A letter as a whole.
#[derive(Debug, Clone)]
pub struct FoundLetter {
    /// Its name.
    pub id: LetterId,
    /// Body and reason.
    pub letter: BuriedLetter,
    /// What the message says of itself beside that: properties and headers, by name.
    pub properties: Vec<(String, String)>,
}

/// What letters have in common.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Any of these reasons; where there is none, any at all.
    pub codes: BTreeSet<String>,
    /// Given up before this.
    pub before: Option<DateTime<Utc>>,
    /// Given up at this or later.
    pub since: Option<DateTime<Utc>>,
}

impl Filter {
    /// Whether a letter is such a one.
    #[must_use]
    pub fn matches(&self, code: &str, first_seen_at: DateTime<Utc>) -> bool {
        (self.codes.is_empty() || self.codes.contains(code))
            && self.before.is_none_or(|before| first_seen_at < before)
            && self.since.is_none_or(|since| first_seen_at >= since)
    }
}

/// Letters in a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// Some of them, the oldest first. Those given up together stand in no particular order.
    pub letters: Vec<ListedLetter>,
    /// How many there are of each reason, those not listed included.
    pub counts: BTreeMap<String, u64>,
    /// Whether somebody else has letters in hand, which are not among these.
    pub are_some_held: bool,
}

impl Listing {
    /// Lists up to `limit` of those that match.
    #[must_use]
    pub fn of(mut letters: Vec<ListedLetter>, filter: &Filter, limit: u32) -> Self {
        letters.retain(|it| filter.matches(&it.code, it.first_seen_at));
        let mut counts = BTreeMap::new();
        for letter in &letters {
            *counts.entry(letter.code.clone()).or_default() += 1;
        }
        // A queue gives back what was looked at, and not always to the same place.
        letters.sort_by_key(|letter| letter.first_seen_at);
        letters.truncate(limit as usize);
        Self { letters, counts, are_some_held: false }
    }
}

/// Which letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Those that there are when it begins.
    All,
    /// These.
    These(BTreeSet<LetterId>),
    /// Those of them that match.
    Like(Filter),
}

impl Selection {
    /// Whether a letter is one of them.
    #[must_use]
    pub fn contains(&self, id: &LetterId, code: &str, first_seen_at: DateTime<Utc>) -> bool {
        match self {
            Self::All => true,
            Self::These(ids) => ids.contains(id),
            Self::Like(filter) => filter.matches(code, first_seen_at),
        }
    }
}

/// A letter that is about to be handled.
#[derive(Debug, Clone)]
pub struct HeldLetter {
    /// Its name.
    pub id: LetterId,
    /// Body and reason.
    pub letter: BuriedLetter,
}

/// Stands by while letters are handled, a few at a time.
#[async_trait]
pub trait Overseer: Send + Sync {
    /// Waits until it is time for more, and says for how many at most; more than [`TOGETHER_MAX`] are
    /// never handled on one word. `None` ends it: those handled are handled, and the others stay.
    async fn admit(&self) -> Option<usize>;

    /// Is shown what is about to be handled. Nothing is done to any of these unless this says `Ok`.
    async fn foresee(&self, letters: &[HeldLetter]) -> Result<(), Cause>;

    /// Is told how many more of them were handled.
    fn handled(&self, letters: usize);
}

/// What is to become of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It stays as it is.
    Keep,
    /// It goes, for good.
    Discard,
    /// This is left of it.
    Replace(Bytes),
}

/// Says of each letter what is to become of it; of the same letter always the same.
pub trait Censor: Send + Sync {
    /// The verdict.
    fn judge(&self, letter: &BuriedLetter) -> Verdict;
}

/// The letters went out of reach half-way, or the overseer objected. Those handled before are
/// handled; of the next few it is open.
#[derive(Debug, Error)]
#[error("the dead letters are out of reach; {handled} of them were handled before")]
pub struct Interrupted {
    /// How many are certain.
    pub handled: usize,
    /// Why.
    #[source]
    pub cause: Cause,
}

impl Interrupted {
    /// What was handled, if all was done.
    pub fn unless(done: Result<(), Cause>, handled: Vec<LetterId>) -> Result<Vec<LetterId>, Self> {
        match done {
            Ok(()) => Ok(handled),
            Err(cause) => Err(Self { handled: handled.len(), cause }),
        }
    }
}

/// Is shown letters.
pub type See<'a> = dyn Fn(&HeldLetter) + Send + Sync + 'a;

/// Looks at letters, puts them back into the queue, or takes them away.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// Up to `limit` of those letters that match, the oldest first, and how many there are.
    async fn list(&self, filter: &Filter, limit: u32) -> Result<Listing, ConsumeError>;

    /// One letter.
    async fn find(&self, id: &LetterId) -> Result<Option<FoundLetter>, ConsumeError>;

    /// Puts letters back into the queue, and then takes them out of here. Tells which: others were
    /// not there, or in another operator's hands.
    async fn requeue(
        &self,
        which: &Selection,
        overseer: &dyn Overseer,
    ) -> Result<Vec<LetterId>, Interrupted>;

    /// Takes letters away for good. Tells which.
    async fn discard(
        &self,
        which: &Selection,
        overseer: &dyn Overseer,
    ) -> Result<Vec<LetterId>, Interrupted>;

    /// Shows every letter there is to `see`. Tells whether somebody else has letters in hand, which are
    /// not among those.
    async fn read(&self, see: &See<'_>) -> Result<bool, ConsumeError>;

    /// Puts in the place of letters what their censor leaves of them. Tells which were concerned: what
    /// is left has another name.
    async fn redact(
        &self,
        censor: &dyn Censor,
        overseer: &dyn Overseer,
    ) -> Result<Vec<LetterId>, Interrupted>;
}
