//! Packs submissions into envelopes. Nothing is timed: a submission that comes alone leaves alone,
//! at once; while one envelope is unconfirmed the next one gathers, so envelopes grow with the load by
//! themselves.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use common::{domain::Submission, failpoint, metrics::ENVELOPE_SUBMISSIONS};
use futures_util::FutureExt;
use thiserror::Error;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use crate::{
    confirmation::{Confirm, Confirmation, confirmation},
    outlet::Outlet,
};

/// Submissions that may wait for an envelope: a fifth of a second's worth at full load. One that
/// would have to wait behind more is better told so at once.
const OFFERS_MAX: usize = 4_096;

/// Envelopes unconfirmed at a time. With more of them envelopes hold fewer submissions, and what an envelope
/// costs the broker, the worker and the store is shared by fewer: more than the broker would gain by having
/// the next one when it has confirmed the last.
const WINDOW: usize = 1;

/// The same while whole envelopes wait: the broker is slow or far away, or a confirm does not come.
const WINDOW_FULL: usize = 8;

/// Submissions in an envelope. Above some hundred a larger one saves nothing, and it is what a
/// worker has to take at once.
const SUBMISSIONS_MAX: usize = 200;

/// Text in an envelope, in bytes, from which on no further submission is packed. The last one may
/// exceed it by 52 KiB and escaping can double it all: that is still well below the
/// [`common::envelope::BODY_BYTES_MAX`] that a worker reads.
const TEXT_BYTES_FULL: usize = 256 * 1024;

/// How long a submission may wait for its envelope. When one has, and more than one envelope's worth
/// waits behind it, the next would have its confirm too late: it is better told so at once.
const PACKING_WAIT_MAX: Duration = Duration::from_secs(1);

/// The submission is not on its way and never will be.
#[derive(Debug, Error)]
#[error("the submission was not taken")]
pub struct NotTaken;

struct Offer {
    submission: Submission,
    offered_at: Instant,
    confirm: Confirm,
}

/// Where handlers hand in submissions.
pub struct Intake {
    offers: mpsc::Sender<Offer>,
    /// Woken when a whole envelope waits, which need not wait for a confirm.
    whole: Arc<Notify>,
    outlet: Arc<Outlet>,
    packing_wait_ms: Arc<AtomicU64>,
}

impl Intake {
    /// Submissions that wait for an envelope.
    pub fn waiting(&self) -> usize {
        self.offers.max_capacity() - self.offers.capacity()
    }

    /// Whether a submission that is not even read yet would probably wait in vain.
    pub fn is_saturated(&self) -> bool {
        let packing_wait = Duration::from_millis(self.packing_wait_ms.load(Ordering::Relaxed));
        let waiting = self.waiting();
        waiting >= OFFERS_MAX || (waiting > SUBMISSIONS_MAX && packing_wait > PACKING_WAIT_MAX)
    }

    /// Hands in a submission, unless it is known that nothing takes it, or too many wait already.
    pub fn offer(&self, submission: Submission) -> Result<Confirmation, NotTaken> {
        if !self.outlet.admits() {
            return Err(NotTaken);
        }
        let (confirm, confirmation) = confirmation();
        let offer = Offer { submission, offered_at: Instant::now(), confirm };
        self.offers.try_send(offer).map_err(|_| NotTaken)?;
        if self.waiting() >= SUBMISSIONS_MAX {
            self.whole.notify_one();
        }
        Ok(confirmation)
    }
}

/// Makes both ends.
pub fn intake(outlet: Arc<Outlet>) -> (Intake, Batcher) {
    let (sender, offers) = mpsc::channel(OFFERS_MAX);
    let (whole, packing_wait_ms) = (Arc::<Notify>::default(), Arc::<AtomicU64>::default());
    let intake = Intake {
        offers: sender,
        whole: Arc::clone(&whole),
        outlet: Arc::clone(&outlet),
        packing_wait_ms: Arc::clone(&packing_wait_ms),
    };
    (intake, Batcher { offers, whole, outlet, packing_wait_ms })
}

