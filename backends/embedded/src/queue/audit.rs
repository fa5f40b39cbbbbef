//! What `verify` asks the queue.

use std::sync::Arc;

use async_trait::async_trait;
use common::ports::{
    audit::{Depths, QueueAudit},
    queue::{BuriedLetter, ConsumeError},
};

use super::Queue;
use crate::store::Store;

/// Looks into the queue of this process, which is empty in one that only audits, and into the
/// dead letters, which are in the store.
pub(crate) struct QueueInspector {
    pub(crate) queue: Arc<Queue>,
    pub(crate) store: Arc<Store>,
}

#[async_trait]
impl QueueAudit for QueueInspector {
    async fn depths(&self) -> Result<Depths, ConsumeError> {
        let dead = self.store.count_dead_letters().await;
        let marked = self.store.count_marked_dead_letters().await;
        Ok(Depths {
            // Those that are to be tried again wait in the store until the server takes them up.
            queued: self.queue.load().envelopes
                + marked.map_err(|error| ConsumeError(error.into()))?,
            // Nothing is routed here, so nothing can go astray.
            unrouted: 0,
            dead: dead.map_err(|error| ConsumeError(error.into()))?,
            // Looking takes nothing out.
            are_dead_held: false,
        })
    }

    async fn dead_letters(&self, limit: u32) -> Result<Vec<BuriedLetter>, ConsumeError> {
        self.store.dead_letters(limit).await.map_err(|error| ConsumeError(error.into()))
    }
}
