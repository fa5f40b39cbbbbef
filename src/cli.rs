//! The command line: subcommands, and a flag for each setting that a command uses.

use std::iter;

use clap::{
    Arg, ArgAction, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand,
    error::ErrorKind,
};
use common::config::{Documentation, Kind, Section, Setting};

const SETTINGS_HELP: &str = "\
Settings come from flags, then the environment, then the file named by --config, then the defaults;
`supportline config` shows each one's value and where it came from.";

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
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
    /// It accepts submissions while the broker is up, whatever the database does.
    #[command(after_help = "\
Examples (DATABASE_URL, AMQP_URL, REDIS_URL and SUPPORT_NUMBER_KEY set):
  supportline ingest --listen 0.0.0.0:80
  supportline ingest --reply-wait 500ms")]
    Ingest,
    /// Runs a queue consumer of a distributed installation.
    ///
    /// Serves /livez and /readyz on --listen.
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
    /// ticket has its audit entry, and nothing is dead-lettered or unrouted. Exits with 0 only
    /// when all of it holds. Safe while the installation is running.
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
}

impl Command {
    const ALL: [Self; 7] = [
        Self::Serve,
        Self::Ingest,
        Self::Worker,
        Self::Migrate,
        Self::Config,
        Self::Verify,
        Self::Probe,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Ingest => "ingest",
            Self::Worker => "worker",
            Self::Migrate => "migrate",
            Self::Config => "config",
            Self::Verify => "verify",
            Self::Probe => "probe",
        }
    }

    /// Whether the command looks at the settings of a section: only those become its flags, since
    /// a flag that does nothing would be a lie.
    const fn uses(self, section: Section) -> bool {
        match section {
            Section::Program => true,
            Section::Distributed | Section::Installation => !matches!(self, Self::Probe),
            Section::Address => !matches!(self, Self::Migrate | Self::Verify),
            Section::Process => !matches!(self, Self::Migrate | Self::Verify | Self::Probe),
            Section::Embedded => !matches!(self, Self::Ingest | Self::Worker | Self::Probe),
            Section::Edge => matches!(self, Self::Serve | Self::Ingest | Self::Config),
            Section::Worker => matches!(self, Self::Serve | Self::Worker | Self::Config),
        }
    }

    fn settings(self) -> impl Iterator<Item = &'static Setting> {
        Setting::ALL.iter().copied().filter(move |setting| self.uses(setting.section))
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
    let scopes = iter::once(&matches).chain(matches.subcommand().map(|(_, inner)| inner));
    let flags: Vec<_> = scopes.flat_map(given).collect();
    match flags.iter().find(|(setting, _)| !command.uses(setting.section)) {
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

fn program() -> clap::Command {
    let program = with_settings(Cli::command(), Command::Serve);
    Command::ALL.iter().fold(program, |program, command| {
        program.mut_subcommand(command.name(), |inner| with_settings(inner, *command))
    })
}

/// Adds the flags of the settings that the command uses, and how settings work to its examples.
fn with_settings(program: clap::Command, command: Command) -> clap::Command {
    let examples = program.get_after_help().cloned().unwrap_or_default();
    program.args(command.settings().map(flag)).after_help(format!("{examples}\n\n{SETTINGS_HELP}"))
}

fn flag(setting: &'static Setting) -> Arg {
    let Documentation { meaning, accepted, default } = setting.documentation();
    let default = if default.is_empty() { "none" } else { default };
    let long = format!(
        "{meaning}\n\nAccepted: {accepted}\n[environment: {}] [default: {default}]",
        setting.environment
    );
    let first_sentence = meaning.split_inclusive(". ").next().unwrap_or(&meaning).to_owned();
    let argument = Arg::new(setting.name)
        .long(setting.name)
        .help(first_sentence)
        .long_help(long)
        .action(ArgAction::Set)
        .help_heading("Settings");
    match setting.kind {
        Kind::Plain => argument.value_name("VALUE"),
        Kind::Url => argument.value_name("URL"),
        // A secret may begin with a hyphen, and a usage error would show it.
        Kind::Secret => argument.value_name("SECRET").allow_hyphen_values(true),
        Kind::Switch => argument
            .value_name("true|false")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invoke(line: &str) -> Result<Invocation, clap::Error> {
        read(line.split(' ').map(Into::into))
    }

    fn flags(line: &str) -> Vec<(&'static str, String)> {
        let flags = invoke(line).unwrap().flags;
        flags.into_iter().map(|(setting, text)| (setting.name, text)).collect()
    }

    #[test]
    fn the_command_line_is_sound() {
        program().debug_assert();
    }

    #[test]
    fn without_a_subcommand_it_serves() {
        assert_eq!(invoke("supportline").unwrap().command, Command::Serve);
        assert_eq!(invoke("supportline --listen 1.2.3.4:5").unwrap().command, Command::Serve);
    }

    #[test]
    fn a_flag_stands_before_the_subcommand_or_after_it() {
        let expected = [("listen", "1.2.3.4:5".to_owned())];
        assert_eq!(flags("supportline --listen 1.2.3.4:5 worker"), expected);
        assert_eq!(flags("supportline worker --listen 1.2.3.4:5"), expected);
        assert_eq!(flags("supportline worker --listen=1.2.3.4:5"), expected);
    }

    #[test]
    fn a_switch_needs_no_value_and_takes_one() {
        assert_eq!(flags("supportline --no-migrate"), [("no-migrate", "true".to_owned())]);
        let off = "supportline --no-migrate=false";
        assert_eq!(flags(off), [("no-migrate", "false".to_owned())]);
        assert_eq!(invoke("supportline --no-migrate worker").unwrap().command, Command::Worker);
    }

    #[test]
    fn a_flag_that_the_command_does_not_use_is_refused() {
        for line in ["supportline --reply-wait 1s migrate", "supportline migrate --reply-wait 1s"] {
            assert_eq!(invoke(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn a_secret_that_begins_with_a_hyphen_is_not_taken_for_a_flag() {
        let token = "-hunter2-hunter2-hunter2";
        let line = format!("supportline --admin-token {token}");
        assert_eq!(flags(&line), [("admin-token", token.to_owned())]);
    }

    #[test]
    fn every_commands_help_shows_its_settings_and_examples() {
        for command in Command::ALL {
            let line = format!("supportline {} --help", command.name());
            let help = invoke(&line).unwrap_err().to_string();
            assert!(help.contains("Examples"), "{help}");
            for setting in Setting::ALL {
                let shown = help.contains(&format!("      --{} ", setting.name))
                    || help.contains(&format!("      --{}[", setting.name));
                assert_eq!(shown, command.uses(setting.section), "{}: {help}", setting.name);
            }
        }
    }
}
