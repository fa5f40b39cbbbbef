//! `supportline migrate`: the database's schema, up to date.

use std::process::ExitCode;

use anyhow::Context;
use common::config::Config;

use crate::{compose::open_store, prepare::CANNOT_PREPARE, terminal};

/// Brings it up to date and ends.
pub async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let backend = open_store(&config).await?;
    let migrated = backend.migrate().await;
    backend.close().await;
    migrated.context(CANNOT_PREPARE)?;
    terminal::say("The schema is up to date.");
    Ok(ExitCode::SUCCESS)
}
