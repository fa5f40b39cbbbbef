//! Dead letters in an operator's hands: rows of a table, which on a broker is a queue.
//!
//! The queue is in the memory of the process that serves the folder, and an operator's command is
//! another one. So a letter is requeued by a mark on its row, which outlives both; `revival` does
//! the rest.

use std::sync::Arc;

use async_trait::async_trait;
use common::{
    Cause,
    clock::Clock,
    ports::{
        dead_letters::{
            Censor, DeadLetters, Filter, FoundLetter, HeldLetter, Interrupted, LetterId, Listing,
            Overseer, See, Selection, TOGETHER_MAX, Verdict,
        },
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

/// What becomes of letters.
#[derive(Clone, Copy)]
enum Act {
    Requeue,
    Discard,
}

impl LetterTable {
    async fn handle(
        &self,
        which: &Selection,
        act: Act,
        overseer: &dyn Overseer,
    ) -> Result<Vec<LetterId>, Interrupted> {
        let mut handled = Vec::new();
        let done = self.go_through(which, act, overseer, &mut handled).await;
        Interrupted::unless(done, handled)
    }

    async fn go_through(
        &self,
        which: &Selection,
        act: Act,
        overseer: &dyn Overseer,
        handled: &mut Vec<LetterId>,
    ) -> Result<(), Cause> {
        let mut chosen = self.store.survey_dead_letters().await?;
        chosen.retain(|it| which.contains(&it.id, &it.code, it.first_seen_at));
        let mut left: Vec<_> = chosen.into_iter().map(|letter| letter.id).collect();
        while !left.is_empty() {
            let Some(count_max) = overseer.admit().await else { break };
            let count = count_max.clamp(1, TOGETHER_MAX).min(left.len());
            let held = self.hold(left.drain(..count)).await?;
            overseer.foresee(&held).await?;
            let rows = held.iter().filter_map(|held| row(&held.id)).collect();
            let done = match act {
                Act::Requeue => self.store.requeue_dead_letters(rows, self.clock.now()).await?,
                Act::Discard => self.store.discard_dead_letters(rows).await?,
            };
            overseer.handled(done.len());
            handled.extend(done.into_iter().map(|row| LetterId::new(row.to_string())));
        }
        Ok(())
    }

    /// Puts what is left of letters in their place, as many at a time as the overseer admits.
    async fn redact_all(
        &self,
        censor: &dyn Censor,
        overseer: &dyn Overseer,
        handled: &mut Vec<LetterId>,
    ) -> Result<(), Cause> {
        let all = self.store.survey_dead_letters().await?;
        let mut left: Vec<_> = all.into_iter().map(|letter| letter.id).collect();
        while !left.is_empty() {
            let count = left.len().min(TOGETHER_MAX);
            let mut held = self.hold(left.drain(..count)).await?;
            held.retain(|it| censor.judge(&it.letter) != Verdict::Keep);
            while !held.is_empty() {
                let Some(count_max) = overseer.admit().await else { return Ok(()) };
                let now: Vec<_> = held.drain(..count_max.clamp(1, held.len())).collect();
                overseer.foresee(&now).await?;
                let verdict = |it: &HeldLetter| Some((row(&it.id)?, censor.judge(&it.letter)));
                let done = self
                    .store
                    .redact_dead_letters(now.iter().filter_map(verdict).collect())
                    .await?;
                overseer.handled(done.len());
                handled.extend(done.into_iter().map(|row| LetterId::new(row.to_string())));
            }
        }
        Ok(())
    }

    /// Those that are still there.
    async fn hold(
        &self,
        ids: impl Iterator<Item = LetterId>,
    ) -> Result<Vec<HeldLetter>, StoreError> {
        let mut held = Vec::new();
        for id in ids {
            let Some(row) = row(&id) else { continue };
            let found = self.store.find_dead_letter(row).await?;
            held.extend(found.map(|letter| HeldLetter { id, letter }));
        }
        Ok(held)
    }
}

#[async_trait]
impl DeadLetters for LetterTable {
    async fn list(&self, filter: &Filter, limit: u32) -> Result<Listing, ConsumeError> {
        let all = self.store.survey_dead_letters().await;
        Ok(Listing::of(all.map_err(|error| ConsumeError(error.into()))?, filter, limit))
    }

    async fn find(&self, id: &LetterId) -> Result<Option<FoundLetter>, ConsumeError> {
        let Some(row) = row(id) else { return Ok(None) };
        let found = self.store.find_dead_letter(row).await;
        let letter = found.map_err(|error| ConsumeError(error.into()))?;
        let properties = Vec::new();
        Ok(letter.map(|letter| FoundLetter { id: id.clone(), letter, properties }))
    }

    async fn requeue(
        &self,
        which: &Selection,
        overseer: &dyn Overseer,
    ) -> Result<Vec<LetterId>, Interrupted> {
        self.handle(which, Act::Requeue, overseer).await
    }

    async fn discard(
        &self,
        which: &Selection,
        overseer: &dyn Overseer,
    ) -> Result<Vec<LetterId>, Interrupted> {
        self.handle(which, Act::Discard, overseer).await
    }

    async fn read(&self, see: &See<'_>) -> Result<bool, ConsumeError> {
        let unread = |error: StoreError| ConsumeError(error.into());
        for letter in self.store.survey_dead_letters().await.map_err(unread)? {
            let held = self.hold(std::iter::once(letter.id)).await.map_err(unread)?;
            held.iter().for_each(see);
        }
        Ok(false)
    }

    async fn redact(
        &self,
        censor: &dyn Censor,
        overseer: &dyn Overseer,
    ) -> Result<Vec<LetterId>, Interrupted> {
        let mut handled = Vec::new();
        let done = self.redact_all(censor, overseer, &mut handled).await;
        Interrupted::unless(done, handled)
    }
}

/// The row that an id names, if it is written as a row's is.
fn row(id: &LetterId) -> Option<i64> {
    id.as_str().parse().ok().filter(|row: &i64| row.to_string() == id.as_str())
}
