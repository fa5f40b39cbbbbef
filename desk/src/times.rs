//! Stretches of time that are asked for.

use chrono::{DateTime, Utc};
use common::domain::{Between, ClientTimestamp, RuleViolation};

use crate::fields::{Fields, text};

/// The last moment of the years that have four digits. An offset leads a day further; stores write years
/// with four, and nothing is so late.
const LAST: DateTime<Utc> = match DateTime::from_timestamp(253_402_300_799, 999_000_000) {
    Some(last) => last,
    None => DateTime::<Utc>::MAX_UTC,
};

/// From one parameter on, and up to but not at the other, which must be later.
pub fn between(
    fields: &mut Fields,
    (from, to): (&'static str, &'static str),
    rule: fn(&str) -> Result<DateTime<Utc>, RuleViolation>,
) -> Between {
    let between =
        Between { from: fields.optional(from, text(rule)), to: fields.optional(to, text(rule)) };
    if between.is_empty() {
        let detail = format!("must be later than {from}");
        fields.refuse(to, RuleViolation::new("impossible_range", detail));
    }
    let told = |time: DateTime<Utc>| time.min(LAST);
    Between { from: between.from.map(told), to: between.to.map(told) }
}

/// A moment. Those of tickets are whole milliseconds, so none lies between this and the next of them.
pub fn time(text: &str) -> Result<DateTime<Utc>, RuleViolation> {
    let violation = || {
        RuleViolation::new(
            "invalid_timestamp",
            "must be an RFC 3339 time such as 2026-11-22T10:30:00Z, a plus in it written as %2B",
        )
    };
    let text = ClientTimestamp::parse(text).map_err(|_| violation())?;
    let time = DateTime::parse_from_rfc3339(text.as_str()).map_err(|_| violation())?;
    let is_between = time.timestamp_subsec_nanos() % 1_000_000 > 0;
    let milliseconds = time.timestamp_millis() + i64::from(is_between);
    DateTime::from_timestamp_millis(milliseconds).ok_or_else(violation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_of_rfc_3339_is_a_moment_and_the_next_whole_millisecond() {
        for (text, milliseconds) in [
            ("0000-01-01T00:00:00Z", -62_167_219_200_000),
            ("0001-01-01T00:00:00.0001Z", -62_135_596_799_999),
            ("1969-12-31T23:59:59.9991Z", 0),
            ("1970-01-01T00:00:00.0011+00:00", 2),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000),
            ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
            ("9999-12-31T23:59:59.9991-23:59", 253_402_387_140_000),
        ] {
            assert_eq!(time(text).unwrap().timestamp_millis(), milliseconds, "{text}");
        }
        for text in ["", "2026-11-22", "10000-01-01T00:00:00Z", "2026-11-22T10:30:00 01:00"] {
            assert_eq!(time(text).unwrap_err().code, "invalid_timestamp", "{text}");
        }
    }

    #[test]
    fn a_stretch_ends_later_than_it_begins_and_with_the_years_of_four_digits() {
        let read = |query: &str| {
            let mut fields = Fields::of_query(Some(query));
            let between = between(&mut fields, ("a", "b"), time);
            fields.finish().map(|()| between)
        };
        let wide = read("a=0000-01-01T00:00:00%2B23:59&b=9999-12-31T23:59:59-23:59").unwrap();
        assert_eq!(wide.from.unwrap().timestamp(), -62_167_305_540);
        assert_eq!(wide.to, Some(LAST));
        for (a, b, is_fit) in [
            ("2026-11-22T00:00:00Z", "2026-11-22T00:00:00.0001Z", true),
            ("9999-12-31T23:59:59-22:00", "9999-12-31T23:59:59-23:00", true),
            ("2026-11-22T00:00:00Z", "2026-11-22T01:00:00%2B01:00", false),
            ("9999-01-01T00:00:00Z", "0001-01-01T00:00:00Z", false),
        ] {
            assert_eq!(read(&format!("a={a}&b={b}")).is_ok(), is_fit, "{a} {b}");
        }
    }
}
