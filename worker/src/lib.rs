//! The worker: makes tickets of submissions.
//!
//! A lane takes deliveries, gives each submission a number and a priority, stores the batch in one
//! transaction, and only then answers the edge and settles. Lanes share nothing but the counter.

mod batch;
#[cfg(test)]
mod doubles;
mod indexer;
mod lane;
mod measure;
mod numbers;
mod refresher;
mod relay;
mod retention;
mod sealer;
mod state;

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use common::{
    clock::{Clock, Entropy},
    domain::PersonKey,
    ended,
    keys::NumberKey,
    metrics::LANE_DEATHS,
    ports::backend::WorkerPorts,
    retry::REVIVAL_PAUSE,
};
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::error;

pub use state::State;

use crate::{
    indexer::Indexer,
    lane::{Lane, Tools},
    numbers::Numbers,
    refresher::Refresher,
    relay::Relay,
    retention::Retention,
    sealer::Sealer,
};

/// How a worker works.
pub struct Settings {
    /// Consumers that run side by side, each with one batch at a time.
    pub lanes: usize,
    /// Submissions in one transaction at most.
    pub batch_submissions_max: usize,
    /// How long a ticket is kept that nobody touches; for ever, if not said.
    pub retention: Option<Duration>,
    /// What the ticket numbers are made with.
    pub number_key: Arc<NumberKey>,
}

/// Works until `stop`, then finishes the batches begun and gives the rest back to the queue.
pub async fn run(
    ports: WorkerPorts,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    settings: Settings,
    state: State,
    stop: CancellationToken,
) {
    let stored = Arc::new(Notify::new());
    let (woken, time) = (Arc::clone(&stored), Arc::clone(&clock));
    let is_relaying = Arc::<AtomicBool>::default();
    let sealer = Sealer::new(
        ports.records,
        &settings.number_key,
        Arc::clone(&clock),
        Arc::clone(&is_relaying),
    );
    let relay = Relay::new(ports.outbox, ports.events, woken, time, entropy.as_ref(), is_relaying);
    measure::begin();
    let tools = Tools {
        consumers: ports.consumers,
        store: Arc::clone(&ports.tickets),
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
        numbers: Arc::new(Numbers::new(&settings.number_key, ports.tickets)),
        people: PersonKey::new(&settings.number_key),
        submissions_max: settings.batch_submissions_max,
        stored,
    };
    // Stops after the others, whose last batches have events too.
    let relay_stop = CancellationToken::new();
    let relay = Arc::new(relay);
    let relay_again = move |stop| Arc::clone(&relay).run(stop);
    let relaying = tokio::spawn(revive("relay", relay_again, relay_stop.clone()));
    let sealer = Arc::new(sealer);
    let sealing = Arc::clone(&sealer);
    let seal_again = move |stop| Arc::clone(&sealing).run(stop);
    let mut tasks = JoinSet::new();
    tasks.spawn(revive("sealer", seal_again, stop.clone()));
    for _ in 0..settings.lanes {
        tasks.spawn(keep_alive(Lane::new(tools.clone()), state.clone(), stop.clone()));
    }
    if let Some(kept) = settings.retention {
        let (time, ids) = (Arc::clone(&clock), Arc::clone(&entropy));
        let retention = Arc::new(Retention::new(ports.people, time, ids, kept));
        let again = move |stop| Arc::clone(&retention).run(stop);
        tasks.spawn(revive("retention", again, stop.clone()));
    }
    let refresher = Refresher::new(ports.statistics, ports.cache, clock, entropy.as_ref());
    let refresher = Arc::new(refresher);
    let refresh_again = move |stop| Arc::clone(&refresher).run(stop);
    tasks.spawn(revive("refresher", refresh_again, stop.clone()));
    let indexer = Arc::new(Indexer::new(ports.search, state));
    tasks.spawn(revive("indexer", move |stop| Arc::clone(&indexer).run(stop), stop));
    while let Some(end) = tasks.join_next().await {
        if let Err(error) = end {
            error!(error = ended(&error), "a worker's task died");
        }
    }
    relay_stop.cancel();
    if let Err(error) = relaying.await {
        error!(error = ended(&error), "the relay's keeper died");
    }
    sealer.finish().await;
}

/// Runs something, and runs it again when it panics, until `stop`.
async fn revive<R>(
    name: &'static str,
    run: impl Fn(CancellationToken) -> R,
    stop: CancellationToken,
) where
    R: Future<Output = ()> + Send + 'static,
{
    while let Err(error) = tokio::spawn(run(stop.clone())).await {
        error!(error = ended(&error), name, "a part of the worker died");
        if stop.is_cancelled() {
            return;
        }
        tokio::time::sleep(REVIVAL_PAUSE).await;
    }
}

/// Runs a lane, and runs it again when it panics, from then on with one delivery at a time: what it
/// held comes back, and the queue gives up in the end what keeps coming back.
async fn keep_alive(lane: Lane, state: State, stop: CancellationToken) {
    let lane = Arc::new(lane);
    while !stop.is_cancelled() {
        let running = tokio::spawn(Arc::clone(&lane).run(state.clone(), stop.clone()));
        if let Err(error) = running.await {
            error!(error = ended(&error), "a lane died");
            LANE_DEATHS.increment(&[]);
            lane.be_careful();
            tokio::time::sleep(REVIVAL_PAUSE).await;
        }
    }
}
