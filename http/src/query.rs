//! Rules of parameters.

use std::{fmt::Display, str::FromStr};

use common::domain::RuleViolation;

/// A whole number from 1 on.
pub fn number<T>(text: &str, max: T) -> Result<T, RuleViolation>
where
    T: Copy + FromStr + PartialOrd + Display + From<u8>,
{
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text);
    within(digits.and_then(|digits| digits.parse().ok()), max)
}

/// The same of what was a number already, if it was a whole one.
pub fn within<T>(number: Option<T>, max: T) -> Result<T, RuleViolation>
where
    T: Copy + PartialOrd + Display + From<u8>,
{
    number.filter(|number| (&T::from(1)..=&max).contains(&number)).ok_or_else(|| {
        RuleViolation::new("out_of_range", format!("must be a whole number from 1 to {max}"))
    })
}