/// Packs what is handed in, and sends it.
pub struct Batcher {
    offers: mpsc::Receiver<Offer>,
    whole: Arc<Notify>,
    outlet: Arc<Outlet>,
    packing_wait_ms: Arc<AtomicU64>,
}

impl Batcher {
    /// Runs until `drained` is cancelled and everything handed in is settled.
    pub async fn run(mut self, drained: CancellationToken) {
        // Tasks of their own, so that envelopes are encoded on every core.
        let mut unconfirmed = JoinSet::new();
        loop {
            let may_leave = unconfirmed.len() < self.window();
            tokio::select! {
                biased;
                Some(_) = unconfirmed.join_next() => {}
                () = drained.cancelled(), if !self.offers.is_closed() => self.offers.close(),
                () = self.whole.notified(), if !may_leave && unconfirmed.len() < WINDOW_FULL => {}
                offer = self.offers.recv(), if may_leave => {
                    let Some(first) = offer else { break };
                    let envelope = self.pack(first);
                    unconfirmed.spawn(envelope.leave(Arc::clone(&self.outlet)));
                }
            }
        }
        while unconfirmed.join_next().await.is_some() {}
    }

    /// Envelopes that may be unconfirmed now.
    fn window(&self) -> usize {
        if self.offers.len() < SUBMISSIONS_MAX { WINDOW } else { WINDOW_FULL }
    }

    /// Takes along whatever else waits.
    fn pack(&mut self, first: Offer) -> Envelope {
        let waited_ms = u64::try_from(first.offered_at.elapsed().as_millis());
        self.packing_wait_ms.store(waited_ms.unwrap_or(u64::MAX), Ordering::Relaxed);
        let mut envelope = Envelope::since(first.offered_at);
        envelope.add(first);
        while !envelope.is_full() {
            let Ok(offer) = self.offers.try_recv() else { break };
            envelope.add(offer);
        }
        envelope
    }
}

/// Whether an envelope of so many submissions with so much text takes no more.
pub const fn is_full(submissions: usize, text_bytes: usize) -> bool {
    submissions >= SUBMISSIONS_MAX || text_bytes >= TEXT_BYTES_FULL
}

struct Envelope {
    submissions: Vec<Submission>,
    confirms: Vec<Confirm>,
    text_bytes: usize,
    /// When the oldest of them was.
    offered_at: Instant,
}

impl Envelope {
    const fn since(offered_at: Instant) -> Self {
        Self { submissions: Vec::new(), confirms: Vec::new(), text_bytes: 0, offered_at }
    }

    fn add(&mut self, offer: Offer) {
        // Whoever hung up, or was told 503, must not get a ticket after all if it can be helped.
        if !offer.confirm.is_closed() {
            self.text_bytes += offer.submission.form.text_bytes();
            self.submissions.push(offer.submission);
            self.confirms.push(offer.confirm);
        }
    }

    const fn is_full(&self) -> bool {
        is_full(self.submissions.len(), self.text_bytes)
    }

    /// Sends it. What is logged of that names the first of the requests that it serves.
    async fn leave(self, outlet: Arc<Outlet>) {
        let span = self.submissions.first().map_or_else(Span::none, |it| it.trace.span());
        let sending = AssertUnwindSafe(self.send(outlet)).catch_unwind();
        async {
            if sending.await.is_err() {
                // Those who wait are told that nothing is known of theirs.
                tracing::error!("the publishing of an envelope died");
            }
        }
        .instrument(span)
        .await;
    }

    async fn send(self, outlet: Arc<Outlet>) {
        if self.submissions.is_empty() {
            return;
        }
        ENVELOPE_SUBMISSIONS.record_count(self.submissions.len(), &[]);
        failpoint!("edge.before_publish");
        let durability = outlet.send(self.submissions, self.offered_at).await;
        for confirm in self.confirms {
            confirm.tell(durability);
        }
    }
}

#[cfg(test)]
mod tests;
