//! The arguments of `supportline dead-letters`.

use std::{num::NonZeroU32, time::Duration};

use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use common::domain::{Because, DeadLetterCode};

use super::operator::time_span;

/// What to do with dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum LetterCommand {
    /// Lists dead letters, the oldest first, and leaves them where they are.
    ///
    /// Ends with how many there are of each reason, those not listed included.
    #[command(after_help = "\
Examples:
  supportline dead-letters list
  supportline dead-letters list --reason rejected --reason conflict --older-than 2h
  supportline dead-letters list --newer-than 1d --limit 20
  supportline dead-letters list --json | jq -r '.[] | select(.code == \"rejected\") | .id'")]
    List(LetterList),
    /// Shows one dead letter: why, since when, how often it was tried, and what is in it.
    ///
    /// What may be personal is masked: of texts their length is shown, of a body that cannot be read
    /// its length and its SHA-256. Asking for more is put on record (`dead-letters log`). Exits with
    /// 1 when there is no such letter.
    #[command(after_help = "\
Examples:
  supportline dead-letters show 4f0c2a91d3b7e658
  supportline dead-letters show 4f0c2a91d3b7e658 --reveal --because 'case 4711'
  supportline dead-letters show 4f0c2a91d3b7e658 --body | jq .")]
    Show(LetterShown),
    /// Puts dead letters back into the queue, to be tried again as if for the first time.
    ///
    /// A letter leaves the dead letters only when it is safe in the queue, and it is put on record
    /// (`dead-letters log`) before that. Ctrl-C stops between letters, and exits with 1. So does an
    /// ID that is not there; the others are requeued.
    #[command(after_help = "\
Examples:
  supportline dead-letters requeue 4f0c2a91d3b7e658
  supportline dead-letters requeue --reason rejected --older-than 2h
  supportline dead-letters requeue --all --rate 10/s --because 'the disk has room again'")]
    Requeue(Requeue),
    /// Deletes dead letters for good.
    ///
    /// Each is put on record (`dead-letters log`) before it goes, with the reason given. Ctrl-C stops
    /// between letters, and exits with 1. So does an ID that is not there; the others are deleted.
    #[command(after_help = "\
Examples:
  supportline dead-letters discard 4f0c2a91d3b7e658 91d3b7e6584f0c2a --because 'sent by a scanner'
  supportline dead-letters discard --reason unreadable --older-than 30d --because 'too old'
  supportline dead-letters discard --all --because 'left over from the rehearsal'")]
    Discard(Discard),
    /// Shows what operators and staff did, to dead letters and to all else: when, who, to what, and why;
    /// the latest first.
    #[command(after_help = "\
Examples:
  supportline dead-letters log
  supportline dead-letters log --limit 1000 --json | jq '.[] | select(.actor == \"user:ada\")'")]
    Log(LetterLog),
}

impl LetterCommand {
    /// Which letters, where that is said by what they have in common.
    pub const fn filter(&self) -> Option<&LetterFilter> {
        match self {
            Self::List(list) => Some(&list.filter),
            Self::Requeue(requeue) => Some(&requeue.which.filter),
            Self::Discard(discard) => Some(&discard.which.filter),
            Self::Show(_) | Self::Log(_) => None,
        }
    }
}

/// Which letters, by what they have in common.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct LetterFilter {
    /// Only those given up for this reason; may be said several times.
    #[arg(long = "reason", value_name = "REASON", value_parser = reason())]
    pub reasons: Vec<String>,
    /// Only those given up longer ago than this: a whole number and s, m, h or d.
    #[arg(long, value_name = "TIME", value_parser = time_span)]
    pub older_than: Option<Duration>,
    /// Only those given up since: a whole number and s, m, h or d.
    #[arg(long, value_name = "TIME", value_parser = time_span)]
    pub newer_than: Option<Duration>,
}

impl LetterFilter {
    /// Whether no time is both.
    pub fn is_empty(&self) -> bool {
        self.newer_than.zip(self.older_than).is_some_and(|(newer, older)| newer <= older)
    }
}

