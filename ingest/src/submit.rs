//! `POST /api/support/ticket`: the straight line of a submission through the edge.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, request::Parts},
    response::Response,
};
use common::{
    domain::{Submission, SubmissionId, Ticket},
    failpoint,
    metrics::REPLY_WAIT,
    ports::{limits::Policy, queue::Receipt},
    trace::Trace,
};
use tokio::time::{Instant, timeout_at};

use crate::{
    body,
    confirmation::Confirmation,
    echo::Echo,
    edge::Edge,
    form,
    key::IdempotencyKey,
    limits::{Account, Told},
    naming::{self, Name, Named},
    outlet::Durability,
    prefer::{Patience, Preferences},
    problem::Problem,
    reply::{Reply, Standing},
    waiting::Seat,
};

/// How long a submission may take to become durable. Half a second less than the 2.5 in which
/// every POST has its answer.
pub const DURABLE_WAIT: Duration = Duration::from_secs(2);

/// Answers 201 with the ticket, 202 with a promise, 200 with the ticket there is already, or a
/// problem that promises nothing.
pub async fn submit(State(edge): State<Arc<Edge>>, request: Request) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    match admit(&edge, &head.headers) {
        Ok(key) => receive(&edge, head, body, key).await,
        Err(problem) => Ok(body::decline(&head.headers, body, problem).await),
    }
}

/// What can be said before the body is read.
fn admit(edge: &Edge, headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    if edge.intake.is_saturated() {
        return Err(Problem::Saturated);
    }
    body::require_json(headers)?;
    IdempotencyKey::of(headers)
}

async fn receive(
    edge: &Edge,
    mut head: Parts,
    body: Body,
    key: Option<IdempotencyKey>,
) -> Result<Response, Problem> {
    let patience = Preferences::of(&head.headers).patience(edge.reply_wait);
    let form = form::parse(&body::read(&head.headers, body).await?)?;
    failpoint!("edge.body_read");

    let account = head.extensions.remove::<Account>().ok_or(Problem::Internal)?;
    let (named, told) = if let Some(key) = &key {
        (naming::keyed(edge, &form, key).await?, None)
    } else {
        // Most forms come for the first time, and then this is their name: both are asked at once.
        let new = edge.ids.issue(edge.clock.now(), &*edge.entropy);
        let asking = account.ask(Policy::Create, new.as_uuid());
        let (named, told) = tokio::join!(naming::unkeyed(edge, &form, new), asking);
        (named, Some((new, told)))
    };
    let name = match named {
        Named::Stored(ticket) if key.is_some() => return replay(edge, *ticket, patience),
        Named::Stored(ticket) => return duplicate(edge, *ticket, patience),
        Named::Accepted(id) => {
            return Reply { edge, id, patience, standing: Standing::Duplicate }.queued();
        }
        Named::Open(name) => name,
    };
    count(edge, &account, &name, told).await?;
    let trace = head.extensions.remove::<Trace>();
    let trace = trace.unwrap_or_else(|| Trace::of_request(None, None, &*edge.entropy));
    let (id, submitted_at) = (name.id, edge.clock.now());
    let submission = Submission { id, key: name.key, submitted_at, form, trace };
    let echo = Echo::of(&submission);

    // Seated before it is offered: a worker can be faster than the broker's confirm.
    let seat = edge.waiting.seat(id);
    let offered_at = Instant::now();
    let outcome = match edge.intake.offer(submission) {
        Ok(confirmation) => outcome(edge, confirmation, seat, patience.reply_wait).await,
        Err(_not_taken) => Outcome::Refused,
    };
    outcome.tell(offered_at.elapsed());
    failpoint!("edge.before_answer");
    let (standing, is_refused) = (Standing::of(&name), outcome == Outcome::Refused);
    let answered = answer(&name, &echo, outcome, Reply { edge, id, patience, standing }).await;
    if answered.is_err() {
        // Of what is open the name stays taken: what shows up later and what is sent again are the
        // same then.
        let is_withdrawn = is_refused && name.withdraw(edge).await;
        if !is_withdrawn && name.was_accepted(edge).await {
            account.leave();
        }
    } else if !name.is_accepted {
        account.keep(Policy::Create, id.as_uuid()).await;
        name.accept(edge).await;
    }
    answered
}

