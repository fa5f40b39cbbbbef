//! Ticket numbers: a counter a year, run through a keyed permutation.
//!
//! The permutation is FF1 (NIST SP 800-38G) over decimal digits, tweaked by the year. It maps each
//! counter to its own number, so numbers are unique without a look, tell nobody how many tickets
//! there are, and one does not lead to the next.

use std::{fmt, str::FromStr};

use aes::{
    Aes256,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use thiserror::Error;

use crate::keys::NumberKey;

/// The fewest digits; FF1 asks for a domain of at least a million.
const DIGITS_MIN: usize = 6;
/// The digits of the largest `u64`.
const DIGITS_MAX: usize = 20;

/// `SUP-2026-483920`: the UTC year of submission and at least six digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TicketNumber {
    year: u16,
    digits: String,
}

/// The text is not a ticket number.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("expected SUP-, four digits of a year, a hyphen and at least six digits")]
pub struct MalformedNumber;

impl TicketNumber {
    /// The UTC year in which the ticket was submitted.
    #[must_use]
    pub const fn year(&self) -> u16 {
        self.year
    }
}

impl fmt::Display for TicketNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SUP-{:04}-{}", self.year, self.digits)
    }
}

impl FromStr for TicketNumber {
    type Err = MalformedNumber;

    fn from_str(text: &str) -> Result<Self, MalformedNumber> {
        let (year, digits) = text
            .strip_prefix("SUP-")
            .and_then(|rest| rest.split_once('-'))
            .ok_or(MalformedNumber)?;
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let shaped = year.len() == 4
            && (DIGITS_MIN..=DIGITS_MAX).contains(&digits.len())
            && all_digits(year)
            && all_digits(digits);
        if !shaped {
            return Err(MalformedNumber);
        }
        let year = year.parse().map_err(|_| MalformedNumber)?;
        Ok(Self { year, digits: digits.to_owned() })
    }
}

/// Turns a year's counter into ticket numbers and back.
pub struct NumberCipher(Ff1);

impl NumberCipher {
    /// Derives its own key from the installation's.
    #[must_use]
    pub fn new(key: &NumberKey) -> Self {
        Self(Ff1 { aes: Aes256::new(&key.derive("ticket-number").into()) })
    }

    /// The number for the `counter`-th ticket of `year`, counting from zero: six digits for the
    /// first million, seven up to ten million, and so on.
    #[must_use]
    pub fn number(&self, year: u16, counter: u64) -> TicketNumber {
        let length = digits_of(counter);
        let permuted = self.0.encrypt(year, length, counter.into());
        TicketNumber { year, digits: format!("{permuted:0length$}") }
    }

    /// The counter a number stands for; `None` when this key never made it.
    #[must_use]
    pub fn counter(&self, number: &TicketNumber) -> Option<u64> {
        let TicketNumber { year, digits } = number;
        let counter = self.0.decrypt(*year, digits.len(), digits.parse().ok()?);
        let counter = u64::try_from(counter).ok()?;
        // A longer domain starts where the shorter one is used up, so a leading zero is foreign.
        (digits_of(counter) == digits.len()).then_some(counter)
    }
}

fn digits_of(counter: u64) -> usize {
    counter.checked_ilog10().map_or(1, |log| log as usize + 1).max(DIGITS_MIN)
}

/// FF1 over up to twenty decimal digits and with a tweak of two bytes. In these bounds a half is a
/// `u64`, and what is hashed in a round is two blocks.
struct Ff1 {
    aes: Aes256,
}

/// A permutation's halves: how many digits each has, and what the first block of every round becomes.
struct Halves {
    digits: [u32; 2],
    first_block: u128,
}

const ROUNDS: u8 = 10;

impl Ff1 {
    fn encrypt(&self, year: u16, length: usize, value: u128) -> u128 {
        let halves = self.halves(length);
        let (mut a, mut b) = halves.split(value);
        for round in 0..ROUNDS {
            let c = (u128::from(a) + self.round(&halves, year, round, b)) % halves.domain(round);
            (a, b) = (b, low(c));
        }
        halves.join(a, b)
    }

    fn decrypt(&self, year: u16, length: usize, value: u128) -> u128 {
        let halves = self.halves(length);
        let (mut a, mut b) = halves.split(value);
        for round in (0..ROUNDS).rev() {
            let domain = halves.domain(round);
            let c = u128::from(b) + domain - self.round(&halves, year, round, a) % domain;
            (a, b) = (low(c % domain), a);
        }
        halves.join(a, b)
    }

    #[expect(clippy::cast_possible_truncation, reason = "at most twenty digits")]
    fn halves(&self, length: usize) -> Halves {
        let (length, first) = (length as u32, length as u32 / 2);
        // Version 1, method 2, 10 rounds; radix 10; then the lengths of half, whole and tweak.
        let mut block = [1, 2, 1, 0, 0, 10, ROUNDS, 0, 0, 0, 0, 0, 0, 0, 0, 2];
        block[7] = first.to_be_bytes()[3];
        block[8..12].copy_from_slice(&length.to_be_bytes());
        let first_block = self.block(u128::from_be_bytes(block));
        Halves { digits: [first, length - first], first_block }
    }

