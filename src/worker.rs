//! `supportline worker`: a queue consumer of a distributed installation.

use std::{future, process::ExitCode};

use common::config::Config;

use crate::{
    compose::Installation, lifecycle::Lifecycle, listener, metrics::Recorder, prepare::Preparation,
    probes, roles::start_worker,
};

/// Runs until it is told to stop.
pub async fn run(config: Config) -> anyhow::Result<ExitCode> {
    config.backends.distributed("worker")?;
    let mut lifecycle = Lifecycle::new(config.process.shutdown_grace)?;
    let listener = listener::bind(config.process.listen).await?;
    tracing::info!(address = %listener.local_addr()?, "the worker's probes are served");
    let installation = Installation::open(&config).await?;

    // Answers from the first moment to the last.
    let (state, stopping) = (worker::State::new(), lifecycle.stopping());
    let seen = state.clone();
    let exposition =
        Recorder::install("worker")?.exposition_with(state.clone(), installation.clock.clone());
    let is_ready = move || future::ready(seen.is_ready() && !stopping.is_cancelled());
    let probes = probes::router(is_ready, exposition);
    lifecycle.start("probes", |stop| async move {
        http::server::serve(listener, probes, stop).await;
        Ok(())
    });

    let preparation = Preparation::new(&installation, config.process.migrate);
    start_worker(&mut lifecycle, &installation, &config, state, Some(preparation)).await;
    lifecycle.run(installation.backend.close()).await
}
