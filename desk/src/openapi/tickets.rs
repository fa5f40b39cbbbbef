//! What is told of tickets in the hands of staff.

use common::domain::{Message, Status, TAGS_MAX, Tag};
use http::{
    body::refusals,
    openapi::{Answer, Operation, Schemas},
    problem::{FieldError, Problem, Success},
};
use serde_json::{Value, json};

use super::schemas::{body, envelope, id, of_every_route, unknown_parameter};
use crate::{
    bulk::{Results, TICKETS_MAX},
    live::{CHANGE, GAP, Told},
    shown::{Changed, Posted, Shown},
};

pub const TAG: &str = "Tickets";

/// The ticket of every example.
const NUMBER: &str = "SUP-2026-483920";

/// `GET /api/support/admin/tickets/{id}`
pub fn show(schemas: &mut Schemas) -> Operation {
    let told = Answer::enveloped::<Shown<'_>>(Success::Found, "The ticket.", schemas);
    Operation {
        description: "All of it: what was sent, the thread, and the trail of what happened. That \
                      somebody was shown it is put on record first."
            .to_owned(),
        parameters: vec![ticket()],
        answers: vec![
            told.example("ticket", "A ticket", &envelope("Ticket", &whole())).header("ETag"),
        ],
        problems: [of_every_route(), vec![Problem::TicketNotFound, unknown_parameter()]].concat(),
        ..Operation::new("showTicket", TAG, "Show one ticket")
    }
}

/// `PATCH /api/support/admin/tickets/{id}`
pub fn amend(schemas: &mut Schemas) -> Operation {
    let told = Answer::enveloped::<Changed<'_>>(Success::Found, "The ticket since.", schemas);
    let examples = json!({
        "take": {"summary": "Take it up", "value": {"status": "in-progress", "assignee": "Grace"}},
        "file": {"summary": "File it", "value": {"addTags": ["engine"], "removeTags": ["new"]}},
        "release": {"summary": "Give it to nobody", "value": {"assignee": null}},
    });
    Operation {
        description: format!(
            "Any of status, member of staff and tags, all in one transaction. {TRANSITIONS} {MEMBERS} {MATCHES}"
        ),
        parameters: vec![ticket(), if_match()],
        body: Some(body(&wishes(), &[], &examples)),
        answers: vec![
            told.example("taken", "Taken up", &envelope("Ticket", &changed())).header("ETag"),
        ],
        problems: [
            of_every_route(),
            refusals(),
            changing(),
            vec![
                Problem::WrongTransition { allowed: Status::Resolved.next() },
                Problem::TicketErased,
                Problem::ValidationFailed(vec![violation("/assignee", "unknown_member")]),
                unknown_parameter(),
            ],
        ]
        .concat(),
        ..Operation::new("changeTicket", TAG, "Change status, member of staff and tags")
    }
}

/// `POST /api/support/admin/tickets/{id}/replies`
pub fn reply(schemas: &mut Schemas) -> Operation {
    Operation {
        description: format!(
            "What the submitter sees under their id. The first reply to an open ticket takes it up: its \
             status becomes in-progress. {MATCHES}"
        ),
        problems: writing(),
        ..posting("replyToTicket", "Reply to the submitter", "reply", schemas)
    }
}

/// `POST /api/support/admin/tickets/{id}/notes`
pub fn note(schemas: &mut Schemas) -> Operation {
    Operation {
        description: format!("What only staff see. {MATCHES}"),
        problems: writing(),
        ..posting("noteOnTicket", "Write an internal note", "note", schemas)
    }
}

fn posting(
    name: &'static str,
    summary: &'static str,
    kind: &str,
    schemas: &mut Schemas,
) -> Operation {
    let told = Answer::enveloped::<Posted<'_>>(Success::Created, "The ticket since.", schemas);
    let properties = json!({
        "message": {"type": "string", "minLength": 1, "maxLength": Message::CHARS_MAX},
    });
    let value = json!({"message": "The engine needs oil."});
    let examples = json!({"message": {"summary": "A message", "value": value}});
    let example = envelope("Written", &json!({"kind": kind, "ticket": changed()}));
    Operation {
        parameters: vec![ticket(), if_match()],
        body: Some(body(&properties, &["message"], &examples)),
        answers: vec![told.example("written", "Written", &example).header("ETag")],
        ..Operation::new(name, TAG, summary)
    }
}

