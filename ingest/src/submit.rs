//! `POST /api/support/ticket`: the straight line of a submission through the edge.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use common::{
    domain::{Submission, Ticket},
    metrics::REPLY_WAIT,
    ports::{limits::Policy, queue::Receipt},
    trace::Trace,
};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{
    batcher::{Confirmation, Durability},
    body,
    echo::Echo,
    edge::Edge,
    key::IdempotencyKey,
    limits::Account,
    naming::{self, Name, Named},
    payload,
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
pub async fn submit(State(edge): State<Arc<Edge>>, request: Request) -> Response {
    let mut response = receive(&edge, request).await.unwrap_or_else(IntoResponse::into_response);
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Prefer"));
    response
}

async fn receive(edge: &Edge, request: Request) -> Result<Response, Problem> {
    let (mut head, body) = request.into_parts();
    if edge.intake.is_saturated() {
        body::decline(&head.headers, body).await;
        return Err(Problem::Saturated);
    }
    body::require_json(&head.headers)?;
    let key = IdempotencyKey::of(&head.headers)?;
    let patience = Preferences::of(&head.headers).patience(edge.reply_wait);
    let form = payload::parse(&body::read(&head.headers, body).await?)?;

    let name = match naming::name(edge, &form, key.as_ref()).await? {
        Named::Stored(ticket) if key.is_some() => return replay(edge, *ticket, patience),
        Named::Stored(ticket) => return duplicate(edge, *ticket, patience),
        Named::Open(name) => name,
    };
    let account = head.extensions.remove::<Account>().ok_or(Problem::Internal)?;
    if let Err(problem) = account.take(Policy::Create, name.id.as_uuid()).await {
        name.withdraw(edge).await;
        return Err(problem);
    }
    let trace = head.extensions.remove::<Trace>();
    let trace = trace.unwrap_or_else(|| Trace::of_request(None, None, &*edge.entropy));
    let tags = trace.clone();
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
    outcome.tell(&tags, offered_at.elapsed());
    let standing = Standing::of(&name);
    let answered = answer(&name, &echo, outcome, Reply { edge, id, patience, standing }).await;
    if answered.is_err() && !name.is_repeat {
        // Only what was accepted counts. A repeat's slot may be that of a first which was.
        account.give_back(Policy::Create, id.as_uuid()).await;
    }
    answered
}

/// What is known of a submission when its wait is over.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// A ticket.
    Numbered(Receipt),
    /// Safe, and to become a ticket.
    Durable,
    /// Not queued.
    Refused,
    /// Perhaps lost.
    Unknown,
}

impl Outcome {
    /// Tells of it in the log and the figures.
    fn tell(&self, Trace { request_id, traceparent }: &Trace, waited: Duration) {
        let outcome = match self {
            Self::Numbered(_) => "numbered",
            Self::Durable => "durable",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        };
        REPLY_WAIT.record(waited, &[("outcome", outcome)]);
        tracing::debug!(request_id, traceparent, outcome, ?waited, "a submission was offered");
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
    tokio::select! {
        biased;
        Some(receipt) = seat.receipt() => return Outcome::Numbered(receipt),
        durability = confirmation.durability() => match durability {
            Durability::Durable => {}
            Durability::Refused => return Outcome::Refused,
            Durability::Open => return Outcome::Unknown,
        },
        () = sleep_until(offered_at + DURABLE_WAIT) => return Outcome::Unknown,
    }
    let until = offered_at + reply_wait.unwrap_or_default();
    match timeout_at(until, seat.receipt()).await {
        Ok(Some(receipt)) => Outcome::Numbered(receipt),
        Ok(None) | Err(_) => {
            seat.leave(&edge.unaccounted).map_or(Outcome::Durable, Outcome::Numbered)
        }
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
        Outcome::Refused => {
            name.withdraw(reply.edge).await;
            Err(Problem::NotAccepted)
        }
        // Its name stays taken: what shows up later and what is sent again are the same then.
        Outcome::Unknown => Err(Problem::NotAccepted),
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
