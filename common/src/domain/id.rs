//! Submission ids: `UUIDv7`, with a keyed check inside.

use std::fmt;

use chrono::{DateTime, Utc};
use subtle::ConstantTimeEq;
use uuid::{Uuid, Version};

use crate::{
    clock::Entropy,
    keys::{NumberKey, keyed_hash},
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
}

impl SubmissionIds {
    /// Derives its own key from the installation's.
    #[must_use]
    pub fn new(key: &NumberKey) -> Self {
        Self { key: key.derive("submission-id") }
    }

    /// A new id: 48 bits of time in milliseconds, 50 of randomness, 24 of keyed check.
    #[must_use]
    pub fn issue(&self, now: DateTime<Utc>, entropy: &dyn Entropy) -> SubmissionId {
        let mut random = [0; 10];
        entropy.fill(&mut random);
        let milliseconds = u64::try_from(now.timestamp_millis()).unwrap_or_default();
        let mut bytes = uuid::Builder::from_unix_timestamp_millis(milliseconds, &random)
            .into_uuid()
            .into_bytes();
        let check = self.check(&bytes);
        bytes[CHECKED_BYTES..].copy_from_slice(&check);
        SubmissionId(Uuid::from_bytes(bytes))
    }

    /// Whether an instance with this key issued the id.
    #[must_use]
    pub fn is_issued(&self, id: SubmissionId) -> bool {
        let bytes = id.0.as_bytes();
        id.0.get_version() == Some(Version::SortRand)
            && bool::from(self.check(bytes).ct_eq(&bytes[CHECKED_BYTES..]))
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
        let id = ids("1").issue(DateTime::UNIX_EPOCH, &SystemEntropy);
        for bit in 0..128 {
            let forged = SubmissionId(Uuid::from_u128(id.as_uuid().as_u128() ^ (1 << bit)));
            assert!(!ids("1").is_issued(forged), "bit {bit}");
        }
    }

    #[test]
    fn a_log_line_does_not_hold_the_whole_id() {
        let id = ids("1").issue(DateTime::UNIX_EPOCH, &SystemEntropy);
        assert!(!format!("{id:?}").contains(&id.to_string()));
    }
}
