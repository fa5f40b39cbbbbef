//! A data loader: look-ups that wait at the same time travel to the store together.
//!
//! A few journeys are under way at a time. Whoever asks while all of them are waits for the next, which
//! takes everybody along who waits by then. With nobody else about, a look-up leaves at once and alone;
//! the more there are, the less each of them costs.
//!
//! A journey is a task of its own: no caller who leaves can end it half-way, and what goes wrong on it
//! is told to those who are on it, and to nobody else.

use std::{mem, slice, sync::Arc};

use common::{
    domain::{KeyHash, SubmissionId, Ticket, TicketNumber},
    ports::store::{StoreError, TicketReader},
};
use thiserror::Error;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::{Instrument, Span};

/// Journeys at a time, by number and by id each. Together as many as an edge has connections to the
/// store.
const JOURNEYS_MAX: usize = 4;

/// Look-ups on one journey. A store reads so many in a few milliseconds.
const TOGETHER_MAX: usize = 128;

/// Look-ups that wait for a journey. Those beyond wait to wait; all of them have their deadline.
const WAITING_MAX: usize = 1_024;

type Found = Result<Option<Ticket>, StoreError>;

/// What tickets are looked up by.
trait Reference: Send + Sync + Sized + 'static {
    fn find(
        tickets: &dyn TicketReader,
        references: &[Self],
    ) -> impl Future<Output = Result<Vec<Option<Ticket>>, StoreError>> + Send;
}

impl Reference for TicketNumber {
    async fn find(
        tickets: &dyn TicketReader,
        numbers: &[Self],
    ) -> Result<Vec<Option<Ticket>>, StoreError> {
        tickets.by_numbers(numbers).await
    }
}

impl Reference for SubmissionId {
    async fn find(
        tickets: &dyn TicketReader,
        ids: &[Self],
    ) -> Result<Vec<Option<Ticket>>, StoreError> {
        tickets.by_ids(ids).await
    }
}

/// Somebody who waits for a ticket.
struct Asked<R> {
    reference: R,
    answer: oneshot::Sender<Found>,
    /// What is logged on a journey names the first request on it.
    span: Span,
}

/// What went wrong for several at once.
#[derive(Debug, Error)]
#[error(transparent)]
struct Shared(Arc<StoreError>);

/// Reads tickets, together with whoever else does.
pub struct Loader {
    by_number: mpsc::Sender<Asked<TicketNumber>>,
    by_id: mpsc::Sender<Asked<SubmissionId>>,
    tickets: Arc<dyn TicketReader>,
}

impl Loader {
    /// Starts the tasks that gather them, which end with this.
    pub fn start(tickets: Arc<dyn TicketReader>) -> Self {
        let (by_number, by_id) = (gather(Arc::clone(&tickets)), gather(Arc::clone(&tickets)));
        Self { by_number, by_id, tickets }
    }

    /// The ticket with this number.
    pub async fn by_number(&self, number: TicketNumber) -> Found {
        ask(&self.by_number, number).await
    }

    /// The ticket made of this submission.
    pub async fn by_id(&self, id: SubmissionId) -> Found {
        ask(&self.by_id, id).await
    }

    /// The ticket of the submission that was sent under this key.
    pub async fn by_key(&self, key: KeyHash) -> Found {
        self.tickets.by_key(key).await
    }
}

async fn ask<R>(journeys: &mpsc::Sender<Asked<R>>, reference: R) -> Found {
    let (answer, found) = oneshot::channel();
    let asked = Asked { reference, answer, span: Span::current() };
    let gone = || StoreError::Unavailable("a look-up was lost on its way".into());
    journeys.send(asked).await.map_err(|_| gone())?;
    found.await.unwrap_or_else(|_| Err(gone()))
}

fn gather<R: Reference>(tickets: Arc<dyn TicketReader>) -> mpsc::Sender<Asked<R>> {
    let (sender, mut waiting) = mpsc::channel::<Asked<R>>(WAITING_MAX);
    tokio::spawn(async move {
        let journeys = Arc::new(Semaphore::new(JOURNEYS_MAX));
        let mut together = Vec::new();
        // First a place, then whoever waits by now.
        while let Ok(place) = Arc::clone(&journeys).acquire_owned().await
            && waiting.recv_many(&mut together, TOGETHER_MAX).await > 0
        {
            let mut asked = mem::take(&mut together);
            // Who has given up needs no answer.
            asked.retain(|it| !it.answer.is_closed());
            let Some(span) = asked.first().map(|first| first.span.clone()) else { continue };
            let tickets = Arc::clone(&tickets);
            let journey = async move {
                travel(&*tickets, asked).await;
                drop(place);
            };
            tokio::spawn(journey.instrument(span));
        }
    });
    sender
}

