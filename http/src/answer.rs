//! The success envelope, and how times are written.

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};
use chrono::{DateTime, Utc};
pub use common::clock::rfc3339;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use utoipa::ToSchema;

use crate::{
    openapi::schemas::{self, Time},
    problem::{Problem, Success},
};

/// Fits the answer to a typical submission, so that its buffer does not grow while it is written.
const BODY_BYTES_TYPICAL: usize = 1024;

/// What every success is told in.
#[derive(Serialize, ToSchema)]
pub struct Envelope<'a, T> {
    #[schema(schema_with = schemas::always_true)]
    success: bool,
    data: &'a T,
    /// A sentence for people.
    message: &'a str,
    #[schema(value_type = Time)]
    timestamp: String,
}

/// An answer in the success envelope.
pub fn enveloped<T: Serialize>(
    success: Success,
    message: &str,
    data: &T,
    now: DateTime<Utc>,
) -> Result<Response, Problem> {
    plain(success, &Envelope { success: true, data, message, timestamp: rfc3339(now) })
}

/// An answer that is just this object.
pub fn plain<T: Serialize>(success: Success, object: &T) -> Result<Response, Problem> {
    let mut body = Vec::with_capacity(BODY_BYTES_TYPICAL);
    serde_json::to_writer(&mut body, object).map_err(|error| unwritable(&error))?;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = success.status();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// A part of an answer as it is written, to be told more than once.
pub fn written<T: Serialize>(object: &T) -> Result<Box<RawValue>, Problem> {
    to_raw_value(object).map_err(|error| unwritable(&error))
}

fn unwritable(error: &serde_json::Error) -> Problem {
    tracing::error!(%error, "an answer cannot be written");
    Problem::Internal
}
