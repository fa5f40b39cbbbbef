//! What is told of submitting and looking up.

use common::domain::Message;
use serde_json::{Value, json};

use super::{Answer, Operation, Schemas, form::TicketForm};
use crate::{
    body,
    echo::{Created, Queued},
    lookup::{Progress, Whole, Written},
    problem::{FieldError, Problem, Success},
    progress::{self, EVENT},
};

pub const TAG: &str = "Tickets";

/// `POST /api/support/ticket`
pub fn submit(schemas: &mut Schemas) -> Operation {
    let created = Answer::enveloped::<Created<'_>>(
        Success::Created,
        "Stored and numbered. The submission survives the kill of any one process, and of the \
         broker and the database.",
        schemas,
    );
    let queued = Answer::enveloped::<Queued>(
        Success::Queued,
        "As safe as a 201, and not numbered yet: the reply wait is over, or the caller would not \
         wait. `Location` tells when it is. With `durability: spooled` it lies on the disk of the \
         edge that answered, until the queue is back: it survives the kill of any process and no \
         loss of that disk.",
        schemas,
    );
    let duplicate = Answer::enveloped::<Created<'_>>(
        Success::Found,
        "Submitted before, without a key, within ten minutes: the first ticket as it stands now.",
        schemas,
    );
    Operation {
        description: "Answers 201 with the ticket, or 202 where its number takes longer than the \
                      reply wait, or 200 with the ticket that the same form is already. Whatever \
                      else is answered, nothing is promised; after a 503 the submission may still \
                      have arrived."
            .to_owned(),
        parameters: vec![idempotency_key(), prefer()],
        body: Some(form(schemas)),
        answers: vec![
            created
                .example("created", "A ticket", &created_example())
                .header("Location")
                .header("Vary")
                .link("lookUpTicket", "/data/id")
                .link("followTicket", "/data/id")
                .optional_header("Preference-Applied")
                .optional_header("Idempotency-Replayed"),
            duplicate
                .example("duplicate", "The same form again", &duplicate_example())
                .header("Location")
                .header("Vary")
                .link("lookUpTicket", "/data/id")
                .link("followTicket", "/data/id"),
            queued
                .example("queued", "A submission on its way", &queued_example())
                .example("spooled", "One that waits for the queue to be back", &spooled_example())
                .header("Location")
                .header("Vary")
                .link("lookUpTicket", "/data/id")
                .link("followTicket", "/data/id")
                .optional_header("Preference-Applied")
                .optional_header("Idempotency-Replayed"),
        ],
        problems: refusals(),
        // An attempt too many is refused before preferences are looked at.
        optional_headers: vec!["Vary"],
        ..Operation::new("submitTicket", TAG, "Submit a support form")
    }
}

/// Why a form may not become a ticket.
fn refusals() -> Vec<Problem> {
    let violations = vec![
        FieldError {
            pointer: "/email".into(),
            code: "invalid_email",
            detail: "must be a mail address such as ada@example.org".to_owned(),
        },
        FieldError {
            pointer: "/message".into(),
            code: "required",
            detail: "is required".to_owned(),
        },
    ];
    let own = [
        Problem::ValidationFailed(violations),
        Problem::InvalidIdempotencyKey,
        Problem::IdempotencyKeyReused,
        Problem::NotAccepted,
        Problem::Saturated,
    ];
    body::refusals().into_iter().chain(own).collect()
}

fn form(schemas: &mut Schemas) -> Value {
    json!({
        "required": true,
        "description": "One JSON object in UTF-8, at most 64 KiB, not compressed.",
        "content": {"application/json": {
            "schema": schemas.of::<TicketForm>(),
            "examples": {
                "required": {"summary": "What must be there", "value": {
                    "name": "Ada Lovelace",
                    "email": "ada@example.org",
                    "subject": "technical",
                    "message": "The engine has stopped.",
                    "timestamp": "2026-11-22T10:30:00.000Z",
                }},
                "everything": {"summary": "Every field", "value": {
                    "name": "Grace Hopper",
                    "email": "grace@example.org",
                    "subject": "account",
                    "message": "I cannot log in.\nIt worked yesterday.",
                    "timestamp": "2026-11-22T11:30:00+01:00",
                    "userId": "user-4711",
                    "userAgent": "Lynx/2.9",
                    "url": "https://example.org/login",
                }},
            },
        }},
    })
}

