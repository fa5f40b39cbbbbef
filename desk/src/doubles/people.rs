//! People of scripted cases.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use common::{
    domain::{Email, Message, Name, PersonHash, SubmissionId},
    ports::{
        cases::CaseFile,
        people::{Erasure, People, SeenTicket},
        store::StoreError,
    },
};
use tokio::time::sleep;

use super::ScriptedCases;

/// Finds and erases as a store does. It can be away, from the beginning or once somebody is forgotten, and
/// slow to find.
#[derive(Default)]
pub struct ScriptedPeople {
    pub cases: Arc<ScriptedCases>,
    pub forgotten: Mutex<Vec<(PersonHash, DateTime<Utc>)>>,
    pub erasures: Mutex<Vec<Erasure>>,
    pub is_away: AtomicBool,
    pub goes_away: AtomicBool,
    /// How long each search takes.
    pub takes: Mutex<Duration>,
    /// How many have begun.
    pub searches: AtomicUsize,
}

impl ScriptedPeople {
    fn reached(&self) -> Result<(), StoreError> {
        let is_away = self.is_away.load(Ordering::Relaxed);
        (!is_away).then_some(()).ok_or_else(|| StoreError::Unavailable("internal: away".into()))
    }
}

#[async_trait]
impl People for ScriptedPeople {
    async fn forget(&self, person: PersonHash, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.reached()?;
        self.forgotten.lock().unwrap().push((person, now));
        self.is_away.store(self.goes_away.load(Ordering::Relaxed), Ordering::Relaxed);
        Ok(())
    }

    async fn forgotten_at(&self, person: PersonHash) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.reached()?;
        let forgotten = self.forgotten.lock().unwrap();
        Ok(forgotten.iter().find(|(it, _)| *it == person).map(|(_, at)| *at))
    }

    async fn tickets_of(
        &self,
        email: &Email,
        until: DateTime<Utc>,
        after: Option<SubmissionId>,
        limit: u32,
    ) -> Result<Vec<SeenTicket>, StoreError> {
        self.reached()?;
        self.searches.fetch_add(1, Ordering::Relaxed);
        let takes = *self.takes.lock().unwrap();
        sleep(takes).await;
        let is_theirs = |file: &&CaseFile| {
            let ticket = &file.case.ticket;
            ticket.form.email.as_str().eq_ignore_ascii_case(email.as_str())
                && ticket.submitted_at <= until
                && after.is_none_or(|after| ticket.id.as_uuid() > after.as_uuid())
        };
        let seen = |file: &CaseFile| SeenTicket {
            id: file.case.ticket.id,
            version: file.case.work.version,
        };
        let files = self.cases.files.lock().unwrap();
        Ok(files.iter().filter(is_theirs).map(seen).take(limit as usize).collect())
    }

    async fn untouched(&self, _: DateTime<Utc>, _: u32) -> Result<Vec<SeenTicket>, StoreError> {
        Ok(Vec::new())
    }

    async fn erase(
        &self,
        tickets: &[SeenTicket],
        erasure: &Erasure,
    ) -> Result<Vec<SubmissionId>, StoreError> {
        self.reached()?;
        self.erasures.lock().unwrap().push(erasure.clone());
        let mut files = self.cases.files.lock().unwrap();
        for file in files.iter_mut() {
            if tickets.iter().any(|it| it.id == file.case.ticket.id) {
                let form = &mut file.case.ticket.form;
                form.name = Name::stored(String::new());
                form.email = Email::stored(String::new());
                form.message = Message::stored(String::new());
            }
        }
        Ok(tickets.iter().map(|it| it.id).collect())
    }

    async fn take_turn(&self, _: DateTime<Utc>, _: DateTime<Utc>) -> Result<bool, StoreError> {
        Ok(false)
    }
}