/// `POST /api/support/admin/tickets/bulk`
pub fn bulk(schemas: &mut Schemas) -> Operation {
    let told = Answer::enveloped::<Results>(Success::Found, "What became of each.", schemas);
    let data = json!({"tickets": [
        {"ticket": NUMBER, "outcome": "changed", "version": 4},
        {
            "ticket": "SUP-2026-000000", "outcome": "failed", "code": "ticket_not_found",
            "detail": "There is no such ticket.",
        },
    ]});
    let properties = json!({
        "tickets": {
            "type": "array", "minItems": 1, "maxItems": TICKETS_MAX, "items": {"type": "string"},
            "description": "Their numbers or ids.",
        },
        "change": {"type": "object", "properties": wishes(), "additionalProperties": false},
        "allOrNothing": {
            "type": ["boolean", "null"], "default": false,
            "description": "Change all of them in one transaction, or none.",
        },
    });
    let value = json!({"tickets": [NUMBER, "SUP-2026-000000"], "change": {"addTags": ["engine"]}});
    let examples = json!({"file": {"summary": "File them", "value": value}});
    let stale = FieldError {
        pointer: "/tickets/1".into(),
        code: "ticket_not_found",
        detail: "There is no such ticket.".to_owned(),
    };
    Operation {
        description: format!(
            "Each for itself, and what became of each is told; with `allOrNothing` in one transaction, of \
             which nothing is done when one of them fails. A ticket that is named more than once is \
             changed once, and `unchanged` where it is named again. Once something is changed the answer \
             is 200: `unavailable` is then the code of each ticket that others kept changing first, or \
             that was out of reach by its turn, which may be changed all the same; ask again for those. \
             {TRANSITIONS}"
        ),
        body: Some(body(&properties, &["tickets", "change"], &examples)),
        answers: vec![told.example("results", "One changed", &envelope("Tickets", &data))],
        problems: [
            of_every_route(),
            refusals(),
            vec![
                Problem::NotTogether(vec![stale]),
                Problem::InvalidIfMatch,
                Problem::ValidationFailed(vec![
                    violation("/tickets", "out_of_range"),
                    violation("/change/assignee", "unknown_member"),
                ]),
                unknown_parameter(),
            ],
        ]
        .concat(),
        ..Operation::new("changeTickets", TAG, "Change many tickets")
    }
}

/// `GET /api/support/admin/tickets/events`
pub fn events(schemas: &mut Schemas) -> Operation {
    stream("followTickets", "Follow all tickets", schemas)
}

/// `GET /api/support/admin/tickets/{id}/events`
pub fn events_of_one(schemas: &mut Schemas) -> Operation {
    let mut operation = stream("followStaffTicket", "Follow one ticket", schemas);
    operation.parameters = vec![ticket()];
    operation.problems.push(Problem::TicketNotFound);
    operation
}

fn stream(name: &'static str, summary: &'static str, schemas: &mut Schemas) -> Operation {
    // Its name is in the description: no schema can speak of the parts of a stream.
    let _ = schemas.of::<Told<'_>>();
    let stream = Answer::new(
        Success::Found,
        "Server-sent events. `change` tells a change; its `data` is a `TicketChange`. `gap`, with which a \
         stream begins, says that something may have been missed: read again what you show. A stream ends \
         when its token does.",
        "text/event-stream",
        &json!({"type": "string"}),
    );
    let data = json!({
        "id": "01a202c3-c662-7aeb-85b5-ac7a63952b19", "ticketNumber": NUMBER, "version": 2,
        "kind": "ticket.status_changed", "status": "in-progress", "at": "2026-11-22T10:31:00.000Z",
        "changes": {"status": {"before": "open", "after": "in-progress"}},
    });
    let example = format!(
        "event: {GAP}\nretry: 2000\ndata: {{}}\n\nid: 4c294776-b50f-8438-8fce-9b2fb5bedd9d\n\
         event: {CHANGE}\ndata: {data}\n\n"
    );
    Operation {
        answers: vec![
            stream.example("changes", "One change", &example.into()).header("X-Accel-Buffering"),
        ],
        problems: [of_every_route(), vec![Problem::TooManySubscribers, unknown_parameter()]]
            .concat(),
        ..Operation::new(name, TAG, summary)
    }
}