fn prefer() -> Value {
    json!({
        "name": "Prefer",
        "in": "header",
        "description": "`respond-async` asks for 202 as soon as the submission is safe, `wait=N` \
                        to wait for the number at most N seconds (RFC 7240).",
        "schema": {"type": "string"},
        "examples": {
            "respond-async": {"summary": "Do not wait", "value": "respond-async"},
            "wait": {"summary": "Wait a second at most", "value": "wait=1"},
        },
    })
}

fn idempotency_key() -> Value {
    json!({
        "name": "Idempotency-Key",
        "in": "header",
        "description": "One key for each form that somebody fills in, such as a UUID: 1 to 255 \
                        visible ASCII characters, quoted or bare. Sent again with the same form, \
                        the first answer comes again and there is one ticket.",
        "schema": {"type": "string"},
        "example": "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"",
    })
}

fn duplicate_example() -> Value {
    let mut example = created_example();
    example["data"]["duplicate"] = true.into();
    example["message"] = "This was submitted before; here is its support ticket".into();
    example
}

fn created_example() -> Value {
    json!({
        "success": true,
        "data": {
            "id": "01a202c3-c662-7aeb-85b5-ac7a63952b19",
            "ticketNumber": "SUP-2026-483920",
            "name": "Ada Lovelace",
            "email": "ada@example.org",
            "subject": "technical",
            "message": "The engine has stopped.",
            "status": "open",
            "priority": "high",
            "submittedAt": "2026-11-22T10:30:00.120Z",
        },
        "message": "Support ticket created successfully",
        "timestamp": "2026-11-22T10:30:00.125Z",
    })
}

fn queued_example() -> Value {
    json!({
        "success": true,
        "data": {"id": "01a202c3-c662-7aeb-85b5-ac7a63952b19", "status": "queued"},
        "message": "Support ticket queued; it will be numbered shortly",
        "timestamp": "2026-11-22T10:30:00.125Z",
    })
}

fn spooled_example() -> Value {
    let mut example = queued_example();
    example["data"]["durability"] = "spooled".into();
    example["message"] = "Support ticket queued; it will be numbered as soon as possible".into();
    example
}

/// `GET /api/support/ticket/{reference}`
pub fn look_up(schemas: &mut Schemas) -> Operation {
    let progress = schemas.envelope::<Progress>();
    let whole = schemas.envelope::<Whole<'_>>();
    let queued = schemas.envelope::<Queued>();
    let found = Answer::new(
        Success::Found,
        "By number the progress; by id the progress and what was sent, or word that it is not \
         numbered yet.",
        "application/json",
        &json!({"anyOf": [whole, progress, queued]}),
    );
    Operation {
        description: "The number shows how far a ticket has come and nothing of who sent it or \
                      what; the id, which is the submitter's secret, shows all of it. What is not \
                      there and what could not be there are the same 404."
            .to_owned(),
        parameters: vec![reference()],
        answers: vec![
            found
                .example("byNumber", "By number", &progress_example())
                .example("byId", "By id", &whole_example())
                .example("queued", "By id, not numbered yet", &queued_example_found()),
        ],
        problems: vec![Problem::TicketNotFound, Problem::Unavailable],
        ..Operation::new("lookUpTicket", TAG, "Look a ticket up by its number or id")
    }
}

/// `GET /api/support/ticket/{reference}/events`
pub fn events(schemas: &mut Schemas) -> Operation {
    // Its name is in the description: no schema can speak of the parts of a stream.
    let _ = schemas.of::<progress::Progress>();
    let stream = Answer::new(
        Success::Found,
        "Events named `progress`, one a change and in order; the `data` of each is a \
         `ProgressEvent`, its `id` the version of the ticket. Comments keep the connection open.",
        "text/event-stream",
        &json!({"type": "string"}),
    );
    let resolved = r#"{"ticketNumber":"SUP-2026-483920","subject":"technical","status":"resolved","priority":"high","at":"2026-11-22T11:30:00.000Z"}"#;
    let example = format!(
        "retry: 2481\n\nid: 0\nevent: {EVENT}\ndata: {{\"status\":\"queued\"}}\n\n\
         id: 3\nevent: {EVENT}\ndata: {resolved}\n\n"
    );
    Operation {
        description: "The progress of one ticket as server-sent events, for whoever has its id. A \
                      stream ends after an hour or so, or when its instance stops; `retry` tells \
                      when to come back, with the last id seen."
            .to_owned(),
        parameters: vec![reference(), last_event_id()],
        answers: vec![
            stream
                .example("progress", "Queued, then resolved", &example.into())
                .header("X-Accel-Buffering"),
        ],
        problems: vec![
            Problem::NotAcceptable,
            Problem::TicketNotFound,
            Problem::TooManySubscribers,
            Problem::Unavailable,
        ],
        ..Operation::new("followTicket", TAG, "Follow a ticket")
    }
}

