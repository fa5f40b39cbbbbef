//! `POST /api/support/ticket/{id}/replies`: the submitter answers staff, under the id that only they
//! have. What was resolved is open again by that.

use std::{slice, sync::Arc};

use axum::{
    extract::{Request, State},
    response::Response,
};
use common::{
    domain::{Change, Message, Post, PostKind, Refused, Status, SubmissionId},
    ports::cases::{Author, Reference as Which, Step},
    trace::Trace,
};
use http::contention::retried;

use crate::{
    answer::enveloped,
    body,
    edge::Edge,
    form,
    lookup::{self, Reference, Written},
    problem::{Problem, Success},
};

/// Writes it down, or says why not.
pub async fn answer(
    State(edge): State<Arc<Edge>>,
    reference: Reference,
    request: Request,
) -> Result<Response, Problem> {
    let (mut head, body) = request.into_parts();
    body::require_json(&head.headers)?;
    let message = form::parse_answer(&body::read(&head.headers, body).await?)?;
    let id = lookup::id(lookup::text(&reference));
    let Some(id) = id else { return Err(lookup::not_found(&edge).await) };
    let trace = head.extensions.remove::<Trace>();
    let trace = trace.unwrap_or_else(|| Trace::of_request(None, None, &*edge.entropy));
    let author = Author { actor: "submitter".to_owned(), name: None, address: None, trace };
    let (success, post) = write(&edge, id, &message, &author).await?;
    enveloped(success, "Reply written", &Written::from(&post), edge.clock.now())
}

async fn write(
    edge: &Edge,
    id: SubmissionId,
    message: &Message,
    author: &Author,
) -> Result<(Success, Post), Problem> {
    let wanted = Change { post: Some((PostKind::Answer, message.clone())), ..Change::default() };
    retried(|| async {
        let file = lookup::in_time(edge, edge.cases.file(&Which::Id(id))).await?;
        let Some(file) = file else {
            let is_queued = lookup::is_queued(edge, id, edge.clock.now());
            return Err(if is_queued { Problem::TicketQueued } else { Problem::TicketNotFound });
        };
        if file.case.ticket.is_erased() {
            return Err(Problem::TicketNotFound);
        }
        // Sent again by somebody who did not hear that it was written down. An answer always leaves the
        // ticket unresolved: to one that is resolved it is a new one, whatever it says.
        if file.case.ticket.status != Status::Resolved
            && let Some(last) = file.thread.iter().rfind(|post| post.kind != PostKind::Note)
            && last.kind == PostKind::Answer
            && last.body == *message
        {
            return Ok(Some((Success::Found, last.clone())));
        }
        let outcome =
            file.case.after(&wanted, edge.clock.now(), None).map_err(|it| refusal(&it))?;
        let step = Step { before: file.case, outcome, author: author.clone() };
        let commit = edge.cases.commit(slice::from_ref(&step), false);
        let is_done = lookup::in_time(edge, commit).await? == [true];
        let post = step.outcome.post.ok_or(Problem::Internal)?;
        Ok(is_done.then_some((Success::Created, post)))
    })
    .await
}

fn refusal(refused: &Refused) -> Problem {
    match refused {
        Refused::Closed => Problem::TicketClosed,
        Refused::Erased => Problem::TicketNotFound,
        // Nothing else is wanted.
        Refused::Transition { .. } | Refused::TooManyTags => Problem::Internal,
    }
}

#[cfg(test)]
mod tests;
