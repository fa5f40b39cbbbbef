//! Publishes what lies in the spool, the oldest first, one envelope after the other.

use std::{mem, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use common::{
    domain::Submission,
    envelope, failpoint,
    metrics::SPOOL_DRAINED,
    ports::queue::{PublishError, Publisher},
};
use futures_util::FutureExt;
use tokio::time::{sleep, timeout};

use super::{Front, Spool};
use crate::{accounts::Accounts, batcher, condition::Condition, submit::DURABLE_WAIT};

/// Between two tries. A queue that is back is seen within this.
const PAUSE: Duration = Duration::from_millis(200);

/// Tries to read a segment before it is set aside for those behind it.
const READS_MAX: u32 = 50;

/// Drains a spool.
pub struct Drain {
    spool: Arc<Spool>,
    publisher: Arc<dyn Publisher>,
    accounts: Arc<Accounts>,
    condition: Condition,
}

impl Drain {
    pub const fn new(
        spool: Arc<Spool>,
        publisher: Arc<dyn Publisher>,
        accounts: Arc<Accounts>,
    ) -> Self {
        Self { spool, publisher, accounts, condition: Condition::new("draining the spool") }
    }

    /// Drains for ever.
    pub async fn run(self) {
        loop {
            // What panics over one segment stays on the disk, and is tried again.
            if AssertUnwindSafe(self.drain()).catch_unwind().await.is_err() {
                tracing::error!("the drain of the spool died and starts again");
                sleep(PAUSE).await;
            }
        }
    }

    async fn drain(&self) {
        let mut failed_reads = 0;
        loop {
            self.spool.filled().await;
            // Nothing is read, and no segment closed, before there is somebody to give it to.
            self.ready().await;
            if let Some(front) = self.spool.front().await {
                failed_reads = 0;
                self.send(front).await;
            } else if failed_reads < READS_MAX {
                failed_reads += 1;
                sleep(PAUSE).await;
            } else {
                self.spool.set_front_aside().await;
                failed_reads = 0;
            }
        }
    }

    /// Publishes all of a segment, however long that takes, and only then lets go of it.
    async fn send(&self, Front { number, records, mut is_damaged }: Front) {
        let mut submissions = Vec::new();
        for record in &records {
            let items = envelope::decode(&record.body).unwrap_or_else(|error| {
                tracing::error!(number, %error, "an envelope in the spool cannot be read");
                is_damaged = true;
                Vec::new()
            });
            for item in items {
                match item {
                    Ok(submission) => submissions.push(submission),
                    Err(item) => {
                        let reason = item.reason;
                        tracing::error!(number, reason, "a submission in the spool cannot be read");
                        is_damaged = true;
                    }
                }
            }
        }
        for envelope in packed(submissions) {
            self.publish(envelope).await;
        }
        self.spool.finish(number, is_damaged).await;
    }

    async fn publish(&self, envelope: Vec<Submission>) {
        let ids: Vec<_> = envelope.iter().map(|submission| submission.id).collect();
        loop {
            self.ready().await;
            let published = timeout(DURABLE_WAIT, self.publisher.publish(envelope.clone())).await;
            let published = published.unwrap_or(Err(PublishError::Unconfirmed));
            if self.condition.note(published).is_ok() {
                break;
            }
            self.spool.note(false);
            sleep(PAUSE).await;
        }
        failpoint!("spool.after_publish");
        self.spool.note(true);
        SPOOL_DRAINED.add(ids.len(), &[]);
        // From now on it is on its way like any other.
        for id in ids {
            self.accounts.follow_drained(id);
        }
    }

    async fn ready(&self) {
        while !self.publisher.is_ready() {
            sleep(PAUSE).await;
        }
    }
}

/// Packs them as the batcher would have.
fn packed(submissions: Vec<Submission>) -> Vec<Vec<Submission>> {
    let (mut envelopes, mut envelope, mut text_bytes) = (Vec::new(), Vec::new(), 0);
    for submission in submissions {
        text_bytes += submission.form.text_bytes();
        envelope.push(submission);
        if batcher::is_full(envelope.len(), text_bytes) {
            envelopes.push(mem::take(&mut envelope));
            text_bytes = 0;
        }
    }
    if !envelope.is_empty() {
        envelopes.push(envelope);
    }
    envelopes
}
