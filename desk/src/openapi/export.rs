//! What is told of exports.

use common::domain::{Priority, Status, Subject};
use http::{
    openapi::{Answer, Operation, Schemas},
    problem::{FieldError, Problem, Success},
};
use serde_json::{Value, json};

use super::schemas::{of_every_route, parameter};
use crate::export::{COLUMNS, Format};

pub const TAG: &str = "Import and export";

const LINE: &str = r#"{"id":"01a202c3-c662-7aeb-85b5-ac7a63952b19","number":"SUP-2026-483920","name":"Ada Lovelace","email":"ada@example.org","subject":"billing","message":"=1+1 was charged twice","status":"resolved","priority":"medium","userId":"42","submittedAt":"2026-11-22T10:30:00.000Z","updatedAt":"2026-11-22T11:00:00.000Z","resolvedAt":"2026-11-22T11:00:00.000Z","assignee":"Grace","tags":["refund"]}
"#;

const ROW: &str = "01a202c3-c662-7aeb-85b5-ac7a63952b19,SUP-2026-483920,Ada Lovelace,ada@example.org,billing,\
    '=1+1 was charged twice,resolved,medium,42,2026-11-22T10:30:00.000Z,2026-11-22T11:00:00.000Z,\
    2026-11-22T11:00:00.000Z,Grace,refund\r\n";

/// `GET /api/support/admin/tickets/export`
pub fn export(_: &mut Schemas) -> Operation {
    let words = |all: Vec<&'static str>| {
        json!({
            "type": "string", "pattern": "^[a-z-]+(,[a-z-]+)*$",
            "description": format!("Of {}.", all.join(", ")),
        })
    };
    let statuses = words(Status::ALL.iter().map(|it| it.as_str()).collect());
    let priorities = words(Priority::ALL.iter().map(|it| it.as_str()).collect());
    let subjects = words(Subject::ALL.iter().map(|it| it.as_str()).collect());
    let formats = json!({"type": "string", "enum": ["ndjson", "csv"], "default": "ndjson"});
    let moment = json!({
        "type": "string", "description": "An RFC 3339 time, or a day, which begins in UTC.",
    });
    Operation {
        description: about(),
        parameters: vec![
            parameter("format", "How tickets are written.", &formats, "csv"),
            parameter("status", "Those of these, commas between.", &statuses, "open,in-progress"),
            parameter("priority", "Those of these, commas between.", &priorities, "high"),
            parameter("subject", "Those of these, commas between.", &subjects, "billing"),
            parameter("submittedFrom", "Those submitted then or later.", &moment, "2026-11-01"),
            parameter("submittedTo", "Those submitted before.", &moment, "2026-12-01"),
        ],
        answers: vec![answer()],
        problems: [of_every_route(), vec![Problem::TooManyTransfers, bad_parameters()]].concat(),
        ..Operation::new("exportTickets", TAG, "Export tickets")
    }
}

fn answer() -> Answer {
    let text = json!({"type": "string"});
    let table = format!("{}\r\n{ROW}", COLUMNS.join(","));
    let file = |format: Format, example: &str| {
        let told = "The tickets, one a line or one a row.";
        let answer = Answer::new(Success::Found, told, format.media_type(), &text);
        answer.example("ticket", "One ticket", &Value::from(example))
    };
    file(Format::Ndjson, LINE).or(file(Format::Csv, &table)).header("Content-Disposition")
}

fn about() -> String {
    "Every ticket that there was when the export began is in it once, as it is when its turn comes, in \
     the order of ids. It comes as fast as it is read, and is put on record first. One that cannot be \
     finished breaks off without its last chunk, which every client reports as an error; one that \
     ended without an error is whole.\n\n\
     In CSV (RFC 4180, UTF-8, a row of names first) a text that a spreadsheet would take for a formula \
     has an apostrophe before it: one that begins with `=`, `+`, `-` or `@`, also behind white space, \
     with a tab or the end of a line, and one that is apostrophes and then such a text. An import takes \
     exactly that one off again. Tags have spaces between them; what is absent is an empty cell."
        .to_owned()
}

fn bad_parameters() -> Problem {
    let violation = |pointer: &'static str, code, detail: &str| FieldError {
        pointer: pointer.into(),
        code,
        detail: detail.to_owned(),
    };
    Problem::InvalidParameters(vec![
        violation("/format", "invalid_choice", "must be one of ndjson, csv"),
        violation("/submittedTo", "impossible_range", "must be later than submittedFrom"),
    ])
}
