//! Letters that an operator wants tried again, on their way from their rows into the queue.
//!
//! The command that marked them may have been another process, so the one that serves the folder
//! looks. A row is deleted when its letter is settled: as a ticket, or as a letter with a row of
//! its own. Whoever dies in between tries it once more, and finds it stored.

use std::{
    collections::HashSet,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Arc, Weak},
    time::Duration,
};

use common::{Cause, envelope, failpoint, ports::store::StoreError};
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use tokio::{
    select,
    sync::oneshot::{self, error::RecvError},
    time::sleep,
};

use super::{Fate, Queue};
use crate::store::{MarkedLetter, Store};

/// Between two looks: an operator waits no longer than that, and a look is one read of an index
/// that is empty.
const PAUSE: Duration = Duration::from_millis(500);

/// Letters tried together.
const TOGETHER_MAX: u32 = 100;

/// Revives letters until the queue is closed, or nobody but this task knows of it.
pub(super) async fn run(queue: Weak<Queue>, store: Weak<Store>) {
    // Nobody else would look for letters until the next start.
    while AssertUnwindSafe(revive(&queue, &store)).catch_unwind().await.is_err() {
        tracing::error!("the revival of letters died and starts again");
        sleep(PAUSE).await;
    }
}

async fn revive(queue: &Weak<Queue>, store: &Weak<Store>) {
    // Each is forgotten as it is settled: a slow one holds up no other. Nothing else is held on to
    // meanwhile, as workers may go before they have settled them.
    let (mut tried, mut rows) = (FuturesUnordered::new(), HashSet::new());
    loop {
        let Some(offered) = offer(queue, store, &rows).await else { return };
        let offered = offered.unwrap_or_else(|error| {
            tracing::warn!(error = common::chain(&error), "requeued letters cannot be read");
            Vec::new()
        });
        for (row, fate) in offered {
            rows.insert(row);
            tried.push(async move { (row, fate.await) });
        }
        let mut next_look = pin!(sleep(PAUSE));
        while let Some((row, fate)) = select! {
            ended = tried.next(), if !tried.is_empty() => ended,
            () = &mut next_look => None,
        } {
            let mut settled = settled(row, &fate);
            rows.remove(&row);
            while let Some(Some((row, fate))) = tried.next().now_or_never() {
                settled.extend(self::settled(row, &fate));
                rows.remove(&row);
            }
            if settled.is_empty() {
                continue;
            }
            failpoint!("letters.before_acknowledge");
            if let Err(error) = forget(store, settled).await {
                tracing::warn!(%error, "requeued letters stay, and are tried again");
            } else if rows.is_empty() {
                break;
            }
        }
    }
}

type Followed = Vec<(i64, oneshot::Receiver<Fate>)>;

/// The row that can be forgotten, if it can.
fn settled(row: i64, fate: &Result<Fate, RecvError>) -> Vec<i64> {
    matches!(fate, Ok(Fate::Settled)).then_some(row).into_iter().collect()
}

/// Offers the marked letters to the queue, but for those that are being tried. `None` when that has
/// come to its end.
async fn offer(
    queue: &Weak<Queue>,
    store: &Weak<Store>,
    tried: &HashSet<i64>,
) -> Option<Result<Followed, StoreError>> {
    let (queue, store) = (queue.upgrade()?, store.upgrade()?);
    if queue.is_closed() {
        return None;
    }
    let offer = |MarkedLetter { row, body, code }| {
        // One for which there is no room now is still marked at the next look.
        Some((row, queue.revive(envelope::of_letter(body, &code)).ok()?))
    };
    let marked = store.marked_dead_letters(TOGETHER_MAX).await;
    let is_new = |letter: &MarkedLetter| !tried.contains(&letter.row);
    Some(marked.map(|letters| letters.into_iter().filter(is_new).filter_map(offer).collect()))
}

async fn forget(store: &Weak<Store>, rows: Vec<i64>) -> Result<(), Cause> {
    let store: Arc<Store> = store.upgrade().ok_or("the store is gone")?;
    Ok(store.forget_dead_letters(rows).await?)
}
