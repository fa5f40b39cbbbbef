//! Dead letters in an operator's hands: rows of a table, which on a broker is a queue.
//!
//! The queue is in the memory of the process that serves the folder, and an operator's command is
//! another one. So a letter is requeued by a mark on its row, which outlives both; `revival` does
//! the rest.

use std::sync::Arc;

use async_trait::async_trait;
use common::{
    clock::Clock,
    ports::{
        dead_letters::{DeadLetters, FoundLetter, Interrupted, LetterId, ListedLetter, Selection},
        queue::ConsumeError,
        store::StoreError,
    },
};

use crate::store::Store;

/// The table as a port.
pub(crate) struct LetterTable {
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Arc<dyn Clock>,
}

#[async_trait]
impl DeadLetters for LetterTable {
    async fn list(&self, limit: u32) -> Result<Vec<ListedLetter>, ConsumeError> {
        self.store.survey_dead_letters(limit).await.map_err(|error| ConsumeError(error.into()))
    }

    async fn find(&self, id: &LetterId) -> Result<Option<FoundLetter>, ConsumeError> {
        let Some(row) = row(id) else { return Ok(None) };
        let found = self.store.find_dead_letter(row).await;
        let letter = found.map_err(|error| ConsumeError(error.into()))?;
        let properties = Vec::new();
        Ok(letter.map(|letter| FoundLetter { id: id.clone(), letter, properties }))
    }

    async fn requeue(&self, which: &Selection) -> Result<Vec<LetterId>, Interrupted> {
        let marked = self.store.requeue_dead_letters(rows(which), self.clock.now()).await;
        marked.map(ids).map_err(nothing_done)
    }

    async fn discard(&self, which: &Selection) -> Result<Vec<LetterId>, Interrupted> {
        self.store.discard_dead_letters(rows(which)).await.map(ids).map_err(nothing_done)
    }
}

/// Both are one transaction.
fn nothing_done(error: StoreError) -> Interrupted {
    Interrupted { handled: 0, cause: error.into() }
}

/// The rows of a selection; `None` are all of them.
fn rows(which: &Selection) -> Option<Vec<i64>> {
    match which {
        Selection::All => None,
        Selection::These(ids) => Some(ids.iter().filter_map(row).collect()),
    }
}

/// The row that an id names, if it is written as a row's is.
fn row(id: &LetterId) -> Option<i64> {
    id.as_str().parse().ok().filter(|row: &i64| row.to_string() == id.as_str())
}

fn ids(rows: Vec<i64>) -> Vec<LetterId> {
    rows.into_iter().map(|row| LetterId::new(row.to_string())).collect()
}
