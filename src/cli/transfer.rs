//! The arguments of `supportline import` and `supportline export`.

use std::{fmt, num::NonZeroU32, path::PathBuf};

use chrono::{DateTime, Utc};
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use common::domain::{Name, Priority, Status, Subject};
use desk::export::{Format, moment};

/// Takes tickets over from a file, through the queue.
///
/// The file is NDJSON, a form a line, or CSV with a row of names: name, email, subject and message,
/// and if need be timestamp, userId, userAgent, url, submittedAt (when it was submitted elsewhere)
/// and externalId (what it is called there). The same line of the same --source is one ticket,
/// however often it is imported: what was broken off is simply run again. Bad lines are told by
/// their numbers, the others are imported, and the exit code is 1 if there were any. What is older
/// than --retention is one: it would be erased at once.
///
/// An embedded installation must not be running: its queue is in that process, which imports by
/// POST /api/support/admin/tickets/import.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  supportline import old-desk.ndjson --source old-desk
  supportline import tickets.csv --dry-run        tells bad lines and imports nothing
  supportline import tickets.csv --rate 200/s
  zcat tickets.ndjson.gz | supportline import -")]
pub struct Import {
    /// The file; `-` is the standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How it is written; not said: by the end of its name, else ndjson.
    #[arg(long, value_name = "FORMAT", value_parser = format())]
    pub format: Option<Format>,
    /// Whose tickets they are: the same line of another source is another ticket.
    #[arg(long, value_name = "NAME", default_value = desk::import::SOURCE_DEFAULT,
          value_parser = source)]
    pub source: Source,
    /// The most tickets in a second, such as 200/s; not said, or off: as fast as workers take them.
    #[arg(long, value_name = "N/s", default_value = "off", value_parser = rate)]
    pub rate: Rate,
    /// Looks at every line and imports none. Needs no installation.
    #[arg(long)]
    pub dry_run: bool,
}

/// Writes all tickets, or some, to a file or to the standard output.
///
/// Every ticket that there was at the beginning is in it once. Works beside a running installation,
/// and is put on record first. A file has its name only when it is whole.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "\
Examples:
  supportline export --output tickets.ndjson
  supportline export --format csv --output november.csv \\
    --submitted-from 2026-11-01 --submitted-to 2026-12-01
  supportline export --status open,in-progress | jq -r .number")]
pub struct Export {
    /// How tickets are written; not said: by the end of --output, else ndjson.
    #[arg(long, value_name = "FORMAT", value_parser = format())]
    pub format: Option<Format>,
    /// Where to; not said: to the standard output.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Only those of these statuses, commas between.
    #[arg(long, value_name = "STATUS", value_delimiter = ',',
          value_parser = words(Status::ALL, Status::as_str))]
    pub status: Vec<Status>,
    /// Only those of these priorities, commas between.
    #[arg(long, value_name = "PRIORITY", value_delimiter = ',',
          value_parser = words(Priority::ALL, Priority::as_str))]
    pub priority: Vec<Priority>,
    /// Only those about these, commas between.
    #[arg(long, value_name = "SUBJECT", value_delimiter = ',',
          value_parser = words(Subject::ALL, Subject::as_str))]
    pub subject: Vec<Subject>,
    /// Only those submitted then or later: an RFC 3339 time, or a day, which begins in UTC.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub submitted_from: Option<DateTime<Utc>>,
    /// Only those submitted before.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub submitted_to: Option<DateTime<Utc>>,
}

/// Where tickets come from, by a name on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source(pub Name);

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

fn source(text: &str) -> Result<Source, &'static str> {
    Name::parse(text).map(Source).map_err(|_| "accepted: 1 to 100 characters, on one line")
}

/// So many tickets in a second at most, if there is a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(pub Option<NonZeroU32>);

fn rate(text: &str) -> Result<Rate, &'static str> {
    if text == "off" {
        return Ok(Rate(None));
    }
    let count = text.strip_suffix("/s").filter(|it| it.bytes().all(|byte| byte.is_ascii_digit()));
    let count = count.and_then(|count| count.parse().ok());
    count
        .map(|count| Rate(Some(count)))
        .ok_or("accepted: off, or tickets in a second, such as 200/s")
}

fn format() -> impl TypedValueParser<Value = Format> {
    words(&Format::ALL, Format::as_str)
}

/// One of these words.
fn words<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    word: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let find = move |text: String| {
        all.iter().find(|it| word(**it) == text).copied().ok_or("there is no such word")
    };
    PossibleValuesParser::new(all.iter().map(|it| word(*it))).try_map(find)
}

fn time(text: &str) -> Result<DateTime<Utc>, String> {
    moment(text).map_err(|violation| format!("it {}", violation.detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_of_tickets_in_a_second() {
        assert_eq!(rate("200/s"), Ok(Rate(NonZeroU32::new(200))));
        assert_eq!(rate("off"), Ok(Rate(None)));
        for text in ["", "0/s", "200", "/s", "+1/s", "1.5/s", "200/m", "200/s ", "OFF"] {
            assert!(rate(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_source_stays_on_its_line() {
        assert_eq!(source(" old desk ").unwrap().to_string(), "old desk");
        for text in ["", " ", "a\nb", &"x".repeat(101)] {
            assert!(source(text).is_err(), "{text:?}");
        }
    }
}
