//! The whole document, of what the roles say of themselves.

use std::time::Duration;

use common::{
    domain::Role,
    ports::limits::{Policy, Quota, Standing},
};
use serde_json::{Map, Value, json};

use super::{Operation, Schemas, headers, problems};
use crate::problem::Problem;

/// What a role serves.
pub struct Chapter {
    /// Its routes.
    pub routes: Vec<Described>,
    /// The groups of its operations and what they are about, in the order in which they are shown.
    pub groups: &'static [(&'static str, &'static str)],
}

/// One method of one address.
pub struct Described {
    /// The address, as a template.
    pub path: &'static str,
    /// The method, in small letters.
    pub method: &'static str,
    /// What there is to say of it.
    pub describe: Describe,
    /// What is counted for it, beside guesses at tokens.
    pub policy: Option<Policy>,
    /// Whether pages of other sites may read its answers.
    pub is_shared: bool,
    /// The roles that are admitted, where the route has a list of them.
    pub roles: &'static [Role],
}

/// Describes an operation.
pub type Describe = fn(&mut Schemas) -> Operation;

impl Described {
    fn operation(&self, schemas: &mut Schemas) -> Value {
        let mut operation = (self.describe)(schemas);
        if !self.roles.is_empty() {
            operation.roles = self.roles;
        }
        if self.is_shared {
            operation.optional_headers.extend(headers::SHARED);
        }
        let guesses = (!operation.roles.is_empty()).then_some(Policy::Guesses);
        if self.policy.is_some() {
            operation.optional_headers.extend(headers::OF_LIMITS);
        }
        operation.problems.extend(self.policy.or(guesses).map(rate_limited));
        operation.into_json(schemas)
    }
}

/// The document of these roles together.
#[must_use]
pub fn document(chapters: &[Chapter]) -> Value {
    let mut schemas = Schemas::default();
    let mut paths = Map::new();
    for route in chapters.iter().flat_map(|chapter| &chapter.routes) {
        let operation = route.operation(&mut schemas);
        paths.entry(route.path).or_insert_with(|| json!({}))[route.method] = operation;
    }
    let elsewhere = json!({
        "NotFound": problems::elsewhere(&Problem::NotFound, &[], &mut schemas),
        "MethodNotAllowed":
            problems::elsewhere(&Problem::MethodNotAllowed, &["Allow"], &mut schemas),
        "Options": options(),
    });
    let groups = chapters.iter().flat_map(|chapter| chapter.groups);
    let tags = groups.map(|(name, about)| json!({"name": name, "description": about}));
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
        "tags": tags.collect::<Vec<_>>(),
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
    let window = Duration::from_mins(10);
    let standing = Standing {
        policy,
        quota: Quota { count: 20, window },
        remaining: 0,
        reset: Duration::from_secs(431),
        retry_after: Duration::from_secs(431),
    };
    Problem::RateLimited { violated: vec![standing], retry_after_s: 431 }
}

/// The answer to `OPTIONS`, and to a browser that asks for a page of another site; in `components`,
/// for any address has it.
fn options() -> Value {
    let always = headers::EVERYWHERE.iter().chain(&["Allow"]).map(|name| (*name, true));
    let of_sites = headers::OF_PREFLIGHT.iter().chain(&headers::SHARED).map(|name| (*name, false));
    json!({
        "description":
            "The methods of the address; to a page of a site that is admitted, what it may do.",
        "headers": headers::objects(always.chain(of_sites)),
    })
}

const ABOUT: &str = "All JSON is UTF-8 and camelCase; times are RFC 3339 in UTC with milliseconds. \
    What is written here may be added to, never changed: ignore fields that you do not know.\n\n\
    Errors are problem documents (RFC 9457); `code` is the word for programs. An address that is \
    not listed here answers 404 `not_found`, a method that is not listed for it 405 \
    `method_not_allowed`. `HEAD` is `GET` without the body, and `OPTIONS` \
    answers 204 with the methods in `Allow`, and a browser's preflight for the sites that are \
    admitted. What is no HTTP, or whose head is too long or does not come to its end, is refused \
    without a document.\n\n\
    Below `/api/support/admin` everything asks for a staff token first, what is not there included. \
    A client that has presented too many tokens that admit nobody (policy `guesses`) is answered 429 \
    for a while, whatever it presents.";
