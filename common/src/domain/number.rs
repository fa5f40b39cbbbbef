//! Ticket numbers: a counter a year, run through a keyed permutation.
//!
//! The permutation is FF1 (NIST SP 800-38G) over decimal digits, tweaked by the year. It maps each
//! counter to its own number, so numbers are unique without a look, tell nobody how many tickets
//! there are, and one does not lead to the next.

use std::{fmt, str::FromStr};

use aes::Aes256;
use fpe::ff1::{FF1, FlexibleNumeralString};
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
pub struct NumberCipher {
    ff1: FF1<Aes256>,
}

impl NumberCipher {
    /// Derives its own key from the installation's.
    #[must_use]
    pub fn new(key: &NumberKey) -> Self {
        #[expect(
            clippy::expect_used,
            reason = "the key is 32 bytes and the radix 10, both allowed"
        )]
        let ff1 = FF1::new(&key.derive("ticket-number"), 10).expect("radix 10 is allowed");
        Self { ff1 }
    }

    /// The number for the `counter`-th ticket of `year`, counting from zero: six digits for the
    /// first million, seven up to ten million, and so on.
    #[must_use]
    pub fn number(&self, year: u16, counter: u64) -> TicketNumber {
        let plain = format!("{counter:0DIGITS_MIN$}");
        let numerals = FlexibleNumeralString::from(numerals(&plain));
        #[expect(clippy::expect_used, reason = "six or more decimal digits are in FF1's domain")]
        let permuted = self.ff1.encrypt(&year.to_be_bytes(), &numerals).expect("decimal digits");
        TicketNumber { year, digits: text(&Vec::from(permuted)) }
    }

    /// The counter a number stands for; `None` when this key never made it.
    #[must_use]
    pub fn counter(&self, number: &TicketNumber) -> Option<u64> {
        let numerals = FlexibleNumeralString::from(numerals(&number.digits));
        let plain = self.ff1.decrypt(&number.year.to_be_bytes(), &numerals).ok()?;
        let plain = text(&Vec::from(plain));
        let counter = plain.parse().ok()?;
        // A longer domain starts where the shorter one is used up, so a leading zero is foreign.
        (format!("{counter:0DIGITS_MIN$}") == plain).then_some(counter)
    }
}

fn numerals(digits: &str) -> Vec<u16> {
    digits.bytes().map(|digit| u16::from(digit - b'0')).collect()
}

fn text(numerals: &[u16]) -> String {
    numerals.iter().filter_map(|numeral| char::from_digit(u32::from(*numeral), 10)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn cipher() -> NumberCipher {
        NumberCipher::new(&NumberKey::from_hex(&"42".repeat(32)).unwrap())
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
