//! What is told of people's data.

use common::domain::{Because, Email};
use http::{
    body::refusals,
    openapi::{Answer, Operation, Schemas},
    problem::{FieldError, Problem, Success},
};
use serde_json::{Value, json};

use super::schemas::{body, envelope, of_every_route, unknown_parameter};
use crate::people::{ALL, LIMIT_DEFAULT, LIMIT_MAX, NOT_ALL, Outcome, Person};

pub const TAG: &str = "People";

const ADDRESS: &str = "ada@example.org";
const ID: &str = "01a202c3-c662-7aeb-85b5-ac7a63952b19";
const TIME: &str = "2026-11-22T09:30:00.000Z";

/// `POST /api/support/admin/people/export`
pub fn export(schemas: &mut Schemas) -> Operation {
    let told = Answer::enveloped::<Person>(Success::Found, "What is stored.", schemas);
    let example = envelope("What is stored about the address", &person());
    let properties = json!({
        "email": email(),
        "after": {
            "type": ["string", "null"], "format": "uuid",
            "description": "`next` of the answer before.",
        },
        "limit": {
            "type": ["integer", "null"], "minimum": 1, "maximum": LIMIT_MAX,
            "default": LIMIT_DEFAULT, "description": "How many tickets at most.",
        },
        "because": because(&json!(["string", "null"])),
    });
    let examples = json!({
        "first": {"summary": "The first tickets", "value": {"email": ADDRESS}},
        "next": {"summary": "More", "value": {"email": ADDRESS, "after": ID, "limit": 500}},
    });
    Operation {
        description:
            "Tickets with all that was said about them, and what could not become a ticket. \
                      An address in another case is the same person's. Each request is put on \
                      record first, under a keyed hash of the address."
                .to_owned(),
        body: Some(body(&properties, &["email"], &examples)),
        answers: vec![told.example("person", "One ticket", &example)],
        problems: problems([Problem::TooManyTransfers]),
        ..Operation::new("exportPerson", TAG, "Tell what is stored about an address")
    }
}

/// `POST /api/support/admin/people/erase`
pub fn erase(schemas: &mut Schemas) -> Operation {
    let told = Answer::enveloped::<Outcome>(Success::Found, "What was erased.", schemas);
    let outcome = json!({
        "tickets": 12, "deadLetters": 1, "undecidedDeadLetters": [], "areSomeHeld": false,
        "isComplete": true,
    });
    let example = envelope(ALL, &outcome);
    let rest = json!({
        "tickets": 4_700, "deadLetters": 0, "undecidedDeadLetters": [], "areSomeHeld": false,
        "isComplete": false,
    });
    let rest = envelope(NOT_ALL, &rest);
    let properties = json!({"email": email(), "because": because(&json!("string"))});
    let value = json!({"email": ADDRESS, "because": "asked for it by letter of 3 May"});
    let examples = json!({"erase": {"summary": "Erase", "value": value}});
    Operation {
        description: "For good: name, address, message and whatever else was typed, what was said \
                      about it, and what it was filed under. Tickets keep their numbers, status and \
                      times, and are counted as before. What is still on its way is stored without \
                      a word; what the person sends later is kept like anybody's. A request goes on \
                      for twenty seconds; where that is not enough, or somebody else has dead \
                      letters in hand, `isComplete` is false, and the same request goes on. It is \
                      put on record first, under a keyed hash of the address."
            .to_owned(),
        body: Some(body(&properties, &["email", "because"], &examples)),
        answers: vec![told.example("erased", "Twelve tickets", &example).example(
            "notAll",
            "More than a request has time for",
            &rest,
        )],
        problems: problems([Problem::Interrupted, Problem::TooManyTransfers]),
        ..Operation::new("erasePerson", TAG, "Erase what is stored about an address")
    }
}

fn email() -> Value {
    json!({
        "type": "string", "format": "email", "maxLength": Email::BYTES_MAX,
        "description": "Whose data.",
    })
}

fn because(kind: &Value) -> Value {
    json!({
        "type": kind, "minLength": 1, "maxLength": Because::CHARS_MAX,
        "description": "Why, for the record; nothing personal.",
    })
}

fn problems<const N: usize>(own: [Problem; N]) -> Vec<Problem> {
    let detail = "must be a mail address such as ada@example.org".to_owned();
    let violation = FieldError { pointer: "/email".into(), code: "invalid_email", detail };
    let refused = Problem::ValidationFailed(vec![violation]);
    let own = own.into_iter().chain([refused, unknown_parameter()]);
    of_every_route().into_iter().chain(own).chain(refusals()).collect()
}

fn person() -> Value {
    let ticket = json!({
        "id": ID,
        "ticketNumber": "SUP-2026-544740",
        "name": "Ada Lovelace",
        "email": ADDRESS,
        "subject": "billing",
        "message": "I was charged twice.",
        "status": "in-progress",
        "priority": "medium",
        "submittedAt": TIME,
        "updatedAt": "2026-11-22T10:30:00.000Z",
        "timestamp": "2026-11-22T10:29:59+01:00",
        "tags": ["refund"],
        "thread": [
            {"kind": "reply", "at": "2026-11-22T10:30:00.000Z", "body": "We are looking into it."},
        ],
        "history": [
            {"kind": "ticket.created", "at": TIME},
            {"kind": "ticket.replied", "at": "2026-11-22T10:30:00.000Z"},
        ],
    });
    json!({
        "tickets": [ticket],
        "deadLetters": [],
        "undecidedDeadLetters": [],
        "areSomeHeld": false,
    })
}
