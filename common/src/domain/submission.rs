//! What the edge accepts.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::{
    ClientTimestamp, Email, Message, Name, PageUrl, Subject, SubmissionId, UserAgent, UserId,
};
use crate::{keys::half, trace::Trace};

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

/// Sixteen bytes of SHA-256 over fields of a form: tells the same submission sent again from
/// another one under the same id. Stored beside the ticket, so its definition cannot change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 16]);

/// Sixteen bytes of keyed hash over the key under which a sender repeats a submission: names the
/// key, and lets nobody guess it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 16]);

impl Form {
    /// Over every field: what two submissions under one key must have in common.
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
        Fingerprint::over(required.into_iter().map(Some).chain(optional))
    }

    /// Over email, subject and message: what makes two submissions without a key the same.
    #[must_use]
    pub fn core_fingerprint(&self) -> Fingerprint {
        let core = [self.email.as_str(), self.subject.as_str(), self.message.as_str()];
        Fingerprint::over(core.into_iter().map(Some))
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

impl Fingerprint {
    fn over<'a>(fields: impl Iterator<Item = Option<&'a str>>) -> Self {
        let mut hash = Sha256::new();
        for field in fields {
            // Length first, so that no two forms write the same bytes; absent is not empty.
            let length = field.map_or(u64::MAX, |text| text.len() as u64);
            hash.update(length.to_be_bytes());
            hash.update(field.unwrap_or_default());
        }
        Self(half(hash.finalize().into()))
    }
}

/// A form the edge said yes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Its name from here on; the store's unique key.
    pub id: SubmissionId,
    /// The key it was sent under, if any. At most one ticket is stored under a key.
    pub key: Option<KeyHash>,
    /// When the edge accepted it, by our clock; its UTC year is the ticket number's.
    pub submitted_at: DateTime<Utc>,
    /// What was typed.
    pub form: Form,
    /// The request that brought it.
    pub trace: Trace,
}

impl Submission {
    /// What another submission under this id must have in common with it to be the same.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        match self.key {
            Some(_) => self.form.fingerprint(),
            None => self.form.core_fingerprint(),
        }
    }
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
    fn only_email_subject_and_message_are_the_core() {
        let core = form().core_fingerprint();
        for same in [
            Form { name: Name::parse("Adb").unwrap(), ..form() },
            Form { timestamp: ClientTimestamp::parse("2026-11-22T10:30:01Z").unwrap(), ..form() },
            Form { url: Some(PageUrl::parse("https://x.io").unwrap()), ..form() },
        ] {
            assert_eq!(core, same.core_fingerprint(), "{same:?}");
        }
        for other in [
            Form { email: Email::parse("adb@example.org").unwrap(), ..form() },
            Form { subject: Subject::Billing, ..form() },
            Form { message: Message::parse("It is stuck!").unwrap(), ..form() },
        ] {
            assert_ne!(core, other.core_fingerprint(), "{other:?}");
        }
    }

    #[test]
    fn under_a_key_the_whole_form_counts_and_without_one_its_core() {
        let submission = |name: &str, key| Submission {
            id: uuid::Uuid::from_u128(1).into(),
            key,
            submitted_at: DateTime::UNIX_EPOCH,
            form: Form { name: Name::parse(name).unwrap(), ..form() },
            trace: Trace { request_id: "r".to_owned(), traceparent: "t".to_owned() },
        };
        for (key, is_same) in [(None, true), (Some(KeyHash([1; 16])), false)] {
            let [ada, bob] = ["Ada", "Bob"].map(|name| submission(name, key).fingerprint());
            assert_eq!(ada == bob, is_same);
        }
    }

    #[test]
    fn the_fingerprints_of_stored_tickets_never_change() {
        let hex = |fingerprint: Fingerprint| crate::keys::hex(&fingerprint.0);
        assert_eq!(hex(form().fingerprint()), "0ebe8f56fad722050e0253e858bb8ae4");
        assert_eq!(hex(form().core_fingerprint()), "ce607c9797890a91941c710ae29bb75d");
    }
}
