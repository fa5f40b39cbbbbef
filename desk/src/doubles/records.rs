//! What is on record, of which there is what operators did.

use async_trait::async_trait;
use common::{
    domain::{OperatorAction, Record},
    ports::{
        actions::RecordedAction,
        events::Cursor,
        records::{Content, RecordEntry, Records, TicketNames},
        store::StoreError,
    },
    seals::Seal,
};
use tokio::time::sleep;

use super::ScriptedStore;

impl ScriptedStore {
    async fn read(
        &self,
        after: Cursor,
        limit: u32,
        passes: impl Fn(&OperatorAction) -> bool,
    ) -> Result<Vec<RecordEntry>, StoreError> {
        let takes = *self.reading_takes.lock().unwrap();
        *self.reads.lock().unwrap() += 1;
        sleep(takes).await;
        self.reached()?;
        let actions = self.actions.lock().unwrap();
        let later = actions.iter().zip(1..).filter(|(_, position)| *position > after.position);
        let entry = |(it, position): (&OperatorAction, u64)| RecordEntry {
            place: Cursor { transaction: 0, position },
            content: Content::Action(RecordedAction {
                acted_at: it.acted_at,
                actor: it.actor.to_string(),
                action: it.action.to_string(),
                subject: it.subject.clone(),
                details: it.details.to_string(),
                address: it.origin.address.clone(),
                request_id: it.origin.request_id.clone(),
            }),
        };
        let found = later.filter(|(it, _)| passes(it)).map(entry);
        Ok(found.take(limit as usize).collect())
    }
}

#[async_trait]
impl Records for ScriptedStore {
    async fn entries(
        &self,
        record: Record,
        after: Cursor,
        limit: u32,
    ) -> Result<Vec<RecordEntry>, StoreError> {
        self.read(after, limit, |_| record == Record::Actions).await
    }

    async fn entries_of(
        &self,
        record: Record,
        ticket: &TicketNames,
        after: Cursor,
        limit: u32,
    ) -> Result<Vec<RecordEntry>, StoreError> {
        let number = ticket.number.as_ref().map(ToString::to_string);
        let is_named =
            |it: &OperatorAction| number.as_ref().is_some_and(|number| *number == it.subject);
        self.read(after, limit, |it| record == Record::Actions && is_named(it)).await
    }

    async fn seals(&self, _: Record, _: u64, _: u32) -> Result<Vec<Seal>, StoreError> {
        Ok(Vec::new())
    }

    async fn last_seal(&self, _: Record) -> Result<Option<Seal>, StoreError> {
        Ok(None)
    }
}
