//! Server-sent events, as every role sends them.

use std::{convert::Infallible, time::Duration};

use axum::{
    http::{HeaderName, HeaderValue},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::Stream;

/// Proxies end connections that are silent for a minute, some for half of one.
pub const HEARTBEAT: Duration = Duration::from_secs(15);

/// Answers with the events as they come, and with what keeps the connection open between them.
pub fn stream(events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    let heartbeat = KeepAlive::new().interval(HEARTBEAT);
    let mut response = Sse::new(events).keep_alive(heartbeat).into_response();
    // nginx would otherwise collect a stream until its buffer is full.
    let (buffering, no) =
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response.headers_mut().insert(buffering, no);
    response
}
