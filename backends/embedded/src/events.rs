//! Events inside the process: what the relay publishes reaches every subscriber.

use std::{mem, sync::Arc};

use async_trait::async_trait;
use common::{
    domain::Event,
    ports::events::{EventPublishError, EventPublisher, Feed, FeedItem, Subscription},
};
use tokio::sync::broadcast::{self, error::RecvError};

/// Events kept for a subscriber that is slower than the relay. It is told of a gap when they are
/// more, which costs it a look at the store.
const WAITING_MAX: usize = 1_024;

/// Passes events on.
pub(crate) struct Hub(broadcast::Sender<Arc<Event>>);

impl Default for Hub {
    fn default() -> Self {
        Self(broadcast::Sender::new(WAITING_MAX))
    }
}

#[async_trait]
impl EventPublisher for Hub {
    async fn publish(&self, events: &[Event]) -> Result<(), EventPublishError> {
        for event in events {
            // An error says that nobody listens.
            drop(self.0.send(Arc::new(event.clone())));
        }
        Ok(())
    }
}

impl Feed for Hub {
    fn subscribe(&self) -> Box<dyn Subscription> {
        Box::new(Listener { events: self.0.subscribe(), has_begun: false })
    }
}

struct Listener {
    events: broadcast::Receiver<Arc<Event>>,
    has_begun: bool,
}

#[async_trait]
impl Subscription for Listener {
    async fn next(&mut self) -> FeedItem {
        if !mem::replace(&mut self.has_begun, true) {
            // What was published before this went past.
            return FeedItem::Gap;
        }
        match self.events.recv().await {
            Ok(event) => FeedItem::Changed(event),
            Err(RecvError::Lagged(_)) => FeedItem::Gap,
            // The process is about to end.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use common::domain::{EventId, EventKind, Status};

    use super::*;
    use crate::testing::ticket;

    fn event(n: u128) -> Event {
        let created = ticket(n);
        let submission = created.submission;
        Event {
            changes: None,
            id: EventId::of(submission.id, 1),
            ticket_id: submission.id,
            number: created.number,
            version: 1,
            kind: EventKind::TicketCreated,
            name: submission.form.name,
            email: submission.form.email,
            subject: submission.form.subject,
            status: Status::Open,
            priority: created.priority,
            at: submission.submitted_at,
            submitted_at: submission.submitted_at,
            trace: submission.trace,
        }
    }

    #[tokio::test]
    async fn a_listener_that_falls_behind_is_told_of_a_gap_and_then_of_what_is_left() {
        let hub = Hub::default();
        let mut listener = hub.subscribe();
        assert_eq!(listener.next().await, FeedItem::Gap);
        let events: Vec<_> = (0..WAITING_MAX as u128 + 3).map(event).collect();
        hub.publish(&events).await.unwrap();
        assert_eq!(listener.next().await, FeedItem::Gap);
        for event in events.into_iter().skip(3) {
            assert_eq!(listener.next().await, FeedItem::Changed(Arc::new(event)));
        }
    }
}
