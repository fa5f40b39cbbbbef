//! `supportline migrate`: the database's schema, up to date.

use std::process::ExitCode;

use common::config::Config;

use crate::{compose::Installation, prepare::Preparation, terminal};

/// Brings it up to date and ends.
pub async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let installation = Installation::open(&config).await?;
    let prepared = Preparation::new(&installation, true).once().await;
    installation.backend.close().await;
    prepared?;
    terminal::say("The schema is up to date.");
    Ok(ExitCode::SUCCESS)
}
