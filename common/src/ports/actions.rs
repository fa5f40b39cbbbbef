//! What operators do, on record: who, what, to what, when and why.
//!
//! Guarantees:
//! - `actions_are_read_back_as_they_were_recorded`, the latest first;
//! - `an_action_on_record_stays_as_it_is`: nothing changes it or takes it away.
//!
//! Whoever does something records it first, and does nothing when that fails. So a record may be of
//! what then was not done, and nothing is done of which there is no record.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::store::StoreError;
use crate::domain::OperatorAction;

/// An action as the record has it, unparsed: later releases have others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedAction {
    /// When.
    pub acted_at: DateTime<Utc>,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// What it was done to.
    pub subject: String,
    /// What else is to be known, as JSON, to the letter.
    pub details: String,
    /// The address that they did it from, of staff.
    pub address: Option<String>,
    /// The request that did it, of staff.
    pub request_id: Option<String>,
}

/// Keeps the record, common to all instances.
#[async_trait]
pub trait ActionLog: Send + Sync {
    /// Puts actions on record, all of them or none, in this order.
    async fn record(&self, actions: &[OperatorAction]) -> Result<(), StoreError>;

    /// Up to `limit` actions, the latest first.
    async fn latest(&self, limit: u32) -> Result<Vec<RecordedAction>, StoreError>;
}
