//! The sealer: comes past all that is on record, behind those who write it, and sets seals on it.
//!
//! Of all workers the one that relays events does it, so that not everybody reads everything; two at
//! a time do no harm, since a seal follows the one before it or is not set.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use common::{
    chain,
    clock::Clock,
    domain::Record,
    keys::{NumberKey, hex},
    ports::{events::Cursor, records::SealSetter, store::StoreError},
    seals::{Chain, Seal, SealKey},
};
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

/// How long an entry is on record before somebody looks to seal it.
const INTERVAL: Duration = Duration::from_secs(10);

/// Entries under one seal at most, which is how closely a broken one says where.
const PAGE: u32 = 1_000;

/// How long a worker that stops goes on sealing. The rest is the next one's.
const FAREWELL: Duration = Duration::from_secs(2);

/// One a worker.
pub(crate) struct Sealer {
    records: Arc<dyn SealSetter>,
    key: SealKey,
    clock: Arc<dyn Clock>,
    /// Whether this worker relays events.
    is_relaying: Arc<AtomicBool>,
    /// The last seals that this process has seen.
    seen: Mutex<HashMap<Record, Seal>>,
}

/// Why nothing is sealed.
#[derive(Debug, Error)]
enum SealError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// To go on from what is left would seal whatever was put in their place.
    #[error("seal {number} of the record of {record} was there, and is gone or another")]
    Rewound { record: Record, number: u64 },
}

impl Sealer {
    pub(crate) fn new(
        records: Arc<dyn SealSetter>,
        number_key: &NumberKey,
        clock: Arc<dyn Clock>,
        is_relaying: Arc<AtomicBool>,
    ) -> Self {
        let key = SealKey::new(number_key);
        Self { records, key, clock, is_relaying, seen: Mutex::default() }
    }

    /// Seals until `stop`.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let sealing = async {
            let mut is_failing = false;
            loop {
                sleep(INTERVAL).await;
                if !self.is_relaying.load(Ordering::Relaxed) {
                    continue;
                }
                let sealed = self.seal_all().await;
                // Once for each change, not once for each time.
                if !is_failing && let Err(error) = &sealed {
                    complain(error);
                }
                is_failing = sealed.is_err();
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = sealing => {}
        }
    }

    /// Seals what is left, as far as there is time: a process that has stopped in good order leaves
    /// nothing that could be changed unseen.
    pub(crate) async fn finish(&self) {
        match timeout(FAREWELL, self.seal_all()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => complain(&error),
            Err(_) => debug!("entries are left to another sealer"),
        }
    }

    async fn seal_all(&self) -> Result<(), SealError> {
        for record in Record::ALL {
            self.seal(*record).await?;
        }
        Ok(())
    }

    /// Seals what there is of a record, a page under each seal, and takes no more than half of its
    /// time from others: there may be years of it.
    async fn seal(&self, record: Record) -> Result<(), SealError> {
        let mut last = self.records.last_seal(record).await?;
        self.compare(record, last.as_ref())?;
        loop {
            let began_at = Instant::now();
            let place = last.as_ref().map_or(Cursor::START, |seal| seal.place);
            let page = self.records.entries(record, place, PAGE).await?;
            let Some(end) = page.last().map(|entry| entry.place) else { return Ok(()) };
            let mut chain = Chain::behind(&self.key, record, last.as_ref());
            for entry in &page {
                chain.pass(&entry.content);
            }
            let seal = chain.seal(end, self.clock.now());
            if !self.records.set(record, &seal).await? {
                // Somebody else was first.
                return Ok(());
            }
            let (number, entries, digest) = (seal.number, seal.entries, hex(&seal.digest[..8]));
            debug!(%record, number, entries, digest, "a seal was set");
            self.seen().insert(record, seal.clone());
            last = Some(seal);
            if page.len() < PAGE as usize {
                return Ok(());
            }
            sleep(began_at.elapsed()).await;
        }
    }

    /// Refuses to go on where a seal that this process has seen is not there any more.
    fn compare(&self, record: Record, last: Option<&Seal>) -> Result<(), SealError> {
        let mut seen = self.seen();
        let is_there =
            |seen: &Seal| last.is_some_and(|last| last.number > seen.number || last == seen);
        match seen.get(&record) {
            Some(seal) if !is_there(seal) => {
                Err(SealError::Rewound { record, number: seal.number })
            }
            _ => {
                last.map(|seal| seen.insert(record, seal.clone()));
                Ok(())
            }
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, HashMap<Record, Seal>> {
        // Nothing panics half-way through a change of it.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn complain(error: &SealError) {
    match error {
        SealError::Store(error) => warn!(error = chain(error), "what is on record is not sealed"),
        SealError::Rewound { .. } => {
            error!(%error, "what is on record is not sealed any more: see `supportline verify`");
        }
    }
}

#[cfg(test)]
mod tests;