    /// What a round adds to one half, given the other.
    fn round(&self, halves: &Halves, tweak: u16, round: u8, half: u64) -> u128 {
        // The half is at the end, in as many bytes as it may need, the round before it, zeros before that.
        let bytes = halves.bytes();
        let block = u128::from(tweak) << 112 | u128::from(round) << (8 * bytes) | u128::from(half);
        let hashed = self.block(halves.first_block ^ block);
        // As many bytes of it as the half has, rounded up to words, and a word.
        hashed >> (8 * (16 - (bytes.next_multiple_of(4) + 4)))
    }

    fn block(&self, block: u128) -> u128 {
        let mut block = block.to_be_bytes().into();
        self.aes.encrypt_block(&mut block);
        u128::from_be_bytes(block.into())
    }
}

impl Halves {
    /// Bytes that hold the longer half.
    const fn bytes(&self) -> u32 {
        10_u64.pow(self.digits[1]).ilog2() / 8 + 1
    }

    /// How many values a half has that a round changes.
    fn domain(&self, round: u8) -> u128 {
        10_u128.pow(self.digits[usize::from(round % 2)])
    }

    fn split(&self, value: u128) -> (u64, u64) {
        let second = 10_u128.pow(self.digits[1]);
        (low(value / second), low(value % second))
    }

    fn join(&self, a: u64, b: u64) -> u128 {
        u128::from(a) * 10_u128.pow(self.digits[1]) + u128::from(b)
    }
}

/// A half, which is below 10^10.
#[expect(clippy::cast_possible_truncation, reason = "ten digits fit")]
const fn low(half: u128) -> u64 {
    half as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use fpe::ff1::{FF1, FlexibleNumeralString};

    use super::*;

    fn cipher() -> NumberCipher {
        NumberCipher::new(&NumberKey::from_hex(&"42".repeat(32)).unwrap())
    }

    #[test]
    fn the_permutation_is_that_of_nist() {
        let key = NumberKey::from_hex(&"42".repeat(32)).unwrap().derive("ticket-number");
        let reference = FF1::<Aes256>::new(&key, 10).unwrap();
        for length in DIGITS_MIN..=DIGITS_MAX {
            let domain = 10_u128.pow(u32::try_from(length).unwrap());
            for value in [0, 1, 7, domain / 3, domain / 2, domain - 2, domain - 1] {
                for year in [0_u16, 1970, 2026, 9999] {
                    let digits = format!("{value:0length$}");
                    let numerals: Vec<_> = digits.bytes().map(|it| u16::from(it - b'0')).collect();
                    let numerals = FlexibleNumeralString::from(numerals);
                    let expected = reference.encrypt(&year.to_be_bytes(), &numerals).unwrap();
                    let expected = Vec::from(expected);
                    let permuted = cipher().0.encrypt(year, length, value);
                    let told = format!("{permuted:0length$}");
                    let told: Vec<_> = told.bytes().map(|it| u16::from(it - b'0')).collect();
                    assert_eq!(told, expected, "{year} {digits}");
                    assert_eq!(cipher().0.decrypt(year, length, permuted), value);
                }
            }
        }
    }

    #[test]
    fn a_counter_comes_back_from_its_number() {
        for counter in [0, 1, 999_999, 1_000_000, 9_999_999, 10_000_000, u64::MAX] {
            let number = cipher().number(2026, counter);
            assert_eq!(cipher().counter(&number), Some(counter), "{number}");
            assert_eq!(number.to_string().parse(), Ok(number));
        }
    }

    #[test]
    fn numbers_are_distinct_and_grow_a_digit_when_the_million_is_used_up() {
        let numbers: Vec<_> = (999_990..1_000_010)
            .map(|counter| cipher().number(2026, counter).to_string())
            .collect();
        let lengths: Vec<_> =
            numbers.iter().map(|number| number.len() - "SUP-2026-".len()).collect();
        assert_eq!(lengths, [[6; 10], [7; 10]].concat());
        assert_eq!(numbers.iter().collect::<HashSet<_>>().len(), 20);
    }

    #[test]
    fn neighbouring_counters_and_years_give_unrelated_numbers() {
        let gap = |year, counter| {
            let [a, b] = [counter, counter + 1]
                .map(|counter| cipher().number(year, counter).digits.parse::<i64>().unwrap());
            b - a
        };
        let gaps: HashSet<_> = (0..100).map(|counter| gap(2026, counter)).collect();
        assert!(gaps.len() > 95, "{gaps:?}");
        assert_ne!(cipher().number(2026, 7).digits, cipher().number(2027, 7).digits);
    }

    #[test]
    fn a_number_that_was_never_issued_has_no_counter() {
        let foreign = (0..1_000)
            .map(|value| TicketNumber { year: 2026, digits: format!("{value:07}") })
            .filter(|number| cipher().counter(number).is_none());
        // A tenth of the seven-digit domain belongs to counters of six digits.
        assert!(foreign.count() > 50);
    }

    #[test]
    fn what_is_not_a_number_is_refused() {
        for text in [
            "",
            "SUP-2026-12345",
            "sup-2026-123456",
            "SUP-26-123456",
            "SUP-2026-12345a",
            "SUP-2026-123456 ",
            "SUP-2026-１２３４５６",
            "SUP-2026-+23456",
            "SUP-+026-123456",
            "SUP-2026-123456789012345678901",
        ] {
            assert_eq!(text.parse::<TicketNumber>(), Err(MalformedNumber), "{text}");
        }
    }
}
