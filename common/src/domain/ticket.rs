//! What a worker makes of a submission.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use thiserror::Error;

use super::{Form, PersonHash, Post, Submission, SubmissionId, TicketNumber};

/// The text is none of the words allowed.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("expected one of {allowed}")]
pub struct UnknownWord {
    pub(super) allowed: &'static str,
}

/// A closed set of words, the same on the wire, in the store and in the code.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $allowed:literal { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Every one of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord { allowed: $allowed }),
                }
            }
        }
    };
}

pub(super) use words;

words! {
    /// What a submission is about.
    Subject: "technical, billing, feature, account, general" {
        /// Something does not work.
        Technical = "technical",
        /// Money.
        Billing = "billing",
        /// A wish.
        Feature = "feature",
        /// The submitter's own account.
        Account = "account",
        /// Anything else.
        General = "general",
    }
}

words! {
    /// How soon somebody should look.
    Priority: "high, medium, low" {
        /// First.
        High = "high",
        /// Then these.
        Medium = "medium",
        /// When there is time.
        Low = "low",
    }
}

words! {
    /// How far a ticket has come.
    Status: "open, in-progress, resolved, closed" {
        /// Nobody has taken it up yet.
        Open = "open",
        /// Somebody works on it.
        InProgress = "in-progress",
        /// Answered; the submitter may disagree.
        Resolved = "resolved",
        /// Done.
        Closed = "closed",
    }
}

impl From<Subject> for Priority {
    fn from(subject: Subject) -> Self {
        match subject {
            Subject::Technical => Self::High,
            Subject::Billing | Subject::Account => Self::Medium,
            Subject::Feature | Subject::General => Self::Low,
        }
    }
}

/// A numbered submission on its way into the store. Its status is [`Status::Open`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTicket {
    /// The submission it is made of.
    pub submission: Submission,
    /// Its number; wasted if the submission turns out to be stored already.
    pub number: TicketNumber,
    /// By subject.
    pub priority: Priority,
    /// Whose it is: by this the store knows what was erased while it was under way.
    pub person: PersonHash,
}

/// A ticket as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The submission's id.
    pub id: SubmissionId,
    /// The public number.
    pub number: TicketNumber,
    /// What was typed.
    pub form: Form,
    /// How far it has come.
    pub status: Status,
    /// How soon somebody should look.
    pub priority: Priority,
    /// When the edge accepted it.
    pub submitted_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was last resolved, if it is.
    pub resolved_at: Option<DateTime<Utc>>,
    /// Every status it had, the first one first.
    pub history: Vec<StatusChange>,
    /// What staff and submitter wrote each other since, in order: only where it was looked up by its id.
    pub replies: Vec<Post>,
}

impl Ticket {
    /// Whether every word of its submitter's was taken out of it. No other ticket is without an
    /// address, since no form is.
    #[must_use]
    pub fn is_erased(&self) -> bool {
        self.form.email.as_str().is_empty()
    }
}

/// A status and when it was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusChange {
    /// Which change of the ticket it was; its creation is 1. Not every change is one of status.
    pub version: u32,
    /// What it became.
    pub status: Status,
    /// When.
    pub at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priority_follows_the_subject() {
        let priorities: Vec<_> = Subject::ALL
            .iter()
            .map(|subject| (subject.as_str(), Priority::from(*subject).as_str()))
            .collect();
        assert_eq!(
            priorities,
            [
                ("technical", "high"),
                ("billing", "medium"),
                ("feature", "low"),
                ("account", "medium"),
                ("general", "low")
            ]
        );
    }

    #[test]
    fn every_word_reads_back_and_no_other_does() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(*status));
        }
        for text in ["", "Open", "open ", "in_progress"] {
            assert!(text.parse::<Status>().is_err(), "{text}");
        }
    }
}
