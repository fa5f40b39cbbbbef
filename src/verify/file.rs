//! Whether the database can be believed at all.

use common::ports::{audit::StoreAudit, store::StoreError};

use super::report::{Finding, Report, examples};

/// Adds a finding where the store is a file of ours; a server looks after its own.
pub async fn check(report: &mut Report, store: &dyn StoreAudit) {
    if let Some(finding) = look_at(store).await.transpose() {
        report.add("database file", finding);
    }
}

async fn look_at(store: &dyn StoreAudit) -> Result<Option<Finding>, StoreError> {
    Ok(store.damage().await?.map(|damage| {
        if damage.is_empty() {
            Finding::Holds("the database file is whole".to_owned())
        } else {
            let shown = examples(&damage, damage.len() as u64);
            Finding::Fails(format!("the database file is damaged: {shown}"))
        }
    }))
}
