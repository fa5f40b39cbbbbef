//! What a worker tells of itself: figures, and a line in the log for each step of a submission.

use std::time::Duration;

use chrono::{DateTime, Utc};
use common::{
    clock::Clock,
    domain::{DeadLetterCode, Event, EventKind, Submission, TicketNumber},
    metrics::{
        DEAD_LETTERS, DELIVERIES, EVENTS, LANE_DEATHS, OUTBOX_AGE, OUTBOX_EVENTS, SEARCH_LAG,
        SUBMISSION_AGE, TICKETS,
    },
    ports::{
        queue::{DeadLetterReason, Delivery},
        store::Inserted,
    },
    trace::Trace,
};
use tracing::{Span, debug, warn};

use crate::batch::Burial;

/// Tells of deliveries as they come.
pub(crate) fn received(deliveries: &[Delivery], clock: &dyn Clock) {
    let again = deliveries.iter().filter(|delivery| delivery.attempts > 0).count();
    DELIVERIES.add(again, &[("attempt", "again")]);
    DELIVERIES.add(deliveries.len() - again, &[("attempt", "first")]);
    let now = clock.now();
    for delivery in deliveries {
        for submission in submissions(delivery) {
            // By two machines' clocks, so it may seem to come from the future.
            let age = (now - submission.submitted_at).to_std().unwrap_or_default();
            SUBMISSION_AGE.record(age, &[]);
            let trace = &submission.trace;
            let (request_id, traceparent) = (&trace.request_id, &trace.traceparent);
            let attempts = delivery.attempts;
            debug!(request_id, traceparent, attempts, ?age, "a submission was received");
        }
    }
}

/// Those of its submissions that can be read.
pub(crate) fn submissions(delivery: &Delivery) -> impl Iterator<Item = &Submission> {
    delivery.content.iter().flatten().filter_map(|item| item.as_ref().ok())
}

/// Tells what the store made of a batch.
pub(crate) fn inserted(answers: &[Inserted]) {
    let count = |is_it: fn(&Inserted) -> bool| answers.iter().filter(|it| is_it(it)).count();
    TICKETS.add(count(|it| matches!(it, Inserted::New)), &[("result", "stored")]);
    TICKETS.add(count(|it| matches!(it, Inserted::Existing { .. })), &[("result", "existing")]);
}

/// Tells of a submission that is a ticket now, once that is certain.
pub(crate) fn ticketed(submission: &Submission, number: &TicketNumber) {
    let trace = &submission.trace;
    let (request_id, traceparent) = (&trace.request_id, &trace.traceparent);
    debug!(request_id, traceparent, %number, "a submission is a ticket");
}

/// Tells of what goes to the dead letters.
pub(crate) fn buried(Burial { reason: DeadLetterReason { code, detail }, trace }: &Burial) {
    DEAD_LETTERS.increment(&[("reason", code.as_str())]);
    let span = trace.as_ref().map_or_else(Span::none, Trace::span);
    span.in_scope(|| warn!(reason = code.as_str(), detail, "a dead letter"));
}

/// Tells what the outbox still holds, as far as a relay has looked.
pub(crate) fn outbox(pending: &[Event], now: DateTime<Utc>) {
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    OUTBOX_EVENTS.set(pending.len() as f64, &[]);
    // By two machines' clocks, so it may seem to come from the future.
    let age = pending.first().and_then(|oldest| (now - oldest.at).to_std().ok());
    OUTBOX_AGE.set(age.unwrap_or_default().as_secs_f64(), &[]);
}

/// Tells for how long there was always more to be taken in for the search.
pub(crate) fn search(behind: Duration) {
    SEARCH_LAG.set(behind.as_secs_f64(), &[]);
}

/// Tells of an event that is with everybody who asked to be told.
pub(crate) fn published(event: &Event) {
    EVENTS.increment(&[("kind", event.kind.as_str())]);
    let (request_id, traceparent) = (&event.trace.request_id, &event.trace.traceparent);
    let (kind, event_id) = (event.kind, event.id);
    debug!(request_id, traceparent, %kind, %event_id, "an event was published");
}

/// Makes the series appear whose growth is watched for, before they grow.
pub(crate) fn begin() {
    inserted(&[]);
    DELIVERIES.add(0, &[("attempt", "again")]);
    // Those that crash a worker are the queue's to bury.
    for code in DeadLetterCode::ALL.into_iter().filter(|code| *code != DeadLetterCode::Crashed) {
        DEAD_LETTERS.add(0, &[("reason", code.as_str())]);
    }
    LANE_DEATHS.add(0, &[]);
    EVENTS.add(0, &[("kind", EventKind::TicketCreated.as_str())]);
}
