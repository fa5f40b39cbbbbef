//! Tickets to take elsewhere, and a queue with a worker and a store behind it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use common::{
    domain::{
        Email, KeyHash, Message, Name, Priority, Status, Subject, Submission, SubmissionId, Tag,
        Ticket, TicketNumber, UserId,
    },
    ports::{
        backend::{IntakePorts, Intakes},
        exports::{Choice, ExportedTicket, Exports, Page},
        queue::{PublishError, Publisher, Receipt},
        store::{StoreError, TicketReader},
    },
};
use tokio::sync::mpsc;
use uuid::Uuid;

/// Tickets in the order of their ids. Looks at two at a time, whatever it is asked.
#[derive(Default)]
pub struct ScriptedExports {
    pub tickets: Mutex<Vec<ExportedTicket>>,
    /// How often it was asked for a page.
    pub asked: Mutex<usize>,
    /// From which page on it does not answer, and how often.
    pub is_away: Mutex<Option<(usize, usize)>>,
}

impl ScriptedExports {
    /// Tickets of these subjects, the messages as they are numbered.
    pub fn add(&self, subjects: &[Subject]) {
        let mut tickets = self.tickets.lock().unwrap();
        for subject in subjects {
            let number = tickets.len() + 1;
            tickets.push(ExportedTicket {
                id: Uuid::from_u128(number as u128).into(),
                number: format!("SUP-2026-{number:06}").parse().unwrap(),
                name: Name::parse("Ada \"=\" O'Hara").unwrap(),
                email: Email::parse("ada@example.org").unwrap(),
                subject: *subject,
                message: Message::parse(&format!("=1+1,\n\"{number}\"")).unwrap(),
                status: Status::Open,
                priority: Priority::from(*subject),
                user_id: (number == 1).then(|| UserId::parse("@7").unwrap()),
                submitted_at: DateTime::UNIX_EPOCH,
                updated_at: DateTime::UNIX_EPOCH,
                resolved_at: (number == 1).then_some(DateTime::UNIX_EPOCH),
                assignee: (number == 1).then(|| Name::parse("Grace").unwrap()),
                tags: ["a", "b"]
                    .into_iter()
                    .take(number % 3)
                    .map(|it| Tag::parse(it).unwrap())
                    .collect(),
            });
        }
    }
}

#[async_trait]
impl Exports for ScriptedExports {
    async fn page(
        &self,
        choice: &Choice,
        after: Option<SubmissionId>,
        _looked_at_max: u32,
    ) -> Result<Page, StoreError> {
        let mut asked = self.asked.lock().unwrap();
        *asked += 1;
        if let Some((from, left)) = self.is_away.lock().unwrap().as_mut()
            && *asked >= *from
            && *left > 0
        {
            *left -= 1;
            return Err(StoreError::Unavailable("internal: away".into()));
        }
        let tickets = self.tickets.lock().unwrap();
        let looked_at = tickets.iter().filter(|it| after.is_none_or(|after| it.id > after)).take(2);
        let looked_at: Vec<_> = looked_at.cloned().collect();
        let next = looked_at.last().map(|it| it.id);
        let is_wanted = |it: &ExportedTicket| {
            choice.subjects.is_empty() || choice.subjects.contains(&it.subject)
        };
        Ok(Page { tickets: looked_at.into_iter().filter(is_wanted).collect(), next })
    }

    async fn count(&self) -> Result<u64, StoreError> {
        Ok(self.tickets.lock().unwrap().len() as u64)
    }
}

/// Takes envelopes, stores what is in them at once, and says so.
#[derive(Default)]
pub struct ScriptedIntake {
    pub stored: Mutex<HashMap<SubmissionId, Submission>>,
    /// How many submissions each envelope held.
    pub envelopes: Mutex<Vec<usize>>,
    /// So many envelopes are refused first.
    pub refusals: Mutex<usize>,
    /// Whether the store does not say what it has.
    pub is_silent: Mutex<bool>,
    edges: Mutex<Vec<mpsc::Sender<Vec<Receipt>>>>,
}

impl ScriptedIntake {
    /// What is stored, by its messages.
    pub fn messages(&self) -> Vec<String> {
        let stored = self.stored.lock().unwrap();
        let mut messages: Vec<_> =
            stored.values().map(|it| it.form.message.as_str().to_owned()).collect();
        messages.sort();
        messages
    }

    fn number() -> TicketNumber {
        "SUP-2026-483920".parse().unwrap()
    }
}

#[async_trait]
impl Publisher for ScriptedIntake {
    async fn publish(&self, submissions: Vec<Submission>) -> Result<(), PublishError> {
        let mut refusals = self.refusals.lock().unwrap();
        if *refusals > 0 {
            *refusals -= 1;
            return Err(PublishError::Rejected);
        }
        self.envelopes.lock().unwrap().push(submissions.len());
        let receipt = |it: &Submission| Receipt {
            id: it.id,
            number: Self::number(),
            submitted_at: it.submitted_at,
        };
        let receipts: Vec<_> = submissions.iter().map(receipt).collect();
        for edge in &*self.edges.lock().unwrap() {
            drop(edge.try_send(receipts.clone()));
        }
        let mut stored = self.stored.lock().unwrap();
        for submission in submissions {
            stored.entry(submission.id).or_insert(submission);
        }
        Ok(())
    }

    async fn publish_bytes(&self, _body: Bytes) -> Result<(), PublishError> {
        Err(PublishError::Rejected)
    }

    fn is_ready(&self) -> bool {
        true
    }
}

#[async_trait]
impl TicketReader for ScriptedIntake {
    async fn by_numbers(&self, _: &[TicketNumber]) -> Result<Vec<Option<Ticket>>, StoreError> {
        Ok(Vec::new())
    }

    async fn by_ids(&self, ids: &[SubmissionId]) -> Result<Vec<Option<Ticket>>, StoreError> {
        if *self.is_silent.lock().unwrap() {
            return Err(StoreError::Unavailable("internal: away".into()));
        }
        let stored = self.stored.lock().unwrap();
        let ticket = |it: &Submission| Ticket {
            id: it.id,
            number: Self::number(),
            form: it.form.clone(),
            status: Status::Open,
            priority: Priority::from(it.form.subject),
            submitted_at: it.submitted_at,
            updated_at: it.submitted_at,
            resolved_at: None,
            history: vec![],
            replies: vec![],
        };
        Ok(ids.iter().map(|id| stored.get(id).map(ticket)).collect())
    }

    async fn by_key(&self, _: KeyHash) -> Result<Option<Ticket>, StoreError> {
        Ok(None)
    }
}

/// Opens it.
pub struct ScriptedIntakes(pub Arc<ScriptedIntake>);

#[async_trait]
impl Intakes for ScriptedIntakes {
    async fn open(&self) -> IntakePorts {
        let (sender, receipts) = mpsc::channel(16);
        self.0.edges.lock().unwrap().push(sender);
        IntakePorts { publisher: self.0.clone(), receipts, tickets: self.0.clone() }
    }
}
