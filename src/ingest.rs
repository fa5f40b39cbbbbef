//! `supportline ingest`: the public edge of a distributed installation.

use std::process::ExitCode;

use common::config::Config;

use crate::{
    compose::{Installation, open_spool},
    lifecycle::Lifecycle,
    listener,
    metrics::Recorder,
    prepare::Preparation,
    roles::start_ingest,
};

/// Runs until it is told to stop.
pub async fn run(config: Config) -> anyhow::Result<ExitCode> {
    config.backends.distributed("ingest")?;
    let mut lifecycle = Lifecycle::new(config.process.shutdown_grace)?;
    let listener = listener::bind(config.process.listen).await?;
    let spool = open_spool(&config)?;
    let installation = Installation::open(&config).await?;

    // Beside the edge and not before it: it accepts while the database is down.
    Preparation::new(&installation, config.process.migrate).start(&mut lifecycle);

    let exposition = Recorder::install("ingest")?.exposition();
    let settings = installation.ingest_settings(&config, spool, exposition);
    start_ingest(&mut lifecycle, &installation, listener, settings).await;
    lifecycle.run(installation.backend.close()).await
}
