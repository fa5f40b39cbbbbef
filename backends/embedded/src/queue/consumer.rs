//! The worker's half.

use std::{collections::BTreeMap, mem, sync::Arc, time::Duration};

use async_trait::async_trait;
use common::{
    clock::Clock,
    domain::DeadLetterCode,
    failpoint,
    ports::queue::{
        BuriedLetter, ConsumeError, Consumer, ConsumerSource, DeadLetterReason, Delivery, Outcome,
        Prefetch, Receipt, Settlement,
    },
};

use super::{Edge, Entry, Queue, revival};
use crate::store::Store;

/// Deliveries of one envelope, as on the broker. A worker that fails this often over one envelope
/// fails because of it.
const DELIVERIES_MAX: u32 = 20;

/// Between two tries to bury an envelope while the store is away.
const BURIAL_PAUSE: Duration = Duration::from_secs(1);

/// Opens consumers.
pub(crate) struct Lanes {
    pub(crate) queue: Arc<Queue>,
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Arc<dyn Clock>,
}

#[async_trait]
impl ConsumerSource for Lanes {
    async fn open(&self, prefetch: Prefetch) -> Result<Box<dyn Consumer>, ConsumeError> {
        self.queue.lane_opened().map_err(|closed| ConsumeError(closed.into()))?;
        // Not before there is somebody to try them, and a schema that has them.
        if self.queue.begins_to_revive() {
            tokio::spawn(revival::run(Arc::downgrade(&self.queue), Arc::downgrade(&self.store)));
        }
        Ok(Box::new(Lane {
            queue: Arc::clone(&self.queue),
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            prefetch,
            unsettled: BTreeMap::new(),
            next_tag: 0,
        }))
    }
}

/// One consumer.
struct Lane {
    queue: Arc<Queue>,
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    prefetch: Prefetch,
    /// By tag, and so in the order received.
    unsettled: BTreeMap<u64, Entry>,
    next_tag: u64,
}

#[async_trait]
impl Consumer for Lane {
    async fn receive(&mut self, submissions_max: usize) -> Result<Vec<Delivery>, ConsumeError> {
        let queue = Arc::clone(&self.queue);
        loop {
            // Listens before it looks, so that nothing comes unnoticed in between.
            let changed = queue.changed();
            let room = self.room(submissions_max);
            let taken = queue.take(room).map_err(|closed| ConsumeError(closed.into()))?;
            let was_empty = taken.is_empty();
            let deliveries: Vec<_> =
                taken.into_iter().filter_map(|entry| self.deliver(entry)).collect();
            if !deliveries.is_empty() {
                return Ok(deliveries);
            }
            if was_empty {
                changed.await;
            }
        }
    }

    async fn settle(&mut self, settlements: Vec<Settlement>) -> Result<(), ConsumeError> {
        if settlements.iter().any(|settlement| !self.unsettled.contains_key(&settlement.tag)) {
            return Err(ConsumeError("settles a delivery that is not its own".into()));
        }
        let mut receipts = Vec::new();
        let mut letters = Vec::new();
        let mut tags = Vec::with_capacity(settlements.len());
        for Settlement { tag, outcome } in settlements {
            tags.push(tag);
            let Some(entry) = self.unsettled.get(&tag) else { continue };
            letters.extend(self.letters(entry, &outcome));
            if let Outcome::Done { receipts: of_entry, .. } = outcome {
                add_receipts(&mut receipts, entry.edge.as_ref(), of_entry);
            }
        }
        for (edge, of_edge) in receipts {
            // An edge that is gone or does not keep up finds its tickets in the store.
            drop(edge.try_send(of_edge));
        }
        failpoint!("worker.after_receipts");
        self.store.bury(letters).await.map_err(|error| ConsumeError(error.into()))?;
        for entry in tags.iter().filter_map(|tag| self.unsettled.remove(tag)) {
            self.queue.settle(entry);
        }
        Ok(())
    }
}

impl Lane {
    /// Submissions from which on a receive takes no further envelope. At one that is the first.
    fn room(&self, submissions_max: usize) -> usize {
        match self.prefetch {
            Prefetch::Many => submissions_max.max(1),
            Prefetch::One => usize::from(self.unsettled.is_empty()),
        }
    }

    /// Turns an envelope into a delivery, or into a dead letter if it was delivered too often.
    fn deliver(&mut self, entry: Entry) -> Option<Delivery> {
        if entry.attempts >= DELIVERIES_MAX {
            // In a task of its own: receiving may be cancelled, a burial must not be.
            let (queue, store) = (Arc::clone(&self.queue), Arc::clone(&self.store));
            tokio::spawn(bury_crashed(queue, store, self.crashed(&entry), entry));
            return None;
        }
        let tag = self.next_tag;
        self.next_tag += 1;
        let content = entry.content.copy();
        let delivery = Delivery { tag, attempts: entry.attempts, content };
        self.unsettled.insert(tag, entry);
        Some(delivery)
    }

    fn letters(&self, entry: &Entry, outcome: &Outcome) -> Vec<BuriedLetter> {
        let deliveries = entry.attempts + 1;
        let letter = |body, reason: &DeadLetterReason| BuriedLetter {
            body,
            code: reason.code.as_str().to_owned(),
            detail: reason.detail.clone(),
            first_seen_at: self.clock.now(),
            attempts: deliveries,
        };
        match outcome {
            Outcome::Done { dead_letters, .. } => {
                dead_letters.iter().map(|dead| letter(dead.body.clone(), &dead.reason)).collect()
            }
            Outcome::Dead(reason) => vec![letter(entry.content.body(), reason)],
        }
    }

    fn crashed(&self, entry: &Entry) -> BuriedLetter {
        BuriedLetter {
            body: entry.content.body(),
            code: DeadLetterCode::Crashed.as_str().to_owned(),
            detail: format!("no worker settled it in {} deliveries", entry.attempts),
            first_seen_at: self.clock.now(),
            attempts: entry.attempts,
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.queue.give_back(mem::take(&mut self.unsettled).into_values());
        self.queue.lane_closed();
    }
}

/// One item per edge, however many of its envelopes are in the batch.
fn add_receipts(all: &mut Vec<(Edge, Vec<Receipt>)>, edge: Option<&Edge>, receipts: Vec<Receipt>) {
    let Some(edge) = edge.filter(|_| !receipts.is_empty()) else { return };
    match all.iter_mut().find(|(known, _)| known.same_channel(edge)) {
        Some((_, of_edge)) => of_edge.extend(receipts),
        None => all.push((edge.clone(), receipts)),
    }
}

async fn bury_crashed(queue: Arc<Queue>, store: Arc<Store>, letter: BuriedLetter, entry: Entry) {
    while let Err(error) = store.bury(vec![letter.clone()]).await {
        tracing::warn!(%error, "an envelope that crashed its workers waits for its burial");
        if queue.is_closed() {
            return;
        }
        tokio::time::sleep(BURIAL_PAUSE).await;
    }
    queue.settle(entry);
}
