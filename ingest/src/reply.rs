//! What the sender of an accepted submission is answered.

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::Response,
};
use chrono::{DateTime, Utc};
use common::domain::{SubmissionId, Ticket, TicketNumber};
use serde::Serialize;

use crate::{
    answer::enveloped,
    echo::{Created, Echo, Queued},
    edge::Edge,
    naming::Name,
    prefer::Patience,
    problem::{Problem, Success},
    routes::TICKETS,
};

const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// How a submission stands to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The first, as far as is known.
    First,
    /// One of those before, sent again under its key: it gets the first one's answer.
    Replay,
    /// One of those before, sent again without a key: it is told so.
    Duplicate,
}

impl Standing {
    /// Of what is not known to be stored.
    pub const fn of(name: &Name) -> Self {
        match (name.is_repeat, name.key) {
            (false, _) => Self::First,
            (true, Some(_)) => Self::Replay,
            (true, None) => Self::Duplicate,
        }
    }
}

/// An answer in the making.
pub struct Reply<'a> {
    /// Whose clock it is dated by.
    pub edge: &'a Edge,
    /// Which submission it is about.
    pub id: SubmissionId,
    /// How long its sender waits, and what of that was the sender's wish.
    pub patience: Patience,
    /// What else its sender is to know.
    pub standing: Standing,
}

impl Reply<'_> {
    /// 201, also to a replay: it has what the first one has got, or would have.
    pub fn created(
        self,
        echo: &Echo,
        number: &TicketNumber,
        submitted_at: DateTime<Utc>,
    ) -> Result<Response, Problem> {
        let data = Created::of(echo, number, submitted_at, false);
        let message = "Support ticket created successfully";
        self.told(Success::Created, message, &data)
    }

    /// 200 with the ticket that there is already, as it stands now. Whatever the sender preferred,
    /// there is nothing to wait for, and nothing that is answered later.
    pub fn duplicate(self, ticket: Ticket) -> Result<Response, Problem> {
        let (number, submitted_at) = (ticket.number.clone(), ticket.submitted_at);
        let echo = Echo::of_ticket(ticket);
        let data = Created::of(&echo, &number, submitted_at, true);
        let message = "This was submitted before; here is its support ticket";
        self.told(Success::Found, message, &data)
    }

    /// 202.
    pub fn queued(self) -> Result<Response, Problem> {
        let is_duplicate = self.standing == Standing::Duplicate;
        let data = Queued::again(self.id, is_duplicate);
        let message = "Support ticket queued; it will be numbered shortly";
        self.told(Success::Queued, message, &data)
    }

    /// 202, of what this edge keeps until the queue is back.
    pub fn spooled(self) -> Result<Response, Problem> {
        let is_duplicate = self.standing == Standing::Duplicate;
        let data = Queued::again(self.id, is_duplicate).spooled();
        let message = "Support ticket queued; it will be numbered as soon as possible";
        self.told(Success::Queued, message, &data)
    }

    fn told(
        self,
        success: Success,
        message: &str,
        data: &impl Serialize,
    ) -> Result<Response, Problem> {
        let mut response = enveloped(success, message, data, self.edge.clock.now())?;
        let location = HeaderValue::try_from(format!("{TICKETS}/{}", self.id));
        let headers = response.headers_mut();
        headers.extend(location.ok().map(|location| (header::LOCATION, location)));
        let applied = match success {
            Success::Queued => self.patience.applied(true),
            Success::Created => self.patience.applied(false),
            Success::Found | Success::Unready => None,
        };
        headers.extend(applied.map(|applied| (PREFERENCE_APPLIED, applied)));
        if self.standing == Standing::Replay {
            headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
        }
        Ok(response)
    }
}
