//! Ticket numbers, taken from the store's counter a block at a time.

use std::{collections::HashMap, ops::Range, sync::Arc};

use chrono::{DateTime, Datelike, Utc};
use common::{
    domain::{NumberCipher, TicketNumber},
    keys::NumberKey,
    ports::store::{StoreError, TicketWriter},
};
use tokio::sync::Mutex;

/// Counters reserved at a time: one round trip, with its flush to disk, for several batches. A worker
/// that stops loses what it has left, which shows nowhere: numbers are permuted.
const BLOCK: u32 = 1_000;

/// Hands out numbers to the lanes of one worker.
pub(crate) struct Numbers {
    cipher: NumberCipher,
    store: Arc<dyn TicketWriter>,
    left: Mutex<HashMap<u16, Range<u64>>>,
}

impl Numbers {
    pub(crate) fn new(key: &NumberKey, store: Arc<dyn TicketWriter>) -> Self {
        Self { cipher: NumberCipher::new(key), store, left: Mutex::default() }
    }

    /// Sees that counters can be written.
    pub(crate) async fn probe(&self, year: u16) -> Result<(), StoreError> {
        self.store.reserve(year, 0).await.map(drop)
    }

    /// A number for each year given, in that order. Nobody else gets them.
    pub(crate) async fn take(&self, years: &[u16]) -> Result<Vec<TicketNumber>, StoreError> {
        let mut left = self.left.lock().await;
        let mut counters = Vec::with_capacity(years.len());
        for (position, year) in years.iter().enumerate() {
            let block = left.entry(*year).or_default();
            if block.is_empty() {
                *block = self.store.reserve(*year, block_size(years, position)).await?;
            }
            let counter =
                block.next().ok_or_else(|| StoreError::Corrupt("ticket_counters".into()))?;
            counters.push((*year, counter));
        }
        drop(left);
        Ok(counters.into_iter().map(|(year, counter)| self.cipher.number(year, counter)).collect())
    }
}

/// What the batch still needs of the year at `position`, or a block if that is more.
fn block_size(years: &[u16], position: usize) -> u32 {
    let needed = years[position..].iter().filter(|year| **year == years[position]).count();
    u32::try_from(needed).unwrap_or(u32::MAX).max(BLOCK)
}

/// The UTC year whose counter a time belongs to. Times are ours, with years of four digits.
pub(crate) fn year_of(time: DateTime<Utc>) -> u16 {
    u16::try_from(time.year()).unwrap_or(u16::MAX)
}
