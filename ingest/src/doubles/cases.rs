//! The scripted store's tickets in the hands of staff.

use async_trait::async_trait;
use common::{
    domain::{Case, Ticket, Work},
    ports::{
        cases::{CaseFile, Cases, Reference, Step, in_place},
        store::StoreError,
    },
};

use super::ScriptedStore;

fn case(ticket: &Ticket) -> Case {
    let version = u32::try_from(ticket.history.len() + ticket.replies.len()).unwrap();
    Case { ticket: ticket.clone(), work: Work { version, ..Work::default() } }
}

#[async_trait]
impl Cases for ScriptedStore {
    async fn find(&self, which: &[Reference]) -> Result<Vec<Option<Case>>, StoreError> {
        self.act().await?;
        let cases: Vec<_> = self.tickets.lock().unwrap().iter().map(case).collect();
        Ok(in_place(which, &cases))
    }

    async fn file(&self, which: &Reference) -> Result<Option<CaseFile>, StoreError> {
        self.act().await?;
        let tickets = self.tickets.lock().unwrap();
        let found = tickets.iter().find(|ticket| which.names(ticket));
        let file = |ticket: &Ticket| CaseFile {
            case: case(ticket),
            thread: ticket.replies.clone(),
            trail: vec![],
        };
        Ok(found.map(file))
    }

    async fn commit(&self, steps: &[Step], _together: bool) -> Result<Vec<bool>, StoreError> {
        self.act().await?;
        let mut tickets = self.tickets.lock().unwrap();
        let mut take = |step: &Step| {
            let found = tickets.iter_mut().find(|it| it.id == step.before.ticket.id);
            let Some(ticket) = found.filter(|it| case(it).work.version == step.before.work.version)
            else {
                return false;
            };
            *ticket = step.outcome.case.ticket.clone();
            ticket.replies.extend(step.outcome.post.clone());
            true
        };
        Ok(steps.iter().map(&mut take).collect())
    }
}
