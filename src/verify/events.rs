//! Whether every event was published.

use std::time::Duration;

use common::ports::{audit::OutboxAudit, store::StoreError};
use tokio::time::{Instant, sleep};

use super::report::Finding;
use crate::terminal::thousands;

/// How long a relay may publish nothing of what was committed before the check began. One that has
/// died is replaced within this; one that is behind and catches up is no fault.
const PATIENCE: Duration = Duration::from_secs(8);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// Whether what was committed by now gets published. What comes later is the next check's.
pub async fn check(outbox: &dyn OutboxAudit) -> Result<Finding, StoreError> {
    let head = outbox.head().await?;
    let (mut fewest, mut deadline) = (u64::MAX, Instant::now() + PATIENCE);
    loop {
        let waiting = outbox.unpublished(head).await?;
        if waiting == 0 {
            return Ok(Finding::Holds("every event is published".to_owned()));
        }
        if waiting < fewest {
            (fewest, deadline) = (waiting, Instant::now() + PATIENCE);
        }
        if Instant::now() >= deadline {
            return Ok(Finding::Fails(format!("{} events are not published", thousands(waiting))));
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use async_trait::async_trait;
    use common::ports::events::Cursor;

    use super::*;

    /// An outbox with so many events waiting, from which each look takes some away.
    struct Waiting(AtomicU64, u64);

    #[async_trait]
    impl OutboxAudit for Waiting {
        async fn head(&self) -> Result<Cursor, StoreError> {
            Ok(Cursor { transaction: 7, position: 7 })
        }

        async fn unpublished(&self, through: Cursor) -> Result<u64, StoreError> {
            assert_eq!(through, self.head().await?);
            let waiting = self.0.load(Ordering::Relaxed);
            self.0.store(waiting.saturating_sub(self.1), Ordering::Relaxed);
            Ok(waiting)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_relay_is_given_time_as_long_as_it_publishes() {
        let finding = async |waiting, each| {
            let outbox = Waiting(AtomicU64::new(waiting), each);
            check(&outbox).await.unwrap().to_string()
        };
        assert_eq!(finding(0, 0).await, "ok     every event is published");
        assert_eq!(finding(1_000, 100).await, "ok     every event is published");
        // Five a second: 200 seconds in all, but never eight of silence.
        assert_eq!(finding(1_000, 1).await, "ok     every event is published");
        assert_eq!(finding(1_234, 0).await, "FAILED 1,234 events are not published");
    }
}
