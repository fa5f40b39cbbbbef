//! What every handler leans on.

use std::{sync::Arc, time::Duration};

use axum::http::request::Parts;
use common::{
    clock::{Clock, Entropy},
    domain::{ActionKind, Actor, OperatorAction},
    keys::NumberKey,
    letters::{LetterError, LetterOffice},
    people::{PeopleError, PeopleOffice},
    ports::{
        actions::ActionLog,
        backend::{DeskPorts, Intakes},
        cases::{Author, Cases},
        dead_letters::Interrupted,
        exports::Exports,
        records::Records,
        search::TicketIndex,
        store::StoreError,
        tokens::{TokenReader, TokenRegistry},
    },
    trace::Trace,
};
use http::{
    auth::{Access, Principal},
    condition::{Condition, in_time},
    guesses::Guesses,
    problem::Problem,
    request::Around,
};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{REQUEST_WAIT, Settings, gate::Gate, listing::Cursors, live::Live};

/// Exports and imports at a time, and people told or erased. Each reads or writes as fast as it can be
/// taken, beside everybody else's work.
const TRANSFERS_MAX: usize = 4;

/// The state of the role, shared by all requests.
pub struct Desk {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub access: Access,
    pub gate: Gate,
    pub tokens: Arc<dyn TokenRegistry>,
    pub known_tokens: Arc<dyn TokenReader>,
    pub letters: LetterOffice,
    pub cases: Arc<dyn Cases>,
    pub live: Live,
    pub people: PeopleOffice,
    pub exports: Arc<dyn Exports>,
    pub intakes: Arc<dyn Intakes>,
    pub number_key: Arc<NumberKey>,
    /// How long a ticket is kept that nobody has touched, if there is an end.
    pub retention: Option<Duration>,
    /// Cancelled when the role should end.
    pub stop: CancellationToken,
    transfers: Arc<Semaphore>,
    /// All that is on record.
    pub records: Arc<dyn Records>,
    pub index: Arc<dyn TicketIndex>,
    pub cursors: Cursors,
    actions: Arc<dyn ActionLog>,
    store: Condition,
    letters_reached: Condition,
    people_reached: Condition,
}

impl Desk {
    /// Composes it.
    pub fn new(
        ports: DeskPorts,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        settings: &Settings,
        stop: CancellationToken,
    ) -> Self {
        let (limits, key) = (&settings.limits, &settings.number_key);
        let guesses = Guesses::new(ports.limiter, Arc::clone(&entropy), limits, key);
        let admin = settings.admin_token.as_ref();
        Self {
            access: Access::new(admin, Arc::clone(&ports.tokens), Arc::clone(&clock), guesses),
            known_tokens: ports.tokens,
            gate: Gate::new(),
            letters: LetterOffice::new(&ports.operator, Arc::clone(&clock)),
            cases: ports.cases,
            people: PeopleOffice::new(&ports.operator, Arc::clone(&clock), key),
            live: Live::start(&ports.feed, stop.clone()),
            stop,
            exports: ports.operator.exports,
            intakes: ports.operator.intakes,
            number_key: Arc::clone(&settings.number_key),
            retention: settings.retention,
            transfers: Arc::new(Semaphore::new(TRANSFERS_MAX)),
            index: ports.index,
            cursors: Cursors::new(key),
            clock,
            entropy,
            tokens: ports.operator.tokens,
            records: ports.operator.records,
            actions: ports.operator.actions,
            store: Condition::new("what staff ask of the store"),
            letters_reached: Condition::new("what staff ask of the dead letters"),
            people_reached: Condition::new("what staff ask about people"),
        }
    }

    /// What stands around every route.
    pub fn around(&self) -> Around<'_> {
        Around { clock: &*self.clock, entropy: &*self.entropy, request_wait: REQUEST_WAIT }
    }

    /// A place for one of them.
    pub fn transfer(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let place = Arc::clone(&self.transfers).try_acquire_owned();
        place.map_err(|_| Problem::TooManyTransfers)
    }

    /// What the store says, if it says so in time.
    pub async fn stored<T>(
        &self,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Problem> {
        self.store.note(in_time(answer).await).map_err(|_| Problem::Unavailable)
    }

    /// Puts on record what somebody is about to do. It must not be done unless this says `Ok`.
    pub async fn record(
        &self,
        principal: &Principal,
        action: ActionKind,
        subject: &str,
        details: Value,
    ) -> Result<(), Problem> {
        let action = OperatorAction {
            acted_at: self.clock.now(),
            actor: actor(principal),
            origin: principal.origin.clone(),
            action,
            subject: subject.to_owned(),
            details,
        };
        self.stored(self.actions.record(&[action])).await
    }

    /// Who changes a ticket, as its trail has it.
    pub fn author(&self, principal: &Principal, head: &Parts) -> Author {
        let trace = head.extensions.get::<Trace>().cloned();
        Author {
            actor: actor(principal).to_string(),
            name: principal.name.clone(),
            address: Some(self.access.address(head).to_string()),
            trace: trace.unwrap_or_else(|| Trace::of_request(None, None, &*self.entropy)),
        }
    }

    /// What the office says of the dead letters.
    pub fn told<T>(&self, answer: Result<T, LetterError>) -> Result<T, Problem> {
        self.letters_reached.note(answer).map_err(|error| match error {
            LetterError::Unrecorded { handled: 0, .. }
            | LetterError::Interrupted(Interrupted { handled: 0, .. })
            | LetterError::Unavailable(_) => Problem::Unavailable,
            LetterError::Unrecorded { .. } | LetterError::Interrupted(_) => Problem::Interrupted,
        })
    }

    /// What the office says about people.
    pub fn told_of_people<T>(&self, answer: Result<T, PeopleError>) -> Result<T, Problem> {
        self.people_reached.note(answer).map_err(|error| match error {
            PeopleError::Unrecorded(_) | PeopleError::Unavailable(_) => Problem::Unavailable,
            PeopleError::Interrupted(_) => Problem::Interrupted,
        })
    }
}

/// Who somebody is on record.
pub fn actor(principal: &Principal) -> Actor {
    match &principal.token {
        Some(id) => Actor::Token { id: id.clone(), role: principal.role },
        None => Actor::AdminKey,
    }
}
