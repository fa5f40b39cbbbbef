//! What staff do with a ticket: a pure function from what it is and what is wanted to what becomes of
//! it. Stores only write that down, each change on condition that nobody else was first.

use std::{collections::BTreeSet, fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::{
    EventKind, Message, Name, RuleViolation, Status, StatusChange, Ticket,
    ticket::{UnknownWord, words},
};

impl Status {
    /// Where a ticket may go from here, by somebody's decision.
    #[must_use]
    pub const fn next(self) -> &'static [Self] {
        match self {
            Self::Open => &[Self::InProgress],
            Self::InProgress => &[Self::Resolved],
            Self::Resolved => &[Self::Closed, Self::InProgress],
            Self::Closed => &[],
        }
    }
}

/// A word that tickets are filed under: 1–50 small letters, digits, hyphens, underscores, dots or
/// colons, the first one a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag(String);

impl Tag {
    /// Longest tag.
    pub const CHARS_MAX: usize = 50;

    /// Applies the rule.
    pub fn parse(text: &str) -> Result<Self, RuleViolation> {
        let is_fit = |it: char| it.is_lowercase() || it.is_ascii_digit() || "-_.:".contains(it);
        let begins = text.chars().next().is_some_and(|it| it.is_lowercase() || it.is_ascii_digit());
        if begins && text.chars().count() <= Self::CHARS_MAX && text.chars().all(is_fit) {
            return Ok(Self(text.to_owned()));
        }
        let detail = format!(
            "must be 1 to {} small letters, digits, hyphens, underscores, dots or colons",
            Self::CHARS_MAX
        );
        Err(RuleViolation::new("invalid_tag", detail))
    }

    /// A tag read back from the store.
    #[must_use]
    pub const fn stored(text: String) -> Self {
        Self(text)
    }

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

words! {
    /// What kind of text stands in a ticket's thread.
    PostKind: "reply, note, answer" {
        /// Of staff, to the submitter.
        Reply = "reply",
        /// Of staff, among themselves.
        Note = "note",
        /// Of the submitter.
        Answer = "answer",
    }
}

/// A text in a ticket's thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Which change of the ticket it is.
    pub version: u32,
    /// Who wrote to whom.
    pub kind: PostKind,
    /// The member of staff who wrote it, where their token has a name.
    pub author: Option<Name>,
    /// What they say.
    pub body: Message,
    /// When.
    pub at: DateTime<Utc>,
}

/// What staff know of a ticket beside the ticket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Work {
    /// How many changes the ticket has had, its creation included.
    pub version: u32,
    /// The member of staff who has it in hand.
    pub assignee: Option<Name>,
    /// What it is filed under.
    pub tags: BTreeSet<Tag>,
    /// When staff first replied.
    pub first_reply_at: Option<DateTime<Utc>>,
    /// When staff first replied or first moved it off open.
    pub first_response_at: Option<DateTime<Utc>>,
}

/// A ticket in the hands of staff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The ticket.
    pub ticket: Ticket,
    /// What was done with it.
    pub work: Work,
}

/// Whose a ticket is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assignment {
    /// Nobody's.
    Nobody,
    /// This member's of staff.
    To(Name),
}

impl Assignment {
    /// What lists call nobody.
    pub const NOBODY: &str = "none";

    /// What a member of staff may be called.
    pub fn member(text: &str) -> Result<Name, RuleViolation> {
        let name = Name::parse(text)?;
        if name.as_str() == Self::NOBODY {
            let detail = format!("must not be {}, which lists call nobody", Self::NOBODY);
            return Err(RuleViolation::new("reserved_name", detail));
        }
        Ok(name)
    }
}

/// What somebody wants of a ticket. What it is already is no change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    /// Bring it to this status.
    pub status: Option<Status>,
    /// Put it into these hands.
    pub assignee: Option<Assignment>,
    /// File it under these.
    pub tags_added: BTreeSet<Tag>,
    /// And not under these.
    pub tags_removed: BTreeSet<Tag>,
    /// Say something in its thread.
    pub post: Option<(PostKind, Message)>,
}

/// Why a ticket cannot be changed so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// From this status the one asked for is not to be reached in a step.
    Transition {
        /// What it is.
        from: Status,
        /// What was asked for.
        to: Status,
    },
    /// It is closed, and nobody writes to anybody about it any more.
    Closed,
    /// Its submitter's words were erased, and nobody says anything more about it.
    Erased,
    /// It would be filed under more than [`TAGS_MAX`] words.
    TooManyTags,
}

/// The most tags of a ticket.
pub const TAGS_MAX: usize = 20;

/// One entry of a ticket's trail, which is one change of it and one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The ticket's version that it makes.
    pub version: u32,
    /// What happened.
    pub kind: EventKind,
    /// The status thereby reached.
    pub status: Option<Status>,
    /// What was, and what became of it.
    pub changes: Value,
}

/// What becomes of a case by a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// As it is then.
    pub case: Case,
    /// What is written into its trail, in order; nothing if it was all as wanted before.
    pub entries: Vec<Entry>,
    /// What is written into its thread.
    pub post: Option<Post>,
}

