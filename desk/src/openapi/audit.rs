//! What is told of the export of what is on record.

use common::domain::Record;
use http::{
    openapi::{Answer, Operation, Schemas},
    problem::{FieldError, Problem, Success},
};
use serde_json::json;

use super::schemas::{of_every_route, parameter};

pub const TAG: &str = "Audit";

/// `GET /api/support/admin/audit`
pub fn export(_schemas: &mut Schemas) -> Operation {
    let stream = Answer::new(
        Success::Found,
        "An object on each line, in the order in which it was put on record.",
        "application/x-ndjson",
        &json!({"type": "string"}),
    );
    let change = r#"{"record":"tickets","at":"2026-11-22T10:30:00.000Z","actor":"token:95344202d105:agent","ticketId":"019a2b3c-4d5e-7f60-8a7b-9c0d1e2f3a4b","version":2,"kind":"ticket.status_changed","status":"in-progress","changes":{"status":["open","in-progress"]},"address":"192.0.2.1","requestId":"5f0c6d1e8a9b4c7d8e2f3a4b5c6d7e8f","traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","cursor":"00000000000002e5000000000000000900000000000002e30000000000000004"}"#;
    let action = r#"{"record":"actions","at":"2026-11-22T10:31:00.000Z","actor":"admin-key","action":"audit.export","subject":"audit","details":{"record":null},"address":"192.0.2.7","requestId":"8f2c6d1e8a9b4c7d8e2f3a4b5c6d7e8f","cursor":"00000000000002e5000000000000000900000000000002e70000000000000005"}"#;
    Operation {
        description: "Every change of every ticket and all that operators and staff did beside \
                      that, as it was put on record; reads of what is personal included. Streamed \
                      as fast as it is taken, to the end of what is there; lines come as they are \
                      found, which takes long where a filter leaves little of much. A stream that \
                      breaks off, as when its token or its instance ends, has no last chunk and is \
                      gone on with by `after`. That it was read is on record, too."
            .to_owned(),
        parameters: vec![
            parameter(
                "record",
                "This record alone: changes of tickets, or what was done beside that.",
                &json!({"type": "string", "enum": Record::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>()}),
                "tickets",
            ),
            parameter(
                "after",
                "What is behind the line with this `cursor`.",
                &json!({"type": "string", "pattern": "^[0-9a-f]{64}$"}),
                "00000000000002e5000000000000000900000000000002e30000000000000004",
            ),
            parameter("from", "What happened then or later.", &time(), "2026-11-22T00:00:00Z"),
            parameter("to", "What happened before.", &time(), "2026-11-23T00:00:00Z"),
            parameter(
                "actor",
                "What was done by this one, written as in a line.",
                &json!({"type": "string"}),
                "admin-key",
            ),
            parameter(
                "ticket",
                "What was done to this ticket, by its number, in capitals or not, or its id.",
                &json!({"type": "string"}),
                "SUP-2026-483920",
            ),
        ],
        answers: vec![stream.example(
            "lines",
            "Two lines",
            &format!("{change}\n{action}\n").into(),
        )],
        problems: [of_every_route(), vec![Problem::TooManyTransfers, bad_parameters()]].concat(),
        ..Operation::new("exportAudit", TAG, "Export what is on record")
    }
}

fn time() -> serde_json::Value {
    json!({"type": "string", "format": "date-time"})
}

fn bad_parameters() -> Problem {
    let violation = |pointer: &'static str, code, detail: &str| FieldError {
        pointer: pointer.into(),
        code,
        detail: detail.to_owned(),
    };
    Problem::InvalidParameters(vec![
        violation("/after", "invalid_cursor", "must be as cursor was in a line"),
        violation("/to", "impossible_range", "must be later than from"),
    ])
}
