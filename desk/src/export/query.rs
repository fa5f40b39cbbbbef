//! What an export is asked for.

use std::{collections::BTreeSet, str::FromStr};

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use common::{
    domain::{Priority, RuleViolation, Status, Subject},
    ports::exports::Choice,
};

use super::Format;
use crate::{
    fields::{Fields, text},
    times::{between, time},
};

/// A query, read.
pub struct Wanted {
    pub format: Format,
    pub choice: Choice,
}

impl Wanted {
    pub fn read(fields: &mut Fields) -> Self {
        let format = fields.optional("format", text(format)).unwrap_or(Format::Ndjson);
        let statuses = fields.optional("status", text(|it| of(it, Status::ALL, Status::as_str)));
        let priorities =
            fields.optional("priority", text(|it| of(it, Priority::ALL, Priority::as_str)));
        let subjects = fields.optional("subject", text(|it| of(it, Subject::ALL, Subject::as_str)));
        let submitted = between(fields, ("submittedFrom", "submittedTo"), moment);
        let choice = Choice {
            statuses: statuses.unwrap_or_default(),
            priorities: priorities.unwrap_or_default(),
            subjects: subjects.unwrap_or_default(),
            from: submitted.from,
            to: submitted.to,
        };
        Self { format, choice }
    }
}

fn format(text: &str) -> Result<Format, RuleViolation> {
    let found = Format::ALL.into_iter().find(|it| it.as_str() == text);
    found.ok_or_else(|| RuleViolation::new("invalid_choice", "must be one of ndjson, csv"))
}

/// Words with commas between them.
fn of<T: Copy + Ord + FromStr>(
    text: &str,
    all: &[T],
    word: fn(T) -> &'static str,
) -> Result<BTreeSet<T>, RuleViolation> {
    let parsed = text.split(',').map(|it| it.parse().ok()).collect::<Option<_>>();
    parsed.ok_or_else(|| {
        let words = all.iter().map(|it| word(*it)).collect::<Vec<_>>().join(", ");
        RuleViolation::new("invalid_choice", format!("must be of {words}, with commas between"))
    })
}

/// A moment: RFC 3339, or a day, which is its beginning in UTC.
pub fn moment(text: &str) -> Result<DateTime<Utc>, RuleViolation> {
    let day = || {
        let is_day = text.len() == 10 && text.is_ascii();
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| is_day)?;
        Some(day.and_time(NaiveTime::MIN).and_utc())
    };
    time(text).ok().or_else(day).ok_or_else(|| {
        let detail = "must be an RFC 3339 time such as 2026-11-22T10:30:00.000Z, or a day such as \
                      2026-11-22";
        RuleViolation::new("invalid_timestamp", detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_its_beginning_and_a_time_is_of_any_zone() {
        let told = |text: &str| moment(text).map(|it| it.to_rfc3339()).map_err(|it| it.code);
        assert_eq!(told("2026-11-22"), Ok("2026-11-22T00:00:00+00:00".to_owned()));
        assert_eq!(told("2026-11-22T01:30:00+02:00"), Ok("2026-11-21T23:30:00+00:00".to_owned()));
        for text in ["", "2026", "2026-13-01", "2026-1-1", "2026-02-30", "22.11.2026", "now", "1"] {
            assert_eq!(told(text), Err("invalid_timestamp"), "{text}");
        }
    }
}
