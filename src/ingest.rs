//! `supportline ingest`: the public edge of a distributed installation.

use std::process::ExitCode;

use common::config::Config;

use crate::{
    compose::Installation, lifecycle::Lifecycle, listener, metrics::Recorder, prepare::Preparation,
    roles::start_ingest,
};

/// Runs until it is told to stop.
pub async fn run(config: Config) -> anyhow::Result<ExitCode> {
    config.backends.distributed("ingest")?;
    let mut lifecycle = Lifecycle::new(config.process.shutdown_grace)?;
    let listener = listener::bind(config.process.listen).await?;
    let installation = Installation::open(&config).await?;

    // Beside the edge and not before it: it accepts while the database is down.
    let preparation = Preparation::new(&installation, config.process.migrate);
    lifecycle.start("preparation", |stop| async move {
        preparation.until_done(&stop).await?;
        stop.cancelled().await;
        Ok(())
    });

    let exposition = Recorder::install("ingest")?.exposition();
    start_ingest(&mut lifecycle, &installation, &config, listener, exposition).await;
    Ok(lifecycle.run(installation.backend.close()).await)
}
