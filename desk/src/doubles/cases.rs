//! Cases in memory, and a feed that says nothing by itself.

use std::sync::Mutex;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use common::{
    domain::{
        Case, ClientTimestamp, Email, Form, Message, Name, Post, Priority, Status, StatusChange,
        Subject, SubmissionId, Ticket, Work,
    },
    ports::{
        cases::{CaseFile, Cases, Reference, Step, TrailEntry, in_place},
        events::{Feed, FeedItem, Subscription},
        store::StoreError,
    },
};
use tokio::sync::broadcast;
use uuid::Uuid;

/// Keeps cases as a store does: a step takes effect on the version it was computed from.
#[derive(Default)]
pub struct ScriptedCases {
    pub files: Mutex<Vec<CaseFile>>,
    /// So many commits find that somebody else was first.
    pub rivals: Mutex<u32>,
    /// Somebody else is always first with this one.
    pub contested: Mutex<Option<SubmissionId>>,
    /// So many calls are answered yet, if there is an end to it.
    pub answers: Mutex<Option<u32>>,
    /// How many transactions there were.
    pub commits: Mutex<u32>,
}

impl ScriptedCases {
    /// Puts an open ticket there.
    pub fn add(&self, number: &str, submitted_at: DateTime<Utc>) -> SubmissionId {
        let id = Uuid::from_u128(u128::from(number.len() as u64) << 64 | self.count()).into();
        let form = Form {
            name: Name::parse("Ada").unwrap(),
            email: Email::parse("ada@example.org").unwrap(),
            subject: Subject::Technical,
            message: Message::parse("It has stopped.").unwrap(),
            timestamp: ClientTimestamp::parse("2026-11-22T10:00:00Z").unwrap(),
            user_id: None,
            user_agent: None,
            url: None,
        };
        let history = vec![StatusChange { version: 1, status: Status::Open, at: submitted_at }];
        let ticket = Ticket {
            id,
            number: number.parse().unwrap(),
            form,
            status: Status::Open,
            priority: Priority::High,
            submitted_at,
            updated_at: submitted_at,
            resolved_at: None,
            history,
            replies: vec![],
        };
        let case = Case { ticket, work: Work { version: 1, ..Work::default() } };
        self.files.lock().unwrap().push(CaseFile { case, thread: vec![], trail: vec![] });
        id
    }

    fn reached(&self) -> Result<(), StoreError> {
        let mut answers = self.answers.lock().unwrap();
        let Some(left) = &mut *answers else { return Ok(()) };
        *left =
            left.checked_sub(1).ok_or_else(|| StoreError::Unavailable("internal: away".into()))?;
        Ok(())
    }

    fn count(&self) -> u128 {
        self.files.lock().unwrap().len() as u128
    }

    /// The thread of a ticket.
    pub fn thread(&self, number: &str) -> Vec<Post> {
        let files = self.files.lock().unwrap();
        let is_it = |file: &&CaseFile| file.case.ticket.number.to_string() == number;
        files.iter().find(is_it).unwrap().thread.clone()
    }
}

#[async_trait]
impl Cases for ScriptedCases {
    async fn find(&self, which: &[Reference]) -> Result<Vec<Option<Case>>, StoreError> {
        self.reached()?;
        let files = self.files.lock().unwrap();
        let cases: Vec<_> = files.iter().map(|file| file.case.clone()).collect();
        Ok(in_place(which, &cases))
    }

    async fn file(&self, which: &Reference) -> Result<Option<CaseFile>, StoreError> {
        let files = self.files.lock().unwrap();
        Ok(files.iter().find(|file| which.names(&file.case.ticket)).cloned())
    }

    async fn commit(&self, steps: &[Step], together: bool) -> Result<Vec<bool>, StoreError> {
        self.reached()?;
        *self.commits.lock().unwrap() += 1;
        let mut files = self.files.lock().unwrap();
        let mut rivals = self.rivals.lock().unwrap();
        if *rivals > 0 {
            *rivals -= 1;
            return Ok(vec![false; steps.len()]);
        }
        let contested = *self.contested.lock().unwrap();
        let fits = |file: &CaseFile, step: &Step| {
            file.case == step.before && contested != Some(file.case.ticket.id)
        };
        if together && !steps.iter().all(|step| files.iter().any(|file| fits(file, step))) {
            return Ok(vec![false; steps.len()]);
        }
        let mut done = Vec::new();
        for step in steps {
            let file = files.iter_mut().find(|file| fits(file, step));
            done.push(file.is_some());
            let Some(file) = file else { continue };
            file.case = step.outcome.case.clone();
            file.thread.extend(step.outcome.post.clone());
            file.trail.extend(step.outcome.entries.iter().map(|entry| TrailEntry {
                version: entry.version,
                kind: entry.kind.to_string(),
                at: file.case.ticket.updated_at,
                actor: step.author.actor.clone(),
                address: step.author.address.clone(),
                request_id: step.author.trace.request_id.clone(),
                changes: Some(entry.changes.clone()),
            }));
        }
        Ok(done)
    }
}

/// Tells everybody who listens what a test says.
pub struct ScriptedFeed(pub broadcast::Sender<FeedItem>);

impl Default for ScriptedFeed {
    fn default() -> Self {
        Self(broadcast::channel(64).0)
    }
}

impl Feed for ScriptedFeed {
    fn subscribe(&self) -> Box<dyn Subscription> {
        Box::new(Listener(self.0.subscribe()))
    }
}

struct Listener(broadcast::Receiver<FeedItem>);

#[async_trait]
impl Subscription for Listener {
    async fn next(&mut self) -> FeedItem {
        match self.0.recv().await {
            Ok(item) => item,
            Err(_) => std::future::pending().await,
        }
    }
}
