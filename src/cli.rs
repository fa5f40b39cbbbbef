//! The command line: subcommands, and a flag for each setting that a command uses.

mod flags;
mod letters;
mod operator;
mod people;
mod transfer;

use std::iter;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind};
use clap_complete::Shell;
use common::{
    config::{Section, Setting},
    domain::Between,
};

use flags::{with_settings, with_settings_below};

pub use letters::{
    Discard, LetterCommand, LetterFilter, LetterList, LetterLog, LetterShown, Letters, Rate,
    Requeue,
};
pub use operator::{AuditCommand, AuditExport, NewToken, Pages, Rotation, TokenCommand};
pub use people::{PeopleCommand, PersonErasure, PersonExport};
pub use transfer::{Export, Import};

/// Takes support tickets in, numbers them, stores them, counts them, and loses none.
///
/// Without a subcommand it runs `serve`. With none of the three server URLs set it needs no server:
/// all data lies in --data-dir.
#[derive(Debug, Parser)]
#[command(
    name = "supportline",
    version,
    after_help = "\
Examples:
  supportline                                 everything in one process, data in ./data
  supportline --listen 0.0.0.0:80 --data-dir /var/lib/supportline
  supportline config                          every setting and where it came from
  supportline verify                          audits the installation
  supportline worker --help                   everything about one command"
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Runs every role in one process (the default).
    ///
    /// With none of the three server URLs set, on the embedded backends; with all three set, on
    /// Postgres, RabbitMQ and Redis.
    #[command(after_help = "\
Examples:
  supportline serve
  supportline serve --listen 0.0.0.0:80 --data-dir /var/lib/supportline
  DATABASE_URL=postgres://… AMQP_URL=amqp://… REDIS_URL=redis://… SUPPORT_NUMBER_KEY=… \\
    supportline serve")]
    Serve,
    /// Runs the public edge of a distributed installation.
    ///
    /// It accepts submissions while the broker is up, whatever the database does; with --spool-dir
    /// also while the broker is not.
    #[command(after_help = "\
Examples (DATABASE_URL, AMQP_URL, REDIS_URL and SUPPORT_NUMBER_KEY set):
  supportline ingest --listen 0.0.0.0:80
  supportline ingest --reply-wait 500ms
  supportline ingest --spool-dir /var/spool/supportline --spool-max 4GiB")]
    Ingest,
    /// Runs the staff API of a distributed installation.
    ///
    /// It answers below /api/support/admin; a proxy in front sends that here and all else to the
    /// edges. Serves /livez, /readyz and /metrics on --listen as well.
    #[command(after_help = "\
Examples (DATABASE_URL, AMQP_URL, REDIS_URL and SUPPORT_NUMBER_KEY set):
  supportline desk --listen 127.0.0.1:8071
  supportline desk --trusted-proxies 10.0.0.0/8")]
    Desk,
    /// Runs a queue consumer of a distributed installation.
    ///
    /// Serves /livez, /readyz and /metrics on --listen.
    #[command(after_help = "\
Examples (DATABASE_URL, AMQP_URL, REDIS_URL and SUPPORT_NUMBER_KEY set):
  supportline worker --listen 127.0.0.1:8081
  supportline worker --worker-lanes 4 --batch-max 1000")]
    Worker,
    /// Brings the database's schema up to date and exits.
    ///
    /// Idempotent, and safe to run by several at a time. Roles do it themselves when they start,
    /// unless --no-migrate is set.
    #[command(after_help = "\
Examples:
  supportline migrate --data-dir /var/lib/supportline
  supportline migrate                         with the server URLs in the environment")]
    Migrate,
    /// Shows every setting, its value and where it came from.
    ///
    /// Secrets are masked. Exits with 2, after the listing, when the settings do not fit together.
    #[command(after_help = "\
Examples:
  supportline config
  supportline config --config /etc/supportline.toml --listen 0.0.0.0:80")]
    Config,
    /// Audits the installation and prints a line for each check.
    ///
    /// Every ticket number is unique and well formed, the statistics equal a full recount, every
    /// change of a ticket has its audit entry, what is on record is what was sealed, every event is
    /// published, what was accepted is accounted for, and nothing is dead-lettered or unrouted. Embedded, that
    /// the database file is whole. Exits with 0 only when all of it holds. Safe while the installation is
    /// running.
    #[command(after_help = "\
Examples:
  supportline verify
  supportline verify --data-dir /var/lib/supportline")]
    Verify,
    /// Asks the process that listens on --listen whether it is ready.
    ///
    /// Exits with 0 when its /readyz says 200 within two seconds. Meant for the health check of a
    /// container, which has the settings of the process beside it in its environment.
    #[command(after_help = "\
Examples:
  supportline probe
  supportline probe --listen 127.0.0.1:8081")]
    Probe,
    /// Makes, lists, rotates and revokes staff tokens.
    ///
    /// A token is what the statistics and the staff routes ask for. Works beside a running
    /// installation, and takes effect at once.
    #[command(
        subcommand,
        after_help = "\
Examples:
  supportline token create --role stats --name grafana --expires 90d
  supportline token list
  supportline token revoke 95344202d105"
    )]
    Token(TokenCommand),
    /// Prints what is on record.
    ///
    /// `supportline verify` tells whether it is what was put on record.
    #[command(
        subcommand,
        after_help = "Examples:\n  supportline audit export --record actions --actor user:ada"
    )]
    Audit(AuditCommand),
    /// Lists, shows, requeues and deletes what could not become a ticket.
    ///
    /// Works beside a running installation. Who did what to which letter is on record.
    #[command(
        subcommand,
        after_help = "\
Examples:
  supportline dead-letters list --reason rejected
  supportline dead-letters show 4f0c2a91d3b7e658
  supportline dead-letters requeue --all
  supportline dead-letters log"
    )]
    DeadLetters(LetterCommand),
    /// Tells and erases what is stored about somebody.
    ///
    /// Works beside a running installation. Needs its number key, and is put on record before.
    #[command(
        subcommand,
        after_help = "\
Examples:
  supportline people export ada@example.org
  supportline people erase ada@example.org --because 'asked for it, letter of 3 May' --yes"
    )]
    People(PeopleCommand),
    Import(Import),
    Export(Export),
    /// Prints a script that completes the command line in a shell.
    #[command(after_help = "\
