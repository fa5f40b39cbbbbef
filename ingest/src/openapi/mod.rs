//! The `OpenAPI` document, made of the code that serves it: paths from the table of routes, problems
//! and their headers from [`crate::problem`], schemas from the types that are written, bounds and
//! words from the domain. What people need beside that stands in the modules here, one function an
//! operation.
//!
//! Tests hold every answer that they get against the document.

mod headers;
mod operation;
pub mod page;
mod problems;
pub mod process;
pub mod replay;
pub mod schemas;
pub mod statistics;
pub mod tickets;

use std::sync::LazyLock;

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use common::ports::limits::Policy;
use serde_json::{Map, Value, json};

pub use self::{
    operation::{Answer, Operation},
    schemas::Schemas,
};
use crate::{cors, problem::Problem, routes};

/// The document as it is served.
pub fn document() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| compose().to_string());
    &DOCUMENT
}

/// `GET /openapi.json`
pub async fn openapi_json() -> Response {
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (json, document()).into_response()
}

fn compose() -> Value {
    let mut schemas = Schemas::default();
    let mut paths = Map::new();
    for route in routes::all() {
        let mut operation = (route.describe)(&mut schemas);
        if cors::is_public(route.path) {
            operation.optional_headers.extend(headers::SHARED);
        }
        if let Some(policy) = route.policy {
            operation.optional_headers.extend(headers::OF_LIMITS);
            operation.problems.push(rate_limited(policy));
        }
        let operation = operation.into_json(&mut schemas);
        paths.entry(route.path).or_insert_with(|| json!({}))[route.method] = operation;
    }
    let elsewhere = json!({
        "NotFound": problems::elsewhere(&Problem::NotFound, &[], &mut schemas),
        "MethodNotAllowed":
            problems::elsewhere(&Problem::MethodNotAllowed, &["Allow"], &mut schemas),
        "Preflight": preflight(),
    });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Supportline",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Takes support tickets in, and loses none.",
            "description": ABOUT,
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "Where this document came from."}],
        "tags": TAGS.map(|(name, description)| json!({"name": name, "description": description})),
        "paths": paths,
        "components": {
            "schemas": schemas.into_json(),
            "responses": elsewhere,
            "headers": headers::shared(),
            "parameters": headers::OF_EVERY_REQUEST
                .map(|name| (name.to_owned(), headers::parameter(name)))
                .into_iter()
                .collect::<Map<_, _>>(),
            "securitySchemes": {"token": {
                "type": "http",
                "scheme": "bearer",
                "description": "A staff token. Its role decides what it admits to.",
            }},
        },
    })
}

fn rate_limited(policy: Policy) -> Problem {
    Problem::RateLimited { violated: vec![policy.as_str()], retry_after_s: 431 }
}

/// The answer to `OPTIONS` of a browser that asks for a page of another site; in `components`, for
/// any address that is shared has it.
fn preflight() -> Value {
    let names = headers::EVERYWHERE.iter().chain(&headers::OF_PREFLIGHT);
    let headers = names.map(|name| (*name, true)).chain([("Vary", false), ("Allow", false)]);
    json!({
        "description": "Yes, a page of that site may ask.",
        "headers": headers::objects(headers),
    })
}

const ABOUT: &str = "All JSON is UTF-8 and camelCase; times are RFC 3339 in UTC with milliseconds. \
    What is written here may be added to, never changed: ignore fields that you do not know.\n\n\
    Errors are problem documents (RFC 9457); `code` is the word for programs. An address that is \
    not listed here answers 404 `not_found`, a method that is not listed for it 405 \
    `method_not_allowed`. `HEAD` is `GET` without the body, and `OPTIONS` \
    answers a browser's preflight for the sites that are admitted. What is no HTTP, or whose head is too \
    long or does not come to its end, is refused without a document.";

/// The groups of operations, in the order in which they are shown.
const TAGS: [(&str, &str); 4] = [
    (tickets::TAG, "Submitting a form, and finding out what has become of it."),
    (statistics::TAG, "Counts, for staff."),
    (replay::TAG, "What happened, for the programs of staff."),
    (process::TAG, "The running process and its description."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::Stage;

    #[tokio::test(start_paused = true)]
    async fn the_document_is_served_as_it_is() {
        let heard = Stage::new().get("/openapi.json").await;
        assert_eq!((heard.status, heard.json), (200, compose()));
        assert_eq!(heard.headers["content-type"], "application/json");
    }

    #[test]
    fn every_kind_of_problem_is_in_the_document() {
        let (_, after) = include_str!("../problem.rs").split_once("const fn kind(&self)").unwrap();
        let (kinds, _) = after.split_once("const fn words(&self)").unwrap();
        let codes: Vec<_> = kinds
            .split('"')
            .skip(1)
            .step_by(2)
            .filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
            .collect();
        assert!(codes.len() >= 15, "{codes:?}");
        for code in codes {
            let type_of_it = format!("urn:supportline:problem:{}", code.replace('_', "-"));
            assert!(
                document().contains(&format!("\"{type_of_it}\"")),
                "{code} is answered nowhere"
            );
        }
    }

    #[test]
    fn operations_have_names_of_their_own_and_groups_that_there_are() {
        let document = compose();
        let operations = document["paths"].as_object().unwrap().values();
        let operations: Vec<_> =
            operations.flat_map(|path| path.as_object().unwrap().values()).collect();
        let mut ids: Vec<_> =
            operations.iter().map(|it| it["operationId"].as_str().unwrap()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), operations.len());
        for operation in operations {
            let tag = operation["tags"][0].as_str().unwrap();
            assert!(TAGS.iter().any(|(name, _)| *name == tag), "{tag}");
        }
    }
}
