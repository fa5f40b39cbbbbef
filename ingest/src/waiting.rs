//! The submissions whose senders wait for a number, and the receipts that end their waits.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use common::{domain::SubmissionId, ports::queue::Receipt};
use tokio::sync::{mpsc, oneshot};

use crate::accounts::Accounts;

/// Who waits for which receipt.
#[derive(Default)]
pub struct Waiting {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    /// More than one where a submission is sent again before the first one has its answer.
    seats: HashMap<SubmissionId, Vec<(u64, oneshot::Sender<Receipt>)>>,
    next_seat: u64,
}

impl Waiting {
    /// Waits for a submission's receipt until the seat is dropped.
    pub fn seat(self: &Arc<Self>, id: SubmissionId) -> Seat {
        let (sender, receipt) = oneshot::channel();
        let mut table = self.lock();
        let number = table.next_seat;
        table.next_seat += 1;
        table.seats.entry(id).or_default().push((number, sender));
        drop(table);
        Seat { id, number, receipt: Some(receipt), waiting: Arc::clone(self) }
    }

    /// Ends the waits of those in the receipts; for the others nobody waits here any more.
    fn hand_out(&self, receipts: Vec<Receipt>) {
        let mut table = self.lock();
        for receipt in receipts {
            for (_, sender) in table.seats.remove(&receipt.id).into_iter().flatten() {
                // A receiver dropped just now needs no receipt.
                let _ = sender.send(receipt.clone());
            }
        }
    }

    /// No code that can panic runs under the lock, so its content is sound whatever happened.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.lock().seats.values().map(Vec::len).sum()
    }
}

/// Hands out receipts for as long as there is somebody who sends some.
pub async fn hand_out(
    mut receipts: mpsc::Receiver<Vec<Receipt>>,
    waiting: Arc<Waiting>,
    accounts: Arc<Accounts>,
) {
    while let Some(receipts) = receipts.recv().await {
        let ids: Vec<_> = receipts.iter().map(|receipt| receipt.id).collect();
        waiting.hand_out(receipts);
        // In this order: who stops waiting is followed first and looks for a number once more.
        accounts.settle(ids);
    }
}

/// One sender's place in the table. Dropping it, as happens when its sender hangs up, frees it.
pub struct Seat {
    id: SubmissionId,
    number: u64,
    receipt: Option<oneshot::Receiver<Receipt>>,
    waiting: Arc<Waiting>,
}

impl Seat {
    /// Stops waiting: from now on the submission is followed. Gives back the receipt if it came in
    /// this very moment.
    pub fn leave(mut self, accounts: &Accounts) -> Option<Receipt> {
        accounts.follow(self.id);
        let receipt = self.receipt.as_mut()?.try_recv().ok()?;
        accounts.settle([self.id]);
        Some(receipt)
    }

    /// Waits for the receipt, which comes once. Dropping the future loses nothing.
    pub async fn receipt(&mut self) -> Option<Receipt> {
        let receipt = self.receipt.as_mut()?.await.ok();
        self.receipt = None;
        receipt
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut table = self.waiting.lock();
        let Some(seats) = table.seats.get_mut(&self.id) else { return };
        seats.retain(|(number, _)| *number != self.number);
        if seats.is_empty() {
            table.seats.remove(&self.id);
        }
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
            submitted_at: "2026-11-22T10:30:00Z".parse().unwrap(),
        }
    }

    #[tokio::test]
    async fn everybody_gets_their_own_receipt_and_leaves_the_table() {
        let waiting = Arc::new(Waiting::default());
        let mut seats: Vec<_> = (0..3).map(|id| waiting.seat(Uuid::from_u128(id).into())).collect();
        waiting.hand_out(vec![receipt(2), receipt(7), receipt(0)]);
        assert_eq!(seats[0].receipt().await, Some(receipt(0)));
        assert_eq!(seats[2].receipt().await, Some(receipt(2)));
        assert_eq!(seats[0].receipt().await, None);
        assert_eq!(waiting.len(), 1);
        drop(seats);
        assert_eq!(waiting.len(), 0);
    }

    #[tokio::test]
    async fn one_receipt_wakes_all_who_wait_for_it_and_who_leaves_takes_nobody_along() {
        let waiting = Arc::new(Waiting::default());
        let mut seats: Vec<_> = (0..4).map(|_| waiting.seat(Uuid::from_u128(7).into())).collect();
        drop(seats.remove(1));
        assert_eq!(waiting.len(), 3);
        waiting.hand_out(vec![receipt(7)]);
        let mut late = waiting.seat(Uuid::from_u128(7).into());
        for seat in &mut seats {
            assert_eq!(seat.receipt().await, Some(receipt(7)));
        }
        drop(seats);
        assert_eq!(waiting.len(), 1);
        waiting.hand_out(vec![receipt(7)]);
        assert_eq!(late.receipt().await, Some(receipt(7)));
    }
}
