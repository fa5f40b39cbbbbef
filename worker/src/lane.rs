//! A lane: receive, number, store, answer, settle; again and again.

use std::{sync::Arc, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use common::{
    chain,
    domain::NewTicket,
    ports::{
        backend::WorkerPorts,
        health::{Component, HealthProbe},
        queue::{ConsumeError, Consumer, ConsumerSource, DeadLetterReason},
        store::{StoreError, TicketWriter},
    },
};
use thiserror::Error;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{
    batch::{Batch, Verdict, tickets, verdict, years},
    numbers::Numbers,
    state::State,
};

/// How long a lane holds a batch while the store is away. Then it gives its deliveries back, before
/// the broker takes them (30 minutes) and counts another failed delivery for each, again and again
/// for as long as the store stays away.
const HOLD_MAX: Duration = Duration::from_mins(10);

/// One of a worker's consumers and what it needs to do its work.
pub(crate) struct Lane {
    consumers: Arc<dyn ConsumerSource>,
    store: Arc<dyn TicketWriter>,
    health: Arc<dyn HealthProbe>,
    numbers: Arc<Numbers>,
    submissions_max: usize,
}

/// Why a lane lets go of its consumer.
#[derive(Debug, Error)]
enum LaneError {
    #[error(transparent)]
    Queue(#[from] ConsumeError),
    #[error("the store stayed away")]
    Store(#[source] StoreError),
}

impl Lane {
    pub(crate) fn new(ports: &WorkerPorts, numbers: Arc<Numbers>, submissions_max: usize) -> Self {
        Self {
            consumers: Arc::clone(&ports.consumers),
            store: Arc::clone(&ports.tickets),
            health: Arc::clone(&ports.health),
            numbers,
            submissions_max,
        }
    }

    /// Works until `stop`. A lost queue or store is waited for.
    pub(crate) async fn run(self: Arc<Self>, state: State, stop: CancellationToken) {
        loop {
            let consumer = tokio::select! {
                () = stop.cancelled() => return,
                consumer = self.open() => consumer,
            };
            let consuming = state.consuming();
            match self.work(consumer, &stop).await {
                Ok(()) => return,
                Err(error) => warn!(error = chain(&error), "a lane lets go of its deliveries"),
            }
            drop(consuming);
        }
    }

    /// A consumer, once the store can take what it brings.
    async fn open(&self) -> Box<dyn Consumer> {
        let open = || async {
            self.health.probe(Component::Store).await.map_err(|error| chain(&error))?;
            self.consumers.open().await.map_err(|error| chain(&error))
        };
        let retried = open.retry(persistently()).notify(|error: &String, delay| {
            info!(error, ?delay, "a lane cannot start yet");
        });
        match retried.await {
            Ok(consumer) => consumer,
            Err(_) => std::future::pending().await,
        }
    }

    async fn work(
        &self,
        mut consumer: Box<dyn Consumer>,
        stop: &CancellationToken,
    ) -> Result<(), LaneError> {
        loop {
            let deliveries = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                deliveries = consumer.receive(self.submissions_max) => deliveries?,
            };
            for batch in Batch::split(deliveries) {
                let verdicts = self.persist(&batch, stop).await?;
                // Only now is anything answered or settled: the store has it, or never will.
                consumer.settle(batch.settle(verdicts)).await?;
            }
        }
    }

    /// A verdict for each submission, in order.
    async fn persist(
        &self,
        batch: &Batch,
        stop: &CancellationToken,
    ) -> Result<Vec<Verdict>, LaneError> {
        let submissions = batch.submissions();
        if submissions.is_empty() {
            return Ok(Vec::new());
        }
        let begun = Instant::now();
        let patience = Patience { until: begun + HOLD_MAX, stop };
        let years = years(submissions);
        let numbers = patience.with(|| self.numbers.take(&years)).await?;
        let tickets = tickets(submissions, numbers);
        let verdicts = self.insert(&tickets, &patience).await?;
        debug!(submissions = verdicts.len(), elapsed = ?begun.elapsed(), "stored a batch");
        Ok(verdicts)
    }

    /// Stores tickets together. What the store rejects is halved until the bad one stands alone.
    async fn insert(
        &self,
        tickets: &[NewTicket],
        patience: &Patience<'_>,
    ) -> Result<Vec<Verdict>, LaneError> {
        match patience.with(|| self.store.insert(tickets)).await {
            Ok(inserted) => {
                Ok(tickets.iter().zip(inserted).map(|(it, done)| verdict(it, done)).collect())
            }
            Err(LaneError::Store(StoreError::Rejected(cause))) if tickets.len() == 1 => {
                let id = tickets[0].submission.id;
                let trace = &tickets[0].submission.trace;
                warn!(?id, request_id = trace.request_id, %cause, "the store rejects a submission");
                let detail = cause.to_string();
                Ok(vec![Verdict::Dead(DeadLetterReason { code: "rejected", detail })])
            }
            Err(LaneError::Store(StoreError::Rejected(_))) => {
                let (first, second) = tickets.split_at(tickets.len() / 2);
                let mut verdicts = Box::pin(self.insert(first, patience)).await?;
                verdicts.extend(Box::pin(self.insert(second, patience)).await?);
                Ok(verdicts)
            }
            Err(error) => Err(error),
        }
    }
}

/// How long to try again what the store cannot do now.
struct Patience<'a> {
    until: Instant,
    stop: &'a CancellationToken,
}

impl Patience<'_> {
    /// Calls the store until it answers; gives up when stopped or out of patience.
    async fn with<T, F>(&self, call: impl FnMut() -> F) -> Result<T, LaneError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        call.retry(persistently())
            .when(|error| {
                matches!(error, StoreError::Unavailable(_))
                    && !self.stop.is_cancelled()
                    && Instant::now() < self.until
            })
            .notify(|error, delay| warn!(error = chain(error), ?delay, "the store is away"))
            .await
            .map_err(LaneError::Store)
    }
}

/// From 50 ms to 2 s between tries, without end.
fn persistently() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(2))
        .with_jitter()
        .without_max_times()
}
