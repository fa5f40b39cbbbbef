//! HTTP statuses and problem documents (RFC 9457): the one file that knows them.
//!
//! A `type` is `urn:supportline:problem:` and the code with hyphens: it names the kind of problem
//! for ever, wherever the documentation is kept. A handler returns a [`Problem`]; the document is
//! written by [`crate::request`], which knows the request's id.

mod kinds;

use std::borrow::Cow;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use common::{domain::Status, ports::limits::Standing};
use serde::Serialize;
use utoipa::ToSchema;

use self::kinds::Kind;
use crate::{
    openapi::schemas::{self, Time},
    standing::{tell, whole_seconds},
};

/// What a caller should wait before trying again, in seconds. Ports reconnect within a second or
/// two, and a caller that comes back at once finds the same outage.
const RETRY_AFTER_SECONDS: u64 = 2;

/// How a request went that was no problem.
#[derive(Debug, Clone, Copy)]
pub enum Success {
    /// 200.
    Found,
    /// 201.
    Created,
    /// 202.
    Queued,
    /// 503, of a health report: told in full, yet not fit to be sent traffic.
    Unready,
}

impl Success {
    /// Its status.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Found => StatusCode::OK,
            Self::Created => StatusCode::CREATED,
            Self::Queued => StatusCode::ACCEPTED,
            Self::Unready => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Why a request has no other answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// 400: not one JSON document.
    InvalidJson,
    /// 400: the body broke off, or its framing is wrong.
    IncompleteBody,
    /// 400: an `Idempotency-Key` that is none, or two of them.
    InvalidIdempotencyKey,
    /// 400: an `If-Match` that is no list of entity tags.
    InvalidIfMatch,
    /// 401: no bearer token that is admitted. Says no more than that.
    Unauthorized,
    /// 403: a valid bearer token, of a role that may not do this.
    Forbidden,
    /// 404: no such route.
    NotFound,
    /// 404: no such ticket, or nothing that could be one.
    TicketNotFound,
    /// 404: no such dead letter, or not any more.
    LetterNotFound,
    /// 404: no such token, or nothing that could be the id of one.
    TokenNotFound,
    /// 405: the route has other methods.
    MethodNotAllowed,
    /// 406: only served as an event stream, which the caller does not take.
    NotAcceptable,
    /// 408: the body did not arrive in time.
    BodyTimeout,
    /// 409: the ticket's status does not lead to the one asked for.
    WrongTransition {
        /// Where it leads.
        allowed: &'static [Status],
    },
    /// 409: the submission is on its way to become a ticket, and nobody can write about it yet.
    TicketQueued,
    /// 409: the token does not admit any more.
    TokenNotActive,
    /// 409: the ticket is closed, and nobody writes about it any more.
    TicketClosed,
    /// 409: its submitter's words were erased, and nobody says anything more about the ticket.
    TicketErased,
    /// 409: all or nothing was asked for, and something cannot be; nothing was changed.
    NotTogether(Vec<FieldError>),
    /// 412: the ticket is not what `If-Match` says.
    Stale,
    /// 411: a file whose length is not told before it comes.
    LengthRequired,
    /// 413: more than [`crate::body::BODY_BYTES_MAX`].
    BodyTooLarge,
    /// 413: a file that is larger than one request may bring.
    UploadTooLarge,
    /// 415: not `application/json`.
    UnsupportedMediaType,
    /// 415: no file of a kind that is read.
    UnsupportedUpload,
    /// 415: compressed.
    UnsupportedEncoding,
    /// 422: fields that break their rules, in the order of the form.
    ValidationFailed(Vec<FieldError>),
    /// 422: the key was another form's first.
    IdempotencyKeyReused,
    /// 422: parameters of a query that break their rules, or are not known where that would matter.
    InvalidParameters(Vec<FieldError>),
    /// 429: these policies leave no room; in so many seconds they do.
    RateLimited {
        /// Where the caller stands with each.
        violated: Vec<Standing>,
        /// What `Retry-After` says.
        retry_after_s: u64,
    },
    /// 500: a defect of ours.
    Internal,
    /// 503: the submission is not known to be durable.
    NotAccepted,
    /// 503: as many follow tickets as this instance takes on, or this one ticket.
    TooManySubscribers,
    /// 503: as much goes in and out as may at a time.
    TooManyTransfers,
    /// 503: too many submissions wait already; this one was not taken.
    Saturated,
    /// 503: the answer took longer than any may.
    Overdue,
    /// 503: what the answer is read from does not answer.
    Unavailable,
    /// 503: some of what was asked for is done, and the rest cannot be just now.
    Interrupted,
}

