//! An index in memory.

use std::sync::Mutex;

use async_trait::async_trait;
use common::{
    domain::{TicketPage, TicketQuery},
    ports::{search::TicketIndex, store::StoreError},
};

/// An index that gives the same page whatever it is asked, and remembers what it was asked.
#[derive(Default)]
pub struct ScriptedIndex {
    pub page: Mutex<TicketPage>,
    pub asked: Mutex<Vec<TicketQuery>>,
}

#[async_trait]
impl TicketIndex for ScriptedIndex {
    async fn page(&self, query: &TicketQuery) -> Result<TicketPage, StoreError> {
        self.asked.lock().unwrap().push(query.clone());
        Ok(self.page.lock().unwrap().clone())
    }
}
