//! What each kind of problem is called, by programs and by people.

use axum::http::StatusCode;

use super::Problem;

/// What is told of a kind of problem.
pub(super) struct Kind {
    /// Of the answer.
    pub status: StatusCode,
    /// The word for programs.
    pub code: &'static str,
    /// The kind in a few words.
    pub title: &'static str,
    /// A sentence for people.
    pub detail: &'static str,
}

/// Makes the match of the rows. It has no arm for the rest: a problem without a row does not build.
macro_rules! kinds {
    ($($problem:pat => $status:ident, $code:literal, $title:literal, $detail:literal;)+) => {
        impl Problem {
            pub(super) const fn kind(&self) -> Kind {
                match self {
                    $($problem => Kind {
                        status: StatusCode::$status,
                        code: $code,
                        title: $title,
                        detail: $detail,
                    },)+
                }
            }
        }
    };
}

kinds! {
    Self::InvalidJson => BAD_REQUEST, "invalid_json", "Not JSON",
        "The body must be one JSON object in UTF-8.";
    Self::IncompleteBody => BAD_REQUEST, "incomplete_body", "Incomplete body",
        "The body broke off before its end.";
    Self::InvalidIdempotencyKey => BAD_REQUEST, "invalid_idempotency_key", "Invalid idempotency key",
        "Idempotency-Key must be one string of 1 to 255 visible ASCII characters.";
    Self::InvalidIfMatch => BAD_REQUEST, "invalid_if_match", "Invalid If-Match",
        "If-Match must be * or entity tags as ETag has them, with commas between.";

    Self::Unauthorized => UNAUTHORIZED, "unauthorized", "Unauthorized",
        "A valid bearer token is needed.";
    Self::Forbidden => FORBIDDEN, "forbidden", "Forbidden",
        "The token's role does not admit to this.";

    Self::NotFound => NOT_FOUND, "not_found", "Not found",
        "There is nothing at this address.";
    Self::TicketNotFound => NOT_FOUND, "ticket_not_found", "Ticket not found",
        "There is no such ticket.";
    Self::LetterNotFound => NOT_FOUND, "dead_letter_not_found", "Dead letter not found",
        "There is no such dead letter, or not any more.";
    Self::TokenNotFound => NOT_FOUND, "token_not_found", "Token not found",
        "There is no such token.";
    Self::MethodNotAllowed => METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed",
        "The Allow header names the methods this address has.";
    Self::NotAcceptable => NOT_ACCEPTABLE, "not_acceptable", "Not acceptable",
        "This is served as text/event-stream.";
    Self::BodyTimeout => REQUEST_TIMEOUT, "body_timeout", "Body timeout",
        "The body did not arrive in time.";

    Self::WrongTransition { .. } => CONFLICT, "transition_not_allowed", "Transition not allowed",
        "The ticket's status does not lead there; allowed lists where it does.";
    Self::TicketQueued => CONFLICT, "ticket_queued", "Ticket queued",
        "It is on its way to become a ticket. Write again in a moment.";
    Self::TokenNotActive => CONFLICT, "token_not_active", "Token not active",
        "The token was revoked or has expired: make a new one.";
    Self::TicketClosed => CONFLICT, "ticket_closed", "Ticket closed",
        "Nobody writes about a closed ticket.";
    Self::TicketErased => CONFLICT, "ticket_erased", "Ticket erased",
        "Its submitter's words were erased, and nobody says anything more about it.";
    Self::NotTogether(_) => CONFLICT, "not_together", "Not together",
        "Not all of it can be done, so nothing was; errors says what cannot.";

    Self::LengthRequired => LENGTH_REQUIRED, "length_required", "Length required",
        "The file needs a Content-Length.";
    Self::Stale => PRECONDITION_FAILED, "stale", "Stale",
        "Somebody else has changed the ticket since. Read it again, then change it.";
    Self::BodyTooLarge => PAYLOAD_TOO_LARGE, "body_too_large", "Body too large",
        "The body may have at most 65536 bytes.";
    Self::UploadTooLarge => PAYLOAD_TOO_LARGE, "upload_too_large", "Upload too large",
        "A file may have at most 67108864 bytes. Send it in parts.";
    Self::UnsupportedMediaType => UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type",
        "Unsupported media type", "The body must be application/json in UTF-8.";
    Self::UnsupportedUpload => UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type",
        "Unsupported media type", "The body must be application/x-ndjson or text/csv in UTF-8.";
    Self::UnsupportedEncoding => UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding",
        "Unsupported content encoding", "The body must not be compressed.";

    Self::ValidationFailed(_) => UNPROCESSABLE_ENTITY, "validation_failed", "Validation failed",
        "Some fields break their rules; errors lists each of them.";
    Self::InvalidParameters(_) => UNPROCESSABLE_ENTITY, "invalid_query", "Invalid query",
        "Some parameters break their rules; errors lists each of them.";
    Self::IdempotencyKeyReused => UNPROCESSABLE_ENTITY, "idempotency_key_reused",
        "Idempotency key reused",
        "This Idempotency-Key was sent with another form before. Send this one under a key of its own.";
    Self::RateLimited { .. } => TOO_MANY_REQUESTS, "rate_limited", "Too many requests",
        "The Retry-After header says in how many seconds to try again.";

    Self::Internal => INTERNAL_SERVER_ERROR, "internal", "Internal error",
        "Something is wrong on our side.";
    Self::NotAccepted => SERVICE_UNAVAILABLE, "not_accepted", "Not accepted",
        "The submission could not be queued. Please send it again.";
    Self::TooManySubscribers => SERVICE_UNAVAILABLE, "too_many_subscribers", "Too many subscribers",
        "No further event stream can be opened just now.";
    Self::TooManyTransfers => SERVICE_UNAVAILABLE, "too_many_transfers", "Too many transfers",
        "Enough goes in and out just now.";
    Self::Saturated => SERVICE_UNAVAILABLE, "saturated", "Saturated",
        "Too many submissions wait already. Please send it again later.";
    Self::Overdue => SERVICE_UNAVAILABLE, "overdue", "Overdue",
        "The answer took too long; what was asked for may be done all the same.";
    Self::Unavailable => SERVICE_UNAVAILABLE, "unavailable", "Unavailable",
        "This cannot be answered just now.";
    Self::Interrupted => SERVICE_UNAVAILABLE, "interrupted", "Interrupted",
        "Some of it is done, and the rest cannot be done just now. Ask again for the rest.";
}
