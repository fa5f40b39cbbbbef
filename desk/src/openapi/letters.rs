//! What is told of the dead letters.

use common::domain::{Because, DeadLetterCode};
use http::{
    body::refusals,
    openapi::{Answer, Operation, Schemas},
    problem::{FieldError, Problem, Success},
};
use serde_json::{Value, json};

use super::schemas::{body, body_for_nothing, id, of_every_route, parameter, unknown_parameter};
use crate::{
    letters::{Letters, Outcome, Shown},
    wanted::{LIMIT_DEFAULT, LIMIT_MAX, RATE_DEFAULT, RATE_MAX},
};

pub const TAG: &str = "Dead letters";

/// The ids of every example.
const IDS: [&str; 2] = ["4f0c2a91d3b7e658", "91d3b7e6584f0c2a"];

/// `GET /api/support/admin/dead-letters`
pub fn list(schemas: &mut Schemas) -> Operation {
    let told = Answer::enveloped::<Letters>(Success::Found, "The letters.", schemas);
    let example = json!({"letters": [listed()], "counts": {"rejected": 1}, "areSomeHeld": false});
    let number = json!({
        "type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT,
    });
    Operation {
        description: "The oldest first, and how many there are of each reason. Looking changes \
                      nothing. Reasons that somebody else gave are masked."
            .to_owned(),
        parameters: vec![
            parameter(
                "reason",
                "Those given up for one of these, commas between.",
                &reasons(),
                "rejected",
            ),
            parameter("olderThan", "Those given up longer ago.", &span(), "2h"),
            parameter("newerThan", "Those given up since.", &span(), "1d"),
            parameter("limit", "How many to list at most.", &number, 20),
        ],
        answers: vec![told.example("letters", "One letter", &envelope("Dead letters", &example))],
        problems: problems([bad_parameter("/olderThan", "invalid_duration")]),
        ..Operation::new("listDeadLetters", TAG, "List the dead letters")
    }
}

/// `GET /api/support/admin/dead-letters/{id}`
pub fn show(schemas: &mut Schemas) -> Operation {
    let told = Answer::enveloped::<Shown>(Success::Found, "The letter.", schemas);
    let switch = json!({"type": "boolean", "default": false});
    Operation {
        description: "What may be personal is masked: of texts their length is told. With \
                      `reveal=true` all of it is shown, and that is put on record first."
            .to_owned(),
        parameters: vec![
            letter(),
            parameter("reveal", "Shows what is personal, too.", &switch, true),
            parameter("because", WHY, &why(), "case 4711"),
        ],
        answers: vec![
            told.example("masked", "Masked", &envelope("Dead letter", &masked())).example(
                "revealed",
                "Revealed",
                &envelope("Dead letter", &revealed()),
            ),
        ],
        problems: problems([Problem::LetterNotFound, bad_parameter("/reveal", "invalid_choice")]),
        ..Operation::new("showDeadLetter", TAG, "Show one dead letter")
    }
}

/// `POST /api/support/admin/dead-letters/{id}/requeue`
pub fn requeue(schemas: &mut Schemas) -> Operation {
    Operation {
        description: "As if for the first time. It is put on record, and leaves the dead letters \
                      only when it is safe in the queue."
            .to_owned(),
        parameters: vec![letter(), parameter("because", WHY, &why(), "the disk has room again")],
        answers: vec![handled(schemas, "Dead letter queued again", &IDS[..1], &[])],
        problems: of_one(),
        ..Operation::new("requeueDeadLetter", TAG, "Try one dead letter again")
    }
}

/// `POST /api/support/admin/dead-letters/requeue`
pub fn requeue_several(schemas: &mut Schemas) -> Operation {
    let mut properties = which();
    properties["because"] = why();
    properties["because"]["type"] = json!(["string", "null"]);
    properties["rate"] = json!({
        "description": "How many in a second at most.",
        "oneOf": [
            {"type": "integer", "minimum": 1, "maximum": RATE_MAX},
            {"type": "string", "enum": ["off"]},
            {"type": "null"},
        ],
        "default": RATE_DEFAULT,
    });
    let examples = json!({
        "named": {"summary": "These two", "value": {"ids": IDS}},
        "alike": {"summary": "Those of last night", "value": {
            "filter": {"reason": "rejected", "newerThan": "12h"},
            "rate": 10, "because": "the disk has room again",
        }},
        "all": {"summary": "All that are there now", "value": {"all": true}},
    });
    Operation {
        description: format!(
            "Exactly one of `ids`, `all` and `filter`. {SEVERAL} Each is put on record before it \
             is touched."
        ),
        body: Some(body(&properties, &[], &examples)),
        answers: vec![handled(schemas, "Dead letters queued again", &IDS[..1], &IDS[1..])],
        problems: of_several(),
        ..Operation::new("requeueDeadLetters", TAG, "Try several dead letters again")
    }
}

/// `DELETE /api/support/admin/dead-letters/{id}`
pub fn discard(schemas: &mut Schemas) -> Operation {
    let mut because = parameter("because", WHY, &why(), "sent by a scanner");
    because["required"] = true.into();
    Operation {
        description: "For good. It is put on record before it goes, with the reason given."
            .to_owned(),
        parameters: vec![letter(), because],
        answers: vec![handled(schemas, "Dead letter deleted", &IDS[..1], &[])],
        problems: of_one(),
        ..Operation::new("discardDeadLetter", TAG, "Delete one dead letter")
    }
}

