//! What operators and staff do to an installation, and who they are.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    Role, RuleViolation, TokenId,
    ticket::{UnknownWord, words},
};

/// Who does something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Somebody at the machine, by the name of their account there.
    User(String),
    /// The holder of a staff token.
    Token {
        /// Which token.
        id: TokenId,
        /// What it admits to.
        role: Role,
    },
    /// The holder of the bootstrap key.
    AdminKey,
}

/// As the record has it: a word, and what tells one from another behind colons.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user:{name}"),
            Self::Token { id, role } => write!(f, "token:{id}:{role}"),
            Self::AdminKey => f.write_str("admin-key"),
        }
    }
}

/// From where somebody does something. At the machine itself there is neither.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// Their address.
    pub address: Option<String>,
    /// Their request.
    pub request_id: Option<String>,
}

words! {
    /// What is done, as the record calls it.
    ActionKind: "dead-letter.reveal, dead-letter.requeue, dead-letter.discard, token.create, token.rotate, \
                 token.revoke, ticket.view, ticket.list, ticket.export, ticket.import, person.export, person.erase, \
                 audit.export" {
        /// Somebody was shown what a submitter wrote.
        Reveal = "dead-letter.reveal",
        /// It was put back into the queue.
        Requeue = "dead-letter.requeue",
        /// It was deleted.
        Discard = "dead-letter.discard",
        /// A staff token was made.
        TokenCreate = "token.create",
        /// Another was made in its place, and it was given an end.
        TokenRotate = "token.rotate",
        /// It was revoked.
        TokenRevoke = "token.revoke",
        /// Somebody was shown a ticket.
        TicketView = "ticket.view",
        /// Tickets were listed or searched.
        TicketList = "ticket.list",
        /// Tickets were taken elsewhere.
        TicketExport = "ticket.export",
        /// Tickets were taken over from elsewhere.
        TicketImport = "ticket.import",
        /// Somebody was shown all that is stored about a person.
        PersonExport = "person.export",
        /// It was erased.
        PersonErase = "person.erase",
        /// The record itself was read.
        AuditExport = "audit.export",
    }
}

words! {
    /// What is on record: one of two.
    Record: "tickets, actions" {
        /// Every change of every ticket.
        Tickets = "tickets",
        /// What operators and staff do beside that.
        Actions = "actions",
    }
}

/// One thing done to one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorAction {
    /// When.
    pub acted_at: DateTime<Utc>,
    /// Who.
    pub actor: Actor,
    /// From where.
    pub origin: Origin,
    /// What.
    pub action: ActionKind,
    /// What it is done to.
    pub subject: String,
    /// What else is to be known: an object, and nothing personal in it.
    pub details: Value,
}

/// Why somebody does something, in their own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Because(String);

impl Because {
    /// Longest, after trimming.
    pub const CHARS_MAX: usize = 500;

    /// Trims white space at both ends, then applies the rule.
    pub fn parse(text: &str) -> Result<Self, RuleViolation> {
        let text = text.trim();
        let fit = !text.is_empty()
            && text.chars().count() <= Self::CHARS_MAX
            && !text.chars().any(char::is_control);
        let violation = || {
            let detail = format!("must be 1 to {} characters, on one line", Self::CHARS_MAX);
            RuleViolation::new("invalid_reason", detail)
        };
        fit.then(|| Self(text.to_owned())).ok_or_else(violation)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_told_by_one_word() {
        let token = Actor::Token { id: TokenId::typed("95344202d105"), role: Role::Admin };
        let actors = [Actor::User("ada".to_owned()), token, Actor::AdminKey];
        let told = actors.map(|actor| actor.to_string());
        assert_eq!(told, ["user:ada", "token:95344202d105:admin", "admin-key"]);
    }

    #[test]
    fn a_reason_says_something_on_one_line() {
        assert_eq!(Because::parse(" spam ").unwrap().as_str(), "spam");
        assert!(Because::parse(&"x".repeat(Because::CHARS_MAX)).is_ok());
        for text in ["", " ", "a\nb", "\u{1b}[2J", &"x".repeat(Because::CHARS_MAX + 1)] {
            assert!(Because::parse(text).is_err(), "{text:?}");
        }
    }
}
