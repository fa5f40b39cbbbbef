//! `supportline audit …`: what is on record, for whoever keeps it elsewhere or looks into it.

use std::{
    io::{self, ErrorKind, Write},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context;
use common::{
    audit::{self, Excerpt, Reading},
    config::Config,
    domain::ActionKind,
    ports::backend::OperatorPorts,
};

use crate::{
    cli::{AuditCommand, AuditExport},
    compose::{Beside, Installation},
    operator::action,
};

/// Does what is asked, beside the processes that serve the installation or without any.
pub async fn run(command: AuditCommand, config: Config) -> anyhow::Result<ExitCode> {
    let AuditCommand::Export(wanted) = command;
    let installation = Installation::open_beside(&config).await?;
    let done = export(&installation, wanted).await;
    installation.backend.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

/// Prints page by page, once it is on record that somebody reads.
async fn export(installation: &Beside, wanted: AuditExport) -> anyhow::Result<()> {
    let OperatorPorts { actions, records, cases, .. } = installation.backend.operator().await;
    let ticket = match &wanted.ticket {
        Some(ticket) => Some(audit::names(&*cases, ticket).await.context(OUT_OF_REACH)?),
        None => None,
    };
    let excerpt = Excerpt {
        record: wanted.record,
        after: wanted.after.unwrap_or_default(),
        from: wanted.from,
        to: wanted.to,
        actor: wanted.actor,
        ticket,
    };
    let details = excerpt.details();
    let action = action(&*installation.clock, ActionKind::AuditExport, "audit", details);
    actions.record(&[action]).await.context(OUT_OF_REACH)?;
    let mut reading = Reading::new(Arc::clone(&records), excerpt);
    while let Some(page) = reading.page().await.context(OUT_OF_REACH)? {
        match io::stdout().write_all(page.as_bytes()) {
            // Its reader has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            written => written.context("what is on record could not be written")?,
        }
    }
    io::stdout().flush().context("what is on record could not be written")
}

/// Why a command cannot go on; also what a schema of before looks like.
const OUT_OF_REACH: &str =
    "what is on record is out of reach (`supportline migrate` brings an older schema up to date)";