/// `POST /api/support/admin/dead-letters/discard`
pub fn discard_several(schemas: &mut Schemas) -> Operation {
    let mut properties = which();
    properties["because"] = why();
    let examples = json!({
        "named": {"summary": "These two", "value": {"ids": IDS, "because": "sent by a scanner"}},
        "alike": {"summary": "The old ones", "value": {
            "filter": {"reason": "unreadable", "olderThan": "30d"}, "because": "too old",
        }},
    });
    Operation {
        description: format!("Exactly one of `ids`, `all` and `filter`, and why. {SEVERAL}"),
        body: Some(body(&properties, &["because"], &examples)),
        answers: vec![handled(schemas, "Dead letters deleted", &IDS[..1], &IDS[1..])],
        problems: of_several(),
        ..Operation::new("discardDeadLetters", TAG, "Delete several dead letters")
    }
}

const WHY: &str = "Why, for the record; nothing personal.";

const SEVERAL: &str = "A request handles ten thousand letters at most and goes on for twenty \
    seconds; where that is not enough `isComplete` is false, and the same request goes on with the \
    others.";

fn letter() -> Value {
    id("Which letter.", "^[^/]+$", IDS[0])
}

fn reasons() -> Value {
    let known: Vec<_> = DeadLetterCode::ALL.iter().map(|it| it.as_str()).collect();
    json!({
        "type": "string", "pattern": "^[a-z-]+(,[a-z-]+)*$",
        "description": format!("Of {} and unknown.", known.join(", ")),
    })
}

fn span() -> Value {
    json!({
        "type": "string", "pattern": "^[0-9]+[smhd]$",
        "description": "A whole number and s, m, h or d, at most 3650d.",
    })
}

fn why() -> Value {
    json!({
        "type": "string", "minLength": 1, "maxLength": Because::CHARS_MAX, "description": WHY,
    })
}

fn which() -> Value {
    json!({
        "ids": {
            "type": ["array", "null"], "minItems": 1, "items": {"type": "string"},
            "description": "These letters.",
        },
        "all": {"type": ["boolean", "null"], "description": "`true`: all that are there now."},
        "filter": {
            "type": ["object", "null"], "minProperties": 1, "additionalProperties": false,
            "properties": {"reason": reasons(), "olderThan": span(), "newerThan": span()},
            "description": "All that are like this.",
        },
    })
}

fn problems<const N: usize>(own: [Problem; N]) -> Vec<Problem> {
    of_every_route().into_iter().chain(own).collect()
}

fn of_one() -> Vec<Problem> {
    let own = problems([Problem::LetterNotFound, bad_parameter("/because", "invalid_reason")]);
    own.into_iter().chain(body_for_nothing()).collect()
}

fn of_several() -> Vec<Problem> {
    let detail = "must have exactly one of ids, all and filter".to_owned();
    let violation = FieldError { pointer: "".into(), code: "ambiguous", detail };
    let refused = Problem::ValidationFailed(vec![violation]);
    let own = problems([Problem::Interrupted, refused, unknown_parameter()]);
    own.into_iter().chain(refusals()).collect()
}

fn bad_parameter(pointer: &'static str, code: &'static str) -> Problem {
    let detail = match code {
        "invalid_duration" => "must be a duration from 1s to 3650d in s, m, h or d, such as 30d",
        "invalid_choice" => "must be true or false",
        _ => "must be 1 to 500 characters, on one line",
    };
    let violation = FieldError { pointer: pointer.into(), code, detail: detail.to_owned() };
    Problem::InvalidParameters(vec![violation])
}

fn listed() -> Value {
    json!({
        "id": IDS[0],
        "code": "rejected",
        "detail": "the store cannot hold it",
        "firstSeenAt": "2026-11-22T09:30:00.000Z",
        "attempts": 1,
        "bodyBytes": 412,
    })
}

fn masked() -> Value {
    let mut shown = listed();
    shown["isMasked"] = true.into();
    shown["body"] = json!({
        "v": 1,
        "submissions": [{
            "id": "01a202c3-c662-7aeb-85b5-ac7a63952b19",
            "name": "*** (12 characters)",
            "email": "*** (15 characters)",
            "subject": "billing",
        }],
    });
    shown["properties"] = json!({"content-type": "application/json"});
    shown["otherProperties"] = 0.into();
    shown
}

fn revealed() -> Value {
    let mut shown = masked();
    shown["isMasked"] = false.into();
    shown["body"] = "{\"v\":1,\"submissions\":[{\"name\":\"Ada Lovelace\"}]}".into();
    shown
}

fn handled(schemas: &mut Schemas, message: &str, handled: &[&str], missing: &[&str]) -> Answer {
    let told = Answer::enveloped::<Outcome>(Success::Found, "What was done.", schemas);
    let data = json!({"handled": handled, "missing": missing, "isComplete": true});
    told.example("done", "Done", &envelope(message, &data))
}

fn envelope(message: &str, data: &Value) -> Value {
    super::schemas::envelope(message, data)
}
