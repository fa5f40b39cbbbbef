//! Tables of submissions, each with the answer that is due.

use serde_json::Value;

use super::Api;
use super::shown::{is_id, is_number};
use crate::bed::client::Answer;
use crate::bed::form::Form;

/// The pointers and codes of a problem's violations, in their order.
pub type Violations = [(&'static str, &'static str)];

/// A row about one field: what it is, the field, its value, and the code of the violation, or
/// [`ACCEPTED`].
pub type FieldRow = (&'static str, &'static str, Value, &'static str);

/// In the place of a violation's code: the submission becomes a ticket.
pub const ACCEPTED: &str = "accepted";

/// Submits a form per row. What is accepted must read back to the letter.
pub async fn check_fields(api: &Api, rows: impl IntoIterator<Item = FieldRow>) {
    for (name, field, value, code) in rows {
        let form = Form::valid().with(field, value);
        let answer = api.submit(&form).await;
        if code == ACCEPTED {
            assert_is_a_ticket(api, name, &answer, &form).await;
        } else {
            let pointer = format!("/{field}");
            assert_eq!(violations(&answer), [(pointer, code.to_owned())], "{name}");
        }
    }
}

/// The answer is a 201, and the submitter's view shows what was sent.
pub async fn assert_is_a_ticket(api: &Api, name: &str, answer: &Answer, form: &Form) {
    assert_eq!(answer.status, 201, "{name}: {}", answer.text());
    let created = answer.json()["data"].clone();
    let id = created["id"].as_str().unwrap();
    assert!(is_id(id) && is_number(created["ticketNumber"].as_str().unwrap()), "{name}");
    let seen = api.look_up(id).await.json()["data"].clone();
    let sent = form.json();
    for field in ["name", "email", "subject", "message", "timestamp", "userId", "userAgent", "url"]
    {
        let is_trimmed = ["name", "message"].contains(&field);
        let expected = match &sent[field] {
            Value::String(text) if is_trimmed => Value::from(text.trim()),
            value => value.clone(),
        };
        assert_eq!(seen[field], expected, "{name}: {field}");
    }
}

/// The violations of a 422, or a failed test that shows the answer.
pub fn violations(answer: &Answer) -> Vec<(String, String)> {
    let problem = problem(answer, 422, "validation_failed");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let errors = problem["errors"].as_array().expect("a list of violations").iter();
    errors
        .inspect(|error| assert!(!text(&error["detail"]).is_empty(), "{error}"))
        .map(|error| (text(&error["pointer"]), text(&error["code"])))
        .collect()
}

/// The same, for comparing with a constant.
pub fn assert_violations(name: &str, answer: &Answer, expected: &Violations) {
    let told = violations(answer);
    let told: Vec<_> = told.iter().map(|(pointer, code)| (&**pointer, &**code)).collect();
    assert_eq!(told, expected, "{name}");
}

/// The problem document, which names itself consistently in status, body and headers.
pub fn problem(answer: &Answer, status: u16, code: &str) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let problem = answer.json();
    assert_eq!(problem["success"], false);
    assert_eq!(problem["status"], status);
    assert_eq!(problem["code"], code, "{problem}");
    assert_eq!(problem["requestId"].as_str(), answer.header("x-request-id"));
    problem
}
