//! Whether what the store keeps beside the tickets fits them.

use std::fmt;

use common::ports::{
    audit::{Deviation, StoreAudit},
    store::StoreError,
};

use super::report::{Finding, examples};
use crate::terminal::thousands;

/// Whether each count equals a recount.
pub async fn check(store: &dyn StoreAudit) -> Result<Finding, StoreError> {
    let deviations: Vec<_> = store.deviations().await?.into_iter().map(Shown).collect();
    if deviations.is_empty() {
        return Ok(Finding::Holds("the statistics equal a full recount".to_owned()));
    }
    let count = deviations.len() as u64;
    let shown = examples(&deviations, count);
    Ok(Finding::Fails(format!("{} counts differ from a recount: {shown}", thousands(count))))
}

/// Whether each ticket's creation is in the audit trail.
pub async fn check_audit_entries(store: &dyn StoreAudit) -> Result<Finding, StoreError> {
    let missing = store.unaudited().await?;
    Ok(if missing == 0 {
        Finding::Holds("every ticket has the audit entry of its creation".to_owned())
    } else {
        Finding::Fails(format!("{} tickets lack their audit entry", thousands(missing)))
    })
}

/// Whether each ticket's trail tells of all its changes.
pub async fn check_trails(store: &dyn StoreAudit) -> Result<Finding, StoreError> {
    let untold = store.untold().await?;
    Ok(if untold == 0 {
        Finding::Holds("every change of every ticket has its audit entry".to_owned())
    } else {
        let untold = thousands(untold);
        Finding::Fails(format!("{untold} tickets have changes that no audit entry tells of"))
    })
}

/// What is tallied by the names of staff, which are not told.
const OF_MEMBERS: [&str; 3] = ["assigned", "resolved_by", "resolution_ms_by"];

struct Shown(Deviation);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Deviation { dimension, value, kept, recounted } = &self.0;
        let value = if OF_MEMBERS.contains(&dimension.as_str()) { "of a member" } else { value };
        write!(f, "{dimension} {value} says {kept}, recounted {recounted}")
    }
}
