//! The `supportline` program: reads its settings, picks a backend, and runs what it is asked to.

mod audit;
mod cli;
mod compose;
mod dead_letters;
mod desk;
mod document;
mod export;
mod import;
mod ingest;
mod lifecycle;
mod listener;
mod metrics;
mod migrate;
mod operator;
mod pages;
mod panics;
mod people;
mod prepare;
mod probe;
mod probes;
mod roles;
mod secrets;
mod serve;
mod table;
mod terminal;
mod tokens;
mod verify;
mod welcome;
mod worker;

use std::{error::Error, process::ExitCode};

use cli::{Command, Invocation};
use common::{
    config::{Config, ConfigError, Layers, Setting},
    telemetry,
};
use embedded::OpenError;
use listener::ListenError;
use tokio::runtime::Runtime;

/// See `docs/adr/0007-allocator.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A setting that has to be changed before the program can start.
const BAD_SETTING: u8 = 2;

fn main() -> ExitCode {
    run(cli::parse()).unwrap_or_else(|error| {
        terminal::complain(&error);
        if error.chain().any(is_bad_setting) { BAD_SETTING.into() } else { ExitCode::FAILURE }
    })
}

/// Whether only another setting would help: a value that is none, a folder that cannot be used, an
/// address that is not this machine's.
fn is_bad_setting(cause: &(dyn Error + 'static)) -> bool {
    let folder = cause
        .downcast_ref()
        .is_some_and(|it| matches!(it, OpenError::Unusable { .. } | OpenError::Absent { .. }));
    let address = cause.downcast_ref().is_some_and(ListenError::is_final);
    cause.is::<ConfigError>() || cause.is::<::ingest::SpoolError>() || folder || address
}

fn run(Invocation { command, flags }: Invocation) -> anyhow::Result<ExitCode> {
    match command {
        Command::Completions { shell } => pages::completions(shell),
        Command::Man(wanted) => pages::man(&wanted),
        command => run_with_settings(command, flags),
    }
}

fn run_with_settings(
    command: Command,
    flags: Vec<(&'static Setting, String)>,
) -> anyhow::Result<ExitCode> {
    #[cfg(debug_assertions)]
    common::failpoint::arm(&std::env::var(common::failpoint::VARIABLE).unwrap_or_default())?;
    let layers = Layers::gather(flags, std::env::vars_os())?;
    if command == Command::Config {
        terminal::show(layers.listing().trim_end())?;
    }
    let config = Config::new(&layers)?;
    match command {
        Command::Token(_)
        | Command::Audit(_)
        | Command::DeadLetters(_)
        | Command::People(_)
        | Command::Import(_)
        | Command::Export(_) => telemetry::start_quietly(config.log_format),
        _ => telemetry::start(config.log_format),
    }?;
    panics::are_logged();
    let runtime = Runtime::new()?;
    let code = runtime.block_on(async {
        match command {
            Command::Serve => serve::run(config).await,
            Command::Ingest => ingest::run(config).await,
            Command::Desk => desk::run(config).await,
            Command::Worker => worker::run(config).await,
            Command::Migrate => migrate::run(config).await,
            Command::Verify => verify::run(config).await,
            Command::Probe => probe::run(config).await,
            Command::DeadLetters(command) => dead_letters::run(command, config).await,
            Command::People(command) => people::run(command, config).await,
            Command::Token(command) => tokens::run(command, config).await,
            Command::Import(wanted) => import::run(wanted, config).await,
            Command::Export(wanted) => export::run(wanted, config).await,
            Command::Audit(command) => audit::run(command, config).await,
            Command::Config | Command::Completions { .. } | Command::Man(_) => {
                Ok(ExitCode::SUCCESS)
            }
        }
    });
    // What a hard stop gave up must not hold the exit.
    runtime.shutdown_background();
    code
}

#[cfg(test)]
mod tests {
    use std::io::{self, ErrorKind};

    use anyhow::Context;

    use super::*;

    #[test]
    fn a_file_that_may_not_be_written_is_no_bad_setting() {
        let denied = io::Error::from(ErrorKind::PermissionDenied);
        let error = Err::<(), _>(denied).context("cannot write the pages").unwrap_err();
        assert!(!error.chain().any(is_bad_setting));
        let refused = ConfigError::NotText("SUPPORT_LISTEN");
        assert!(anyhow::Error::from(refused).chain().any(is_bad_setting));
    }
}
