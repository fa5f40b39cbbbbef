//! What the edge tells of itself: the figures of each submission, and `/metrics`.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use common::{
    metrics::{
        ACCEPTED, ACCOUNTED, COMPONENT_PROBE, COMPONENT_UP, HTTP_PROBLEMS, INTAKE_WAITING,
        QUEUE_ENVELOPES, SPOOL_DRAINED, SPOOL_REFUSED, SPOOLED, SUBMISSIONS, SUBSCRIBERS,
        UNFOLLOWED,
    },
    ports::health::{Component, Figures},
};

use crate::{edge::Edge, problem::Problem, routes::TICKETS};

const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Counts a submission that has its answer, whatever that is.
pub async fn submissions<F: Future<Output = Response>>(
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let is_submission = request.method() == Method::POST && route == Some(TICKETS);
    let response = next(request).await;
    if is_submission {
        SUBMISSIONS.increment(&[("outcome", outcome(&response))]);
    }
    response
}

fn outcome(response: &Response) -> &'static str {
    if let Some(problem) = response.extensions().get::<Problem>() {
        return problem.code();
    }
    if response.headers().contains_key(&IDEMPOTENCY_REPLAYED) {
        return "replayed";
    }
    match response.status() {
        StatusCode::CREATED => "created",
        StatusCode::ACCEPTED => "queued",
        _ => "duplicate",
    }
}

/// Shows what a probe of a component found; `None` when it counts as down.
pub fn component(component: Component, latency: Duration, figures: Option<&Figures>) {
    let label = [("component", component.as_str())];
    COMPONENT_UP.set(if figures.is_some() { 1.0 } else { 0.0 }, &label);
    COMPONENT_PROBE.set(latency.as_secs_f64(), &label);
    if component == Component::Broker {
        let queued = figures.and_then(|all| all.iter().find(|(name, _)| *name == "queued"));
        #[expect(clippy::cast_precision_loss, reason = "a queue has a million envelopes at most")]
        QUEUE_ENVELOPES.set(queued.map_or(f64::NAN, |(_, queued)| *queued as f64), &[]);
    }
}

/// `GET /metrics`: what the process has recorded, as Prometheus text.
pub async fn metrics(State(edge): State<Arc<Edge>>) -> Response {
    edge.accounts.measure();
    if let Some(spool) = edge.outlet.spool() {
        spool.measure();
    }
    #[expect(clippy::cast_precision_loss, reason = "a few thousand at most")]
    INTAKE_WAITING.set(edge.intake.waiting() as f64, &[]);
    let mut response = Response::new(Body::from((edge.exposition)()));
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Makes the series appear whose growth is watched for, before they grow: what a counter was when it
/// is first seen, nobody can tell from zero.
pub fn begin() {
    SUBSCRIBERS.set(0.0, &[]);
    ACCEPTED.add(0, &[]);
    for fate in ["stored", "dead_lettered"] {
        ACCOUNTED.add(0, &[("fate", fate)]);
    }
    UNFOLLOWED.add(0, &[]);
    SPOOLED.add(0, &[]);
    SPOOL_DRAINED.add(0, &[]);
    for reason in ["full", "disk"] {
        SPOOL_REFUSED.add(0, &[("reason", reason)]);
    }
    for outcome in ["created", "queued", "replayed", "duplicate"] {
        SUBMISSIONS.add(0, &[("outcome", outcome)]);
    }
    for problem in [Problem::NotAccepted, Problem::Saturated, Problem::Internal] {
        HTTP_PROBLEMS.add(0, &[("code", problem.code())]);
    }
}
