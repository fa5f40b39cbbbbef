//! What every request gets, whatever it asks for: an id, a trace, headers, figures, a log line if it
//! went wrong, and an answer even if its handler panics or does not end.

use std::{panic::AssertUnwindSafe, time::Duration};

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use common::{
    clock::{Clock, Entropy},
    metrics::HTTP_REQUESTS_IN_FLIGHT,
    trace::Trace,
};
use futures_util::FutureExt;
use tokio::time::{Instant, timeout};
use tracing::Instrument;

use crate::{answer::rfc3339, measure, problem::Problem};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

const NOTHING_ALLOWED: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// What a role knows that answers requests.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// Dates problems.
    pub clock: &'a dyn Clock,
    /// Makes ids for requests that bring none.
    pub entropy: &'a dyn Entropy,
    /// Longer than the longest of a handler's waits: what takes so long will not end.
    pub request_wait: Duration,
}

/// Wraps everything, outermost. Handlers find their [`Trace`] among the request's extensions.
///
/// This and what follows are functions and no layers of axum's: those box a future each, for every
/// request, and clone all that lies within them, which cost more than what they did.
pub async fn around<F: Future<Output = Response>>(
    around: Around<'_>,
    mut request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let started_at = Instant::now();
    let _in_flight = HTTP_REQUESTS_IN_FLIGHT.one_more();
    let trace = Trace::of_request(
        text(request.headers(), &X_REQUEST_ID),
        text(request.headers(), &TRACEPARENT),
        around.entropy,
    );
    let (tags, span) = (Tags::of(&trace), trace.span());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    request.extensions_mut().insert(trace);

    // Whatever is logged meanwhile names the request, which may have been the first to meet it.
    let mut response = next(request).instrument(span).await;

    let problem = response.extensions_mut().remove::<Problem>();
    if let Some(problem) = &problem {
        problem.write_into(&mut response, tags.request_id(), &rfc3339(around.clock.now()));
    }
    let elapsed = started_at.elapsed();
    measure::request(&method, route.as_ref(), &response, problem.as_ref(), elapsed);
    log(&response, problem.as_ref(), &tags, &method, route.as_ref(), elapsed);
    tags.write_into(response.headers_mut());
    if is_chunked {
        // hyper lets chunks win over a length sent along, and hides the length. Behind a proxy
        // that counts by length the rest would pass for another visitor's request.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// What an address has for `OPTIONS`: it names these methods, in small letters, and itself.
#[must_use]
pub fn options(methods: &[&str]) -> (StatusCode, [(HeaderName, String); 1]) {
    let named = methods.iter().map(|method| match *method {
        "get" => "GET,HEAD".to_owned(),
        method => method.to_uppercase(),
    });
    let allow = named.chain(["OPTIONS".to_owned()]).collect::<Vec<_>>().join(",");
    (StatusCode::NO_CONTENT, [(header::ALLOW, allow)])
}

/// What the limits of a route may take, before its handler and after: they wait for nothing long.
const LIMITS_WAIT: Duration = Duration::from_secs(2);

/// Around every handler and within the limits of its route, so that they are told with whatever
/// answer there is.
pub async fn within_limits<F: Future<Output = Response>>(
    around: Around<'_>,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    answer(next, request, around.request_wait).await
}

/// Around every route with its limits, should one of those not end or panic.
pub async fn bounded<F: Future<Output = Response>>(
    around: Around<'_>,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    answer(next, request, around.request_wait + LIMITS_WAIT).await
}

/// The handler's answer, unless it panics or takes longer than the longest of its waits can be. A
/// body that is sent bit by bit afterwards, as live progress is, has no such deadline.
async fn answer<F: Future<Output = Response>>(
    next: impl FnOnce(Request) -> F,
    request: Request,
    request_wait: Duration,
) -> Response {
    let answering = timeout(request_wait, async { next(request).await });
    match AssertUnwindSafe(answering).catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => Problem::Overdue.into_response(),
        Err(_) => Problem::Internal.into_response(),
    }
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

    fn traceparent(&self) -> &str {
        self.traceparent.as_ref().and_then(|it| it.to_str().ok()).unwrap_or_default()
    }

    fn write_into(self, headers: &mut HeaderMap) {
        headers.extend(self.request_id.map(|id| (X_REQUEST_ID, id)));
        headers.extend(self.traceparent.map(|parent| (TRACEPARENT, parent)));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // Personal data, progress or health: nothing served here is for another visitor or later.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        // Data, for programs: should a browser ever show it as a page, it may do nothing. What is a
        // page has a policy of its own.
        headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(NOTHING_ALLOWED);
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
    let (request_id, traceparent) = (tags.request_id(), tags.traceparent());
    let status = response.status().as_u16();
    let code = problem.map_or("", Problem::code);
    let route = route.map_or("", MatchedPath::as_str);
    let elapsed_ms = elapsed.as_millis();
    if problem == Some(&Problem::Internal) {
        tracing::error!(request_id, traceparent, %method, route, elapsed_ms, "a handler failed");
    } else if status >= 500 {
        tracing::warn!(
            request_id, traceparent, %method, route, status, code, elapsed_ms, "not served"
        );
    } else {
        tracing::debug!(
            request_id, traceparent, %method, route, status, code, elapsed_ms, "served"
        );
    }
}