/// One field that breaks one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Violation)]
pub struct FieldError {
    /// Where it stands in the body (RFC 6901), or in the query as if that were an object.
    pub pointer: Cow<'static, str>,
    /// The word for programs.
    pub code: &'static str,
    /// The sentence for people.
    pub detail: String,
}

/// Why a request has no other answer (RFC 9457).
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Problem)]
pub struct Document<'a> {
    #[schema(schema_with = schemas::always_false)]
    success: bool,
    /// `urn:supportline:problem:` and the code with hyphens: it names the kind of problem for ever,
    /// wherever its documentation is kept.
    #[schema(pattern = "^urn:supportline:problem:[a-z-]+$")]
    r#type: String,
    /// The kind of problem in a few words.
    pub title: &'static str,
    /// The status of the answer.
    status: u16,
    /// A sentence for people.
    pub detail: &'static str,
    /// The word for programs.
    code: &'static str,
    /// All that is wrong with the fields, in the order of the form.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    /// The policies of which nothing is left.
    #[serde(rename = "violated-policies", skip_serializing_if = "Vec::is_empty")]
    violated_policies: Vec<&'static str>,
    /// Where a ticket's status leads, which may be nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    allowed: Option<Vec<&'static str>>,
    /// As in `X-Request-Id`.
    request_id: &'a str,
    #[schema(value_type = Time)]
    timestamp: &'a str,
}

impl Problem {
    /// What these standings refuse, if they do.
    #[must_use]
    pub fn rate_limited(standings: &[Standing]) -> Option<Self> {
        let violated = || standings.iter().filter(|standing| standing.is_violated());
        let retry_after = violated().map(|standing| standing.retry_after).max()?;
        let violated = violated().copied().collect();
        Some(Self::RateLimited { violated, retry_after_s: whole_seconds(retry_after) })
    }

    /// The word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.kind().code
    }

    /// Its status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.kind().status
    }

    /// What a caller is told.
    #[must_use]
    pub fn document<'a>(&'a self, request_id: &'a str, timestamp: &'a str) -> Document<'a> {
        let Kind { status, code, title, detail } = self.kind();
        let errors = match self {
            Self::ValidationFailed(errors)
            | Self::InvalidParameters(errors)
            | Self::NotTogether(errors) => errors.as_slice(),
            _ => &[],
        };
        let allowed = match self {
            Self::WrongTransition { allowed } => {
                Some(allowed.iter().map(|it| it.as_str()).collect())
            }
            _ => None,
        };
        let violated: &[Standing] =
            if let Self::RateLimited { violated, .. } = self { violated } else { &[] };
        let violated_policies = violated.iter().map(|it| it.policy.as_str()).collect();
        Document {
            success: false,
            r#type: format!("urn:supportline:problem:{}", code.replace('_', "-")),
            title,
            status: status.as_u16(),
            detail,
            code,
            errors,
            violated_policies,
            allowed,
            request_id,
            timestamp,
        }
    }

    /// Writes the document into a response that this problem was turned into before. Headers that
    /// the response was given since then stay.
    pub fn write_into(&self, response: &mut Response, request_id: &str, timestamp: &str) {
        let document = self.document(request_id, timestamp);
        // Strings under string keys always serialize; an empty body is better than no answer.
        *response.body_mut() = Body::from(serde_json::to_vec(&document).unwrap_or_default());
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    }
}

impl IntoResponse for Problem {
    /// The status, the headers that belong to it, and the problem itself for the one who writes
    /// the document.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        let headers = response.headers_mut();
        match &self {
            Self::RateLimited { violated, retry_after_s } => {
                violated.iter().take(1).for_each(|standing| tell(headers, standing));
                headers.insert(header::RETRY_AFTER, (*retry_after_s).into());
            }
            Self::NotAccepted
            | Self::TooManySubscribers
            | Self::TooManyTransfers
            | Self::Saturated
            | Self::Overdue
            | Self::Unavailable
            | Self::Interrupted
            | Self::TicketQueued => {
                headers.insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS.into());
            }
            Self::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Forbidden => {
                let scope = HeaderValue::from_static("Bearer error=\"insufficient_scope\"");
                headers.insert(header::WWW_AUTHENTICATE, scope);
            }
            // What is left of such a body cannot be told from the next request.
            Self::BodyTooLarge
            | Self::UploadTooLarge
            | Self::BodyTimeout
            | Self::IncompleteBody => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response.extensions_mut().insert(self);
        response
    }
}
