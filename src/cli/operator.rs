//! The commands of operators: their subcommands and arguments.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, builder::PossibleValuesParser, builder::TypedValueParser};
use common::domain::{Name, Role, TimeSpan};

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
    /// What it admits to: everything, statistics and dead letters, or the statistics alone.
    #[arg(long, value_name = "ROLE", value_parser = role())]
    pub role: Role,
    /// What to call it in lists: 1 to 100 characters, on one line.
    #[arg(long, value_name = "NAME", value_parser = label)]
    pub name: Option<String>,
    /// How long it admits: a whole number and s, m, h or d, at most 3650d. Not said: until it is
    /// revoked.
    #[arg(long, value_name = "TIME", value_parser = time_span)]
    pub expires: Option<Duration>,
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

fn label(text: &str) -> Result<String, String> {
    let label = Name::parse(text).map_err(|_| "accepted: 1 to 100 characters, on one line")?;
    Ok(label.as_str().to_owned())
}

/// Reads a time such as `30d`.
pub(super) fn time_span(text: &str) -> Result<Duration, String> {
    let span = TimeSpan::parse(text).map_err(|violation| format!("it {}", violation.detail))?;
    Ok(span.length())
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