async fn travel<R: Reference>(tickets: &dyn TicketReader, asked: Vec<Asked<R>>) {
    let (references, answers): (Vec<_>, Vec<_>) =
        asked.into_iter().map(|it| (it.reference, it.answer)).unzip();
    // Nobody who has left meanwhile needs to hear.
    match R::find(tickets, &references).await {
        Ok(found) => {
            for (answer, ticket) in answers.into_iter().zip(found) {
                let _ = answer.send(Ok(ticket));
            }
        }
        // A ticket that cannot be read is the matter of those who asked for it.
        Err(StoreError::Corrupt(_)) if references.len() > 1 => {
            for (answer, reference) in answers.into_iter().zip(&references) {
                let found = R::find(tickets, slice::from_ref(reference)).await;
                let _ = answer.send(found.map(|mut found| found.pop().flatten()));
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            for answer in answers {
                let shared = Shared(Arc::clone(&error));
                let _ = answer.send(Err(StoreError::Unavailable(Box::new(shared))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use tokio::{sync::Notify, task::JoinSet};

    use super::*;

    /// Finds nothing, and only when told to go on; one number cannot be read.
    #[derive(Default)]
    struct Slow {
        goes_on: Notify,
        journeys: Mutex<Vec<usize>>,
    }

    const UNREADABLE: &str = "SUP-2026-000666";

    #[async_trait]
    impl TicketReader for Slow {
        async fn by_numbers(
            &self,
            numbers: &[TicketNumber],
        ) -> Result<Vec<Option<Ticket>>, StoreError> {
            self.journeys.lock().unwrap().push(numbers.len());
            self.goes_on.notified().await;
            if numbers.iter().any(|number| number.to_string() == UNREADABLE) {
                return Err(StoreError::Corrupt("tickets".to_owned()));
            }
            Ok(vec![None; numbers.len()])
        }

        async fn by_ids(&self, _: &[SubmissionId]) -> Result<Vec<Option<Ticket>>, StoreError> {
            Err(StoreError::Unavailable("away".into()))
        }

        async fn by_key(&self, _: KeyHash) -> Found {
            Ok(None)
        }
    }

    fn number(of: usize) -> TicketNumber {
        format!("SUP-2026-{of:06}").parse().unwrap()
    }

    /// Lets everything run that can.
    async fn settle() {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_waits_for_a_journey_is_on_the_next_one_with_all_who_do() {
        let store = Arc::new(Slow::default());
        let loader = Arc::new(Loader::start(store.clone()));
        let mut asking = JoinSet::new();
        for of in 0..JOURNEYS_MAX + 20 {
            let loader = Arc::clone(&loader);
            asking.spawn(async move { loader.by_number(number(of)).await });
            settle().await;
        }
        assert_eq!(*store.journeys.lock().unwrap(), [1; JOURNEYS_MAX]);
        store.goes_on.notify_one();
        settle().await;
        assert_eq!(store.journeys.lock().unwrap().last(), Some(&20));
        for _ in 0..JOURNEYS_MAX {
            store.goes_on.notify_one();
            settle().await;
        }
        let found = asking.join_all().await;
        assert!(found.iter().all(|found| matches!(found, Ok(None))), "{found:?}");
    }

    #[tokio::test]
    async fn who_has_given_up_is_not_asked_for() {
        let store = Arc::new(Slow::default());
        let loader = Arc::new(Loader::start(store.clone()));
        let mut asking = JoinSet::new();
        for of in 0..=JOURNEYS_MAX {
            let loader = Arc::clone(&loader);
            asking.spawn(async move { loader.by_number(number(of)).await });
            settle().await;
        }
        asking.shutdown().await;
        store.goes_on.notify_one();
        settle().await;
        assert_eq!(*store.journeys.lock().unwrap(), [1; JOURNEYS_MAX]);
    }

    #[tokio::test]
    async fn a_ticket_that_cannot_be_read_is_no_matter_of_its_companions() {
        let store = Arc::new(Slow::default());
        let asked = [1, 666, 2].map(|of| {
            let (answer, found) = oneshot::channel();
            (Asked { reference: number(of), answer, span: Span::none() }, found)
        });
        let (asked, found): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
        let goes_on = async {
            for _ in 0..4 {
                store.goes_on.notify_one();
                settle().await;
            }
        };
        tokio::join!(travel(&*store, asked), goes_on);
        let mut words = Vec::new();
        for found in found {
            words.push(matches!(found.await.unwrap(), Ok(None)));
        }
        assert_eq!(words, [true, false, true]);
        assert_eq!(*store.journeys.lock().unwrap(), [3, 1, 1, 1]);
    }

    #[tokio::test]
    async fn everybody_on_a_journey_hears_why_it_failed() {
        let loader = Loader::start(Arc::new(Slow::default()));
        let id = SubmissionId::from(uuid::Uuid::from_u128(1));
        let (one, other) = tokio::join!(loader.by_id(id), loader.by_id(id));
        for failed in [one, other] {
            assert_eq!(common::chain(&failed.unwrap_err()), "the store is unavailable: away");
        }
    }
}
