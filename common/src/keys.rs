//! The installation's one secret, and what is derived from it.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretBox};
use sha2::Sha256;
use thiserror::Error;

use crate::clock::Entropy;

/// HMAC-SHA-256, the only keyed hash in use.
pub(crate) type KeyedHash = Hmac<Sha256>;

/// The secret of the ticket numbers: 32 bytes, written as 64 hexadecimal digits.
///
/// Every other key is derived from it by name, so an operator keeps one secret and no two
/// purposes share a key.
pub struct NumberKey(SecretBox<[u8; 32]>);

/// The text is not 64 hexadecimal digits. Says nothing of the text itself: it is a secret.
#[derive(Debug, Error)]
#[error("expected 64 hexadecimal digits (32 bytes)")]
pub struct MalformedKey;

impl NumberKey {
    /// A fresh key.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self(SecretBox::init_with_mut(|bytes: &mut [u8; 32]| {
            entropy.fill(bytes);
        }))
    }

    /// Reads 64 hexadecimal digits, of either case.
    pub fn from_hex(text: &str) -> Result<Self, MalformedKey> {
        let bytes = unhex(&text.to_ascii_lowercase()).ok_or(MalformedKey)?;
        Ok(Self(SecretBox::new(Box::new(bytes))))
    }

    /// The 64 hexadecimal digits, for the file that keeps them.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex(self.0.expose_secret())
    }

    /// The key for one purpose.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        keyed_hash(self.0.expose_secret(), &[purpose.as_bytes()])
    }

    /// Sixteen hexadecimal digits that tell two keys apart and give neither away. A database
    /// remembers the one it was numbered with.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex(&self.derive("key-fingerprint")[..8])
    }
}

impl fmt::Debug for NumberKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NumberKey(redacted)")
    }
}

/// HMAC-SHA-256 of the parts, one after the other.
#[must_use]
pub fn keyed_hash(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes a key of any length; the error type is for other constructions.
    #[expect(clippy::expect_used, reason = "no key length fails")]
    let mut mac = KeyedHash::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// The first half of a hash: as many bytes as an id has, and enough that no two are ever the same.
#[must_use]
pub fn half(hash: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    half
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}

/// The bytes that [`hex`] wrote so, if they are that many.
#[must_use]
pub fn unhex<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    let digits = text.as_bytes();
    if digits.len() != LENGTH * 2 {
        return None;
    }
    let mut bytes = [0; LENGTH];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
    }
    Some(bytes)
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn a_key_reads_back_as_it_was_written() {
        assert_eq!(NumberKey::from_hex(HEX).unwrap().to_hex(), HEX);
    }

    #[test]
    fn anything_but_64_digits_is_refused() {
        for text in ["", &HEX[1..], &format!("{HEX}0"), &HEX.replace('f', "g"), &"é".repeat(32)] {
            assert!(NumberKey::from_hex(text).is_err(), "{text}");
        }
    }

    #[test]
    fn purposes_do_not_share_a_key_and_debug_shows_none() {
        let key = NumberKey::from_hex(HEX).unwrap();
        assert_ne!(key.derive("a"), key.derive("b"));
        assert_eq!(format!("{key:?}"), "NumberKey(redacted)");
    }
}
