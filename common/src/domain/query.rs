//! What staff ask of the tickets as a whole: which of them, in which order, from where on.

use std::{collections::BTreeSet, fmt, str::FromStr};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Assignment, Case, Email, Priority, RuleViolation, Status, Subject, SubmissionId, Tag,
    TicketNumber,
    ticket::{UnknownWord, words},
};

/// A stretch of time: from, and up to but not at. Open where there is no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Between {
    /// From this moment on.
    pub from: Option<DateTime<Utc>>,
    /// Before this moment.
    pub to: Option<DateTime<Utc>>,
}

impl Between {
    /// Whether no moment lies in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!((self.from, self.to), (Some(from), Some(to)) if from >= to)
    }
}

/// No ticket is older.
const EARLIEST: DateTime<Utc> = DateTime::UNIX_EPOCH;

/// The end of times that RFC 3339 can write, and of what ids begin with.
const LATEST: DateTime<Utc> = match DateTime::from_timestamp(253_402_300_799, 0) {
    Some(latest) => latest,
    None => DateTime::<Utc>::MAX_UTC,
};

impl Between {
    /// With an end where it is open.
    #[must_use]
    pub fn closed(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        (self.from.unwrap_or(EARLIEST), self.to.unwrap_or(LATEST))
    }
}

/// What listed tickets have in common. An empty set stands for any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filters {
    /// One of these.
    pub statuses: BTreeSet<Status>,
    /// One of these.
    pub priorities: BTreeSet<Priority>,
    /// One of these.
    pub subjects: BTreeSet<Subject>,
    /// Whose it is.
    pub assignee: Option<Assignment>,
    /// Filed under this.
    pub tag: Option<Tag>,
    /// Whether staff have replied.
    pub has_reply: Option<bool>,
    /// Submitted then.
    pub submitted: Between,
    /// Last changed then.
    pub updated: Between,
}

impl Filters {
    /// Words of the statuses that pass.
    #[must_use]
    pub fn status_words(&self) -> Vec<&'static str> {
        any_of(&self.statuses, Status::ALL, Status::as_str)
    }

    /// Words of the priorities that pass.
    #[must_use]
    pub fn priority_words(&self) -> Vec<&'static str> {
        any_of(&self.priorities, Priority::ALL, Priority::as_str)
    }

    /// Words of the subjects that pass.
    #[must_use]
    pub fn subject_words(&self) -> Vec<&'static str> {
        any_of(&self.subjects, Subject::ALL, Subject::as_str)
    }

    /// The one member of staff whose tickets pass.
    #[must_use]
    pub fn assignee(&self) -> Option<&str> {
        match &self.assignee {
            Some(Assignment::To(name)) => Some(name.as_str()),
            _ => None,
        }
    }

    /// Whether only tickets in nobody's hands pass.
    #[must_use]
    pub fn is_unassigned(&self) -> bool {
        self.assignee == Some(Assignment::Nobody)
    }
}

fn any_of<T: Copy>(
    chosen: &BTreeSet<T>,
    all: &[T],
    word: fn(T) -> &'static str,
) -> Vec<&'static str> {
    if chosen.is_empty() {
        return all.iter().copied().map(word).collect();
    }
    chosen.iter().copied().map(word).collect()
}

words! {
    /// In which order tickets are listed; a hyphen says that it is the other way round.
    Sort: "-submittedAt, submittedAt, -updatedAt, updatedAt, rank" {
        /// The last submitted first.
        NewestFirst = "-submittedAt",
        /// The first submitted first.
        OldestFirst = "submittedAt",
        /// The last changed first.
        LatestChangeFirst = "-updatedAt",
        /// The one first that nothing has happened to for the longest time.
        EarliestChangeFirst = "updatedAt",
        /// What fits a search best first, and of what fits alike the newest.
        Rank = "rank",
    }
}

/// What somebody looks for: words, all of which a ticket must have in its number, address, name or
/// message, each at least as the beginning of one. Between quotation marks, and where only punctuation
/// joins them, words must follow each other. Nothing in it is an operator.
#[derive(Clone, PartialEq, Eq)]
pub struct Search {
    /// It is a whole ticket number, which is looked for first.
    pub number: Option<TicketNumber>,
    /// It is a whole address, which is looked for first.
    pub email: Option<Email>,
    /// Words, or several that must follow each other with a blank between. Letters, digits and what
    /// else is neither punctuation of ASCII nor a control character.
    pub phrases: Vec<String>,
}