Examples:
  supportline completions bash > /etc/bash_completion.d/supportline
  supportline completions zsh > ~/.zfunc/_supportline
  supportline completions fish > ~/.config/fish/completions/supportline.fish")]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Prints a manual page.
    #[command(after_help = "\
Examples:
  supportline man | man -l -
  supportline man token create > supportline-token-create.1
  supportline man --dir /usr/local/share/man/man1")]
    Man(Pages),
}

impl Command {
    const fn name(&self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Ingest => "ingest",
            Self::Desk => "desk",
            Self::Worker => "worker",
            Self::Migrate => "migrate",
            Self::Config => "config",
            Self::Verify => "verify",
            Self::Probe => "probe",
            Self::Token(_) => "token",
            Self::Audit(_) => "audit",
            Self::DeadLetters(_) => "dead-letters",
            Self::People(_) => "people",
            Self::Import(_) => "import",
            Self::Export(_) => "export",
            Self::Completions { .. } => "completions",
            Self::Man(_) => "man",
        }
    }

    /// What there is to say where a stretch of time holds none.
    fn impossible_range(&self) -> Option<&'static str> {
        let (is_empty, complaint) = match self {
            Self::Export(Export { submitted_from: from, submitted_to: to, .. }) => (
                Between { from: *from, to: *to }.is_empty(),
                "--submitted-to must be later than --submitted-from",
            ),
            Self::Audit(AuditCommand::Export(AuditExport { from, to, .. })) => {
                (Between { from: *from, to: *to }.is_empty(), "--to must be later than --from")
            }
            Self::DeadLetters(command) => (
                command.filter().is_some_and(LetterFilter::is_empty),
                "--newer-than must be longer than --older-than",
            ),
            _ => return None,
        };
        is_empty.then_some(complaint)
    }
}

/// Whether the command of this name looks at the settings of a section: only those become its
/// flags, since a flag that does nothing would be a lie.
fn uses(command: &str, section: Section) -> bool {
    let writes_about_itself = ["completions", "man"].contains(&command);
    let is_process = ["serve", "ingest", "desk", "worker", "config"].contains(&command);
    let has_backends = !writes_about_itself && command != "probe";
    match section {
        Section::Program => !writes_about_itself,
        Section::Distributed | Section::Installation => has_backends,
        Section::Address => is_process || command == "probe",
        Section::Process => is_process,
        Section::Embedded => has_backends && !["ingest", "desk", "worker"].contains(&command),
        Section::Clients => is_process && command != "worker",
        Section::Edge => is_process && !["desk", "worker"].contains(&command),
        Section::Worker => is_process && !["ingest", "desk"].contains(&command),
        Section::Keeping => (is_process && command != "ingest") || command == "import",
    }
}

/// A command and the settings that stood beside it.
#[derive(Debug)]
pub struct Invocation {
    /// What to do.
    pub command: Command,
    /// With what, as it was typed.
    pub flags: Vec<(&'static Setting, String)>,
}

/// Reads the command line. Prints help or a usage error and ends the process where that is due.
pub fn parse() -> Invocation {
    read(std::env::args_os()).unwrap_or_else(|error| error.exit())
}

fn read(
    arguments: impl IntoIterator<Item = std::ffi::OsString>,
) -> Result<Invocation, clap::Error> {
    let mut program = program();
    let matches = program.try_get_matches_from_mut(arguments)?;
    let command = Cli::from_arg_matches(&matches)?.command.unwrap_or(Command::Serve);
    // A flag may stand before the subcommand or after it; the one after is the nearer one.
    let scopes = iter::successors(Some(&matches), |above| above.subcommand().map(|(_, it)| it));
    let flags: Vec<_> = scopes.flat_map(given).collect();
    if let Some(complaint) = command.impossible_range() {
        return Err(program.error(ErrorKind::ValueValidation, complaint));
    }
    match flags.iter().find(|(setting, _)| !uses(command.name(), setting.section)) {
        None => Ok(Invocation { command, flags }),
        Some((setting, _)) => {
            let message =
                format!("`supportline {}` does not use --{}", command.name(), setting.name);
            Err(program.error(ErrorKind::ArgumentConflict, message))
        }
    }
}

/// The settings among what was typed at one level.
fn given(matches: &ArgMatches) -> impl Iterator<Item = (&'static Setting, String)> {
    Setting::ALL.iter().filter_map(|setting| {
        let text = matches.try_get_one::<String>(setting.name).ok().flatten()?;
        Some((*setting, text.clone()))
    })
}

/// The whole command line.
pub fn program() -> clap::Command {
    let names: Vec<_> =
        Cli::command().get_subcommands().map(|it| it.get_name().to_owned()).collect();
    let program = with_settings(Cli::command(), "serve");
    names.into_iter().fold(program, |program, name| {
        program.mut_subcommand(&name, |inner| with_settings_below(inner, &name))
    })
}

#[cfg(test)]
mod tests;
