//! Rules of parameters.

use std::{fmt::Display, str::FromStr};

use common::domain::RuleViolation;

/// A whole number from 1 on.
pub fn number<T>(text: &str, max: T) -> Result<T, RuleViolation>
where
    T: Copy + FromStr + PartialOrd + Display + From<u8>,
{
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text);
    let number = digits.and_then(|digits| digits.parse().ok());
    number.filter(|number| (&T::from(1)..=&max).contains(&number)).ok_or_else(|| {
        RuleViolation::new("out_of_range", format!("must be a whole number from 1 to {max}"))
    })
}
