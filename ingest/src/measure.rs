//! What the edge tells of itself: the figures of each request, and `/metrics`.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{MatchedPath, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use common::{
    metrics::{
        COMPONENT_PROBE, COMPONENT_UP, HTTP_PROBLEMS, HTTP_REQUEST_DURATION, INTAKE_WAITING,
        QUEUE_ENVELOPES, SUBMISSIONS, SUBSCRIBERS,
    },
    ports::health::{Component, Figures},
};

use crate::{edge::Edge, problem::Problem, routes::TICKETS};

const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What a request's route is called when it has none.
const NO_ROUTE: &str = "unmatched";

/// Counts a request that has its answer.
pub fn request(
    method: &Method,
    route: Option<&MatchedPath>,
    response: &Response,
    problem: Option<&Problem>,
    elapsed: Duration,
) {
    let route = route.map_or(NO_ROUTE, MatchedPath::as_str);
    let method = method_label(method);
    let labels = [("route", route), ("method", method), ("status", class(response.status()))];
    HTTP_REQUEST_DURATION.record(elapsed, &labels);
    if let Some(problem) = problem {
        HTTP_PROBLEMS.increment(&[("code", problem.code())]);
    }
    if route == TICKETS && method == "POST" {
        SUBMISSIONS.increment(&[("outcome", outcome(response, problem))]);
    }
}

/// Strangers invent methods; those are one.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        ..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}

fn outcome(response: &Response, problem: Option<&Problem>) -> &'static str {
    if let Some(problem) = problem {
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
    edge.unaccounted.measure();
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
    for outcome in ["created", "queued", "replayed", "duplicate"] {
        SUBMISSIONS.add(0, &[("outcome", outcome)]);
    }
    for problem in [Problem::NotAccepted, Problem::Saturated, Problem::Internal] {
        HTTP_PROBLEMS.add(0, &[("code", problem.code())]);
    }
}
