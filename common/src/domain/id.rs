//! Submission ids, with a keyed check inside: `UUIDv7` where each submission is one of its own,
//! version 8 where a sender's key says which ones are the same.

use std::fmt;

use chrono::{DateTime, Utc};
use subtle::ConstantTimeEq;
use uuid::{Uuid, Variant, Version};

use super::{Fingerprint, KeyHash};
use crate::{
    clock::Entropy,
    keys::{NumberKey, half, keyed_hash},
};

/// How many of the id's last bytes are the keyed check. Three leave 50 random bits in a
/// millisecond, and let one invented id in 16 million look issued.
const CHECK_BYTES: usize = 3;
const CHECKED_BYTES: usize = 16 - CHECK_BYTES;

/// Names one submission, and the ticket made of it. A secret between the submitter and us:
/// whoever knows it reads what was sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubmissionId(Uuid);

impl SubmissionId {
    /// The id as the queue and the stores carry it.
    #[must_use]
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }

    /// Whether it follows from a sender's key.
    #[must_use]
    pub fn is_derived(self) -> bool {
        self.0.get_version() == Some(Version::Custom)
    }
}

impl From<Uuid> for SubmissionId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl fmt::Display for SubmissionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Logs show enough to follow a submission and not enough to read its ticket.
impl fmt::Debug for SubmissionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        write!(f, "{}…", &text[..13])
    }
}

/// Issues ids, and tells an issued one from an invented one without asking anybody: any instance
/// with the same key can say of an id not yet in the store that it is queued.
pub struct SubmissionIds {
    key: [u8; 32],
    derivation_key: [u8; 32],
}

impl SubmissionIds {
    /// Derives its own keys from the installation's.
    #[must_use]
    pub fn new(key: &NumberKey) -> Self {
        Self {
            key: key.derive("submission-id"),
            derivation_key: key.derive("submission-id-of-key-and-form"),
        }
    }

    /// A new id: 48 bits of time in milliseconds, 50 of randomness, 24 of keyed check.
    #[must_use]
    pub fn issue(&self, now: DateTime<Utc>, entropy: &dyn Entropy) -> SubmissionId {
        let mut random = [0; 10];
        entropy.fill(&mut random);
        let milliseconds = u64::try_from(now.timestamp_millis()).unwrap_or_default();
        let bytes = uuid::Builder::from_unix_timestamp_millis(milliseconds, &random)
            .into_uuid()
            .into_bytes();
        self.checked(bytes)
    }

    /// The id of a form under a sender's key: the same from every instance, at any time. 98 bits of
    /// keyed hash, 24 of check. The form is part of it, so that whoever guesses another's key is
    /// not told the id of what that one sent.
    #[must_use]
    pub fn derive(&self, key: KeyHash, form: Fingerprint) -> SubmissionId {
        let bytes = half(keyed_hash(&self.derivation_key, &[&key.0, &form.0]));
        self.checked(uuid::Builder::from_custom_bytes(bytes).into_uuid().into_bytes())
    }

    /// Whether an instance with this key issued the id.
    #[must_use]
    pub fn is_issued(&self, id: SubmissionId) -> bool {
        let bytes = id.0.as_bytes();
        matches!(id.0.get_version(), Some(Version::SortRand | Version::Custom))
            && id.0.get_variant() == Variant::RFC4122
            && bool::from(self.check(bytes).ct_eq(&bytes[CHECKED_BYTES..]))
    }

    fn checked(&self, mut id: [u8; 16]) -> SubmissionId {
        let check = self.check(&id);
        id[CHECKED_BYTES..].copy_from_slice(&check);
        SubmissionId(Uuid::from_bytes(id))
    }

    fn check(&self, id: &[u8; 16]) -> [u8; CHECK_BYTES] {
        let hash = keyed_hash(&self.key, &[&id[..CHECKED_BYTES]]);
        [hash[0], hash[1], hash[2]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemEntropy;

    fn ids(digit: &str) -> SubmissionIds {
        SubmissionIds::new(&NumberKey::from_hex(&digit.repeat(64)).unwrap())
    }

    #[test]
    fn an_issued_id_is_known_to_every_instance_with_the_key() {
        let now = DateTime::UNIX_EPOCH + chrono::Duration::days(20_000);
        let id = ids("1").issue(now, &SystemEntropy);
        assert!(ids("1").is_issued(id));
        assert!(!ids("2").is_issued(id));
        assert_eq!(id.as_uuid().get_version(), Some(Version::SortRand));
        let (seconds, nanoseconds) = id.as_uuid().get_timestamp().unwrap().to_unix();
        assert_eq!((i64::try_from(seconds).unwrap(), nanoseconds), (now.timestamp(), 0));
    }

    #[test]
    fn an_invented_id_is_not_issued() {
        let (key, form) = (KeyHash([7; 16]), Fingerprint([8; 16]));
        let issued = ids("1").issue(DateTime::UNIX_EPOCH, &SystemEntropy);
        for id in [issued, ids("1").derive(key, form)] {
            for bit in 0..128 {
                let forged = SubmissionId(Uuid::from_u128(id.as_uuid().as_u128() ^ (1 << bit)));
                assert!(!ids("1").is_issued(forged), "bit {bit}");
            }
        }
    }

    #[test]
    fn a_derived_id_is_the_same_everywhere_and_known_as_issued() {
        let (key, form) = (KeyHash([7; 16]), Fingerprint([8; 16]));
        let id = ids("1").derive(key, form);
        assert_eq!(id, ids("1").derive(key, form));
        assert_eq!(id.as_uuid().get_version(), Some(Version::Custom));
        assert!(ids("1").is_issued(id) && !ids("2").is_issued(id));
        for other in [
            ids("2").derive(key, form),
            ids("1").derive(KeyHash([9; 16]), form),
            ids("1").derive(key, Fingerprint([9; 16])),
        ] {
            assert_ne!(id.as_uuid().as_bytes()[..8], other.as_uuid().as_bytes()[..8]);
        }
    }

    #[test]
    fn the_ids_of_stored_tickets_are_derived_alike_for_ever() {
        let id = ids("1").derive(KeyHash([7; 16]), Fingerprint([8; 16]));
        assert_eq!(id.to_string(), "82464917-671e-81ff-a4d5-59bd47bcf198");
    }

    #[test]
    fn a_log_line_does_not_hold_the_whole_id() {
        let id = ids("1").issue(DateTime::UNIX_EPOCH, &SystemEntropy);
        assert!(!format!("{id:?}").contains(&id.to_string()));
    }
}
