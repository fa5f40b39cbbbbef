//! What is told of the list of tickets.

use common::domain::{Priority, Search, Sort, Status, Subject, Tag};
use http::{
    openapi::{Answer, Operation, Schemas},
    problem::{FieldError, Problem, Success},
};
use serde_json::{Value, json};

use super::{
    schemas::{envelope, of_every_route, parameter},
    tickets::TAG,
};
use crate::listing::{LIMIT_DEFAULT, LIMIT_MAX, Tickets};

/// `GET /api/support/admin/tickets`
pub fn list(schemas: &mut Schemas) -> Operation {
    let told = Answer::enveloped::<Tickets>(Success::Found, "A page of tickets.", schemas);
    let page = json!({"tickets": [in_hand(), untouched()], "next": cursor()});
    Operation {
        description: "A page of the tickets that pass all filters, in the order asked for. `next` is \
                      the `cursor` of the page after it, with the same parameters; it leads on for a \
                      day. Tickets that arrive meanwhile are on no later page of a list that begins \
                      with the newest, and move nothing.\n\nWith `q` the tickets are those that match: \
                      the newest 500 of them, the best first. What is new can be found after about a \
                      second. Who lists tickets is put on record."
            .to_owned(),
        parameters: [filters(), times(), order()].concat(),
        answers: vec![
            told.example("tickets", "Two tickets and the way on", &envelope("Tickets", &page))
                .example("last", "The last page", &envelope("Tickets", &json!({"tickets": []}))),
        ],
        problems: [of_every_route(), vec![Problem::InvalidParameters(violations())]].concat(),
        ..Operation::new("listTickets", TAG, "List and search the tickets")
    }
}

fn filters() -> Vec<Value> {
    let words = |all: Vec<&str>| {
        let one = format!("({})", all.join("|"));
        json!({"type": "string", "pattern": format!("^{one}(,{one})*$")})
    };
    let statuses = words(Status::ALL.iter().map(|word| word.as_str()).collect());
    let priorities = words(Priority::ALL.iter().map(|word| word.as_str()).collect());
    let subjects = words(Subject::ALL.iter().map(|word| word.as_str()).collect());
    let text = |chars_max: usize| json!({"type": "string", "maxLength": chars_max});
    vec![
        parameter("q", LOOKS_FOR, &text(Search::CHARS_MAX), "lovelace engine"),
        parameter("status", "Of one of these, commas between.", &statuses, "open,in-progress"),
        parameter("priority", "Likewise.", &priorities, "high"),
        parameter("subject", "Likewise.", &subjects, "billing"),
        parameter(
            "assignee",
            "In the hands of the member of staff of this name; `none` stands for nobody.",
            &text(100),
            "none",
        ),
        parameter("tag", "Filed under this.", &text(Tag::CHARS_MAX), "refund"),
        parameter(
            "hasReply",
            "Whether staff have replied to the submitter.",
            &json!({"type": "boolean"}),
            false,
        ),
    ]
}

const LOOKS_FOR: &str = "What to look for. A whole ticket number or mail address finds just those \
                         tickets. Else, and where there are none, it is words, all of which are in the \
                         ticket's number, address, name or message, each at least as the beginning of \
                         one; between quotation marks, words that follow each other. Nothing in it is an \
                         operator, and capital letters are as good as small ones. At most 16 words.";

fn times() -> Vec<Value> {
    let time = json!({"type": "string", "format": "date-time"});
    let of = |name, description| parameter(name, description, &time, "2026-11-22T00:00:00Z");
    vec![
        of("submittedFrom", "Submitted at this time or later. A plus is written `%2B`."),
        of("submittedTo", "Submitted before this time."),
        of("updatedFrom", "Last changed at this time or later."),
        of("updatedTo", "Last changed before this time."),
    ]
}

fn order() -> Vec<Value> {
    let sorts: Vec<_> = Sort::ALL.iter().map(|sort| sort.as_str()).collect();
    let sort = json!({"type": "string", "enum": sorts});
    let number = json!({
        "type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT,
    });
    vec![
        parameter(
            "sort",
            "By what, a hyphen before it for the last one first. `-submittedAt` if not said, or with `q` \
             `rank`, which is for that alone: what fits better comes first, and of what fits alike the \
             newest.",
            &sort,
            "-updatedAt",
        ),
        parameter("limit", "How many tickets a page has at most.", &number, 50),
        parameter(
            "cursor",
            "Where to go on: the `next` of the page before.",
            &json!({"type": "string", "pattern": "^[0-9a-f]+$"}),
            cursor(),
        ),
    ]
}

fn violations() -> Vec<FieldError> {
    let violation = |pointer: &'static str, code, detail: &str| FieldError {
        pointer: pointer.into(),
        code,
        detail: detail.to_owned(),
    };
    vec![
        violation("/submittedTo", "impossible_range", "must be later than submittedFrom"),
        violation("/stat", "unknown_field", "is not known here"),
    ]
}

fn cursor() -> String {
    "0123456789abcdef".repeat(8) + "01"
}

fn in_hand() -> Value {
    json!({
        "id": "01a202c3-c662-7aeb-85b5-ac7a63952b19",
        "ticketNumber": "SUP-2026-483920",
        "name": "Ada Lovelace",
        "email": "ada@example.org",
        "subject": "technical",
        "status": "resolved",
        "priority": "high",
        "assignee": "Grace",
        "tags": ["engine"],
        "submittedAt": "2026-11-22T10:30:00.000Z",
        "updatedAt": "2026-11-22T10:52:00.000Z",
        "resolvedAt": "2026-11-22T10:52:00.000Z",
        "hasReply": true,
        "version": 5,
    })
}

fn untouched() -> Value {
    json!({
        "id": "01a202c3-b1d4-7c05-9a3e-5d1f08c2a764",
        "ticketNumber": "SUP-2026-107736",
        "name": "Charles Babbage",
        "email": "charles@example.org",
        "subject": "billing",
        "status": "open",
        "priority": "medium",
        "tags": [],
        "submittedAt": "2026-11-22T10:29:55.000Z",
        "updatedAt": "2026-11-22T10:29:55.000Z",
        "hasReply": false,
        "version": 1,
    })
}
