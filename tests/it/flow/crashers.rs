//! A message that ends whoever takes it, and its neighbours that must not pay for it.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::clock::SystemClock;
use common::domain::{Message, NewTicket, Submission};
use common::envelope;
use common::ports::backend::WorkerPorts;
use common::ports::queue::PublishError;
use common::ports::store::{Inserted, StoreError, TicketWriter};

use futures_util::future::join_all;

use crate::bed::wait::{eventually, until};
use crate::conformance::installation::{Installation, submission};
use crate::conformance::on_both_backends;

on_both_backends! {
    a_message_that_ends_its_worker_is_given_up_and_its_neighbours_are_stored,
}

/// Twenty deliveries with a pause after each.
const DEADLINE: Duration = Duration::from_mins(1);
const NEIGHBOURS: u32 = 50;

/// The real store, with a defect such as a release of ours could have.
struct Defective(Arc<dyn TicketWriter>);

#[async_trait]
impl TicketWriter for Defective {
    async fn reserve(&self, year: u16, count: u32) -> Result<Range<u64>, StoreError> {
        self.0.reserve(year, count).await
    }

    async fn insert(&self, batch: &[NewTicket]) -> Result<Vec<Inserted>, StoreError> {
        let is_fatal = |ticket: &NewTicket| ticket.submission.form.message.as_str() == "crash";
        assert!(!batch.iter().any(is_fatal), "a defect, met on purpose");
        self.0.insert(batch).await
    }
}

async fn a_message_that_ends_its_worker_is_given_up_and_its_neighbours_are_stored(
    it: Installation,
) {
    let edge = it.backend.edge().await;
    until(DEADLINE, "the publisher is ready", async || edge.publisher.is_ready()).await;
    let crasher = {
        let mut submission = submission(0);
        submission.form.message = Message::parse("crash").unwrap();
        submission
    };
    // It comes first, so that all the others are behind it in whoever holds them.
    let mut sent: Vec<Submission> = vec![crasher.clone()];
    sent.extend((1..=NEIGHBOURS).map(submission));
    let publishing: Vec<_> = sent
        .iter()
        .map(|submission| {
            let (publisher, envelope) = (Arc::clone(&edge.publisher), vec![submission.clone()]);
            tokio::spawn(async move { publisher.publish(envelope).await })
        })
        .collect();
    let ports = it.backend.worker().await;
    let tickets: Arc<dyn TicketWriter> = Arc::new(Defective(Arc::clone(&ports.tickets)));
    let worker =
        Installation::run_worker_on(WorkerPorts { tickets, ..ports }, Arc::new(SystemClock));

    let outcomes = join_all(publishing).await.into_iter().map(Result::unwrap);
    for (submission, outcome) in sent.iter().zip(outcomes).skip(1) {
        // In process an edge waits for the commit, and takes back what has waited for too long.
        let is_refused = matches!(outcome, Err(PublishError::Unavailable(_)));
        assert!(outcome.is_ok() || is_refused, "{outcome:?}");
        eventually(DEADLINE, "what was accepted is stored, and only that", async || {
            let ticket = edge.tickets.by_id(submission.id).await.unwrap();
            if ticket.is_some() == outcome.is_ok() { Ok(()) } else { Err(submission.id) }
        })
        .await;
    }
    let audit = it.backend.audit().await;
    let buried = eventually(DEADLINE, "the crasher is given up", async || {
        let letters = audit.queue.dead_letters(100).await.unwrap();
        if letters.is_empty() { Err("no dead letter") } else { Ok(letters) }
    })
    .await;
    assert_eq!(buried.len(), 1, "and nobody else");
    assert_eq!(
        (buried[0].code.as_str(), &buried[0].body),
        ("crashed", &envelope::encode(&[crasher]))
    );
    assert!(buried[0].attempts >= 20, "{}", buried[0].attempts);
    assert!(buried[0].first_seen_at.timestamp() > 0);
    drop(worker);
}
