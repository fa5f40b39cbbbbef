//! What each kind of problem is called, by programs and by people.

use axum::http::StatusCode;

use super::Problem;

impl Problem {
    pub(super) const fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::InvalidJson => (StatusCode::BAD_REQUEST, "invalid_json"),
            Self::IncompleteBody => (StatusCode::BAD_REQUEST, "incomplete_body"),
            Self::InvalidIdempotencyKey => (StatusCode::BAD_REQUEST, "invalid_idempotency_key"),
            Self::InvalidIfMatch => (StatusCode::BAD_REQUEST, "invalid_if_match"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::TicketNotFound => (StatusCode::NOT_FOUND, "ticket_not_found"),
            Self::LetterNotFound => (StatusCode::NOT_FOUND, "dead_letter_not_found"),
            Self::TokenNotFound => (StatusCode::NOT_FOUND, "token_not_found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::NotAcceptable => (StatusCode::NOT_ACCEPTABLE, "not_acceptable"),
            Self::WrongTransition { .. } => (StatusCode::CONFLICT, "transition_not_allowed"),
            Self::TicketQueued => (StatusCode::CONFLICT, "ticket_queued"),
            Self::TokenNotActive => (StatusCode::CONFLICT, "token_not_active"),
            Self::TicketClosed => (StatusCode::CONFLICT, "ticket_closed"),
            Self::NotTogether(_) => (StatusCode::CONFLICT, "not_together"),
            Self::Stale => (StatusCode::PRECONDITION_FAILED, "stale"),
            Self::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, "body_timeout"),
            Self::LengthRequired => (StatusCode::LENGTH_REQUIRED, "length_required"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::UploadTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "upload_too_large"),
            Self::UnsupportedMediaType | Self::UnsupportedUpload => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")
            }
            Self::UnsupportedEncoding => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding")
            }
            Self::ValidationFailed(_) => (StatusCode::UNPROCESSABLE_ENTITY, "validation_failed"),
            Self::IdempotencyKeyReused => {
                (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused")
            }
            Self::InvalidParameters(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_query"),
            Self::RateLimited { .. } => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
            Self::NotAccepted => (StatusCode::SERVICE_UNAVAILABLE, "not_accepted"),
            Self::TooManySubscribers => (StatusCode::SERVICE_UNAVAILABLE, "too_many_subscribers"),
            Self::TooManyTransfers => (StatusCode::SERVICE_UNAVAILABLE, "too_many_transfers"),
            Self::Saturated => (StatusCode::SERVICE_UNAVAILABLE, "saturated"),
            Self::Overdue => (StatusCode::SERVICE_UNAVAILABLE, "overdue"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::Interrupted => (StatusCode::SERVICE_UNAVAILABLE, "interrupted"),
        }
    }

    /// The title, the same for every problem of the kind, and the detail.
    pub(super) const fn words(&self) -> (&'static str, &'static str) {
        match self {
            Self::InvalidJson => ("Not JSON", "The body must be one JSON object in UTF-8."),
            Self::IncompleteBody => ("Incomplete body", "The body broke off before its end."),
            Self::InvalidIdempotencyKey => (
                "Invalid idempotency key",
                "Idempotency-Key must be one string of 1 to 255 visible ASCII characters.",
            ),
            Self::InvalidIfMatch => (
                "Invalid If-Match",
                "If-Match must be * or entity tags as ETag has them, with commas between.",
            ),
            Self::Unauthorized => ("Unauthorized", "A valid bearer token is needed."),
            Self::Forbidden => ("Forbidden", "The token's role does not admit to this."),
            Self::NotFound => ("Not found", "There is nothing at this address."),
            Self::TicketNotFound => ("Ticket not found", "There is no such ticket."),
            Self::LetterNotFound => {
                ("Dead letter not found", "There is no such dead letter, or not any more.")
            }
            Self::TokenNotFound => ("Token not found", "There is no such token."),
            Self::MethodNotAllowed => {
                ("Method not allowed", "The Allow header names the methods this address has.")
            }
            Self::NotAcceptable => ("Not acceptable", "This is served as text/event-stream."),
            Self::WrongTransition { .. } => (
                "Transition not allowed",
                "The ticket's status does not lead there; allowed lists where it does.",
            ),
            Self::TicketQueued => {
                ("Ticket queued", "It is on its way to become a ticket. Write again in a moment.")
            }
            Self::TokenNotActive => {
                ("Token not active", "The token was revoked or has expired: make a new one.")
            }
            Self::TicketClosed => ("Ticket closed", "Nobody writes about a closed ticket."),
            Self::NotTogether(_) => (
                "Not together",
                "Not all of it can be done, so nothing was; errors says what cannot.",
            ),
            Self::Stale => (
                "Stale",
                "Somebody else has changed the ticket since. Read it again, then change it.",
            ),
            _ => self.more_words(),
        }
    }

    /// Those of a body that does not come as it should, of limits, and of what is our fault.
    const fn more_words(&self) -> (&'static str, &'static str) {
        match self {
            Self::BodyTimeout => ("Body timeout", "The body did not arrive in time."),
            Self::LengthRequired => ("Length required", "The file needs a Content-Length."),
            Self::BodyTooLarge => ("Body too large", "The body may have at most 65536 bytes."),
            Self::UploadTooLarge => {
                ("Upload too large", "A file may have at most 67108864 bytes. Send it in parts.")
            }
            Self::UnsupportedMediaType => {
                ("Unsupported media type", "The body must be application/json in UTF-8.")
            }
            Self::UnsupportedUpload => (
                "Unsupported media type",
                "The body must be application/x-ndjson or text/csv in UTF-8.",
            ),
            Self::UnsupportedEncoding => {
                ("Unsupported content encoding", "The body must not be compressed.")
            }
            Self::ValidationFailed(_) => {
                ("Validation failed", "Some fields break their rules; errors lists each of them.")
            }
            Self::IdempotencyKeyReused => (
                "Idempotency key reused",
                "This Idempotency-Key was sent with another form before. Send this one under a key \
                 of its own.",
            ),
            Self::InvalidParameters(_) => {
                ("Invalid query", "Some parameters break their rules; errors lists each of them.")
            }
            Self::RateLimited { .. } => (
                "Too many requests",
                "The Retry-After header says in how many seconds to try again.",
            ),
            Self::Internal => ("Internal error", "Something is wrong on our side."),
            Self::NotAccepted => {
                ("Not accepted", "The submission could not be queued. Please send it again.")
            }
            Self::TooManySubscribers => {
                ("Too many subscribers", "No further event stream can be opened just now.")
            }
            Self::TooManyTransfers => {
                ("Too many transfers", "Enough files go in and out just now.")
            }
            Self::Saturated => {
                ("Saturated", "Too many submissions wait already. Please send it again later.")
            }
            Self::Overdue => (
                "Overdue",
                "The answer took too long; what was asked for may be done all the same.",
            ),
            Self::Interrupted => (
                "Interrupted",
                "Some of it is done, and the rest cannot be done just now. Ask again for the rest.",
            ),
            // `Unavailable`, since all others have words of their own.
            _ => ("Unavailable", "This cannot be answered just now."),
        }
    }
}
