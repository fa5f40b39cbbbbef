//! What the edge accepts.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::{
    ClientTimestamp, Email, Message, Name, PageUrl, Subject, SubmissionId, UserAgent, UserId,
};
use crate::trace::Trace;

/// What somebody typed, every field within its rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Who is asking.
    pub name: Name,
    /// Where the answer goes.
    pub email: Email,
    /// What it is about.
    pub subject: Subject,
    /// What they say.
    pub message: Message,
    /// When, by their own clock.
    pub timestamp: ClientTimestamp,
    /// Who they claim to be logged in as.
    pub user_id: Option<UserId>,
    /// What they browse with.
    pub user_agent: Option<UserAgent>,
    /// Where the form stood.
    pub url: Option<PageUrl>,
}

/// Sixteen bytes of SHA-256 over every field of a form: tells the same submission sent again from
/// another one under the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 16]);

impl Form {
    /// The fingerprint of this form; stored beside the ticket, so its definition cannot change.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let optional = [
            self.user_id.as_ref().map(UserId::as_str),
            self.user_agent.as_ref().map(UserAgent::as_str),
            self.url.as_ref().map(PageUrl::as_str),
        ];
        let required = [
            self.name.as_str(),
            self.email.as_str(),
            self.subject.as_str(),
            self.message.as_str(),
            self.timestamp.as_str(),
        ];
        let mut hash = Sha256::new();
        for field in required.into_iter().map(Some).chain(optional) {
            // Length first, so that no two forms write the same bytes; absent is not empty.
            let length = field.map_or(u64::MAX, |text| text.len() as u64);
            hash.update(length.to_be_bytes());
            hash.update(field.unwrap_or_default());
        }
        let mut fingerprint = [0; 16];
        fingerprint.copy_from_slice(&hash.finalize()[..16]);
        Fingerprint(fingerprint)
    }

    /// Bytes of text the form holds; what a batch is measured by.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.name.as_str().len()
            + self.email.as_str().len()
            + self.message.as_str().len()
            + self.timestamp.as_str().len()
            + self.user_id.as_ref().map_or(0, |text| text.as_str().len())
            + self.user_agent.as_ref().map_or(0, |text| text.as_str().len())
            + self.url.as_ref().map_or(0, |text| text.as_str().len())
    }
}

/// A form the edge said yes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Its name from here on; the store's unique key.
    pub id: SubmissionId,
    /// When the edge accepted it, by our clock; its UTC year is the ticket number's.
    pub submitted_at: DateTime<Utc>,
    /// What was typed.
    pub form: Form,
    /// The request that brought it.
    pub trace: Trace,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> Form {
        Form {
            name: Name::parse("Ada").unwrap(),
            email: Email::parse("ada@example.org").unwrap(),
            subject: Subject::Technical,
            message: Message::parse("It is stuck").unwrap(),
            timestamp: ClientTimestamp::parse("2026-11-22T10:30:00Z").unwrap(),
            user_id: None,
            user_agent: None,
            url: None,
        }
    }

    #[test]
    fn any_other_field_is_another_fingerprint() {
        let first = form();
        let others = [
            Form { name: Name::parse("Adb").unwrap(), ..form() },
            Form { email: Email::parse("adb@example.org").unwrap(), ..form() },
            Form { subject: Subject::Billing, ..form() },
            Form { message: Message::parse("It is stuck!").unwrap(), ..form() },
            Form { timestamp: ClientTimestamp::parse("2026-11-22T10:30:01Z").unwrap(), ..form() },
            Form { user_id: Some(UserId::parse("").unwrap()), ..form() },
            Form { user_agent: Some(UserAgent::parse("").unwrap()), ..form() },
            Form { url: Some(PageUrl::parse("https://x.io").unwrap()), ..form() },
        ];
        for other in others {
            assert_ne!(first.fingerprint(), other.fingerprint(), "{other:?}");
        }
        assert_eq!(first.fingerprint(), form().fingerprint());
    }

    #[test]
    fn the_fingerprint_of_stored_tickets_never_changes() {
        assert_eq!(crate::keys::hex(&form().fingerprint().0), "0ebe8f56fad722050e0253e858bb8ae4");
    }
}
