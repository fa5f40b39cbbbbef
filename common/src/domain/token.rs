//! Staff tokens: what a program or a person shows to be let in.

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{
    RuleViolation, TimeSpan,
    ticket::{UnknownWord, words},
};
use crate::{clock::Entropy, keys::hex};

/// What a token begins with, so that people and scanners for leaked secrets know one when they see
/// it.
const PREFIX: &str = "slt_";

/// The random bytes of a token. So many cannot be guessed, hence a plain hash is all that has to
/// hide them.
const SECRET_BYTES: usize = 32;

/// The bytes of the hash that make the id: short enough to be typed, and long enough to tell a
/// million tokens apart.
const ID_BYTES: usize = 6;

words! {
    /// What a token admits to.
    Role: "admin, agent, stats" {
        /// Everything.
        Admin = "admin",
        /// Working on tickets, and the statistics.
        Agent = "agent",
        /// The statistics.
        Stats = "stats",
    }
}

/// A token itself. Nobody keeps one but its holder.
pub struct TokenSecret(SecretString);

impl TokenSecret {
    /// A fresh one: `slt_` and 64 hexadecimal digits, 256 bits of randomness.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; SECRET_BYTES];
        entropy.fill(&mut bytes);
        Self(format!("{PREFIX}{}", hex(&bytes)).into())
    }

    /// Its text, to be shown once.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is kept of it.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(Sha256::digest(self.expose().as_bytes()).into())
    }
}

/// SHA-256 of a token: tells who holds one, and is of no use to whoever reads it.
#[derive(Clone, Copy)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Of what somebody presents as a token, if it has the shape of one.
    #[must_use]
    pub fn of(presented: &[u8]) -> Option<Self> {
        let digits = presented.strip_prefix(PREFIX.as_bytes())?;
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let fit = digits.len() == 2 * SECRET_BYTES && digits.iter().all(is_digit);
        fit.then(|| Self(Sha256::digest(presented).into()))
    }

    /// As a store keeps it.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// As a store keeps it.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Names the token. The beginning of the hash, so that the one can be told whose token was
    /// found somewhere.
    #[must_use]
    pub fn id(&self) -> TokenId {
        TokenId(hex(&self.0[..ID_BYTES]))
    }
}

/// Takes the same time wherever two of them differ.
impl PartialEq for TokenDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TokenDigest {}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenDigest({}…)", self.id())
    }
}

/// Names a token in lists, logs and commands: the first twelve digits of its hash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenId(String);

impl TokenId {
    /// What somebody typed; perhaps the name of no token.
    #[must_use]
    pub fn typed(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// What may name a token: twelve hexadecimal digits, in small letters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let fit = text.len() == 2 * ID_BYTES && text.bytes().all(is_digit);
        fit.then(|| Self(text.to_owned()))
    }

    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What is known of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its hash.
    pub digest: TokenDigest,
    /// What its maker called it.
    pub name: Option<String>,
    /// What it admits to.
    pub role: Role,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From when on it admits nobody.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// That it was rotated, if it was.
    pub rotated: Option<Rotated>,
}

/// What became of a token when another was made in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotated {
    /// When, for the first time.
    pub at: DateTime<Utc>,
    /// From when on it was to admit nobody before that.
    pub was_to_end_at: Option<DateTime<Utc>>,
}

/// How long a token goes on admitting beside the one made in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap(Duration);

impl Overlap {
    /// The longest.
    pub const MAX: Duration = Duration::from_hours(30 * 24);

    /// A whole number and s, m, h or d, from a second to thirty days.
    pub fn parse(text: &str) -> Result<Self, RuleViolation> {
        let span = TimeSpan::parse(text).ok().map(TimeSpan::length);
        span.filter(|span| *span <= Self::MAX).map(Self).ok_or_else(|| {
            let detail = "must be a duration from 1s to 30d in s, m, h or d, such as 1d";
            RuleViolation::new("invalid_overlap", detail)
        })
    }

    /// When one that begins now is over.
    #[must_use]
    pub fn end(self, now: DateTime<Utc>) -> DateTime<Utc> {
        now + self.0
    }
}

/// A day.
impl Default for Overlap {
    fn default() -> Self {
        Self(Duration::from_hours(24))
    }
}

/// Whether a token admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Active,
    /// Its time is over.
    Expired,
    /// Somebody took it back.
    Revoked,
}

