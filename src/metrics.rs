//! Where metrics are kept, and how they are written down.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use common::{
    clock::Clock,
    metrics::{self, BUILD_INFO, Exposition, Kind},
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;

/// How often what was observed is sorted into its buckets. Until then each observation takes up
/// memory, asked for or not.
const UPKEEP_PERIOD: Duration = Duration::from_secs(5);

/// The recorder of this process.
pub struct Recorder {
    handle: PrometheusHandle,
    process: Collector,
}

impl Recorder {
    /// Installs it. `role` is what the process was started as.
    pub fn install(role: &'static str) -> anyhow::Result<Self> {
        let handle = builder()?.install_recorder().context("cannot install the metrics")?;
        metrics::describe();
        let process = Collector::default();
        process.describe();
        BUILD_INFO.set(1.0, &[("version", env!("CARGO_PKG_VERSION")), ("role", role)]);
        let kept = handle.clone();
        tokio::spawn(async move {
            let mut period = tokio::time::interval(UPKEEP_PERIOD);
            loop {
                period.tick().await;
                kept.run_upkeep();
            }
        });
        Ok(Self { handle, process })
    }

    /// What `/metrics` answers.
    pub fn exposition(self) -> Exposition {
        Arc::new(move || {
            self.process.collect();
            self.handle.render()
        })
    }

    /// The same, of a process that has a worker.
    pub fn exposition_with(self, worker: worker::State, clock: Arc<dyn Clock>) -> Exposition {
        let exposition = self.exposition();
        Arc::new(move || {
            worker.measure(clock.now());
            exposition()
        })
    }
}

fn builder() -> anyhow::Result<PrometheusBuilder> {
    let histograms = metrics::ALL.iter().filter_map(|metric| match metric.kind {
        Kind::Histogram(bounds) => Some((metric.name, bounds)),
        Kind::Counter | Kind::Gauge => None,
    });
    histograms.into_iter().try_fold(PrometheusBuilder::new(), |builder, (name, bounds)| {
        let name_is = Matcher::Full(name.to_owned());
        builder.set_buckets_for_metric(name_is, bounds).with_context(|| format!("bounds of {name}"))
    })
}