fn last_event_id() -> Value {
    json!({
        "name": "Last-Event-ID",
        "in": "header",
        "description": "The id of the last event that was seen: what came after it is told first.",
        "schema": {"type": "string"},
        "example": "1",
    })
}

/// The number or the id in a path.
pub fn reference() -> Value {
    json!({
        "name": "reference",
        "in": "path",
        "required": true,
        "description": "A ticket's number, in any case of letters, or a submission's id.",
        "schema": {"type": "string"},
        "examples": {
            "number": {"summary": "A number", "value": "SUP-2026-483920"},
            "id": {"summary": "An id", "value": "01a202c3-c662-7aeb-85b5-ac7a63952b19"},
        },
    })
}

fn progress_example() -> Value {
    json!({
        "success": true,
        "data": {
            "ticketNumber": "SUP-2026-483920",
            "subject": "technical",
            "status": "resolved",
            "priority": "high",
            "submittedAt": "2026-11-22T10:30:00.120Z",
            "updatedAt": "2026-11-22T11:30:00.000Z",
            "resolvedAt": "2026-11-22T11:30:00.000Z",
            "history": [
                {"status": "open", "at": "2026-11-22T10:30:00.120Z"},
                {"status": "in-progress", "at": "2026-11-22T11:00:00.000Z"},
                {"status": "resolved", "at": "2026-11-22T11:30:00.000Z"},
            ],
        },
        "message": "Support ticket found",
        "timestamp": "2026-11-22T12:00:00.000Z",
    })
}

fn whole_example() -> Value {
    let mut example = progress_example();
    for (field, value) in [
        ("id", "01a202c3-c662-7aeb-85b5-ac7a63952b19"),
        ("name", "Ada Lovelace"),
        ("email", "ada@example.org"),
        ("message", "The engine has stopped."),
        ("timestamp", "2026-11-22T10:30:00.000Z"),
        ("userId", "user-4711"),
        ("userAgent", "Lynx/2.9"),
        ("url", "https://example.org/help"),
    ] {
        example["data"][field] = value.into();
    }
    example["data"]["replies"] = json!([written("staff", "Does it need oil?")]);
    example
}

fn written(from: &str, message: &str) -> Value {
    json!({"from": from, "message": message, "at": "2026-11-22T11:00:00.000Z"})
}

/// `POST /api/support/ticket/{reference}/replies`
pub fn answer(schemas: &mut Schemas) -> Operation {
    let example = json!({
        "success": true, "data": written("submitter", "It has enough."), "message": "Reply written",
        "timestamp": "2026-11-22T11:00:00.000Z",
    });
    let answer = |success, description, schemas: &mut Schemas| {
        let answer = Answer::enveloped::<Written<'_>>(success, description, schemas);
        answer.example("written", "A reply", &example)
    };
    let violation = FieldError {
        pointer: "/message".into(),
        code: "required",
        detail: "is required".to_owned(),
    };
    let own = [
        Problem::TicketNotFound,
        Problem::TicketQueued,
        Problem::TicketClosed,
        Problem::ValidationFailed(vec![violation]),
        Problem::Unavailable,
    ];
    let properties = json!({
        "message": {"type": "string", "minLength": 1, "maxLength": Message::CHARS_MAX},
    });
    Operation {
        description:
            "The submitter writes to staff, under the id that only they have. What was resolved \
                      is thereby in progress again. The same message sent twice is written once."
                .to_owned(),
        parameters: vec![reference()],
        body: Some(json!({
            "required": true,
            "content": {"application/json": {
                "schema": {"type": "object", "required": ["message"], "properties": properties},
                "examples": {"message": {
                    "summary": "A message", "value": {"message": "It has enough."},
                }},
            }},
        })),
        answers: vec![
            answer(Success::Created, "Written.", schemas),
            answer(Success::Found, "It was the last that was written, and still is.", schemas),
        ],
        problems: own.into_iter().chain(body::refusals()).collect(),
        ..Operation::new("replyAsSubmitter", TAG, "Reply to staff")
    }
}

fn queued_example_found() -> Value {
    let mut example = queued_example();
    example["message"] = "Support ticket queued".into();
    example
}
