//! Who a submitter is, without a word of theirs.

use super::Email;
use crate::keys::{NumberKey, half, keyed_hash};

/// Sixteen bytes of keyed hash over an address: tells a person from others and lets nobody guess who
/// they are. Kept for ever where somebody was erased, so its definition cannot change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PersonHash(pub [u8; 16]);

/// What people are hashed with.
#[derive(Clone)]
pub struct PersonKey([u8; 32]);

impl PersonKey {
    /// Of the installation with this key.
    #[must_use]
    pub fn new(key: &NumberKey) -> Self {
        Self(key.derive("people"))
    }

    /// Whose address it is. Two that differ in the case of ASCII letters alone are one person's.
    #[must_use]
    pub fn hash_of(&self, email: &Email) -> PersonHash {
        let folded = email.as_str().to_ascii_lowercase();
        PersonHash(half(keyed_hash(&self.0, &[folded.as_bytes()])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::hex;

    fn hash(key: &str, email: &str) -> String {
        let key = PersonKey::new(&NumberKey::from_hex(&key.repeat(32)).unwrap());
        hex(&key.hash_of(&Email::parse(email).unwrap()).0)
    }

    #[test]
    fn a_person_is_an_address_in_whatever_case() {
        assert_eq!(hash("42", "ada@example.org"), hash("42", "Ada@Example.ORG"));
        assert_ne!(hash("42", "ada@example.org"), hash("42", "adb@example.org"));
    }

    #[test]
    fn the_hash_of_whoever_was_erased_never_changes() {
        assert_eq!(hash("42", "ada@example.org"), "bead9adc537ddeae1dbd259336ee5937");
        assert_ne!(hash("42", "ada@example.org"), hash("43", "ada@example.org"));
    }
}
