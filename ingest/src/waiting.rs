//! The submissions whose senders wait for a number, and the receipts that end their waits.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use common::{
    domain::{SubmissionId, TicketNumber},
    ports::queue::Receipt,
};
use tokio::sync::{mpsc, oneshot};

type Numbers = HashMap<SubmissionId, oneshot::Sender<TicketNumber>>;

/// Who waits for which number.
#[derive(Default)]
pub struct Waiting {
    numbers: Mutex<Numbers>,
}

impl Waiting {
    /// Waits for a submission's number until the seat is dropped.
    pub fn seat(self: &Arc<Self>, id: SubmissionId) -> Seat {
        let (sender, number) = oneshot::channel();
        self.lock().insert(id, sender);
        Seat { id, number: Some(number), waiting: Arc::clone(self) }
    }

    /// Ends the waits of those in the receipts; for the others nobody waits here any more.
    fn hand_out(&self, receipts: Vec<Receipt>) {
        let mut numbers = self.lock();
        for Receipt { id, number } in receipts {
            if let Some(sender) = numbers.remove(&id) {
                // A receiver dropped just now needs no number.
                let _ = sender.send(number);
            }
        }
    }

    /// No code that can panic runs under the lock, so its content is sound whatever happened.
    fn lock(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.lock().len()
    }
}

/// Hands out receipts for as long as there is somebody who sends some.
pub async fn hand_out(mut receipts: mpsc::Receiver<Vec<Receipt>>, waiting: Arc<Waiting>) {
    while let Some(receipts) = receipts.recv().await {
        waiting.hand_out(receipts);
    }
}

/// One submission's place in the table. Dropping it, as happens when its sender hangs up, frees it.
pub struct Seat {
    id: SubmissionId,
    number: Option<oneshot::Receiver<TicketNumber>>,
    waiting: Arc<Waiting>,
}

impl Seat {
    /// Waits for the number, which comes once. Dropping the future loses nothing.
    pub async fn number(&mut self) -> Option<TicketNumber> {
        let number = self.number.as_mut()?.await.ok();
        self.number = None;
        number
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.waiting.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn receipt(id: u128) -> Receipt {
        Receipt {
            id: Uuid::from_u128(id).into(),
            number: format!("SUP-2026-{id:06}").parse().unwrap(),
        }
    }

    #[tokio::test]
    async fn everybody_gets_their_own_number_and_leaves_the_table() {
        let waiting = Arc::new(Waiting::default());
        let mut seats: Vec<_> = (0..3).map(|id| waiting.seat(Uuid::from_u128(id).into())).collect();
        waiting.hand_out(vec![receipt(2), receipt(7), receipt(0)]);
        assert_eq!(seats[0].number().await, Some(receipt(0).number));
        assert_eq!(seats[2].number().await, Some(receipt(2).number));
        assert_eq!(seats[0].number().await, None);
        assert_eq!(waiting.len(), 1);
        drop(seats);
        assert_eq!(waiting.len(), 0);
    }
}
