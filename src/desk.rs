//! `supportline desk`: the staff API of a distributed installation.

use std::process::ExitCode;

use common::config::Config;

use crate::{
    compose::Installation, lifecycle::Lifecycle, listener, metrics::Recorder, prepare::Preparation,
    roles::start_desk,
};

/// Runs until it is told to stop.
pub async fn run(config: Config) -> anyhow::Result<ExitCode> {
    config.backends.distributed("desk")?;
    let mut lifecycle = Lifecycle::new(config.process.shutdown_grace)?;
    let listener = listener::bind(config.process.listen).await?;
    let installation = Installation::open(&config).await?;

    // Beside the desk and not before it: what lies with the broker is looked at without a database.
    Preparation::new(&installation, config.process.migrate).start(&mut lifecycle);

    let exposition = Recorder::install("desk")?.exposition();
    start_desk(&mut lifecycle, &installation, &config, listener, exposition).await?;
    lifecycle.run(installation.backend.close()).await
}
