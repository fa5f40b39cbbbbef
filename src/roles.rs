//! The roles as parts of a process: composed from an installation, started under its lifecycle.

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use common::{
    config::Config,
    metrics::Exposition,
    ports::{backend::DeskPorts, health::Component},
};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{compose::Installation, lifecycle::Lifecycle, prepare::Preparation, probes};

/// Starts a worker, which first waits until the store is prepared, where it is not yet.
pub async fn start_worker(
    lifecycle: &mut Lifecycle,
    installation: &Installation,
    config: &Config,
    state: worker::State,
    preparation: Option<Preparation>,
) {
    let ports = installation.backend.worker().await;
    let (clock, entropy) = (Arc::clone(&installation.clock), Arc::clone(&installation.entropy));
    let settings = installation.worker_settings(config);
    lifecycle.start("worker", |stop| async move {
        if let Some(preparation) = preparation
            && !preparation.until_done(&stop).await?
        {
            return Ok(());
        }
        worker::run(ports, clock, entropy, settings, state, stop).await;
        Ok(())
    });
}

/// How long a readiness probe waits for the store.
const PROBE_WAIT: Duration = Duration::from_secs(1);

/// Starts the staff API on a listener of its own, with the probes of its process beside it.
pub async fn start_desk(
    lifecycle: &mut Lifecycle,
    installation: &Installation,
    config: &Config,
    listener: TcpListener,
    exposition: Exposition,
) -> io::Result<()> {
    tracing::info!(address = %listener.local_addr()?, "the staff API is served");
    warn_without_admin_token(installation);
    let ports = installation.backend.desk().await;
    let (health, stopping) = (Arc::clone(&ports.health), lifecycle.stopping());
    // Without the store hardly anybody is let in.
    let is_ready = move || {
        let (health, is_stopping) = (Arc::clone(&health), stopping.is_cancelled());
        async move {
            let probed = timeout(PROBE_WAIT, health.probe(Component::Store)).await;
            !is_stopping && probed.is_ok_and(|probed| probed.is_ok())
        }
    };
    let staff = desk_routes(installation, config, ports, lifecycle.stopping());
    let all = staff.merge(probes::router(is_ready, exposition));
    lifecycle.start("desk", |stop| async move {
        http::server::serve(listener, all, stop).await;
        Ok(())
    });
    Ok(())
}

/// The staff API, for whichever listener.
pub fn desk_routes(
    installation: &Installation,
    config: &Config,
    ports: DeskPorts,
    stop: CancellationToken,
) -> Router {
    let (clock, entropy) = (Arc::clone(&installation.clock), Arc::clone(&installation.entropy));
    desk::router(ports, clock, entropy, &installation.desk_settings(config), stop)
}

fn warn_without_admin_token(installation: &Installation) {
    if installation.admin_token.is_none() {
        tracing::warn!(
            "no admin token is set: only tokens made with `supportline token create` are admitted"
        );
    }
}

/// Starts the public edge, which accepts from the first moment, and what is served beside it.
pub async fn start_ingest(
    lifecycle: &mut Lifecycle,
    installation: &Installation,
    listener: TcpListener,
    settings: ingest::Settings,
) {
    warn_without_admin_token(installation);
    let ports = installation.backend.edge().await;
    let (clock, entropy) = (Arc::clone(&installation.clock), Arc::clone(&installation.entropy));
    lifecycle.start("ingest", |stop| async move {
        Ok(ingest::run(listener, ports, clock, entropy, settings, stop).await?)
    });
}