const TRANSITIONS: &str = "A status leads from open to in-progress, from there to resolved, and from \
                           there to closed or back to in-progress.";
const MEMBERS: &str = "A member of staff is known by the name of their tokens.";
const MATCHES: &str = "With `If-Match` only if the ticket still has that version, else on whatever it \
                       is by then.";

/// The fields of a change.
fn wishes() -> Value {
    let tags = |description: &str| {
        json!({
            "type": ["array", "null"], "maxItems": TAGS_MAX, "description": description,
            "items": {"type": "string", "minLength": 1, "maxLength": Tag::CHARS_MAX},
        })
    };
    let statuses: Vec<_> = Status::ALL.iter().map(|it| it.as_str()).collect();
    json!({
        "status": {
            "oneOf": [{"type": "string", "enum": statuses}, {"type": "null"}],
            "description": "Bring it there.",
        },
        "assignee": {"type": ["string", "null"], "description": "Give it to them; `null`: to nobody."},
        "addTags": tags("File it under these: small letters, digits, and -_.: after the first."),
        "removeTags": tags("And not under these."),
    })
}

fn ticket() -> Value {
    id("Its number or its id.", "^[^/]+$", NUMBER)
}

fn if_match() -> Value {
    json!({
        "name": "If-Match", "in": "header", "required": false,
        "description": "The entity tag that the ticket must still have.",
        "schema": {"type": "string"}, "example": "\"3\"",
    })
}

/// What may be answered to whoever changes a ticket.
fn changing() -> Vec<Problem> {
    vec![Problem::TicketNotFound, Problem::InvalidIfMatch, Problem::Stale]
}

fn writing() -> Vec<Problem> {
    let own = vec![
        Problem::ValidationFailed(vec![violation("/message", "required")]),
        Problem::TicketClosed,
        Problem::TicketErased,
        unknown_parameter(),
    ];
    [of_every_route(), refusals(), changing(), own].concat()
}

fn violation(pointer: &'static str, code: &'static str) -> FieldError {
    let detail = match code {
        "required" => "is required".to_owned(),
        "out_of_range" => format!("must name 1 to {TICKETS_MAX} tickets"),
        _ => "must be the name of an active token of role admin or agent".to_owned(),
    };
    FieldError { pointer: pointer.into(), code, detail }
}

fn changed() -> Value {
    json!({
        "id": "01a202c3-c662-7aeb-85b5-ac7a63952b19",
        "ticketNumber": NUMBER,
        "version": 3,
        "subject": "technical",
        "status": "in-progress",
        "allowedStatuses": ["resolved"],
        "priority": "high",
        "assignee": "Grace",
        "tags": ["engine"],
        "submittedAt": "2026-11-22T10:30:00.000Z",
        "updatedAt": "2026-11-22T10:31:00.000Z",
        "firstResponseAt": "2026-11-22T10:31:00.000Z",
    })
}

fn whole() -> Value {
    let mut shown = changed();
    let more = json!({
        "name": "Ada Lovelace",
        "email": "ada@example.org",
        "message": "The engine has stopped again.",
        "timestamp": "2026-11-22T10:30:00.000Z",
        "thread": [{
            "version": 2, "kind": "note", "author": "Grace", "message": "Out of oil?",
            "at": "2026-11-22T10:31:00.000Z",
        }],
        "trail": [
            {
                "version": 1, "kind": "ticket.created", "at": "2026-11-22T10:30:00.000Z",
                "actor": "submitter", "requestId": "order-66",
            },
            {
                "version": 3, "kind": "ticket.status_changed", "at": "2026-11-22T10:31:00.000Z",
                "actor": "token:95344202d105:agent", "address": "192.0.2.7", "requestId": "order-67",
                "changes": {"status": {"before": "open", "after": "in-progress"}},
            },
        ],
    });
    if let (Value::Object(shown), Value::Object(more)) = (&mut shown, more) {
        shown.extend(more);
    }
    shown
}
