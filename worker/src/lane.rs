//! A lane: receive, number, store, answer, settle; again and again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBackoff, Retryable};
use chrono::{DateTime, Utc};
use common::{
    chain,
    clock::{Clock, Entropy},
    domain::{DeadLetterCode, PersonKey, Submission},
    failpoint,
    metrics::{BATCH_SUBMISSIONS, STORE_DURATION},
    ports::{
        queue::{ConsumeError, Consumer, ConsumerSource, DeadLetterReason, Delivery, Prefetch},
        store::{StoreError, TicketWriter},
    },
    retry::persistently,
};
use thiserror::Error;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, info, warn};

use crate::{
    batch::{Batch, Verdict, tickets, verdict, years},
    measure,
    numbers::{Numbers, year_of},
    state::{Consuming, State},
};

/// How long a lane holds a batch while the store is away. Then it gives its deliveries back, before
/// the broker takes them (30 minutes) and counts another failed delivery for each.
const HOLD_MAX: Duration = Duration::from_mins(10);

/// The longest pause between two tries at what does not work now.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(2);

/// The longest pause after a lane has let go of its deliveries, each of which counts that.
const LETTING_GO_DELAY_MAX: Duration = Duration::from_secs(30);

/// A consumer that brings nothing for so long is replaced, which costs nothing when there is
/// nothing. A broker whose queue was deleted and declared again under load does not always tell
/// the queue's consumers, and delivers to them no more.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// A message delivered so often before may be what ends its worker. It is stored alone, and after
/// those that are not suspected.
const SUSPICIOUS_ATTEMPTS: u32 = 2;

/// One of a worker's consumers and what it needs to do its work.
pub(crate) struct Lane {
    tools: Tools,
    /// Whether to hold one delivery at a time: at first, until a ticket was stored, and again when
    /// deliveries were in vain. A worker that is restarted over and over while nothing can be stored
    /// then counts against one message a lane, and not against all that it could hold.
    is_careful: AtomicBool,
}

/// What all lanes of a worker work with.
#[derive(Clone)]
pub(crate) struct Tools {
    pub(crate) consumers: Arc<dyn ConsumerSource>,
    pub(crate) store: Arc<dyn TicketWriter>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) numbers: Arc<Numbers>,
    pub(crate) people: PersonKey,
    /// In one transaction at most.
    pub(crate) submissions_max: usize,
    /// Told of everything stored.
    pub(crate) stored: Arc<Notify>,
}

