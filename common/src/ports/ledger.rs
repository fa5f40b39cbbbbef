//! The ledger: submissions that were accepted and then not heard of for a while. Whoever accepted
//! one enters it; it is struck out when its fate is known.
//!
//! Guarantees:
//! - `an_entry_stays_until_it_is_a_ticket_or_struck_out`, whoever made it;
//! - `a_submission_is_entered_once`, however many edges enter it;
//! - `what_cannot_be_on_its_way_any_more_is_unaccounted_and_stays_so`, until it turns up.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::store::StoreError;
use crate::domain::SubmissionId;

/// One that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Which.
    pub id: SubmissionId,
    /// When its sender was told yes.
    pub accepted_at: DateTime<Utc>,
}

/// What the ledger comes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Balance {
    /// Entries that are tickets by now, and can be struck out.
    pub stored: u64,
    /// Entries whose fate is open.
    pub in_flight: u64,
    /// When the oldest of those was accepted.
    pub oldest_in_flight: Option<DateTime<Utc>>,
    /// Entries that are no tickets and cannot be on their way any more.
    pub unaccounted: u64,
    /// When the oldest of those was accepted.
    pub oldest_unaccounted: Option<DateTime<Utc>>,
}

/// The installation's ledger, common to all instances.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Makes entries. One that is there already stays as it is.
    async fn enter(&self, entries: &[Entry]) -> Result<(), StoreError>;

    /// Strikes out what is a ticket by now, and says how many.
    async fn strike_stored(&self) -> Result<u64, StoreError>;

    /// Strikes out these, whatever became of them, and says how many were entered.
    async fn strike(&self, ids: &[SubmissionId]) -> Result<u64, StoreError>;

    /// Says of what was accepted before `horizon`, and is no ticket, that it is unaccounted for.
    async fn mark(&self, horizon: DateTime<Utc>) -> Result<(), StoreError>;

    /// Adds it up.
    async fn balance(&self) -> Result<Balance, StoreError>;
}
