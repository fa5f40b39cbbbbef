//! `POST /api/support/ticket`: the straight line of a submission through the edge.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use common::{
    domain::{Submission, Ticket},
    ports::queue::Receipt,
    trace::Trace,
};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{
    batcher::{Confirmation, Durability},
    body,
    echo::Echo,
    edge::Edge,
    key::IdempotencyKey,
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
    body::require_json(&head.headers)?;
    let key = IdempotencyKey::of(&head.headers)?;
    let patience = Preferences::of(&head.headers).patience(edge.reply_wait);
    let form = payload::parse(&body::read(&head.headers, body).await?)?;

    let name = match naming::name(edge, &form, key.as_ref()).await? {
        Named::Stored(ticket) if key.is_some() => return replay(edge, *ticket, patience),
        Named::Stored(ticket) => return duplicate(edge, *ticket, patience),
        Named::Open(name) => name,
    };
    let trace = head.extensions.remove::<Trace>();
    let trace = trace.unwrap_or_else(|| Trace::of_request(None, None, &*edge.entropy));
    let (id, submitted_at) = (name.id, edge.clock.now());
    let submission = Submission { id, key: name.key, submitted_at, form, trace };
    let echo = Echo::of(&submission);

    // Seated before it is offered: a worker can be faster than the broker's confirm.
    let seat = edge.waiting.seat(id);
    let outcome = match edge.intake.offer(submission) {
        Ok(confirmation) => outcome(confirmation, seat, patience.reply_wait).await,
        Err(_not_taken) => Outcome::Refused,
    };
    let standing = Standing::of(&name);
    answer(&name, &echo, outcome, Reply { edge, id, patience, standing }).await
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

/// Waits for the confirm and, if `reply_wait` says so, for the number. A number proves by itself
/// that the submission is durable.
async fn outcome(
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
    let Some(reply_wait) = reply_wait else { return Outcome::Durable };
    match timeout_at(offered_at + reply_wait, seat.receipt()).await {
        Ok(Some(receipt)) => Outcome::Numbered(receipt),
        Ok(None) | Err(_) => Outcome::Durable,
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
mod tests {
    use std::sync::atomic::Ordering;

    use serde_json::json;
    use tokio::time::timeout;

    use super::*;
    use crate::doubles::{FORM, Mood, Stage};

    const fn seconds(tenths: u64) -> Duration {
        Duration::from_millis(tenths * 100)
    }

    /// An edge whose queue confirms in this mood, and whose worker answers so many tenths of a
    /// second later, if at all.
    fn stage(mood: Mood, receipts_after: Option<u64>) -> Stage {
        let stage = Stage::new();
        *stage.publisher.mood.lock().unwrap() = mood;
        *stage.publisher.receipts_after.lock().unwrap() = receipts_after.map(seconds);
        stage
    }

    #[tokio::test(start_paused = true)]
    async fn a_submission_is_answered_with_its_ticket() {
        let stage = stage(Mood::Willing, Some(5));
        let form = FORM.replace('}', ",\"userId\":\"u1\",\"url\":\"https://x.io\"}");
        let heard = stage.post(form, &[]).await;
        assert_eq!((heard.status, heard.after), (201, seconds(5)));
        let id = heard.json["data"]["id"].as_str().unwrap();
        let expected = json!({
            "success": true,
            "data": {
                "id": id, "ticketNumber": "SUP-2026-483920", "name": "Ada",
                "email": "ada@example.org", "subject": "technical", "message": "It is stuck",
                "status": "open", "priority": "high", "submittedAt": "2026-11-22T10:30:00.000Z",
                "userId": "u1",
            },
            "message": "Support ticket created successfully",
            "timestamp": "2026-11-22T10:30:00.500Z",
        });
        assert_eq!(heard.json, expected);
        assert_eq!(heard.header("location"), format!("/api/support/ticket/{id}"));
        assert_eq!(heard.header("vary"), "Prefer");
        assert_eq!(heard.header("cache-control"), "no-store");
        assert_eq!(heard.header("content-type"), "application/json");
        assert!(!heard.headers.contains_key("preference-applied"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_durable_submission_without_a_number_is_queued_when_the_reply_wait_is_over() {
        let stage = stage(Mood::Slow(seconds(15)), None);
        let heard = stage.post(FORM, &[]).await;
        assert_eq!((heard.status, heard.after), (202, seconds(20)));
        let id = heard.json["data"]["id"].as_str().unwrap();
        assert_eq!(heard.json["data"], json!({"id": id, "status": "queued"}));
        assert_eq!(heard.header("location"), format!("/api/support/ticket/{id}"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_preference_shortens_the_wait_and_is_named() {
        let stage = stage(Mood::Slow(seconds(3)), Some(15));
        let table = [
            ("respond-async", 202, 3, "respond-async"),
            ("wait=1", 202, 10, "wait=1"),
            ("wait=0", 202, 3, "wait=0"),
            ("wait=2", 201, 15, "wait=2"),
            ("wait=3", 201, 15, ""),
            ("respond-async, wait=2", 201, 15, "respond-async, wait=2"),
        ];
        for (prefer, status, tenths, applied) in table {
            let heard = stage.post(FORM, &[("prefer", prefer)]).await;
            assert_eq!((heard.status, heard.after), (status, seconds(tenths)), "{prefer}");
            assert_eq!(heard.header("preference-applied"), applied, "{prefer}");
            assert_eq!(heard.header("vary"), "Prefer");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_does_not_wait_is_answered_alike_however_fast_the_worker_is() {
        let stage = stage(Mood::Silent, Some(1));
        let heard = stage.post(FORM, &[("prefer", "respond-async")]).await;
        assert_eq!((heard.status, heard.after), (202, seconds(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_receipt_proves_durability_before_the_confirm() {
        let stage = stage(Mood::Silent, Some(7));
        let heard = stage.post(FORM, &[]).await;
        assert_eq!((heard.status, heard.after), (201, seconds(7)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_confirm_that_never_comes_is_a_503_after_two_seconds() {
        for reply_wait_s in [0, 2, 60] {
            let stage = Stage::with_reply_wait(Duration::from_secs(reply_wait_s));
            *stage.publisher.mood.lock().unwrap() = Mood::Silent;
            *stage.publisher.receipts_after.lock().unwrap() = None;
            let heard = stage.post(FORM, &[]).await;
            assert_eq!(heard.code(), (503, "not_accepted"));
            assert_eq!(heard.after, DURABLE_WAIT);
            assert_eq!(heard.header("retry-after"), "2");
            assert_eq!(heard.header("vary"), "Prefer");
            assert_eq!(stage.edge.waiting.len(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_reply_wait_goes_on_after_the_confirm() {
        let stage = Stage::with_reply_wait(Duration::from_secs(10));
        *stage.publisher.receipts_after.lock().unwrap() = Some(seconds(60));
        let heard = stage.post(FORM, &[]).await;
        assert_eq!((heard.status, heard.after), (201, seconds(60)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_of_the_queue_is_a_503_at_once() {
        let stage = stage(Mood::Failing, None);
        let heard = stage.post(FORM, &[]).await;
        assert_eq!((heard.code(), heard.after), ((503, "not_accepted"), Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_queued_while_the_publisher_is_not_ready() {
        let stage = stage(Mood::Willing, Some(0));
        stage.publisher.is_ready.store(false, Ordering::Relaxed);
        let heard = stage.post(FORM, &[]).await;
        assert_eq!((heard.code(), heard.after), ((503, "not_accepted"), Duration::ZERO));
        assert_eq!(stage.publisher.sizes(), [0; 0]);
        assert_eq!(stage.edge.waiting.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sender_who_hangs_up_leaves_nothing_behind() {
        let stage = stage(Mood::Silent, None);
        let mut post = Box::pin(stage.post(FORM, &[]));
        assert!(timeout(seconds(1), &mut post).await.is_err());
        assert_eq!(stage.edge.waiting.len(), 1);
        drop(post);
        assert_eq!(stage.edge.waiting.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_stop_waits_for_what_was_offered_and_no_longer() {
        let stage = stage(Mood::Slow(seconds(3)), None);
        let heard = stage.post(FORM, &[("prefer", "respond-async")]).await;
        assert_eq!(heard.status, 202);
        *stage.publisher.mood.lock().unwrap() = Mood::Silent;
        let hangs = stage.post(FORM, &[("prefer", "respond-async")]).await;
        assert_eq!(hangs.status, 503);
        let drained_at = Instant::now();
        stage.background.finish().await.unwrap();
        assert!(drained_at.elapsed() < seconds(1), "{:?}", drained_at.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_sender_claims_of_its_ticket_has_no_effect() {
        let stage = stage(Mood::Willing, Some(0));
        let claims = r#","status":"closed","priority":"low","ticketNumber":"SUP-2026-000001","id":"x","__proto__":{}}"#;
        let heard = stage.post(FORM.replace('}', claims), &[]).await;
        let data = &heard.json["data"];
        assert_eq!(
            (heard.status, &data["status"], &data["priority"]),
            (201, &json!("open"), &json!("high"))
        );
        assert_eq!(data["ticketNumber"], "SUP-2026-483920");
    }

    #[tokio::test(start_paused = true)]
    async fn the_trace_of_the_request_travels_with_the_submission() {
        let stage = stage(Mood::Willing, Some(0));
        let heard = stage.post(FORM, &[("x-request-id", "order-66")]).await;
        let envelopes = stage.publisher.envelopes.lock().unwrap();
        let trace = &envelopes[0][0].trace;
        assert_eq!(trace.request_id, "order-66");
        assert_eq!(heard.header("x-request-id"), "order-66");
        assert_eq!(heard.header("traceparent"), trace.traceparent);
    }
}
