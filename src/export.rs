//! `supportline export`: tickets, to a file or to whoever reads the standard output.

mod target;

use std::{io, process::ExitCode, sync::Arc};

use anyhow::{Context, bail};
use common::{
    config::Config,
    domain::ActionKind,
    ports::{backend::OperatorPorts, exports::Choice},
};
use desk::export::{Format, Pages};
use indicatif::ProgressBar;
use serde_json::json;

use crate::{
    cli,
    compose::{Beside, Installation},
    import::named_by,
    operator::{action, told_to_stop},
    terminal::{self, thousands},
};
use target::Target;

/// Why an export cannot begin or go on; also what an older schema looks like.
const OUT_OF_REACH: &str =
    "the tickets are out of reach (`supportline migrate` brings an older schema up to date)";

/// Writes what is asked for, beside the processes that serve the installation or without any.
pub async fn run(wanted: cli::Export, config: Config) -> anyhow::Result<ExitCode> {
    let installation = Installation::open_beside(&config).await?;
    let ports = installation.backend.operator().await;
    let done = export(&installation, &ports, &wanted).await;
    drop(ports);
    installation.backend.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn export(
    installation: &Beside,
    ports: &OperatorPorts,
    wanted: &cli::Export,
) -> anyhow::Result<()> {
    let by_name = || wanted.output.as_deref().map_or(Format::Ndjson, named_by);
    let format = wanted.format.unwrap_or_else(by_name);
    let mut target =
        Target::open(wanted.output.as_deref()).context("the file cannot be written")?;
    let choice = choice(wanted);
    let details = json!({"format": format.as_str(), "narrowedBy": choice.narrowed_by()});
    let action = action(&*installation.clock, ActionKind::TicketExport, "tickets", details);
    ports.actions.record(&[action]).await.context(OUT_OF_REACH)?;
    let total = if choice == Choice::default() { ports.exports.count().await.ok() } else { None };
    let written = write(Pages::of(Arc::clone(&ports.exports), choice), format, &mut target, total);
    match written.await {
        // A reader that has seen enough (`| head`) closes the pipe; that is no failure of ours.
        Err(error) if is_enough(&error) => return Ok(()),
        Err(error) => return Err(error),
        Ok(tickets) => {
            target.finish().context("the file cannot be written")?;
            let noun = if tickets == 1 { "ticket" } else { "tickets" };
            terminal::remark(format!("{} {noun}.", thousands(tickets)));
        }
    }
    Ok(())
}

fn is_enough(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(|it: &io::Error| it.kind() == io::ErrorKind::BrokenPipe)
}

fn choice(wanted: &cli::Export) -> Choice {
    Choice {
        statuses: wanted.status.iter().copied().collect(),
        priorities: wanted.priority.iter().copied().collect(),
        subjects: wanted.subject.iter().copied().collect(),
        from: wanted.submitted_from,
        to: wanted.submitted_to,
    }
}

/// Writes all pages; how many tickets that were.
async fn write(
    mut pages: Pages,
    format: Format,
    target: &mut Target,
    total: Option<u64>,
) -> anyhow::Result<u64> {
    let (stop, bar, mut tickets) = (told_to_stop()?, bar(total), 0);
    target.write(&format.head())?;
    while let Some(page) = pages.next().await.context(OUT_OF_REACH)? {
        let mut text = Vec::new();
        format.write(&page, &mut text);
        target.write(&text)?;
        tickets += page.len() as u64;
        bar.set_position(tickets);
        bar.set_message(thousands(tickets / bar.elapsed().as_secs().max(1)));
        if stop.is_cancelled() {
            bail!("stopped on request");
        }
    }
    bar.finish_and_clear();
    Ok(tickets)
}

fn bar(total: Option<u64>) -> ProgressBar {
    let of_total = "{wide_bar} {human_pos} of {human_len} tickets, {msg}/s, {eta} to go";
    terminal::bar(total, of_total, "{spinner} {human_pos} tickets, {msg}/s")
}