/// How to list.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct LetterList {
    /// Which letters; not said: all.
    #[command(flatten)]
    pub filter: LetterFilter,
    /// How many letters to list at most, from 1 to 65535.
    #[arg(long, value_name = "N", default_value_t = 1_000,
          value_parser = clap::value_parser!(u32).range(1..=65_535))]
    pub limit: u32,
    /// Prints one JSON array for programs instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// What to show.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct LetterShown {
    /// The letter's ID, as `dead-letters list` shows it.
    pub id: String,
    /// Shows what is personal, too, and every header. That is put on record.
    #[arg(long)]
    pub reveal: bool,
    /// Prints the body instead, byte for byte; on a terminal without what would act on it. That is
    /// put on record.
    #[arg(long, conflicts_with = "reveal")]
    pub body: bool,
    /// Why, for the record: 1 to 500 characters, on one line, nothing personal.
    #[arg(long, value_name = "WHY", value_parser = because)]
    pub because: Option<Because>,
}

/// Which letters.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[group(id = "which", required = true, multiple = true,
        args = ["ids", "all", "reasons", "older_than", "newer_than"])]
pub struct Letters {
    /// The letters' IDs, as `dead-letters list` shows them.
    #[arg(value_name = "ID",
          conflicts_with_all = ["all", "reasons", "older_than", "newer_than"])]
    pub ids: Vec<String>,
    /// All letters that are there now.
    #[arg(long, conflicts_with_all = ["reasons", "older_than", "newer_than"])]
    pub all: bool,
    /// All that are like this.
    #[command(flatten)]
    pub filter: LetterFilter,
}

/// What to put back.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Requeue {
    /// Which letters.
    #[command(flatten)]
    pub which: Letters,
    /// How fast: letters in a time, such as 50/s, 10/m or 1/h; or off. What is tried again should not
    /// crowd out what is new.
    #[arg(long, value_name = "N/UNIT", default_value = "50/s", value_parser = rate)]
    pub rate: Rate,
    /// Why, for the record: 1 to 500 characters, on one line, nothing personal.
    #[arg(long, value_name = "WHY", value_parser = because)]
    pub because: Option<Because>,
}

/// What to delete.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Discard {
    /// Which letters.
    #[command(flatten)]
    pub which: Letters,
    /// Why, for the record: 1 to 500 characters, on one line, nothing personal.
    #[arg(long, value_name = "WHY", default_value = "no reason given", value_parser = because)]
    pub because: Because,
}

/// How to show the record.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct LetterLog {
    /// How many actions to show at most, from 1 to 65535.
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=65_535))]
    pub limit: u32,
    /// Prints one JSON array for programs instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// How many letters in which time; as fast as it goes, if there is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// So many in so long.
    Limited {
        /// Letters.
        letters: NonZeroU32,
        /// A second, a minute or an hour.
        per: Duration,
    },
    /// No limit.
    Off,
}

/// The reasons that there are. A message in which we find none has the last one.
fn reason() -> impl TypedValueParser<Value = String> {
    let codes = DeadLetterCode::ALL.iter().map(|code| code.as_str());
    PossibleValuesParser::new(codes.chain(["unknown"]))
}

/// Reads why something is done.
pub(super) fn because(text: &str) -> Result<Because, String> {
    Because::parse(text).map_err(|violation| violation.detail)
}

fn rate(text: &str) -> Result<Rate, String> {
    if text == "off" {
        return Ok(Rate::Off);
    }
    let read = || {
        let (letters, unit) = text.split_once('/')?;
        let per = match unit {
            "s" => Duration::from_secs(1),
            "m" => Duration::from_mins(1),
            "h" => Duration::from_hours(1),
            _ => return None,
        };
        let is_plain = letters.bytes().all(|byte| byte.is_ascii_digit());
        Some(Rate::Limited { letters: letters.parse().ok().filter(|_| is_plain)?, per })
    };
    read()
        .ok_or_else(|| "accepted: off, or letters in a time, such as 50/s, 10/m or 1/h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_of_letters_in_a_time() {
        let limited = |letters, seconds| {
            let letters = NonZeroU32::new(letters).unwrap();
            Ok(Rate::Limited { letters, per: Duration::from_secs(seconds) })
        };
        assert_eq!(rate("50/s"), limited(50, 1));
        assert_eq!(rate("10/m"), limited(10, 60));
        assert_eq!(rate("1/h"), limited(1, 3_600));
        assert_eq!(rate("off"), Ok(Rate::Off));
        for text in ["", "0/s", "50", "/s", "-1/s", "+1/s", "1.5/s", "50/d", "50/s ", "OFF"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
