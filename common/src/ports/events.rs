//! Events: from the store, where each is committed with what it tells of, to those who live off
//! them.
//!
//! The audit entries are the outbox. A relay, one at a time among all workers, reads them in the
//! order in which they can no longer be preceded by others, publishes them, and remembers how far
//! it has come.
//!
//! Guarantees of the outbox and the log:
//! - `every_change_is_an_event_with_a_stable_id`;
//! - `an_event_of_an_uncommitted_change_is_not_read`;
//! - `transactions_that_commit_out_of_order_are_not_skipped`;
//! - `the_events_of_a_ticket_are_read_in_order`;
//! - `a_ticket_that_was_erased_has_no_events_and_stops_nobody`;
//! - `one_relay_at_a_time_holds_the_lease`, and another takes it over once it was released or has
//!   run out;
//! - `a_lost_lease_cannot_advance`, and nobody advances backwards;
//! - `a_relay_goes_on_where_the_last_one_advanced_to`.
//!
//! Guarantees of the publisher and the feed:
//! - `a_publish_that_nobody_listens_to_succeeds`;
//! - `a_feed_begins_with_a_gap`: whatever is published after that is heard, until another gap says
//!   that something may not have been;
//! - `everybody_who_listens_hears_what_is_published`, in that order.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use async_trait::async_trait;
use thiserror::Error;

use super::store::StoreError;
use crate::{Cause, domain::Event};

/// A place between two events of the outbox. Opaque to whoever is handed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Cursor {
    /// The writing transaction, where transactions may commit in another order than they write.
    pub transaction: u64,
    /// The entry in it.
    pub position: u64,
}

impl Cursor {
    /// Before the first event.
    pub const START: Self = Self { transaction: 0, position: 0 };
}

/// The text is no cursor.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("expected a cursor as it was handed out")]
pub struct MalformedCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.transaction, self.position)
    }
}

impl FromStr for Cursor {
    type Err = MalformedCursor;

    fn from_str(text: &str) -> Result<Self, MalformedCursor> {
        let is_ours = text.len() == 32
            && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let number = |digits: Option<&str>| {
            let number = u64::from_str_radix(digits?, 16).ok()?;
            // Databases have signed integers.
            i64::try_from(number).is_ok().then_some(number)
        };
        let numbers = (number(text.get(..16)), number(text.get(16..)));
        let (true, (Some(transaction), Some(position))) = (is_ours, numbers) else {
            return Err(MalformedCursor);
        };
        Ok(Self { transaction, position })
    }
}

/// Some events in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The events; entries of tickets that were erased are passed over.
    pub events: Vec<Event>,
    /// The place behind them, which is where it was when there are none.
    pub next: Cursor,
    /// Whether there was more than fits.
    pub has_more: bool,
}

/// Reads events that are committed and can no longer be preceded by others.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Those after a place, out of `limit` entries at most.
    async fn after(&self, cursor: Cursor, limit: u32) -> Result<Page, StoreError>;
}

/// The worker's half: what a relay leans on. One relay at a time holds the lease.
#[async_trait]
pub trait Outbox: EventLog {
    /// Takes or renews the lease for `ttl`, and tells the place that the last advance reached.
    /// `None` while another holds it.
    async fn lease(&self, holder: &str, ttl: Duration) -> Result<Option<Cursor>, StoreError>;

    /// Remembers that everything up to `cursor` is published, and renews the lease. False, and
    /// without effect, when the lease is another's or nobody's by now, or when that would be a step
    /// back.
    async fn advance(
        &self,
        holder: &str,
        cursor: Cursor,
        ttl: Duration,
    ) -> Result<bool, StoreError>;

    /// Gives the lease back, if it is the holder's.
    async fn release(&self, holder: &str) -> Result<(), StoreError>;
}

/// Not all events are known to be published.
#[derive(Debug, Error)]
#[error("the events could not be published")]
pub struct EventPublishError {
    /// So many are, from the first one on. Of the others some may be; publish all of those again.
    pub published: usize,
    /// Why the next one is not.
    #[source]
    pub cause: Cause,
}

/// Tells the world. The relay's.
#[async_trait]
pub trait EventPublisher: Send + Sync {
    /// Publishes events in their order. `Ok` says that each is with everybody who has asked to be
    /// told; nobody is fine. Of two events of one ticket the second leaves only once the first has
    /// arrived.
    async fn publish(&self, events: &[Event]) -> Result<(), EventPublishError>;
}

/// What a subscriber hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedItem {
    /// Something happened. It may be heard more than once.
    Changed(Arc<Event>),
    /// Something may have been missed: whoever cares reads again.
    Gap,
}

/// The edge's half: events as they are published, for as long as somebody listens.
pub trait Feed: Send + Sync {
    /// Listens from now on.
    fn subscribe(&self) -> Box<dyn Subscription>;
}

/// One who listens. Dropping it ends that.
#[async_trait]
pub trait Subscription: Send {
    /// Waits for the next item. Dropping the future loses none.
    async fn next(&mut self) -> FeedItem;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_does() {
        let cursor = Cursor { transaction: 0x1234, position: i64::MAX as u64 };
        assert_eq!(cursor.to_string(), "00000000000012347fffffffffffffff");
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        assert_eq!(Cursor::START.to_string().parse(), Ok(Cursor::START));
        for text in [
            "",
            "0",
            &"g".repeat(32),
            &"A".repeat(32),
            &"0".repeat(31),
            &"0".repeat(33),
            &"f".repeat(32),
            &format!("+{}", "0".repeat(31)),
            "ééééééééééééééé0",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(MalformedCursor), "{text}");
        }
    }

    #[test]
    fn cursors_sort_by_transaction_first() {
        let [a, b] =
            [(1, 9), (2, 1)].map(|(transaction, position)| Cursor { transaction, position });
        assert!(Cursor::START < a && a < b);
    }
}
