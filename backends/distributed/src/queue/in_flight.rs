//! Messages that are published and without the broker's word yet.

use std::{
    collections::BTreeMap,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use common::{Cause, ports::queue::PublishError};
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use lapin::{Confirmation, PublisherConfirm};
use tokio::{
    sync::oneshot,
    time::{Instant, Sleep, sleep},
};

/// Where the broker's word on a message is waited for.
pub(super) type Confirmed = oneshot::Sender<Result<(), PublishError>>;

/// Those of one channel. Dropping it leaves open what became of them.
pub(super) struct InFlight {
    messages: FuturesUnordered<Message>,
    /// When each was published, by its number.
    published: BTreeMap<u64, Instant>,
    count: u64,
    deadline: Duration,
    /// Rings when the first of them may be overdue. It is one for all, and not set anew for each: it
    /// looks again when it rings.
    alarm: Pin<Box<Sleep>>,
}

struct Message {
    number: u64,
    confirm: PublisherConfirm,
    /// `None` once told.
    confirmed: Option<Confirmed>,
}

/// A message with the broker's word on it.
struct Settled {
    number: u64,
    outcome: Result<(), PublishError>,
    confirmed: Option<Confirmed>,
}

impl Future for Message {
    type Output = Settled;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Settled> {
        let outcome = match ready!(self.confirm.poll_unpin(context)) {
            Ok(Confirmation::Ack(None)) => Ok(()),
            Ok(Confirmation::Nack(None)) => Err(PublishError::Rejected),
            // A returned message may belong to another publish, so nothing can be said of any.
            _ => Err(PublishError::Unconfirmed),
        };
        Poll::Ready(Settled { number: self.number, outcome, confirmed: self.confirmed.take() })
    }
}

impl InFlight {
    /// None yet. Each is given up after so long.
    pub(super) fn new(deadline: Duration) -> Self {
        Self {
            messages: FuturesUnordered::new(),
            published: BTreeMap::new(),
            count: 0,
            deadline,
            alarm: Box::pin(sleep(deadline)),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Adds one that was published just now.
    pub(super) fn add(&mut self, confirm: PublisherConfirm, confirmed: Confirmed) {
        let number = self.count;
        self.count += 1;
        self.published.insert(number, Instant::now());
        self.messages.push(Message { number, confirm, confirmed: Some(confirmed) });
    }

    /// Waits for the broker's next word and tells it to whoever waits for it. An error says why there
    /// was none: what became of that message is open, and once one is overdue, of all that there are.
    /// Dropping the future loses nothing.
    pub(super) async fn settle(&mut self) -> Result<(), Cause> {
        loop {
            tokio::select! {
                biased;
                Some(Settled { number, outcome, confirmed }) = self.messages.next() => {
                    self.published.remove(&number);
                    let is_open = matches!(outcome, Err(PublishError::Unconfirmed));
                    if let Some(confirmed) = confirmed {
                        // Whoever asked may have left.
                        let _ = confirmed.send(outcome);
                    }
                    let lost = "a publish was returned, or its channel lost";
                    return if is_open { Err(lost.into()) } else { Ok(()) };
                }
                () = self.alarm.as_mut() => {
                    let now = Instant::now();
                    let oldest = self.published.first_key_value().map_or(now, |(_, at)| *at);
                    let due = oldest + self.deadline;
                    self.alarm.as_mut().reset(if due > now { due } else { now + self.deadline });
                    if due <= now {
                        self.messages.clear();
                        self.published.clear();
                        return Err("a publish was not confirmed in time".into());
                    }
                }
            }
        }
    }
}
