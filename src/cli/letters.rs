//! The arguments of `supportline dead-letters`.

use clap::{Args, Subcommand};

/// What to do with dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum LetterCommand {
    /// Lists dead letters, the oldest first, and leaves them where they are.
    #[command(after_help = "\
Examples:
  supportline dead-letters list
  supportline dead-letters list --limit 20
  supportline dead-letters list --json | jq -r '.[] | select(.code == \"rejected\") | .id'")]
    List(LetterList),
    /// Shows one dead letter: why, since when, how often it was tried, and its headers.
    ///
    /// Its body holds what a submitter wrote, and is shown only when asked for. Exits with 1 when
    /// there is no such letter.
    #[command(after_help = "\
Examples:
  supportline dead-letters show 4f0c2a91d3b7e658
  supportline dead-letters show 4f0c2a91d3b7e658 --body | jq .")]
    Show(LetterShown),
    /// Puts dead letters back into the queue, to be tried again as if for the first time.
    ///
    /// A letter leaves the dead letters only when it is safe in the queue. Exits with 1 when one of
    /// those named is not there; the others are requeued.
    #[command(after_help = "\
Examples:
  supportline dead-letters requeue 4f0c2a91d3b7e658
  supportline dead-letters requeue --all")]
    Requeue(Letters),
    /// Deletes dead letters for good.
    ///
    /// Exits with 1 when one of those named is not there; the others are deleted.
    #[command(after_help = "\
Examples:
  supportline dead-letters discard 4f0c2a91d3b7e658 91d3b7e6584f0c2a
  supportline dead-letters discard --all")]
    Discard(Letters),
}

/// How to list.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct LetterList {
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
    /// Prints the body instead, byte for byte; on a terminal without what would act on it.
    #[arg(long)]
    pub body: bool,
}

/// Which letters.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Letters {
    /// The letters' IDs, as `dead-letters list` shows them.
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    pub ids: Vec<String>,
    /// All letters that are there now.
    #[arg(long)]
    pub all: bool,
}
