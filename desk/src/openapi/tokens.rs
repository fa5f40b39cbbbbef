//! What is told of staff tokens.

use common::domain::Name;
use http::{
    body::refusals,
    openapi::{Answer, Operation, Schemas},
    problem::{FieldError, Problem, Success},
};
use serde_json::{Value, json};

use super::schemas::{
    body, body_for_nothing, envelope, id, of_every_route, parameter, role, unknown_parameter,
};
use crate::{
    rotation::Rotated,
    tokens::{Listed, Made, Tokens},
};

pub const TAG: &str = "Staff tokens";

/// The id of every example.
const ID: &str = "95344202d105";

/// `GET /api/support/admin/tokens`
pub fn list(schemas: &mut Schemas) -> Operation {
    let told = Answer::enveloped::<Tokens>(Success::Found, "Every token.", schemas);
    let active = example("active");
    let mut revoked = example("revoked");
    revoked["revokedAt"] = "2026-11-22T11:00:00.000Z".into();
    let example = envelope("Staff tokens", &json!({"tokens": [active, revoked]}));
    Operation {
        description: "In the order of their making, those that admit nobody any more included. \
                      The bootstrap key is a setting and not among them."
            .to_owned(),
        answers: vec![told.example("tokens", "Two tokens", &example)],
        problems: [of_every_route(), vec![unknown_parameter()]].concat(),
        ..Operation::new("listTokens", TAG, "List the staff tokens")
    }
}

/// `POST /api/support/admin/tokens`
pub fn create(schemas: &mut Schemas) -> Operation {
    let told = Answer::enveloped::<Made<'_>>(Success::Created, "The token.", schemas);
    let mut made = example("active");
    made["token"] = format!("slt_{}", "0123456789abcdef".repeat(4)).into();
    let example = envelope("Staff token created; it is not shown again", &made);
    let violation = FieldError {
        pointer: "/role".into(),
        code: "invalid_choice",
        detail: "must be one of admin, agent, stats".to_owned(),
    };
    Operation {
        description: "The token itself is in this answer and never in another: what is kept is a \
                      hash. It admits at once, at every instance."
            .to_owned(),
        body: Some(wanted()),
        answers: vec![told.example("created", "A new token", &example)],
        problems: [
            of_every_route(),
            refusals(),
            vec![Problem::ValidationFailed(vec![violation]), unknown_parameter()],
        ]
        .concat(),
        ..Operation::new("createToken", TAG, "Make a staff token")
    }
}

/// `DELETE /api/support/admin/tokens/{id}`
pub fn revoke(schemas: &mut Schemas) -> Operation {
    let told = Answer::enveloped::<Listed>(Success::Found, "The token as it is now.", schemas);
    let mut revoked = example("revoked");
    revoked["revokedAt"] = "2026-11-22T11:00:00.000Z".into();
    let example = envelope("Staff token revoked", &revoked);
    Operation {
        description: "From the next request on it admits nobody, at any instance. One that was \
                      revoked before stays so, since then."
            .to_owned(),
        parameters: vec![id("Which token.", "^[0-9a-f]{12}$", ID)],
        answers: vec![told.example("revoked", "The token", &example)],
        problems: [
            of_every_route(),
            body_for_nothing(),
            vec![Problem::TokenNotFound, unknown_parameter()],
        ]
        .concat(),
        ..Operation::new("revokeToken", TAG, "Revoke a staff token")
    }
}

/// `POST /api/support/admin/tokens/{id}/rotate`
pub fn rotate(schemas: &mut Schemas) -> Operation {
    let told = Answer::enveloped::<Rotated<'_>>(Success::Created, "The new token.", schemas);
    let (mut rotated, mut previous) = (example("active"), example("active"));
    rotated["id"] = "1c5a0d7e92b4".into();
    rotated["token"] = format!("slt_{}", "0123456789abcdef".repeat(4)).into();
    previous["expiresAt"] = "2026-11-23T10:30:00.000Z".into();
    rotated["previous"] = previous;
    let example = envelope("Staff token rotated; it is not shown again", &rotated);
    let span = json!({"type": "string", "pattern": "^[0-9]+[smhd]$"});
    Operation {
        description: "Makes a token of the same name and role, shown in this answer and never in \
                      another, and gives the old one an end: both admit until then. An end that \
                      the old one had before stays, and is the new one's unless `expiresIn` says \
                      otherwise; so it is where the old one is rotated once more."
            .to_owned(),
        parameters: vec![
            id("Which token.", "^[0-9a-f]{12}$", ID),
            parameter(
                "overlap",
                "How long the old one goes on admitting, at most 30d; a day, if not said.",
                &span,
                "2h",
            ),
            parameter(
                "expiresIn",
                "How long the new one admits, at most 3650d; not said, as long as the old one was \
                 to.",
                &span,
                "90d",
            ),
        ],
        answers: vec![told.example("rotated", "A new token", &example)],
        problems: [
            of_every_route(),
            body_for_nothing(),
            vec![Problem::TokenNotFound, Problem::TokenNotActive, bad_overlap()],
        ]
        .concat(),
        ..Operation::new("rotateToken", TAG, "Rotate a staff token")
    }
}

fn bad_overlap() -> Problem {
    let detail = "must be a duration from 1s to 30d in s, m, h or d, such as 1d".to_owned();
    let violation = FieldError { pointer: "/overlap".into(), code: "invalid_overlap", detail };
    Problem::InvalidParameters(vec![violation])
}

fn wanted() -> Value {
    let properties = json!({
        "role": role(),
        "name": {
            "type": ["string", "null"], "minLength": 1, "maxLength": Name::CHARS_MAX,
            "description": "What to call it, on one line.",
        },
        "expiresIn": {
            "type": ["string", "null"], "pattern": "^[0-9]+[smhd]$",
            "description": "How long it admits: a whole number and s, m, h or d, at most 3650d. \
                            Without it, until it is revoked.",
        },
    });
    let value = json!({"role": "stats", "name": "grafana", "expiresIn": "90d"});
    body(&properties, &["role"], &json!({"stats": {"summary": "For a dashboard", "value": value}}))
}

fn example(standing: &str) -> Value {
    json!({
        "id": ID,
        "role": "stats",
        "standing": standing,
        "name": "grafana",
        "createdAt": "2026-11-22T10:30:00.000Z",
        "expiresAt": "2027-02-20T10:30:00.000Z",
    })
}