/// How many words only: what people look for is mostly other people.
impl fmt::Debug for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Search({} phrases)", self.phrases.len())
    }
}

impl Search {
    /// Longest text.
    pub const CHARS_MAX: usize = 200;
    /// Most words in it.
    pub const WORDS_MAX: usize = 16;

    /// Reads what somebody typed; `None` where that is nothing. The only rules are of length.
    pub fn parse(text: &str) -> Result<Option<Self>, RuleViolation> {
        if text.chars().count() > Self::CHARS_MAX {
            let detail = format!("must be at most {} characters", Self::CHARS_MAX);
            return Err(RuleViolation::new("too_long", detail));
        }
        let text = text.trim();
        let phrases = phrases(text);
        let words: usize = phrases.iter().map(|phrase| phrase.split(' ').count()).sum();
        if words > Self::WORDS_MAX {
            let detail = format!("must be at most {} words", Self::WORDS_MAX);
            return Err(RuleViolation::new("too_many_words", detail));
        }
        let number = text.to_ascii_uppercase().parse().ok();
        let search = Self { number, email: Email::parse(text).ok(), phrases };
        Ok((!text.is_empty()).then_some(search))
    }
}

fn phrases(text: &str) -> Vec<String> {
    let (mut phrases, mut is_quoted) = (vec![String::new()], false);
    for it in text.chars() {
        if it == '"' {
            is_quoted = !is_quoted;
        }
        if it == '"' || (it.is_whitespace() && !is_quoted) {
            phrases.push(String::new());
        } else if let Some(last) = phrases.last_mut() {
            let is_word = !it.is_control() && !it.is_ascii_punctuation();
            last.push(if is_word { it } else { ' ' });
        }
    }
    let is_word = |word: &&str| word.chars().any(char::is_alphanumeric);
    let tidied =
        |phrase: String| phrase.split_whitespace().filter(is_word).collect::<Vec<_>>().join(" ");
    phrases.into_iter().map(tidied).filter(|phrase| !phrase.is_empty()).collect()
}

/// A place between two tickets of a list. Only the store that told it knows what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// By what the list is sorted, of the ticket before this place.
    pub key: i64,
    /// That ticket.
    pub id: SubmissionId,
    /// Of a search: what was taken in later is not part of the list.
    pub horizon: i64,
}

impl Place {
    /// How many bytes stand for one.
    pub const BYTES: usize = 32;

    /// What stands for it.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.key.to_be_bytes());
        bytes[8..24].copy_from_slice(self.id.as_uuid().as_bytes());
        bytes[24..].copy_from_slice(&self.horizon.to_be_bytes());
        bytes
    }

    /// What that stood for.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let (mut key, mut id, mut horizon) = ([0; 8], [0; 16], [0; 8]);
        key.copy_from_slice(&bytes[..8]);
        id.copy_from_slice(&bytes[8..24]);
        horizon.copy_from_slice(&bytes[24..]);
        Self {
            key: i64::from_be_bytes(key),
            id: Uuid::from_bytes(id).into(),
            horizon: i64::from_be_bytes(horizon),
        }
    }
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketQuery {
    /// Which tickets.
    pub filters: Filters,
    /// Of those, which.
    pub search: Option<Search>,
    /// In which order. [`Sort::Rank`] is for searches.
    pub sort: Sort,
    /// From where on; from the beginning, if nowhere.
    pub after: Option<Place>,
    /// How many at most.
    pub limit: u32,
}

impl TicketQuery {
    /// The place that the page begins at.
    #[must_use]
    pub fn start(&self) -> Place {
        self.after.unwrap_or_else(|| self.beginning())
    }

    /// Before the first ticket.
    fn beginning(&self) -> Place {
        let (submitted, updated) = (&self.filters.submitted, &self.filters.updated);
        let below = |to: Option<DateTime<Utc>>| match to {
            Some(to) => (to.timestamp_millis(), Uuid::nil()),
            None => (LATEST.timestamp_millis(), Uuid::max()),
        };
        let above = |from: Option<DateTime<Utc>>| {
            (from.unwrap_or(EARLIEST).timestamp_millis(), Uuid::nil())
        };
        let (key, id) = match self.sort {
            _ if self.is_sorted_as_a_whole() => (i64::MIN, Uuid::nil()),
            Sort::NewestFirst | Sort::Rank => below(submitted.to),
            Sort::OldestFirst => above(submitted.from),
            Sort::LatestChangeFirst => below(updated.to),
            Sort::EarliestChangeFirst => above(updated.from),
        };
        Place { key, id: id.into(), horizon: i64::MAX }
    }