impl Case {
    /// What becomes of it, by this change, at this time, by this member of staff.
    ///
    /// Of several things wanted at once, what is said comes first, then whose it is and what it is filed
    /// under, then the status.
    pub fn after(
        &self,
        change: &Change,
        at: DateTime<Utc>,
        author: Option<&Name>,
    ) -> Result<Outcome, Refused> {
        let mut turn = Turn { case: self.clone(), entries: Vec::new(), post: None, at };
        // Whatever were written about it now would be there when its submitter is long forgotten.
        let says_something = change.post.is_some() || !change.tags_added.is_empty();
        if self.ticket.is_erased() && says_something {
            return Err(Refused::Erased);
        }
        if let Some((kind, body)) = &change.post {
            turn.say(*kind, body, author)?;
        }
        if let Some(assignee) = &change.assignee {
            turn.assign(match assignee {
                Assignment::Nobody => None,
                Assignment::To(name) => Some(name),
            });
        }
        turn.file(&change.tags_added, &change.tags_removed)?;
        if let Some(status) = change.status {
            turn.go(status)?;
        }
        let Turn { case, entries, post, .. } = turn;
        Ok(Outcome { case, entries, post })
    }
}

/// A change while it is made.
struct Turn {
    case: Case,
    entries: Vec<Entry>,
    post: Option<Post>,
    at: DateTime<Utc>,
}

impl Turn {
    fn say(
        &mut self,
        kind: PostKind,
        body: &Message,
        author: Option<&Name>,
    ) -> Result<(), Refused> {
        let (status, at) = (self.case.ticket.status, self.at);
        if status == Status::Closed && kind != PostKind::Note {
            return Err(Refused::Closed);
        }
        let (event, by) = match kind {
            PostKind::Reply => (EventKind::TicketReplied, "staff"),
            PostKind::Answer => (EventKind::TicketReplied, "submitter"),
            PostKind::Note => (EventKind::TicketNoted, "staff"),
        };
        self.enter(event, None, json!({"by": by}));
        let version = self.case.work.version;
        self.post = Some(Post { version, kind, author: author.cloned(), body: body.clone(), at });
        match (kind, status) {
            (PostKind::Reply, _) => {
                self.case.work.first_reply_at.get_or_insert(at);
                self.case.work.first_response_at.get_or_insert(at);
                if status == Status::Open {
                    self.reach(Status::InProgress);
                }
            }
            (PostKind::Answer, Status::Resolved) => self.reach(Status::InProgress),
            _ => {}
        }
        Ok(())
    }

    fn assign(&mut self, assignee: Option<&Name>) {
        let before = self.case.work.assignee.clone();
        if before.as_ref() == assignee {
            return;
        }
        self.case.work.assignee = assignee.cloned();
        let changes = of("assignee", before.as_ref().map(Name::as_str), assignee.map(Name::as_str));
        self.enter(EventKind::TicketAssigned, None, changes);
    }

    fn file(&mut self, added: &BTreeSet<Tag>, removed: &BTreeSet<Tag>) -> Result<(), Refused> {
        let before = self.case.work.tags.clone();
        let kept = before.difference(removed).chain(added).cloned().collect::<BTreeSet<_>>();
        if kept.len() > TAGS_MAX {
            return Err(Refused::TooManyTags);
        }
        if kept != before {
            let words = |tags: &BTreeSet<Tag>| {
                tags.iter().map(|it| it.as_str().into()).collect::<Vec<Value>>()
            };
            let changes = of("tags", words(&before), words(&kept));
            self.case.work.tags = kept;
            self.enter(EventKind::TicketTagged, None, changes);
        }
        Ok(())
    }

    fn go(&mut self, to: Status) -> Result<(), Refused> {
        let from = self.case.ticket.status;
        if from == to {
            return Ok(());
        }
        if !from.next().contains(&to) {
            return Err(Refused::Transition { from, to });
        }
        self.case.work.first_response_at.get_or_insert(self.at);
        self.reach(to);
        Ok(())
    }

    fn reach(&mut self, to: Status) {
        let ticket = &mut self.case.ticket;
        let changes = of("status", ticket.status.as_str(), to.as_str());
        ticket.status = to;
        ticket.resolved_at = match to {
            Status::Resolved => Some(self.at),
            Status::Closed => ticket.resolved_at,
            Status::Open | Status::InProgress => None,
        };
        self.enter(EventKind::TicketStatusChanged, Some(to), changes);
        let (version, at) = (self.case.work.version, self.at);
        self.case.ticket.history.push(StatusChange { version, status: to, at });
    }

    fn enter(&mut self, kind: EventKind, status: Option<Status>, changes: Value) {
        self.case.work.version += 1;
        self.case.ticket.updated_at = self.at;
        let version = self.case.work.version;
        self.entries.push(Entry { version, kind, status, changes });
    }
}

/// `{name: {before, after}}`
fn of(name: &str, before: impl Into<Value>, after: impl Into<Value>) -> Value {
    let change = json!({"before": before.into(), "after": after.into()});
    Value::Object(Map::from_iter([(name.to_owned(), change)]))
}

#[cfg(test)]
mod tests;
