//! The `supportline` program: reads its settings, picks a backend, and runs what it is asked to.

mod cli;
mod compose;
mod dead_letters;
mod ingest;
mod lifecycle;
mod listener;
mod metrics;
mod migrate;
mod pages;
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

use std::{
    error::Error,
    io::{self, ErrorKind},
    process::ExitCode,
};

use cli::{Command, Invocation};
use common::{
    config::{Config, ConfigError, Layers, Setting},
    telemetry,
};
use embedded::OpenError;
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
/// address that is not this machine's. One that is merely taken may be free the next time.
fn is_bad_setting(cause: &(dyn Error + 'static)) -> bool {
    let folder = cause.downcast_ref().is_some_and(|it| matches!(it, OpenError::Unusable { .. }));
    let address = cause.downcast_ref().is_some_and(|it: &io::Error| {
        matches!(it.kind(), ErrorKind::AddrNotAvailable | ErrorKind::PermissionDenied)
    });
    cause.is::<ConfigError>() || folder || address
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
    let layers = Layers::gather(flags, std::env::vars_os())?;
    if command == Command::Config {
        terminal::say(layers.listing().trim_end());
    }
    let config = Config::new(&layers)?;
    match command {
        Command::Token(_) | Command::DeadLetters(_) => telemetry::start_quietly(config.log_format),
        _ => telemetry::start(config.log_format),
    }
    let runtime = Runtime::new()?;
    let code = runtime.block_on(async {
        match command {
            Command::Serve => serve::run(config).await,
            Command::Ingest => ingest::run(config).await,
            Command::Worker => worker::run(config).await,
            Command::Migrate => migrate::run(config).await,
            Command::Verify => verify::run(config).await,
            Command::Probe => probe::run(config).await,
            Command::DeadLetters(command) => dead_letters::run(command, config).await,
            Command::Token(command) => tokens::run(command, config).await,
            Command::Config | Command::Completions { .. } | Command::Man(_) => {
                Ok(ExitCode::SUCCESS)
            }
        }
    });
    // What a hard stop gave up must not hold the exit.
    runtime.shutdown_background();
    code
}
