//! The `OpenAPI` document: true to what is served, and its examples answered as it says. That it
//! describes every answer is what the bed's client holds all the other tests to; that it is valid is
//! what `make openapi` asks a public validator.

use std::collections::BTreeSet;

use hyper::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use super::table::problem;
use super::{Api, on_both_systems};
use crate::bed::client::openapi;
use crate::bed::document::Document;
use crate::bed::form::Form;
use crate::bed::system::TICKETS;

on_both_systems! {
    the_document_is_the_one_that_answers_are_held_against,
    forms_of_the_examples_become_tickets,
    a_form_that_its_schema_refuses_is_refused,
    the_page_has_all_that_it_is_made_of,
}

pub fn document() -> Value {
    serde_json::from_str(openapi()).unwrap()
}

async fn the_document_is_the_one_that_answers_are_held_against(api: Api) {
    let answer = api.get("/openapi.json").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.text(), openapi());
}

#[test]
fn every_kind_of_problem_is_in_the_document() {
    let source = include_str!("../../../http/src/problem/kinds.rs");
    let (_, kinds) = source.split_once("\nkinds! {").unwrap();
    let is_code = |word: &&str| word.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
    let codes: Vec<_> = kinds.split('"').skip(1).step_by(2).filter(is_code).collect();
    assert!(codes.len() >= 15, "{codes:?}");
    for code in codes {
        let type_of_it = format!("\"urn:supportline:problem:{}\"", code.replace('_', "-"));
        assert!(openapi().contains(&type_of_it), "{code} is answered nowhere");
    }
}

#[test]
fn operations_have_names_of_their_own_and_groups_that_there_are() {
    let document = document();
    let paths = document["paths"].as_object().unwrap().values();
    let operations: Vec<_> = paths.flat_map(|path| path.as_object().unwrap().values()).collect();
    let ids: BTreeSet<_> = operations.iter().map(|it| it["operationId"].as_str()).collect();
    assert_eq!(ids.len(), operations.len());
    let groups: Vec<_> =
        document["tags"].as_array().unwrap().iter().map(|group| &group["name"]).collect();
    for operation in operations {
        assert!(groups.contains(&&operation["tags"][0]), "{}", operation["tags"]);
    }
}

/// Every operation of the document: method, path, and the roles that it admits.
pub fn operations() -> Vec<(Method, String, Vec<String>)> {
    let document = document();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let roles = operation["security"][0]["token"].as_array().into_iter().flatten();
            let roles = roles.map(|role| role.as_str().unwrap().to_owned()).collect();
            all.push((method.to_uppercase().parse().unwrap(), path.clone(), roles));
        }
    }
    all
}

/// Every response of the document: method, path, status, response.
fn responses(document: &Value) -> Vec<(Method, String, StatusCode, &Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let method = method.to_uppercase().parse().unwrap();
                all.push((method, path.clone(), status.parse().unwrap(), response));
            }
        }
    }
    all
}

#[test]
fn every_example_of_an_answer_is_such_an_answer() {
    let (text, document) = (openapi(), document());
    let checker = Document::parse(text);
    let mut count = 0;
    for (method, path, status, response) in responses(&document) {
        for (media_type, content) in response["content"].as_object().unwrap() {
            let headers = headers_of(&document, response, media_type);
            for example in content["examples"].as_object().into_iter().flat_map(|it| it.values()) {
                let body = match &example["value"] {
                    Value::String(text) => text.clone().into_bytes(),
                    value => serde_json::to_vec(value).unwrap(),
                };
                let violations = checker.violations(&method, &path, status, &headers, &body);
                assert_eq!(violations, [""; 0], "{method} {path} {status}: {example}");
                count += 1;
            }
        }
    }
    assert!(count >= 20, "only {count} examples");
}

fn headers_of(document: &Value, response: &Value, media_type: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, header) in response["headers"].as_object().unwrap() {
        let shared = header["$ref"].as_str().and_then(|it| document.pointer(&it[1..]));
        let example = shared.unwrap_or(header)["example"].as_str().unwrap();
        headers
            .insert(name.parse::<hyper::header::HeaderName>().unwrap(), example.parse().unwrap());
    }
    headers.insert("content-type", media_type.parse().unwrap());
    headers
}

