//! What every request gets, whatever it asks for: an id, a trace, headers, a log line if it went
//! wrong, and an answer even if its handler panics.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use common::trace::Trace;
use futures_util::FutureExt;
use tokio::time::Instant;

use crate::{answer::rfc3339, edge::Edge, problem::Problem};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Wraps every route. Handlers find their [`Trace`] among the request's extensions.
pub async fn around(State(edge): State<Arc<Edge>>, mut request: Request, next: Next) -> Response {
    let started_at = Instant::now();
    let trace = Trace::of_request(
        text(request.headers(), &X_REQUEST_ID),
        text(request.headers(), &TRACEPARENT),
        &*edge.entropy,
    );
    let tags = Tags::of(&trace);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    request.extensions_mut().insert(trace);

    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = answered.unwrap_or_else(|_| Problem::Internal.into_response());

    let problem = response.extensions_mut().remove::<Problem>();
    if let Some(problem) = &problem {
        problem.write_into(&mut response, tags.request_id(), &rfc3339(edge.clock.now()));
    }
    log(&response, problem.as_ref(), &tags, &method, route.as_ref(), started_at.elapsed());
    tags.write_into(response.headers_mut());
    if is_chunked {
        // hyper lets chunks win over a length sent along, and hides the length. Behind a proxy
        // that counts by length the rest would pass for another visitor's request.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A request's id and trace as headers.
struct Tags {
    request_id: Option<HeaderValue>,
    traceparent: Option<HeaderValue>,
}

impl Tags {
    fn of(trace: &Trace) -> Self {
        Self {
            request_id: HeaderValue::from_str(&trace.request_id).ok(),
            traceparent: HeaderValue::from_str(&trace.traceparent).ok(),
        }
    }

    fn request_id(&self) -> &str {
        self.request_id.as_ref().and_then(|id| id.to_str().ok()).unwrap_or_default()
    }

    fn write_into(self, headers: &mut HeaderMap) {
        headers.extend(self.request_id.map(|id| (X_REQUEST_ID, id)));
        headers.extend(self.traceparent.map(|parent| (TRACEPARENT, parent)));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // Personal data, progress or health: nothing served here is for another visitor or later.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// The route and not the path: a path can hold a submission's id, which is a secret.
fn log(
    response: &Response,
    problem: Option<&Problem>,
    tags: &Tags,
    method: &Method,
    route: Option<&MatchedPath>,
    elapsed: Duration,
) {
    let request_id = tags.request_id();
    let status = response.status().as_u16();
    let code = problem.map_or("", Problem::code);
    let route = route.map_or("", MatchedPath::as_str);
    let elapsed_ms = elapsed.as_millis();
    if problem == Some(&Problem::Internal) {
        tracing::error!(request_id, %method, route, elapsed_ms, "a handler failed");
    } else if status >= 500 {
        tracing::warn!(request_id, %method, route, status, code, elapsed_ms, "not served");
    } else {
        tracing::debug!(request_id, %method, route, status, code, elapsed_ms, "served");
    }
}
