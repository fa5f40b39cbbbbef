//! Letters that an operator wants tried again, on their way from their rows into the queue.
//!
//! The command that marked them may have been another process, so the one that serves the folder
//! looks. A row is deleted when its letter is settled: as a ticket, or as a letter with a row of
//! its own. Whoever dies in between tries it once more, and finds it stored.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use common::{Cause, envelope, ports::store::StoreError};
use futures_util::future::join_all;
use tokio::{sync::oneshot, time::sleep};

use super::{Fate, Queue};
use crate::store::{MarkedLetter, Store};

/// Between two looks: an operator waits no longer than that, and a look is one read of an index
/// that is empty.
const PAUSE: Duration = Duration::from_millis(500);

/// Letters tried together.
const TOGETHER_MAX: u32 = 100;

/// Revives letters until the queue is closed, or nobody but this task knows of it.
pub(super) async fn run(queue: Weak<Queue>, store: Weak<Store>) {
    loop {
        let Some(offered) = offer(&queue, &store).await else { return };
        let offered = offered.unwrap_or_else(|error| {
            tracing::warn!(error = common::chain(&error), "requeued letters cannot be read");
            Vec::new()
        });
        // Nothing is held on to meanwhile: workers may go before they have settled them.
        let settled = join_all(
            offered
                .into_iter()
                .map(async |(row, fate)| matches!(fate.await, Ok(Fate::Settled)).then_some(row)),
        );
        let settled: Vec<i64> = settled.await.into_iter().flatten().collect();
        if settled.is_empty() {
            sleep(PAUSE).await;
        } else if let Err(error) = forget(&store, settled).await {
            tracing::warn!(%error, "requeued letters stay, and are tried again");
            sleep(PAUSE).await;
        }
    }
}

type Followed = Vec<(i64, oneshot::Receiver<Fate>)>;

/// Offers the marked letters to the queue. `None` when that has come to its end.
async fn offer(queue: &Weak<Queue>, store: &Weak<Store>) -> Option<Result<Followed, StoreError>> {
    let (queue, store) = (queue.upgrade()?, store.upgrade()?);
    if queue.is_closed() {
        return None;
    }
    let offer = |MarkedLetter { row, body, code }| {
        // One for which there is no room now is still marked at the next look.
        Some((row, queue.revive(envelope::of_letter(body, &code)).ok()?))
    };
    let marked = store.marked_dead_letters(TOGETHER_MAX).await;
    Some(marked.map(|letters| letters.into_iter().filter_map(offer).collect()))
}

async fn forget(store: &Weak<Store>, rows: Vec<i64>) -> Result<(), Cause> {
    let store: Arc<Store> = store.upgrade().ok_or("the store is gone")?;
    Ok(store.forget_dead_letters(rows).await?)
}