#[test]
fn what_the_document_does_not_describe_is_noticed() {
    let (text, document) = (openapi(), document());
    let checker = Document::parse(text);
    let response = &document["paths"]["/livez"]["get"]["responses"]["200"];
    let good = headers_of(&document, response, "application/json");
    let told = |method: Method, path: &str, status: u16, headers: &HeaderMap, body: &str| {
        let status = StatusCode::from_u16(status).unwrap();
        checker.violations(&method, path, status, headers, body.as_bytes()).join("; ")
    };
    let (ok, get) = (r#"{"status":"ok"}"#, || Method::GET);
    assert_eq!(told(get(), "/livez", 200, &good, ok), "");
    assert_eq!(told(Method::HEAD, "/livez", 200, &good, ""), "");
    for (method, path, status, body) in [
        (get(), "/livez", 204, ok),
        (get(), "/nowhere", 200, ok),
        (Method::DELETE, "/livez", 200, ok),
        (get(), "/livez", 200, ""),
        (get(), "/livez", 200, "{}"),
        (get(), "/livez", 200, r#"{"status":"fine"}"#),
        (get(), "/livez", 200, r#"{"status":"ok","since":1}"#),
    ] {
        assert_ne!(told(method, path, status, &good, body), "", "{path} {status} {body}");
    }
    for (name, value) in
        [("x-new", Some("1")), ("cache-control", Some("public")), ("x-request-id", None)]
    {
        let mut headers = good.clone();
        headers.remove(name);
        if let Some(value) = value {
            headers.insert(name, value.parse().unwrap());
        }
        assert!(told(get(), "/livez", 200, &headers, ok).contains(name), "{name}");
    }
}

async fn forms_of_the_examples_become_tickets(api: Api) {
    let document = document();
    let body = &document["paths"][TICKETS]["post"]["requestBody"]["content"]["application/json"];
    let examples = body["examples"].as_object().unwrap();
    assert!(examples.len() >= 2);
    for (name, example) in examples {
        // Twice the same form is one ticket, and other tests send it as well.
        let mut form = example["value"].clone();
        form["message"] =
            json!(format!("{} ({})", form["message"], Form::valid().json()["message"]));
        let answer = api.client.post(TICKETS).json(&form).send().await;
        assert_eq!(answer.status, 201, "{name}: {}", answer.text());
        for field in ["name", "email", "subject"] {
            assert_eq!(answer.json()["data"][field], form[field], "{name}");
        }
    }
}

/// What the schema of the form forbids is a 422 that names the field: it is no stricter than the
/// edge, but for white space around a name and a message, which counts there and not here.
async fn a_form_that_its_schema_refuses_is_refused(api: Api) {
    let document = document();
    let mut schema = document["components"]["schemas"]["TicketForm"].clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let fields: BTreeSet<_> = document["components"]["schemas"]["TicketForm"]["properties"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    let mut refused = 0;
    for field in fields {
        let long = "x".repeat(10_001);
        for value in
            [json!(7), json!([]), json!(""), json!("a\u{1b}b"), json!("\u{0}"), json!(long)]
        {
            let form = Form::valid().with(field, value.clone());
            if !validator.is_valid(&form.json()) {
                let answer = api.submit(&form).await;
                let told = problem(&answer, 422, "validation_failed");
                assert_eq!(told["errors"][0]["pointer"], format!("/{field}"), "{value:.20}");
                refused += 1;
            }
        }
    }
    assert!(refused >= 20, "the schema forbids next to nothing: {refused}");
    assert!(validator.is_valid(&Form::valid().json()));
}

async fn the_page_has_all_that_it_is_made_of(api: Api) {
    let page = api.get("/docs").await;
    assert!(page.text().starts_with("<!doctype html>"));
    for path in page.text().split('"').filter(|word| word.starts_with('/')) {
        assert_eq!(api.get(path).await.status, 200, "{path}");
    }
}
