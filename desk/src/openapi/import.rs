//! What is told of imports.

use common::domain::Name;
use http::{
    openapi::{Answer, Operation, Schemas},
    problem::{FieldError, Problem, Success},
};
use serde_json::{Value, json};

use super::{
    export::TAG,
    schemas::{envelope, of_every_route, parameter},
};
use crate::import::{
    FIELDS, SOURCE_DEFAULT,
    route::{Imported, RATE_DEFAULT, RATES, UPLOAD_BYTES_MAX},
};

const LINE: &str = r#"{"name":"Ada Lovelace","email":"ada@example.org","subject":"billing","message":"I was charged twice","submittedAt":"2024-02-29T10:30:00.000Z","externalId":"4711"}
"#;

const TABLE: &str = "name,email,subject,message,submittedAt,externalId\r\n\
    Ada Lovelace,ada@example.org,billing,\"I was charged twice, again\",2024-02-29T10:30:00.000Z,4711\r\n";

/// `POST /api/support/admin/tickets/import`
pub fn import(schemas: &mut Schemas) -> Operation {
    let told = Answer::enveloped::<Imported>(Success::Found, "What became of it.", schemas);
    let example = envelope("Tickets imported", &example());
    let source = json!({
        "type": "string", "minLength": 1, "maxLength": Name::CHARS_MAX, "default": SOURCE_DEFAULT,
    });
    let rate = json!({
        "type": "integer", "minimum": RATES.start(), "maximum": RATES.end(),
        "default": RATE_DEFAULT,
    });
    Operation {
        description: about(),
        parameters: vec![
            parameter("source", "Whose tickets they are.", &source, "old-desk"),
            parameter("rate", "The most in a second.", &rate, 200),
        ],
        body: Some(body()),
        answers: vec![told.example("imported", "Two of four", &example)],
        problems: [of_every_route(), problems()].concat(),
        ..Operation::new("importTickets", TAG, "Import tickets")
    }
}

fn about() -> String {
    format!(
        "A line is a form as of `POST /api/support/ticket`, by the same rules; `timestamp` may be \
         missing. Beside these it may have `submittedAt`, when it was submitted elsewhere, from the \
         year 2000 to now, and `externalId`, what it is called there. Whatever else it has is \
         ignored, as what an export has beside these. In CSV the first row names the columns ({}); an \
         empty cell is nothing, and the apostrophe that an export puts before a formula is taken \
         off.\n\n\
         Each goes through the queue as a form does, so it is a ticket a little later. The same line \
         of the same `source` is one ticket, however often it is imported: the same by its \
         `externalId`, or without one by all that it says. So a request that broke off is simply sent \
         again. A line whose `externalId` is another ticket's, with another email, subject or message, \
         is a `conflict`. One whose `submittedAt` is before all that the installation keeps (`retention`) \
         is `too_old`: it would be erased at once.\n\n\
         A bad line is told by its number, never by what it says, and the others are imported. New \
         tickets are open: status, assignee and tags are not taken over.",
        FIELDS.join(", ")
    )
}

fn body() -> Value {
    let schema = json!({"type": "string"});
    let text = |name: &str, value: &str| {
        let examples = json!({name: {"summary": "One ticket", "value": value}});
        json!({"schema": schema, "examples": examples})
    };
    json!({
        "required": true,
        "description": format!("At most {UPLOAD_BYTES_MAX} bytes, and each line at most 65536."),
        "content": {
            "application/x-ndjson": text("line", LINE),
            "text/csv": text("table", TABLE),
        },
    })
}

fn problems() -> Vec<Problem> {
    let violation = |pointer: &'static str, code, detail: &str| FieldError {
        pointer: pointer.into(),
        code,
        detail: detail.to_owned(),
    };
    let rate = violation("/rate", "out_of_range", "must be a whole number from 10 to 10000");
    let head = "must be the name of a column, in the first line";
    vec![
        Problem::IncompleteBody,
        Problem::BodyTimeout,
        Problem::LengthRequired,
        Problem::UploadTooLarge,
        Problem::UnsupportedUpload,
        Problem::UnsupportedEncoding,
        Problem::TooManyTransfers,
        Problem::InvalidParameters(vec![rate]),
        Problem::ValidationFailed(vec![violation("/email", "required", head)]),
    ]
}

fn example() -> Value {
    let detail = "must be a mail address such as ada@example.org";
    json!({
        "lines": 4,
        "accepted": 2,
        "duplicates": 1,
        "rejected": 1,
        "errors": [{
            "line": 3,
            "errors": [{"pointer": "/email", "code": "invalid_email", "detail": detail}],
        }],
        "isComplete": true,
    })
}
