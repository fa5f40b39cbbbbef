//! Publishes what lies in the spool, the oldest first, one envelope after the other.

use std::{mem, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bytes::Bytes;
use common::{
    domain::{Submission, SubmissionId},
    envelope, failpoint,
    metrics::SPOOL_DRAINED,
    ports::queue::{PublishError, Publisher},
};
use futures_util::FutureExt;
use tokio::time::{sleep, timeout};

use super::{Front, Spool, segment::Record};
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
    async fn send(&self, Front { number, records, is_damaged }: Front) {
        for parcel in parcels(number, &records) {
            self.publish(parcel).await;
        }
        self.spool.finish(number, is_damaged).await;
    }

    async fn publish(&self, Parcel { content, count, ids }: Parcel) {
        failpoint!("spool.before_publish");
        loop {
            self.ready().await;
            let published = timeout(DURABLE_WAIT, self.offer(content.clone())).await;
            let published = published.unwrap_or(Err(PublishError::Unconfirmed));
            if self.condition.note(published).is_ok() {
                break;
            }
            self.spool.note(false);
            sleep(PAUSE).await;
        }
        failpoint!("spool.after_publish");
        self.spool.note(true);
        SPOOL_DRAINED.add(count, &[]);
        // From now on it is on its way like any other.
        for id in ids {
            self.accounts.follow_drained(id);
        }
    }

    async fn offer(&self, content: Content) -> Result<(), PublishError> {
        match content {
            Content::Submissions(submissions) => self.publisher.publish(submissions).await,
            Content::Bytes(body) => self.publisher.publish_bytes(body).await,
        }
    }

    async fn ready(&self) {
        while !self.publisher.is_ready() {
            sleep(PAUSE).await;
        }
    }
}

/// What is published at a time.
struct Parcel {
    content: Content,
    /// How many submissions it holds.
    count: usize,
    /// Of those that can be read.
    ids: Vec<SubmissionId>,
}

#[derive(Clone)]
enum Content {
    Submissions(Vec<Submission>),
    /// A record's.
    Bytes(Bytes),
}

/// Everything in its order. An envelope that this release cannot read whole goes as it is: somebody
/// was told yes, so a worker has to make tickets of it or bury it.
fn parcels(number: u64, records: &[Record]) -> Vec<Parcel> {
    let (mut parcels, mut waiting) = (Vec::new(), Vec::new());
    for record in records {
        let (submissions, flaw) = read(&record.body);
        let Some(flaw) = flaw else {
            waiting.extend(submissions);
            continue;
        };
        tracing::error!(number, flaw, "an envelope in the spool cannot be read and goes as it is");
        parcels.extend(packed(mem::take(&mut waiting)));
        parcels.push(Parcel {
            content: Content::Bytes(record.body.clone()),
            count: usize::try_from(record.submissions).unwrap_or(usize::MAX),
            ids: ids(&submissions),
        });
    }
    parcels.extend(packed(waiting));
    parcels
}

/// What can be read of an envelope, and why the rest of it cannot.
fn read(body: &Bytes) -> (Vec<Submission>, Option<String>) {
    let items = match envelope::decode(body) {
        Ok(items) => items,
        Err(error) => return (Vec::new(), Some(error.to_string())),
    };
    let (mut submissions, mut flaw) = (Vec::new(), None);
    for item in items {
        match item {
            Ok(submission) => submissions.push(submission),
            Err(item) => flaw = Some(item.reason),
        }
    }
    (submissions, flaw)
}

/// Packs them as the batcher would have.
fn packed(submissions: Vec<Submission>) -> Vec<Parcel> {
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
    let parcel = |envelope: Vec<Submission>| Parcel {
        count: envelope.len(),
        ids: ids(&envelope),
        content: Content::Submissions(envelope),
    };
    envelopes.into_iter().map(parcel).collect()
}

fn ids(submissions: &[Submission]) -> Vec<SubmissionId> {
    submissions.iter().map(|submission| submission.id).collect()
}
