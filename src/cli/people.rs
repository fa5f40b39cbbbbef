//! The arguments of `supportline people`.

use clap::{Args, Subcommand};
use common::domain::{Because, Email};

use super::letters::because;

/// What to do with what is stored about somebody.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum PeopleCommand {
    /// Prints all that is stored about an address, in whatever case its letters A to Z are written.
    ///
    /// A JSON object on each line, as POST /api/support/admin/people/export gives it, with up to a
    /// hundred tickets; what lies among the dead letters is in the first. It is put on record before.
    #[command(after_help = "\
Examples:
  supportline people export ada@example.org > ada.ndjson
  supportline people export ada@example.org | jq -r '.tickets[].ticketNumber'
  supportline people export ada@example.org --because 'asked for it, letter of 3 May'")]
    Export(PersonExport),
    /// Erases all that is stored about an address, in whatever case its letters A to Z are written, for
    /// good.
    ///
    /// As POST /api/support/admin/people/erase, but for as long as it takes. Tickets keep their number,
    /// status and times. It is put on record before, under a keyed hash of the address. Exits with 1
    /// when not all is erased, or when there are dead letters of which nobody can tell whose they are.
    #[command(after_help = "\
Examples:
  supportline people erase ada@example.org --because 'asked for it, letter of 3 May' --yes")]
    Erase(PersonErasure),
}

/// Whose data to print.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct PersonExport {
    /// The address.
    #[arg(value_parser = email)]
    pub email: Email,
    /// Why, for the record: 1 to 500 characters, on one line, nothing personal.
    #[arg(long, value_name = "WHY", value_parser = because)]
    pub because: Option<Because>,
}

/// Whose data to erase.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct PersonErasure {
    /// The address.
    #[arg(value_parser = email)]
    pub email: Email,
    /// Why, for the record: 1 to 500 characters, on one line, nothing personal.
    #[arg(long, value_name = "WHY", value_parser = because)]
    pub because: Because,
    /// That it is meant. Nobody brings back what is erased, and without this nothing is.
    #[arg(long, required = true)]
    pub yes: bool,
}

fn email(text: &str) -> Result<Email, String> {
    Email::parse(text).map_err(|violation| format!("it {}", violation.detail))
}
