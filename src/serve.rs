//! `supportline serve`: every role in one process.

use std::{net::SocketAddr, process::ExitCode};

use common::config::{Backends, Config, Embedded};

use crate::{
    compose::{Installation, open_spool},
    lifecycle::Lifecycle,
    listener,
    metrics::Recorder,
    prepare::Preparation,
    roles::{desk_routes, start_ingest, start_worker},
    terminal,
    welcome::Welcome,
};

/// Runs until it is told to stop.
pub async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let mut lifecycle = Lifecycle::new(config.process.shutdown_grace)?;
    let listener = listener::bind(config.process.listen).await?;
    let spool = open_spool(&config)?;
    let (installation, preparation) = match &config.backends {
        Backends::Embedded(settings) => {
            (open_embedded(settings, &config, listener.local_addr()?).await?, None)
        }
        Backends::Distributed(_) => {
            let installation = Installation::open(&config).await?;
            let preparation = Preparation::new(&installation, config.process.migrate);
            (installation, Some(preparation))
        }
    };

    let state = worker::State::new();
    let exposition =
        Recorder::install("serve")?.exposition_with(state.clone(), installation.clock.clone());
    start_worker(&mut lifecycle, &installation, &config, state, preparation).await;
    // Started after the worker and so stopped before it, which settles what the edge has offered.
    let ports = installation.backend.desk().await;
    let staff = desk_routes(&installation, &config, ports, lifecycle.stopping());
    let settings = ingest::Settings {
        beside: Some(staff),
        ..installation.ingest_settings(&config, spool, exposition)
    };
    start_ingest(&mut lifecycle, &installation, listener, settings).await;
    lifecycle.run(installation.backend.close()).await
}

/// Opens the embedded installation, prepares its store and says on the terminal that it is there.
async fn open_embedded(
    settings: &Embedded,
    config: &Config,
    address: SocketAddr,
) -> anyhow::Result<Installation> {
    let keeps_token = config.edge.admin_token.is_none();
    let is_first = Welcome::is_first(&settings.data_dir, keeps_token);
    let installation = Installation::open(config).await?;
    // Its store is this process: what it cannot do now, it will not be able to do later. The schema
    // is up to date since it was opened.
    Preparation::new(&installation, false).once().await?;
    let now = installation.clock.now();
    let welcome = Welcome { address, data_dir: &settings.data_dir, keeps_token, now };
    terminal::say(if is_first { welcome.full() } else { welcome.short() });
    Ok(installation)
}