    /// Whether keys are of all tickets in question, sorted, instead of an index that is walked along.
    const fn is_sorted_as_a_whole(&self) -> bool {
        self.search.is_some() || self.filters.tag.is_some()
    }

    /// Of the places of one ticket more than fit, which tickets are on the page and where the next one
    /// begins.
    #[must_use]
    pub fn cut(&self, mut places: Vec<Place>) -> (Vec<SubmissionId>, Option<Place>) {
        let limit = self.limit as usize;
        let has_more = places.len() > limit;
        places.truncate(limit);
        let next = places.last().filter(|_| has_more).copied();
        (places.into_iter().map(|place| place.id).collect(), next)
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TicketPage {
    /// The tickets in their order.
    pub cases: Vec<Case>,
    /// Where to go on, if there are more.
    pub next: Option<Place>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrases_of(text: &str) -> Vec<String> {
        Search::parse(text).unwrap().map(|search| search.phrases).unwrap_or_default()
    }

    #[test]
    fn a_text_is_words_and_nothing_in_it_is_an_operator() {
        for (text, phrases) in [
            ("", vec![]),
            ("  \t", vec![]),
            ("ada Lovelace", vec!["ada", "Lovelace"]),
            ("ada.17@example.org", vec!["ada 17 example org"]),
            ("\"the engine\" stopped", vec!["the engine", "stopped"]),
            ("\"not closed", vec!["not closed"]),
            ("a\"b c\"d", vec!["a", "b c", "d"]),
            ("'; DROP TABLE tickets; --", vec!["DROP", "TABLE", "tickets"]),
            ("a & !b | (c:*) <-> \\", vec!["a", "b", "c"]),
            ("NEAR(a b) {name}: x* ^y", vec!["NEAR a", "b", "name", "x", "y"]),
            ("\u{0}a\u{0}b\u{7f}", vec!["a b"]),
            ("— … 👩‍👩‍👧 ½", vec!["½"]),
            ("%_[]", vec![]),
        ] {
            assert_eq!(phrases_of(text), phrases, "{text:?}");
        }
    }

    #[test]
    fn a_whole_number_and_a_whole_address_are_recognised() {
        let number = Search::parse(" sup-2026-483920 ").unwrap().unwrap();
        assert_eq!(number.number, "SUP-2026-483920".parse().ok());
        assert_eq!((number.email, number.phrases), (None, vec!["sup 2026 483920".to_owned()]));
        let address = Search::parse("Ada@Example.org").unwrap().unwrap();
        assert_eq!(address.email.unwrap().as_str(), "Ada@Example.org");
        assert_eq!(Search::parse("ada@example").unwrap().unwrap().email, None);
    }

    #[test]
    fn a_search_is_bounded_and_does_not_print_what_is_looked_for() {
        let codes =
            [&"é".repeat(201), &"a ".repeat(17)].map(|text| Search::parse(text).unwrap_err().code);
        assert_eq!(codes, ["too_long", "too_many_words"]);
        assert!(Search::parse(&"é".repeat(200)).is_ok());
        let search = Search::parse("ada lovelace").unwrap();
        assert_eq!(format!("{search:?}"), "Some(Search(2 phrases))");
    }

    #[test]
    fn a_place_reads_back() {
        let place = Place { key: i64::MIN + 7, id: Uuid::max().into(), horizon: 4_711 };
        assert_eq!(Place::from_bytes(place.to_bytes()), place);
    }

    #[test]
    fn a_stretch_that_ends_before_it_begins_is_empty() {
        let at = |second| DateTime::from_timestamp(second, 0);
        let is_empty = |from, to| Between { from, to }.is_empty();
        assert!(is_empty(at(2), at(2)) && is_empty(at(2), at(1)));
        assert!(!is_empty(at(1), at(2)) && !is_empty(None, at(1)) && !is_empty(at(1), None));
    }
}
