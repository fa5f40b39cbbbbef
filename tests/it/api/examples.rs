//! Every example of a request to the staff API, sent as the document has it: it is taken.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use super::ADMIN_TOKEN;
use super::admin::{Staff, on_both};
use super::document::document;
use crate::bed::client::Answer;
use crate::bed::form::Form;
use crate::bed::system::{TICKETS, TestSystem};
use crate::bed::wait::eventually;
use crate::cli::dead_letters::{listed, make_letters};

const STAFF: &str = "/api/support/admin";
const DEADLINE: Duration = Duration::from_secs(30);

on_both! {
    every_example_of_a_request_is_taken:
        every_example_of_a_request_is_taken_embedded,
        every_example_of_a_request_is_taken_distributed;
}

/// What an operation's example can be tried on: each time another.
struct Stock<'a> {
    system: &'a TestSystem,
    admin: Staff,
    forms: u32,
}

impl Stock<'_> {
    /// The name of something in the place of a path's `{id}`.
    async fn name_for(&mut self, path: &str) -> String {
        if path.contains("/tokens/") {
            self.admin.token("agent").await.1
        } else if path.contains("/dead-letters/") {
            self.letter().await
        } else {
            self.ticket().await
        }
    }

    /// A dead letter, which another example may have taken away meanwhile: so there is a new one.
    async fn letter(&mut self) -> String {
        self.forms += 1;
        let form = Form::valid().message(&format!("only for support, {}", self.forms));
        assert_eq!(self.system.submit(&form).await.status, 202);
        eventually(DEADLINE, "there is a letter", async || {
            let letters = listed(self.system).await;
            let last = letters.last().map(|it| it["id"].as_str().expect("an id").to_owned());
            last.ok_or("none")
        })
        .await
    }

    /// The number of a new ticket.
    async fn ticket(&mut self) -> String {
        self.forms += 1;
        let form = Form::valid().message(&format!("Ticket {}", self.forms));
        let client = self.system.client();
        let queued = client.post(TICKETS).json(&form.json()).send().await.json();
        let place = format!("{TICKETS}/{}", queued["data"]["id"].as_str().expect("an id"));
        eventually(DEADLINE, "it is numbered", async || {
            let seen = client.get(&place).send().await.json();
            seen["data"]["ticketNumber"].as_str().map(str::to_owned).ok_or(seen)
        })
        .await
    }
}

/// A request as an example has it: query, content type and body.
struct Trial {
    query: Vec<(String, String)>,
    body: Option<(String, Value)>,
}

/// Whether it stands in the query, and is not handed out by an answer before.
fn is_written_by_the_caller(parameter: &Value) -> bool {
    parameter["in"] == "query" && parameter["name"] != "cursor" && parameter["name"] != "after"
}

/// Each example of an operation by itself, with the parameters that must be there.
fn trials(operation: &Value) -> Vec<Trial> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let (required, optional): (Vec<_>, Vec<_>) =
        parameters.filter(|it| is_written_by_the_caller(it)).partition(|it| it["required"] == true);
    let given = |parameter: &Value| {
        let value = match &parameter["example"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        (parameter["name"].as_str().expect("a name").to_owned(), value)
    };
    let required: Vec<_> = required.into_iter().map(given).collect();
    let mut trials = vec![Trial { query: required.clone(), body: None }];
    for parameter in optional {
        let query = required.iter().cloned().chain([given(parameter)]).collect();
        trials.push(Trial { query, body: None });
    }
    let content = operation["requestBody"]["content"].as_object().into_iter().flatten();
    let bodies: Vec<_> = content
        .flat_map(|(media_type, content)| {
            let examples = content["examples"].as_object().into_iter().flat_map(|it| it.values());
            examples.map(|it| (media_type.clone(), it["value"].clone()))
        })
        .collect();
    if bodies.is_empty() {
        return trials;
    }
    let trial = |body| Trial { query: required.clone(), body: Some(body) };
    bodies.into_iter().map(trial).collect()
}

async fn send(staff: &Staff, method: &Method, path: &str, trial: &Trial) -> Answer {
    let pair = |(name, value): &(String, String)| format!("{name}={}", escaped(value));
    let query = trial.query.iter().map(pair).collect::<Vec<_>>().join("&");
    let path = format!("{path}?{query}");
    let request = staff.client.request(method.clone(), path.trim_end_matches('?'));
    let request = request.bearer(&staff.token);
    match &trial.body {
        None => request.send().await,
        Some((media_type, Value::String(text))) => {
            request.header("content-type", media_type).body(text.clone()).send().await
        }
        Some((_, value)) => request.json(value).send().await,
    }
}

/// As a query has it.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

async fn every_example_of_a_request_is_taken(system: &TestSystem) {
    // From now on, what is only for support becomes no ticket.
    make_letters(system, system.backing_if_any().is_none(), 1).await;
    let admin = Staff::of(system, ADMIN_TOKEN);
    // The member of staff of the examples.
    let tokens = format!("{STAFF}/tokens");
    let made = admin.post(&tokens, &json!({"role": "agent", "name": "Grace"})).await;
    assert_eq!(made.status, 201);
    let mut stock = Stock { system, admin: Staff::of(system, ADMIN_TOKEN), forms: 0 };
    let (document, mut count) = (document(), 0);
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            if !path.starts_with(STAFF) {
                continue;
            }
            let method: Method = method.to_uppercase().parse().expect("a method");
            for mut trial in trials(operation) {
                let name =
                    if path.contains("{id}") { stock.name_for(path).await } else { String::new() };
                if let Some((_, body)) = &mut trial.body {
                    *body = with_a_ticket(body, &mut stock).await;
                }
                let answer = send(&admin, &method, &path.replace("{id}", &name), &trial).await;
                let sent = format!("{method} {path} {:?} {:?}", trial.query, trial.body);
                assert!(answer.status.is_success(), "{sent}: {}", answer.text());
                count += 1;
            }
        }
    }
    assert!(count >= 25, "only {count} examples");
}

/// The body with a ticket that there is in the place of the examples'.
async fn with_a_ticket(body: &Value, stock: &mut Stock<'_>) -> Value {
    const EXAMPLE: &str = "SUP-2026-483920";
    let text = body.to_string();
    if !text.contains(EXAMPLE) {
        return body.clone();
    }
    let number = stock.ticket().await;
    serde_json::from_str(&text.replace(EXAMPLE, &number)).expect("JSON")
}
