//! The roles as parts of a process: composed from an installation, started under its lifecycle.

use std::sync::Arc;

use common::{config::Config, metrics::Exposition};
use tokio::net::TcpListener;

use crate::{compose::Installation, lifecycle::Lifecycle, prepare::Preparation};

/// Starts a worker, which first waits until the store is prepared.
pub async fn start_worker(
    lifecycle: &mut Lifecycle,
    installation: &Installation,
    config: &Config,
    state: worker::State,
) {
    let preparation = Preparation::new(installation, config.process.migrate);
    let ports = installation.backend.worker().await;
    let (clock, entropy) = (Arc::clone(&installation.clock), Arc::clone(&installation.entropy));
    let settings = installation.worker_settings(config);
    lifecycle.start("worker", |stop| async move {
        preparation.until_done(&stop).await?;
        worker::run(ports, clock, entropy, settings, state, stop).await;
        Ok(())
    });
}

/// Starts the public edge, which accepts from the first moment.
pub async fn start_ingest(
    lifecycle: &mut Lifecycle,
    installation: &Installation,
    config: &Config,
    listener: TcpListener,
    exposition: Exposition,
) {
    if installation.admin_token.is_none() {
        tracing::warn!(
            "no admin token is set: only tokens made with `supportline token create` are admitted"
        );
    }
    let ports = installation.backend.edge().await;
    let (clock, entropy) = (Arc::clone(&installation.clock), Arc::clone(&installation.entropy));
    let settings = installation.ingest_settings(config, exposition);
    lifecycle.start("ingest", |stop| async move {
        Ok(ingest::run(listener, ports, clock, entropy, settings, stop).await?)
    });
}