impl Standing {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl Token {
    /// Its name in lists and commands.
    #[must_use]
    pub fn id(&self) -> TokenId {
        self.digest.id()
    }

    /// A token in its place: of the same name, by which a member of staff is known, and the same role.
    /// It ends after the time given, or when this one was to: not when the overlap with an earlier
    /// successor is over.
    #[must_use]
    pub fn successor(
        &self,
        secret: &TokenSecret,
        now: DateTime<Utc>,
        lifetime: Option<TimeSpan>,
    ) -> Self {
        let due_at = self.rotated.map_or(self.expires_at, |rotated| rotated.was_to_end_at);
        Self {
            digest: secret.digest(),
            name: self.name.clone(),
            role: self.role,
            created_at: now,
            expires_at: lifetime.map_or(due_at, |lifetime| Some(lifetime.after(now))),
            revoked_at: None,
            rotated: None,
        }
    }

    /// Whether it admits at `now`.
    #[must_use]
    pub fn standing(&self, now: DateTime<Utc>) -> Standing {
        match (self.revoked_at, self.expires_at) {
            (Some(_), _) => Standing::Revoked,
            (None, Some(expires_at)) if expires_at <= now => Standing::Expired,
            (None, _) => Standing::Active,
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::clock::SystemEntropy;

    #[test]
    fn a_fresh_token_is_recognised_and_no_other_is_its_like() {
        let (one, other) =
            (TokenSecret::generate(&SystemEntropy), TokenSecret::generate(&SystemEntropy));
        assert_eq!((one.expose().len(), &one.expose()[..4]), (68, "slt_"));
        assert_eq!(TokenDigest::of(one.expose().as_bytes()), Some(one.digest()));
        assert_ne!(one.digest(), other.digest());
        assert_ne!(one.digest().id(), other.digest().id());
    }

    #[test]
    fn the_id_is_the_beginning_of_what_sha256sum_says() {
        let token = format!("slt_{}", "0123456789abcdef".repeat(4));
        let digest = TokenDigest::of(token.as_bytes()).unwrap();
        assert_eq!(digest.id().to_string(), "95344202d105");
    }

    #[test]
    fn what_has_not_the_shape_of_a_token_is_not_hashed_for_the_store() {
        let digits = "0123456789abcdef".repeat(4);
        for text in [
            String::new(),
            digits.clone(),
            format!("slt_{}", &digits[1..]),
            format!("slt_{digits}0"),
            format!("slt_{}", digits.to_uppercase()),
            format!("SLT_{digits}"),
            format!("slt_{} ", &digits[1..]),
        ] {
            assert_eq!(TokenDigest::of(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn only_twelve_digits_may_name_a_token() {
        assert_eq!(TokenId::parse("95344202d105").unwrap().as_str(), "95344202d105");
        for text in
            ["", "95344202d10", "95344202d1055", "95344202D105", "9534420 d105", "é5344202d10"]
        {
            assert_eq!(TokenId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_overlap_is_a_day_or_as_long_as_is_said_up_to_thirty() {
        let now = DateTime::UNIX_EPOCH;
        let length = |overlap: Overlap| overlap.end(now) - now;
        assert_eq!(length(Overlap::default()), TimeDelta::days(1));
        assert_eq!(length(Overlap::parse("30d").unwrap()), TimeDelta::days(30));
        for text in ["", "0s", "31d", "721h", "1"] {
            assert_eq!(Overlap::parse(text).unwrap_err().code, "invalid_overlap", "{text}");
        }
    }

    #[test]
    fn a_token_admits_until_it_expires_or_is_revoked() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let token = Token {
            digest: TokenDigest::from_bytes([7; 32]),
            name: None,
            role: Role::Stats,
            created_at: now,
            expires_at: Some(now + TimeDelta::seconds(1)),
            revoked_at: None,
            rotated: None,
        };
        let millisecond = TimeDelta::milliseconds(1);
        assert_eq!(token.standing(now), Standing::Active);
        assert_eq!(token.standing(now + millisecond * 999), Standing::Active);
        assert_eq!(token.standing(now + millisecond * 1_000), Standing::Expired);
        let revoked = Token { revoked_at: Some(now), ..token };
        assert_eq!(revoked.standing(now), Standing::Revoked);
        assert!(!format!("{revoked:?}").contains("0707070707070707"), "{revoked:?}");
    }
}
