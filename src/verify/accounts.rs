//! Whether everything accepted is accounted for, as far as it was written down.
//!
//! The ledger holds what edges heard nothing of for some seconds. An edge that was killed in these
//! seconds wrote nothing down of them, and nobody else can know what it said yes to.

use chrono::SecondsFormat;
use common::ports::{
    ledger::{Balance, Ledger},
    store::StoreError,
};

use super::report::Finding;
use crate::terminal::thousands;

/// Whether nothing is missing.
pub async fn check(ledger: &dyn Ledger) -> Result<Finding, StoreError> {
    let Balance { in_flight, oldest_in_flight, unaccounted, oldest_unaccounted, .. } =
        ledger.balance().await?;
    let (count, oldest) = if unaccounted > 0 {
        (unaccounted, oldest_unaccounted)
    } else {
        (in_flight, oldest_in_flight)
    };
    let oldest = oldest.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true);
    let count = thousands(count);
    Ok(if unaccounted > 0 {
        Finding::Fails(format!(
            "{count} accepted submissions are neither tickets nor dead letters nor on their way; the \
             oldest was accepted at {oldest}"
        ))
    } else if in_flight > 0 {
        Finding::Tells(format!(
            "{count} accepted submissions are no tickets yet; the oldest was accepted at {oldest}"
        ))
    } else {
        Finding::Holds("nothing is missing of what edges wrote down as accepted".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use chrono::{DateTime, Utc};
    use common::{domain::SubmissionId, ports::ledger::Entry};

    use super::*;

    struct Fixed(Balance);

    #[async_trait]
    impl Ledger for Fixed {
        async fn enter(&self, _entries: &[Entry]) -> Result<(), StoreError> {
            Ok(())
        }

        async fn strike_stored(&self) -> Result<u64, StoreError> {
            Ok(0)
        }

        async fn strike(&self, _ids: &[SubmissionId]) -> Result<u64, StoreError> {
            Ok(0)
        }

        async fn mark(&self, _horizon: DateTime<Utc>) -> Result<(), StoreError> {
            Ok(())
        }

        async fn balance(&self) -> Result<Balance, StoreError> {
            Ok(self.0.clone())
        }
    }

    #[tokio::test]
    async fn what_is_missing_fails_and_what_may_be_on_its_way_does_not() {
        let oldest = Some(DateTime::UNIX_EPOCH);
        let finding = async |balance| check(&Fixed(balance)).await.unwrap().to_string();
        let nothing = Balance { stored: 7, ..Balance::default() };
        let way = Balance { in_flight: 1_000, oldest_in_flight: oldest, ..Balance::default() };
        let missing = Balance { unaccounted: 1, oldest_unaccounted: oldest, ..way.clone() };
        assert!(finding(nothing).await.starts_with("ok     nothing is missing"));
        assert_eq!(
            finding(way).await,
            "info   1,000 accepted submissions are no tickets yet; the oldest was accepted at \
             1970-01-01T00:00:00Z"
        );
        assert!(finding(missing).await.starts_with("FAILED 1 accepted submissions are neither"));
    }
}
