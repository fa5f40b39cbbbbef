//! What the broker refused, nobody is told was accepted: publishers against a queue that is full most
//! of the time, held against what was in it. `make oracle` runs the same test for 100,000 answers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use common::domain::SubmissionId;
use common::envelope;
use common::ports::queue::{PublishError, Publisher};
use futures_util::future::join_all;
use lapin::options::{BasicAckOptions, BasicGetOptions};
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::bed::servers::Servers;
use crate::bed::wait::until;
use crate::conformance::installation::{Installation, submission};
use crate::flow::figure;

/// Who publish at the same time. Tasks that share a channel of the client get each other's confirms.
const PUBLISHERS: usize = 16;

/// What each of them publishes at once.
const TOGETHER: usize = 4;

/// Taken out at a time. In between the queue, which holds fewer than are published at once, is full.
const TAKEN: usize = 36;
const PAUSE: Duration = Duration::from_millis(2);

/// Even an impatient publisher does not spin; and so about half of the answers are a yes.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_millis(60);

const INTAKE: &str = "support.intake";

/// The answers of a publisher, by what they said.
#[derive(Default)]
struct Told {
    accepted: BTreeSet<SubmissionId>,
    rejected: BTreeSet<SubmissionId>,
    unknown: BTreeSet<SubmissionId>,
}

/// More threads than processors: whoever shares something that should not be shared is interrupted in the
/// midst of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 16)]
async fn nobody_is_told_accepted_of_what_the_broker_refused() {
    let answers = figure("SUBMISSIONS", 4_000);
    let backing = Servers::shared().await.backing().await;
    let it = Installation::on(backing.clone());
    let publisher = it.backend.edge().await.publisher;
    until(Duration::from_secs(20), "the publisher is ready", async || publisher.is_ready()).await;
    backing.set_policy(INTAKE, r#"{"max-length": 24}"#).await;

    let connection =
        Connection::connect(&backing.amqp_url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let enough = CancellationToken::new();
    let taking = tokio::spawn(take(channel, enough.clone()));
    let told = publish(&publisher, answers).await;
    enough.cancel();
    let taken = taking.await.unwrap();

    let lost: Vec<_> = told.accepted.difference(&taken).collect();
    let surplus: Vec<_> = told.rejected.intersection(&taken).collect();
    let Told { accepted, rejected, unknown } = &told;
    println!(
        "{answers} answers to {PUBLISHERS} publishers: {} accepted, {} rejected, {} unknown; {} of \
         the accepted not there, {} of the rejected there",
        accepted.len(),
        rejected.len(),
        unknown.len(),
        lost.len(),
        surplus.len()
    );
    assert!(lost.is_empty() && surplus.is_empty(), "{lost:?} {surplus:?}");
    // Enough of both for one to be taken for the other.
    assert!(accepted.len() > answers / 20 && rejected.len() > answers / 20);
    // Nothing is away: only a busy machine makes a confirm late.
    assert!(unknown.len() <= answers / 100, "{}", unknown.len());
    assert_eq!(accepted.len() + rejected.len() + unknown.len(), answers);
}

async fn publish(publisher: &Arc<dyn Publisher>, answers: usize) -> Told {
    let next = Arc::<AtomicUsize>::default();
    let mut publishing = JoinSet::new();
    for _ in 0..PUBLISHERS {
        let (publisher, next) = (Arc::clone(publisher), Arc::clone(&next));
        publishing.spawn(async move {
            let mut told = Told::default();
            while next.fetch_add(TOGETHER, Ordering::Relaxed) < answers {
                let submissions = [(); TOGETHER].map(|()| submission(0));
                let ids = submissions.each_ref().map(|submission| submission.id);
                let outcomes = submissions.map(|submission| publisher.publish(vec![submission]));
                let rejected_before = told.rejected.len();
                for (id, outcome) in ids.into_iter().zip(join_all(outcomes).await) {
                    match outcome {
                        Ok(()) => told.accepted.insert(id),
                        Err(PublishError::Unconfirmed) => told.unknown.insert(id),
                        Err(PublishError::Rejected | PublishError::Unavailable(_)) => {
                            told.rejected.insert(id)
                        }
                    };
                }
                if told.rejected.len() > rejected_before {
                    tokio::time::sleep(PAUSE_AFTER_REFUSAL).await;
                }
            }
            told
        });
    }
    publishing.join_all().await.into_iter().fold(Told::default(), |mut all, told| {
        all.accepted.extend(told.accepted);
        all.rejected.extend(told.rejected);
        all.unknown.extend(told.unknown);
        all
    })
}

/// Takes out what comes in, a few at a time, until it is enough; then the rest.
async fn take(channel: Channel, enough: CancellationToken) -> BTreeSet<SubmissionId> {
    let mut taken = BTreeSet::new();
    loop {
        // Before the last look: what was published then is there.
        let is_last = enough.is_cancelled();
        let mut came = 0;
        while came < TAKEN || is_last {
            let got = channel.basic_get(INTAKE.into(), BasicGetOptions::default()).await.unwrap();
            let Some(message) = got else { break };
            came += 1;
            let items = envelope::decode(&Bytes::from(message.data.clone())).unwrap();
            taken.extend(items.into_iter().map(|item| item.unwrap().id));
            message.ack(BasicAckOptions::default()).await.unwrap();
        }
        if is_last {
            return taken;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
