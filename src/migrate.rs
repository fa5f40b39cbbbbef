//! `supportline migrate`: the database's schema, up to date.

use std::process::ExitCode;

use anyhow::Context;
use common::config::Config;

use crate::{compose::Installation, terminal};

/// Brings it up to date and ends.
pub async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let installation = Installation::open(&config).await?;
    let migrated = installation.backend.migrate().await;
    installation.backend.close().await;
    migrated.context("cannot migrate")?;
    terminal::say("The schema is up to date.");
    Ok(ExitCode::SUCCESS)
}