/// Why a lane lets go of its consumer.
#[derive(Debug, Error)]
enum LaneError {
    #[error(transparent)]
    Queue(#[from] ConsumeError),
    #[error("the store stayed away")]
    Store(#[source] StoreError),
}

/// Why a lane opens its consumer anew, or not.
enum Turn {
    /// It is told to stop.
    Stop,
    /// It may hold more again, or has had nothing for long.
    Reopen,
}

/// Between two consumers, the longer the more of them were lost since something was settled.
struct Pauses(ExponentialBackoff);

impl Pauses {
    fn short() -> Self {
        Self(persistently(LETTING_GO_DELAY_MAX).build())
    }

    fn next(&mut self) -> Duration {
        self.0.next().unwrap_or(LETTING_GO_DELAY_MAX)
    }
}

/// A consumer, counted as one while it is there.
struct Open {
    consumer: Box<dyn Consumer>,
    _consuming: Consuming,
}

impl Lane {
    pub(crate) fn new(tools: Tools) -> Self {
        Self { tools, is_careful: AtomicBool::new(true) }
    }

    /// Works until `stop`. A lost queue or store is waited for.
    pub(crate) async fn run(self: Arc<Self>, state: State, stop: CancellationToken) {
        let mut pauses = Pauses::short();
        let mut previous = None;
        loop {
            let mut open = tokio::select! {
                () = stop.cancelled() => return,
                open = self.open(previous.take(), &state) => open,
            };
            let working = self.work(open.consumer.as_mut(), &state, &mut pauses, &stop);
            let failure = match working.await {
                Ok(Turn::Stop) => return,
                Ok(Turn::Reopen) => {
                    pauses = Pauses::short();
                    previous = Some(open);
                    continue;
                }
                Err(failure) => failure,
            };
            drop(open);
            self.be_careful();
            let pause = pauses.next();
            warn!(error = chain(&failure), ?pause, "a lane lets go of its deliveries");
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Makes the next consumer hold one delivery at a time: all that this one held comes back and
    /// counts as delivered, though it was in vain, and though one message of it may be the reason.
    pub(crate) fn be_careful(&self) {
        self.is_careful.store(true, Ordering::Relaxed);
    }

    fn prefetch(&self) -> Prefetch {
        if self.is_careful.load(Ordering::Relaxed) { Prefetch::One } else { Prefetch::Many }
    }

    /// A consumer, once the store can take what it brings. The one before stays while all goes well:
    /// the worker is never seen without. But not while the store or the queue is away: nobody reads
    /// it, and what the broker hands it other workers could store.
    async fn open(&self, mut previous: Option<Open>, state: &State) -> Open {
        let open = || async {
            self.probe().await.map_err(|error| chain(&error))?;
            self.tools.consumers.open(self.prefetch()).await.map_err(|error| chain(&error))
        };
        let retried = open.retry(persistently(RETRY_DELAY_MAX)).notify(|error: &String, delay| {
            previous = None;
            // A consumer may have been handed something before it failed to open.
            self.be_careful();
            info!(error, ?delay, "a lane cannot start yet");
        });
        match retried.await {
            Ok(consumer) => Open { consumer, _consuming: state.consuming() },
            Err(_) => std::future::pending().await,
        }
    }

    /// Sees that what a consumer brings could be stored: a ping would also be answered by a read-only
    /// standby, or on a full disk, and counters can be written where tickets are locked. A lane that
    /// took what it then has to give back would use its deliveries up, of which each has twenty.
    async fn probe(&self) -> Result<(), StoreError> {
        let Tools { numbers, store, clock, .. } = &self.tools;
        numbers.probe(year_of(clock.now())).await?;
        store.insert(&[]).await.map(drop)
    }

    async fn work(
        &self,
        consumer: &mut dyn Consumer,
        state: &State,
        pauses: &mut Pauses,
        stop: &CancellationToken,
    ) -> Result<Turn, LaneError> {
        let prefetch = self.prefetch();
        loop {
            let deliveries = tokio::select! {
                () = stop.cancelled() => return Ok(Turn::Stop),
                () = tokio::time::sleep(IDLE_MAX) => return Ok(Turn::Reopen),
                deliveries = consumer.receive(self.tools.submissions_max) => deliveries?,
            };
            failpoint!("worker.after_receive");
            measure::received(&deliveries, &*self.tools.clock);
            let _working = state.working(oldest(&deliveries));
            // What was given back comes first. Behind it there is nothing to be careful with.
            let is_past = deliveries.iter().all(|delivery| delivery.attempts == 0);
            let (suspicious, others): (Vec<_>, Vec<_>) =
                deliveries.into_iter().partition(is_suspicious);
            self.process(consumer, others, stop).await?;
            for delivery in self.shuffled(suspicious) {
                self.process(consumer, vec![delivery], stop).await?;
            }
            *pauses = Pauses::short();
            if prefetch == Prefetch::One && is_past {
                self.is_careful.store(false, Ordering::Relaxed);
                return Ok(Turn::Reopen);
            }
        }
    }

    /// In another order each time. Whatever ends its lane ends it for all that the lane holds, and
    /// each of those is counted: in the queue's order those behind it would never have their turn.
    fn shuffled(&self, mut deliveries: Vec<Delivery>) -> Vec<Delivery> {
        deliveries.sort_by_cached_key(|_| {
            let mut key = [0; 4];
            self.tools.entropy.fill(&mut key);
            key
        });
        deliveries
    }

    async fn process(
        &self,
        consumer: &mut dyn Consumer,
        deliveries: Vec<Delivery>,
        stop: &CancellationToken,
    ) -> Result<(), LaneError> {
        let batch = Batch::of(deliveries);
        let verdicts = self.persist(&batch, stop).await?;
        let burials = batch.burials(&verdicts);
        let settlements = batch.settle(verdicts);
        // Only now is anything answered or settled: the store has it, or never will.
        consumer.settle(settlements).await?;
        // What could not be buried comes back, and is buried then.
        burials.iter().for_each(measure::buried);
        failpoint!("worker.after_settle");
        Ok(())
    }

    /// A verdict for each submission, in order.
    async fn persist(
        &self,
        batch: &Batch,
        stop: &CancellationToken,
    ) -> Result<Vec<Verdict>, LaneError> {
        let submissions = batch.submissions();
        let [first, ..] = submissions else { return Ok(Vec::new()) };
        let begun = Instant::now();
        let patience = Patience { until: begun + HOLD_MAX, stop };
        // What is logged of the store's absence names the first of those that wait for it.
        let storing = self.store(submissions, &patience).instrument(first.trace.span());
        let verdicts = storing.await?;
        let elapsed = begun.elapsed();
        BATCH_SUBMISSIONS.record_count(verdicts.len(), &[]);
        STORE_DURATION.record(elapsed, &[]);
        debug!(submissions = verdicts.len(), ?elapsed, "stored a batch");
        for (submission, verdict) in submissions.iter().zip(&verdicts) {
            if let Verdict::Stored { number, .. } = verdict {
                measure::ticketed(submission, number);
            }
        }
        Ok(verdicts)
    }

    /// Stores submissions together. What the store rejects is halved until the bad one stands alone.
    async fn store(
        &self,
        submissions: &[Submission],
        patience: &Patience<'_>,
    ) -> Result<Vec<Verdict>, LaneError> {
        match (patience.with(|| self.insert(submissions)).await, submissions) {
            (Err(StoreError::Rejected(cause)), [submission]) => {
                let id = submission.id;
                submission.trace.span().in_scope(|| debug!(?id, "stands alone"));
                let (code, detail) = (DeadLetterCode::Rejected, cause.to_string());
                Ok(vec![Verdict::Dead(DeadLetterReason { code, detail })])
            }
            (Err(StoreError::Rejected(_)), _) => {
                let (first, second) = submissions.split_at(submissions.len() / 2);
                let mut verdicts = Box::pin(self.store(first, patience)).await?;
                verdicts.extend(Box::pin(self.store(second, patience)).await?);
                Ok(verdicts)
            }
            (answer, _) => answer.map_err(LaneError::Store),
        }
    }

    /// Every try has its own numbers: should one of them be taken, the next try's are not.
    async fn insert(&self, submissions: &[Submission]) -> Result<Vec<Verdict>, StoreError> {
        let numbers = self.tools.numbers.take(&years(submissions)).await?;
        let tickets = tickets(submissions, numbers, &self.tools.people);
        failpoint!("worker.before_commit");
        let inserted = self.tools.store.insert(&tickets).await?;
        failpoint!("worker.after_commit");
        self.tools.stored.notify_one();
        measure::inserted(&inserted);
        Ok(tickets.iter().zip(inserted).map(|(ticket, done)| verdict(ticket, done)).collect())
    }
}

fn oldest(deliveries: &[Delivery]) -> Option<DateTime<Utc>> {
    let submissions = deliveries.iter().flat_map(measure::submissions);
    submissions.map(|submission| submission.submitted_at).min()
}

fn is_suspicious(delivery: &Delivery) -> bool {
    delivery.attempts >= SUSPICIOUS_ATTEMPTS
}

/// How long to try again what the store cannot do now.
struct Patience<'a> {
    until: Instant,
    stop: &'a CancellationToken,
}

impl Patience<'_> {
    /// Calls the store until it answers; gives up when stopped or out of patience. What it rejects
    /// is an answer. What it holds in disorder may be put in order, and is nobody's fault here.
    async fn with<T, F>(&self, call: impl FnMut() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        call.retry(persistently(RETRY_DELAY_MAX))
            .when(|error| {
                !matches!(error, StoreError::Rejected(_))
                    && !self.stop.is_cancelled()
                    && Instant::now() < self.until
            })
            .notify(|error, delay| warn!(error = chain(error), ?delay, "the store is away"))
            .await
    }
}

#[cfg(test)]
mod tests;
