//! The commands of operators: their subcommands and arguments.

use std::{path::PathBuf, time::Duration};

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, builder::PossibleValuesParser, builder::TypedValueParser};
use common::{
    audit::{self, Places},
    domain::{Assignment, Overlap, Record, Role, TimeSpan},
    ports::cases::Reference,
};

/// What to do with tokens.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum TokenCommand {
    /// Makes a token and prints it, once, alone on standard output.
    ///
    /// What is kept is a hash. What is to be known about the token is said on standard error, so
    /// that the output can be captured.
    #[command(after_help = "\
Examples:
  supportline token create --role stats --name grafana --expires 90d
  TOKEN=$(supportline token create --role admin)
  supportline token create --role agent --data-dir /var/lib/supportline")]
    Create(NewToken),
    /// Lists the tokens, those that admit nobody any more included.
    ///
    /// The bootstrap key (--admin-token) is a setting and not among them.
    #[command(after_help = "\
Examples:
  supportline token list
  supportline token list --json")]
    List(Listing),
    /// Makes another token in the place of one, which goes on admitting for a while.
    ///
    /// The new one has the same name and role and is printed, once, alone on standard output. Both
    /// admit until the overlap is over. Exits with 1 when there is no such token, or when it does not
    /// admit any more.
    #[command(after_help = "\
Examples:
  supportline token rotate 95344202d105
  TOKEN=$(supportline token rotate 95344202d105 --overlap 2h --expires 90d)")]
    Rotate(Rotation),
    /// Revokes a token: from the next request on it admits nobody, at any instance.
    ///
    /// Exits with 1 when there is no such token. One that was revoked before stays so.
    #[command(after_help = "\
Examples:
  supportline token revoke 95344202d105
  supportline token revoke slt_…              by the token itself, as where one has leaked")]
    Revoke {
        /// The token's ID, as `token list` shows it, or the token itself.
        id: String,
    },
}

/// What a token is to be.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct NewToken {
    /// What it admits to: everything (admin); working on tickets and exporting them, dead letters but
    /// not deleting them, and the statistics (agent); or the statistics alone (stats).
    #[arg(long, value_name = "ROLE", value_parser = role())]
    pub role: Role,
    /// What to call it in lists: 1 to 100 characters, on one line.
    #[arg(long, value_name = "NAME", value_parser = label)]
    pub name: Option<String>,
    /// How long it admits: a whole number and s, m, h or d, at most 3650d. Not said: until it is
    /// revoked.
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub expires: Option<TimeSpan>,
}

/// What is to take whose place, and when.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Rotation {
    /// The token's ID, as `token list` shows it, or the token itself.
    pub id: String,
    /// How long the old one goes on admitting: a whole number and s, m, h or d, at most 30d. It never
    /// ends later than it was to. Not said: 1d.
    #[arg(long, value_name = "TIME", value_parser = overlap, default_value = "1d",
          hide_default_value = true)]
    pub overlap: Overlap,
    /// How long the new one admits: a whole number and s, m, h or d, at most 3650d. Not said: as long
    /// as the old one was to.
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub expires: Option<TimeSpan>,
}

/// What to do with what is on record.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum AuditCommand {
    /// Prints what is on record, a JSON object on each line, in the order in which it was put there.
    ///
    /// Every change of every ticket and all that operators and staff did beside that. That it was
    /// printed is on record, too. Each line has a cursor, from which --after goes on.
    #[command(after_help = "\
Examples:
  supportline audit export > audit.ndjson
  supportline audit export --record actions --from 2026-11-01T00:00:00Z
  supportline audit export --ticket SUP-2026-483920
  supportline audit export --after \"$(tail -n 1 audit.ndjson | jq -r .cursor)\" >> audit.ndjson")]
    Export(AuditExport),
}

/// What to print.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct AuditExport {
    /// This record alone.
    #[arg(long, value_name = "RECORD", value_parser = record())]
    pub record: Option<Record>,
    /// What is behind the line with this cursor.
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<Places>,
    /// What happened at this time (RFC 3339) or later.
    #[arg(long, value_name = "TIME")]
    pub from: Option<DateTime<Utc>>,
    /// What happened before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub to: Option<DateTime<Utc>>,
    /// What was done by this one, written as in a line.
    #[arg(long, value_name = "ACTOR")]
    pub actor: Option<String>,
    /// What was done to this ticket, by its number or its ID.
    #[arg(long, value_name = "TICKET", value_parser = ticket)]
    pub ticket: Option<Reference>,
}

/// How to list.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Listing {
    /// Prints one JSON array for programs instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// What a command's page or script is written for.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Pages {
    /// The command whose page to print, such as `token create`; not said: the program's.
    pub command: Vec<String>,
    /// Writes every page into this folder, which is made if need be, instead of printing one.
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    pub dir: Option<PathBuf>,
}

fn role() -> impl TypedValueParser<Value = Role> {
    let words = Role::ALL.iter().map(|role| role.as_str());
    PossibleValuesParser::new(words).try_map(|word| word.parse::<Role>())
}

fn record() -> impl TypedValueParser<Value = Record> {
    let words = Record::ALL.iter().map(|record| record.as_str());
    PossibleValuesParser::new(words).try_map(|word| word.parse::<Record>())
}

fn ticket(text: &str) -> Result<Reference, String> {
    audit::reference(text).ok_or_else(|| "accepted: a ticket's number or ID".to_owned())
}

fn overlap(text: &str) -> Result<Overlap, String> {
    Overlap::parse(text).map_err(|violation| format!("it {}", violation.detail))
}

fn label(text: &str) -> Result<String, String> {
    let accepted = "accepted: 1 to 100 characters, on one line, and not `none`";
    let label = Assignment::member(text).map_err(|_| accepted)?;
    Ok(label.as_str().to_owned())
}

/// Reads a time such as `30d`.
pub(super) fn time_span(text: &str) -> Result<Duration, String> {
    span(text).map(TimeSpan::length)
}

fn span(text: &str) -> Result<TimeSpan, String> {
    TimeSpan::parse(text).map_err(|violation| format!("it {}", violation.detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_stays_on_its_line() {
        assert_eq!(label(" grafana "), Ok("grafana".to_owned()));
        for text in ["", " ", "a\nb", "\u{1b}[2J", &"x".repeat(101)] {
            assert!(label(text).is_err(), "{text:?}");
        }
    }
}