/// Takes a slot for what is offered, as only what is accepted counts, and once: not what is known to
/// have been. One that was taken under another name is given back.
async fn count(
    edge: &Edge,
    account: &Account,
    name: &Name,
    told: Option<(SubmissionId, Told)>,
) -> Result<(), Problem> {
    let taken = match told {
        Some((id, told)) if id == name.id => told.stands(),
        told => {
            if told.is_some() {
                account.give_back(Policy::Create).await;
            }
            if name.is_accepted {
                return Ok(());
            }
            account.take(Policy::Create, name.id.as_uuid()).await
        }
    };
    if taken.is_err() {
        name.withdraw(edge).await;
    }
    taken
}

/// What is known of a submission when its wait is over.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// A ticket.
    Numbered(Receipt),
    /// Safe, and to become a ticket.
    Durable,
    /// The same, as soon as the queue is back.
    Spooled,
    /// Not queued.
    Refused,
    /// Perhaps lost.
    Unknown,
}

impl Outcome {
    /// Tells of it in the log and the figures.
    fn tell(&self, waited: Duration) {
        let outcome = match self {
            Self::Numbered(_) => "numbered",
            Self::Durable => "durable",
            Self::Spooled => "spooled",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        };
        REPLY_WAIT.record(waited, &[("outcome", outcome)]);
        tracing::debug!(outcome, ?waited, "a submission was offered");
    }
}

/// Waits for the confirm and, if `reply_wait` says so, for the number. A number proves by itself
/// that the submission is durable.
async fn outcome(
    edge: &Edge,
    mut confirmation: Confirmation,
    mut seat: Seat,
    reply_wait: Option<Duration>,
) -> Outcome {
    let offered_at = Instant::now();
    let until = offered_at + reply_wait.unwrap_or_default();
    let word = async {
        // While a number may come, that it is safe is no news.
        let trouble = timeout_at(until.min(offered_at + DURABLE_WAIT), confirmation.trouble());
        if let (Some(_), Ok(trouble)) = (reply_wait, trouble.await) {
            return trouble;
        }
        let durability = timeout_at(offered_at + DURABLE_WAIT, confirmation.durability());
        durability.await.unwrap_or(Durability::Open)
    };
    tokio::select! {
        biased;
        Some(receipt) = seat.receipt() => {
            edge.accounts.numbered();
            return Outcome::Numbered(receipt);
        }
        durability = word => match durability {
            Durability::Durable => {}
            Durability::Spooled => {
                // There is nothing to wait for while the queue is away.
                edge.accounts.spooled();
                return Outcome::Spooled;
            }
            Durability::Refused => return Outcome::Refused,
            Durability::Open => return Outcome::Unknown,
        },
    }
    match timeout_at(until, seat.receipt()).await {
        Ok(Some(receipt)) => {
            edge.accounts.numbered();
            Outcome::Numbered(receipt)
        }
        Ok(None) | Err(_) => seat.leave(&edge.accounts).map_or(Outcome::Durable, Outcome::Numbered),
    }
}

async fn answer(
    name: &Name,
    echo: &Echo,
    outcome: Outcome,
    reply: Reply<'_>,
) -> Result<Response, Problem> {
    match outcome {
        // Whoever asked not to wait is answered alike, however fast the worker was.
        Outcome::Numbered(_) if reply.patience.reply_wait.is_none() => reply.queued(),
        Outcome::Numbered(_) if reply.standing == Standing::Duplicate => {
            match naming::stored(reply.edge, name.id).await {
                Some(ticket) => reply.duplicate(ticket),
                None => reply.queued(),
            }
        }
        Outcome::Numbered(it) => reply.created(echo, &it.number, it.submitted_at),
        Outcome::Durable => reply.queued(),
        Outcome::Spooled => reply.spooled(),
        Outcome::Refused | Outcome::Unknown => Err(Problem::NotAccepted),
    }
}

/// What the first sender under the key was answered, or would have been.
fn replay(edge: &Edge, ticket: Ticket, patience: Patience) -> Result<Response, Problem> {
    let waits = patience.reply_wait.is_some();
    let reply = Reply { edge, id: ticket.id, patience, standing: Standing::Replay };
    if !waits {
        return reply.queued();
    }
    let (number, submitted_at) = (ticket.number.clone(), ticket.submitted_at);
    reply.created(&Echo::of_ticket(ticket).at_first(), &number, submitted_at)
}

fn duplicate(edge: &Edge, ticket: Ticket, patience: Patience) -> Result<Response, Problem> {
    let reply = Reply { edge, id: ticket.id, patience, standing: Standing::Duplicate };
    reply.duplicate(ticket)
}

#[cfg(test)]
mod tests;
