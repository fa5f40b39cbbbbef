//! Stretches of time as people write them.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::RuleViolation;

/// A whole number and a unit, such as `30d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeSpan(Duration);

impl TimeSpan {
    /// Longer than this nobody remembers that a token is there, and nothing is older than that.
    pub const MAX: Duration = Duration::from_hours(10 * 365 * 24);

    /// A whole number and s, m, h or d, from a second to ten years.
    pub fn parse(text: &str) -> Result<Self, RuleViolation> {
        let span = Self::read(text).filter(|span| !span.is_zero() && *span <= Self::MAX);
        span.map(Self).ok_or_else(|| {
            let detail = "must be a duration from 1s to 3650d in s, m, h or d, such as 30d";
            RuleViolation::new("invalid_duration", detail)
        })
    }

    fn read(text: &str) -> Option<Duration> {
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
        let unit_seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            "d" => 24 * 60 * 60,
            _ => return None,
        };
        Some(Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(unit_seconds)?))
    }

    /// How long it is.
    #[must_use]
    pub const fn length(self) -> Duration {
        self.0
    }

    /// So long before that time.
    #[must_use]
    pub fn before(self, time: DateTime<Utc>) -> DateTime<Utc> {
        time - self.0
    }

    /// So long after it.
    #[must_use]
    pub fn after(self, time: DateTime<Utc>) -> DateTime<Utc> {
        time + self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_span_is_a_number_and_a_unit_within_ten_years() {
        let span = |text: &str| TimeSpan::parse(text).map(|it| it.0).ok();
        for (text, seconds) in [("1s", 1), ("90m", 5_400), ("24h", 86_400), ("30d", 2_592_000)] {
            assert_eq!(span(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(span("3650d"), Some(TimeSpan::MAX));
        for text in ["", "30", "d", "0s", "0d", "-1d", "+1d", "1.5h", "3651d", "30w", "30 d", "30D"]
        {
            assert_eq!(span(text), None, "{text}");
        }
        assert_eq!(span(&format!("{}d", u64::MAX)), None);
    }
}
