//! The relay: reads events from the outbox and publishes them, one relay at a time among all
//! workers.
//!
//! What is published counts only once the outbox knows. Whoever takes over from a relay that died
//! publishes again what that one did not get to write down: every event at least once, and the first
//! time each is heard, those of one ticket in their order.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use backon::BackoffBuilder;
use common::{
    chain,
    clock::{Clock, Entropy},
    domain::Event,
    failpoint,
    keys::hex,
    ports::{
        events::{Cursor, EventPublishError, EventPublisher, Outbox},
        store::StoreError,
    },
    retry::persistently,
};
use thiserror::Error;
use tokio::{
    sync::Notify,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::measure;

/// A relay that died is replaced after so long.
const LEASE_TTL: Duration = Duration::from_secs(3);

/// A relay without work renews its lease after so long.
const RENEWAL: Duration = Duration::from_secs(1);

/// How often a worker asks for the lease while another has it.
const LEASE_POLL: Duration = Duration::from_millis(500);

/// How often the relay looks for what other workers have stored; its own worker wakes it.
const OUTBOX_POLL: Duration = Duration::from_millis(200);

/// How long events that this worker has stored are left for more to come. A look into the outbox and a
/// publish cost as much for one as for many, and at a moderate load every batch would get its own.
const GATHERING: Duration = Duration::from_millis(20);

/// Events read together, and published together at most: as many as the broker is given unconfirmed.
const BATCH: u32 = 256;

/// How long what is published may go unwritten. Each time costs a flush to disk, and after a crash
/// the events of this time are published again.
const ADVANCE_INTERVAL: Duration = Duration::from_millis(100);

/// The longest pause between two tries while broker or store is away.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(2);

/// How long a worker that stops goes on publishing. What is left then is the next relay's: a backlog
/// of hours must not outlast the time that a process is given for its end.
const FAREWELL: Duration = Duration::from_secs(5);

/// One a worker; of all, the one with the lease works.
pub(crate) struct Relay {
    outbox: Arc<dyn Outbox>,
    events: Arc<dyn EventPublisher>,
    /// This worker has stored something.
    stored: Arc<Notify>,
    clock: Arc<dyn Clock>,
    name: String,
    /// Whether this worker has the lease, as far as it knows.
    is_serving: Arc<AtomicBool>,
}

/// The time for which a relay holds the lease.
struct Term {
    /// Where to read on.
    cursor: Cursor,
    /// What the outbox knows of.
    advanced_to: Cursor,
    advanced_at: Instant,
    ends_at: Instant,
    /// Events to publish together: one at first, and more with each success. While a queue is full and
    /// refuses an event, whatever is published with it comes again to everybody else each time.
    together: u32,
}

/// Why a term ended before its time.
#[derive(Debug, Error)]
enum RelayError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Publish(#[from] EventPublishError),
    #[error("the lease is another's by now")]
    Lost,
    #[error("the broker took nothing for as long as the lease lasts")]
    Overdue,
}

impl Relay {
    pub(crate) fn new(
        outbox: Arc<dyn Outbox>,
        events: Arc<dyn EventPublisher>,
        stored: Arc<Notify>,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
        is_serving: Arc<AtomicBool>,
    ) -> Self {
        let mut name = [0; 8];
        entropy.fill(&mut name);
        Self { outbox, events, stored, clock, name: hex(&name), is_serving }
    }

    /// Relays until `stop`, and then what is left.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut pauses = persistently(RETRY_DELAY_MAX).build();
        while !stop.is_cancelled() {
            let pause = match self.serve(&stop).await {
                Ok(()) => {
                    pauses = persistently(RETRY_DELAY_MAX).build();
                    LEASE_POLL
                }
                Err(error) => {
                    let pause = pauses.next().unwrap_or(RETRY_DELAY_MAX);
                    warn!(error = chain(&error), ?pause, "events wait");
                    pause
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        if let Err(error) = self.finish().await {
            warn!(error = chain(&error), "events are left to another relay");
        }
    }

    /// One term, if the lease is to be had.
    async fn serve(&self, stop: &CancellationToken) -> Result<(), RelayError> {
        let term = self.take().await?;
        self.is_serving.store(term.is_some(), Ordering::Relaxed);
        let Some(mut term) = term else {
            measure::outbox(&[], self.clock.now());
            return Ok(());
        };
        info!(holder = self.name, "this worker relays events");
        let ended = self.relay(&mut term, stop).await;
        if ended.is_err() {
            // Whatever is wrong may be wrong here alone. If this fails too, the lease runs out.
            let _ = self.outbox.release(&self.name).await;
        }
        ended
    }

    async fn relay(&self, term: &mut Term, stop: &CancellationToken) -> Result<(), RelayError> {
        while !stop.is_cancelled() {
            if self.relay_batch(term).await? {
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.stored.notified() => gather(stop).await,
                () = tokio::time::sleep(OUTBOX_POLL) => {}
            }
        }
        // Or it would be published again, by this relay's end or by the next relay.
        self.advance(term).await
    }

    /// Publishes what is left, as far as there is time, and gives the lease back. What is stored
    /// between the last look and that, by a worker which found the lease taken and so left it to this
    /// one, is looked for afterwards.
    async fn finish(&self) -> Result<(), RelayError> {
        let until = Instant::now() + FAREWELL;
        while Instant::now() < until
            && let Some(mut term) = self.take().await?
        {
            while self.relay_batch(&mut term).await? && Instant::now() < until {}
            self.advance(&mut term).await?;
            self.outbox.release(&self.name).await?;
            if self.outbox.after(term.cursor, 1).await?.next == term.cursor {
                break;
            }
        }
        Ok(())
    }

    async fn take(&self) -> Result<Option<Term>, StoreError> {
        // Before the call, so that it ends here before it ends there.
        let now = Instant::now();
        let cursor = self.outbox.lease(&self.name, LEASE_TTL).await?;
        Ok(cursor.map(|cursor| Term {
            cursor,
            advanced_to: cursor,
            advanced_at: now,
            ends_at: now + LEASE_TTL,
            together: 1,
        }))
    }

    /// Reads and publishes, and says whether there is more to read.
    async fn relay_batch(&self, term: &mut Term) -> Result<bool, RelayError> {
        let page = self.outbox.after(term.cursor, BATCH).await?;
        measure::outbox(&page.events, self.clock.now());
        let (first, others) = page.events.split_at(page.events.len().min(term.together as usize));
        let published = self.publish(first, term.ends_at).await;
        let arrived = match &published {
            Ok(()) => first.len(),
            Err(RelayError::Publish(error)) => error.published,
            Err(_) => 0,
        };
        first[..arrived].iter().for_each(measure::published);
        term.cursor = match arrived {
            all if all == page.events.len() => page.next,
            0 => term.cursor,
            // Entries without an event may be among them, so this is not beyond what arrived.
            some => {
                let entries = u32::try_from(some).unwrap_or(BATCH);
                self.outbox.after(term.cursor, entries).await?.next
            }
        };
        if term.is_due() || (published.is_err() && arrived > 0) {
            self.advance(term).await?;
        }
        published?;
        term.together = (2 * term.together).min(BATCH);
        Ok(page.has_more || !others.is_empty())
    }

    async fn publish(&self, events: &[Event], until: Instant) -> Result<(), RelayError> {
        if events.is_empty() {
            return Ok(());
        }
        failpoint!("relay.before_publish");
        let published = timeout_at(until, self.events.publish(events)).await;
        published.map_err(|_| RelayError::Overdue)??;
        failpoint!("relay.after_publish");
        debug!(events = events.len(), "published events");
        Ok(())
    }

    async fn advance(&self, term: &mut Term) -> Result<(), RelayError> {
        failpoint!("relay.before_advance");
        let now = Instant::now();
        if !self.outbox.advance(&self.name, term.cursor, LEASE_TTL).await? {
            return Err(RelayError::Lost);
        }
        term.advanced_to = term.cursor;
        term.advanced_at = now;
        term.ends_at = now + LEASE_TTL;
        Ok(())
    }
}

/// Leaves time for more to be stored.
async fn gather(stop: &CancellationToken) {
    let _ = timeout(GATHERING, stop.cancelled()).await;
}

impl Term {
    fn is_due(&self) -> bool {
        let since = self.advanced_at.elapsed();
        since >= RENEWAL || (since >= ADVANCE_INTERVAL && self.cursor != self.advanced_to)
    }
}

#[cfg(test)]
mod tests;
