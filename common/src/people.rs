//! The office of people's data: what is stored about somebody, told and erased, on record.
//!
//! A person is an address, in whatever case of its letters from A to Z: each database folds others by rules of
//! its own, and an erasure must find what was stored under any. What somebody does here is on record before it
//! is done, under a keyed hash of the address: the record must not keep what was erased.

mod mention;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use crate::{
    Cause,
    clock::{Clock, SKEW_MAX},
    domain::{
        ActionKind, Actor, Because, Email, OperatorAction, Origin, PersonHash, PersonKey,
        SubmissionId,
    },
    keys::{NumberKey, hex},
    ports::{
        actions::ActionLog,
        backend::OperatorPorts,
        cases::{CaseFile, Cases, Reference},
        dead_letters::{
            Censor, DeadLetters, HeldLetter, LetterId, Overseer, TOGETHER_MAX, Verdict,
        },
        ledger::Ledger,
        people::{ERASED_TOGETHER, Erasure, People},
        queue::{BuriedLetter, ConsumeError},
        store::StoreError,
    },
    trace::Trace,
};

use self::mention::Mention;

/// Tickets found in one search.
const FOUND_MAX: u32 = 5_000;

/// Why something was not done, or not all of it.
#[derive(Debug, Error)]
pub enum PeopleError {
    /// Nothing is done that is not on record.
    #[error("it cannot be put on record, so it is not done")]
    Unrecorded(#[source] StoreError),
    /// Nothing was erased.
    #[error("what is stored about people is out of reach")]
    Unavailable(#[source] Cause),
    /// Some of it was erased, and the rest can be as soon as it is within reach.
    #[error("not all of it is erased")]
    Interrupted(#[source] Cause),
}

impl From<StoreError> for PeopleError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<ConsumeError> for PeopleError {
    fn from(error: ConsumeError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Who wants something done, and by which request.
#[derive(Debug, Clone)]
pub struct Order {
    /// Who.
    pub actor: Actor,
    /// From where.
    pub origin: Origin,
    /// Why, if they say so.
    pub because: Option<Because>,
    /// Their request.
    pub trace: Trace,
}

/// A dead letter that holds something of a person's.
#[derive(Debug)]
pub struct FoundLetter {
    /// Its name.
    pub id: LetterId,
    /// Why it was given up.
    pub code: String,
    /// When.
    pub first_seen_at: DateTime<Utc>,
    /// What they sent, as it lies there.
    pub submissions: Vec<Value>,
}

/// Some of what is stored about a person.
#[derive(Debug)]
pub struct Export {
    /// When they were last erased, if they were.
    pub erased_at: Option<DateTime<Utc>>,
    /// Tickets of theirs, with all that was said about them.
    pub tickets: Vec<CaseFile>,
    /// Where to go on, if there are more.
    pub next: Option<SubmissionId>,
    /// What of theirs could not become a ticket.
    pub letters: Letters,
}

/// Dead letters in which an address stands.
#[derive(Debug, Default)]
pub struct Letters {
    /// Those that are the person's, or hold submissions of theirs.
    pub theirs: Vec<FoundLetter>,
    /// Those of which that cannot be told.
    pub undecided: Vec<LetterId>,
    /// Whether somebody else had letters in hand, which were not looked into.
    pub are_some_held: bool,
}

/// What was erased.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Tickets.
    pub tickets: usize,
    /// Dead letters that are gone, or hold nothing of the person's any more.
    pub letters: usize,
    /// Dead letters in which their address stands, and of which nobody can tell whose they are. They stay.
    pub undecided: Vec<LetterId>,
    /// Whether somebody else had letters in hand, which were not looked into.
    pub are_some_held: bool,
    /// Whether all of the person's is erased. Not, when the time was over or some letters were not looked
    /// into: to do it again then goes on with the rest.
    pub is_complete: bool,
}

/// Tells and erases what is stored about people.
pub struct PeopleOffice {
    people: Arc<dyn People>,
    cases: Arc<dyn Cases>,
    letters: Arc<dyn DeadLetters>,
    actions: Arc<dyn ActionLog>,
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    key: PersonKey,
}

impl PeopleOffice {
    /// Of an installation.
    #[must_use]
    pub fn new(ports: &OperatorPorts, clock: Arc<dyn Clock>, key: &NumberKey) -> Self {
        Self {
            people: Arc::clone(&ports.people),
            cases: Arc::clone(&ports.cases),
            letters: Arc::clone(&ports.dead_letters),
            actions: Arc::clone(&ports.actions),
            ledger: Arc::clone(&ports.ledger),
            clock,
            key: PersonKey::new(key),
        }
    }

    /// Up to `limit` tickets of a person: those after `after`, or the first ones. Dead letters come with
    /// the first ones.
    pub async fn export(
        &self,
        email: &Email,
        after: Option<SubmissionId>,
        limit: u32,
        order: &Order,
    ) -> Result<Export, PeopleError> {
        let (person, now) = (self.key.hash_of(email), self.clock.now());
        self.record(ActionKind::PersonExport, person, order, json!({})).await?;
        // Clocks of edges may be ahead of this one.
        let until = now + SKEW_MAX;
        let seen = self.people.tickets_of(email, until, after, limit).await?;
        let is_full = seen.len() == limit as usize;
        let mut tickets = Vec::new();
        for ticket in &seen {
            // One that was erased meanwhile says nothing any more.
            tickets.extend(self.cases.file(&Reference::Id(ticket.id)).await?);
        }
        let letters =
            if after.is_none() { self.letters_of(email).await? } else { Letters::default() };
        Ok(Export {
            erased_at: self.people.forgotten_at(person).await?,
            tickets,
            next: seen.last().filter(|_| is_full).map(|ticket| ticket.id),
            letters,
        })
    }

    /// Takes every word of a person's out of whatever they have sent up to now, as far as `patience`
    /// reaches: the counts stay, and who did what. What they send later is kept like anybody's.
    pub async fn erase(
        &self,
        email: &Email,
        order: &Order,
        patience: Option<Duration>,
    ) -> Result<Erased, PeopleError> {
        let time = Time { until: patience.map(|patience| Instant::now() + patience) };
        let (person, now) = (self.key.hash_of(email), self.clock.now());
        self.record(ActionKind::PersonErase, person, order, json!({})).await?;
        // First: from now on nothing of theirs comes to be, and what is there can be counted down.
        self.people.forget(person, now).await?;
        let mut erased = Erased::default();
        let done = self.erase_all(email, now, order, time, &mut erased).await;
        done.map_err(PeopleError::Interrupted)?;
        Ok(erased)
    }

    async fn erase_all(
        &self,
        email: &Email,
        now: DateTime<Utc>,
        order: &Order,
        time: Time,
        erased: &mut Erased,
    ) -> Result<(), Cause> {
        if !self.erase_tickets(email, now, order, time, &mut erased.tickets).await? {
            return Ok(());
        }
        let reader = Reader { office: self, email, order, redacted: AtomicUsize::new(0) };
        // Given up in between it loses no letter.
        let redacted = time.within(self.letters.redact(&reader, &reader)).await;
        erased.letters = reader.redacted.into_inner();
        let Some(redacted) = redacted else { return Ok(()) };
        redacted?;
        let Some(left) = time.within(self.letters_of(email)).await else { return Ok(()) };
        let left = left?;
        (erased.undecided, erased.are_some_held) = (left.undecided, left.are_some_held);
        erased.is_complete = left.theirs.is_empty() && !left.are_some_held;
        Ok(())
    }

    /// Counts those that it erases. Whether there are none left: not, when the time was over.
    async fn erase_tickets(
        &self,
        email: &Email,
        now: DateTime<Utc>,
        order: &Order,
        time: Time,
        erased: &mut usize,
    ) -> Result<bool, StoreError> {
        let erasure = Erasure {
            at: now,
            actor: order.actor.to_string(),
            address: order.origin.address.clone(),
            trace: order.trace.clone(),
        };
        loop {
            let search = self.people.tickets_of(email, now, None, FOUND_MAX);
            let Some(found) = time.within(search).await else { return Ok(false) };
            let (found, before) = (found?, *erased);
            for tickets in found.chunks(ERASED_TOGETHER) {
                if time.is_over() {
                    return Ok(false);
                }
                *erased += self.people.erase(tickets, &erasure).await?.len();
            }
            // Whoever changes a ticket in between keeps it from being erased, until the next search. Where
            // nobody did there is no need of one: nothing of theirs comes to be any more.
            let are_all = *erased - before == found.len() && found.len() < FOUND_MAX as usize;
            if are_all {
                return Ok(true);
            }
        }
    }

    async fn letters_of(&self, email: &Email) -> Result<Letters, ConsumeError> {
        let letters = Mutex::new(Letters::default());
        let see = |held: &HeldLetter| {
            let mention = Mention::of(email, &held.letter.body);
            // Nothing panics under this lock.
            let mut letters = letters.lock().unwrap_or_else(PoisonError::into_inner);
            if mention.is_undecided {
                letters.undecided.push(held.id.clone());
            }
            if !mention.submissions.is_empty() {
                letters.theirs.push(FoundLetter {
                    id: held.id.clone(),
                    code: held.letter.code.clone(),
                    first_seen_at: held.letter.first_seen_at,
                    submissions: mention.submissions,
                });
            }
        };
        let are_some_held = self.letters.read(&see).await?;
        let letters = letters.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Letters { are_some_held, ..letters })
    }

    async fn record(
        &self,
        action: ActionKind,
        person: PersonHash,
        order: &Order,
        details: Value,
    ) -> Result<(), PeopleError> {
        let action = self.action(action, person, order, details);
        self.actions.record(&[action]).await.map_err(PeopleError::Unrecorded)
    }

    fn action(
        &self,
        action: ActionKind,
        person: PersonHash,
        order: &Order,
        mut details: Value,
    ) -> OperatorAction {
        if let Some(because) = &order.because {
            details["because"] = Value::from(because.as_str());
        }
        OperatorAction {
            acted_at: self.clock.now(),
            actor: order.actor.clone(),
            origin: order.origin.clone(),
            action,
            subject: hex(&person.0),
            details,
        }
    }
}

/// Until when something is done, if there is such a time.
#[derive(Debug, Clone, Copy)]
struct Time {
    until: Option<Instant>,
}

impl Time {
    fn is_over(self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// What comes of it, unless the time is over before.
    async fn within<T>(self, work: impl Future<Output = T>) -> Option<T> {
        match self.until {
            Some(until) => timeout_at(until, work).await.ok(),
            None => Some(work.await),
        }
    }
}

/// Reads dead letters, and strikes what is a person's out of them.
struct Reader<'a> {
    office: &'a PeopleOffice,
    email: &'a Email,
    order: &'a Order,
    /// How many it was told of: those count also where the time is over before all are done.
    redacted: AtomicUsize,
}

impl Censor for Reader<'_> {
    fn judge(&self, letter: &BuriedLetter) -> Verdict {
        Mention::of(self.email, &letter.body).verdict()
    }
}

#[async_trait]
impl Overseer for Reader<'_> {
    async fn admit(&self) -> Option<usize> {
        Some(TOGETHER_MAX)
    }

    /// Each is on record before it goes, and is missed by nobody after that.
    async fn foresee(&self, letters: &[HeldLetter]) -> Result<(), Cause> {
        let Self { office, email, order, .. } = self;
        let person = office.key.hash_of(email);
        let (mut actions, mut struck) = (Vec::new(), Vec::new());
        for held in letters {
            let ids = Mention::of(email, &held.letter.body).ids();
            let submissions: Vec<_> = ids.iter().map(ToString::to_string).collect();
            let details = json!({"letter": held.id.as_str(), "submissions": submissions});
            actions.push(office.action(ActionKind::PersonErase, person, order, details));
            struck.extend(ids);
        }
        office.actions.record(&actions).await?;
        office.ledger.strike(&struck).await?;
        Ok(())
    }

    fn handled(&self, letters: usize) {
        self.redacted.fetch_add(letters, Ordering::Relaxed);
    }
}
