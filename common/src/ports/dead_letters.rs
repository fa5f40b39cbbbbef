//! What could not become a ticket, in an operator's hands.
//!
//! Guarantees:
//! - `looking_at_letters_changes_nothing`: neither which there are, nor their order, nor their ids;
//! - `a_requeued_letter_is_delivered_again`, as if for the first time, and is no letter any more;
//! - `a_requeued_letter_that_fails_again_is_a_letter_again`;
//! - `a_discarded_letter_is_gone`;
//! - `other_letters_keep_their_place`, whatever is done with one of them;
//! - `two_operators_at_a_time_lose_no_letter`;
//! - `a_letter_that_is_not_there_is_left_out`.
//!
//! What is interrupted may have been done: a letter is taken out only after it is safe in the queue,
//! so it can be in both places, and is never in none. The store tells a repeat from a new one.

use std::{collections::BTreeSet, fmt};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use thiserror::Error;

use super::queue::{BuriedLetter, ConsumeError};
use crate::Cause;

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

/// Which letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Those that there are when it begins.
    All,
    /// These.
    These(BTreeSet<LetterId>),
}

impl Selection {
    /// Whether a letter is one of them.
    #[must_use]
    pub fn contains(&self, id: &LetterId) -> bool {
        match self {
            Self::All => true,
            Self::These(ids) => ids.contains(id),
        }
    }
}

/// The letters went out of reach half-way. Those handled before are handled; of the next few it is
/// open.
#[derive(Debug, Error)]
#[error("the dead letters are out of reach; {handled} of them were handled before")]
pub struct Interrupted {
    /// How many are certain.
    pub handled: usize,
    /// Why.
    #[source]
    pub cause: Cause,
}

/// Looks at letters, puts them back into the queue, or takes them away.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// Up to `limit` letters, the oldest first.
    async fn list(&self, limit: u32) -> Result<Vec<ListedLetter>, ConsumeError>;

    /// One letter.
    async fn find(&self, id: &LetterId) -> Result<Option<FoundLetter>, ConsumeError>;

    /// Puts letters back into the queue, and then takes them out of here. Tells which: others were
    /// not there, or in another operator's hands.
    async fn requeue(&self, which: &Selection) -> Result<Vec<LetterId>, Interrupted>;

    /// Takes letters away for good. Tells which.
    async fn discard(&self, which: &Selection) -> Result<Vec<LetterId>, Interrupted>;
}
