//! Schemas, parameters and problems that several operations share.

use common::domain::Role;
use http::{
    body::refusals,
    problem::{FieldError, Problem},
};
use serde_json::{Value, json};
use utoipa::openapi::{Object, ObjectBuilder, schema::Type};

/// What a token admits to.
pub fn role() -> Object {
    let words = Role::ALL.iter().map(|role| role.as_str());
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}

/// An id in the path.
pub fn id(description: &str, pattern: &str, example: &str) -> Value {
    json!({
        "name": "id", "in": "path", "required": true, "description": description,
        "schema": {"type": "string", "pattern": pattern}, "example": example,
    })
}

/// A parameter of the query.
pub fn parameter(
    name: &str,
    description: &str,
    schema: &Value,
    example: impl Into<Value>,
) -> Value {
    json!({
        "name": name, "in": "query", "description": description, "schema": schema,
        "example": example.into(),
    })
}

/// A body that must be there, with no other members than these.
pub fn body(properties: &Value, required: &[&str], examples: &Value) -> Value {
    let schema = json!({
        "type": "object", "required": required, "properties": properties,
        "additionalProperties": false,
    });
    json!({
        "required": true,
        "content": {"application/json": {"schema": schema, "examples": examples}},
    })
}

/// What may be answered on every route.
pub fn of_every_route() -> Vec<Problem> {
    vec![Problem::Unauthorized, Problem::Forbidden, Problem::Unavailable]
}

/// What is answered where parameters are given that are not known there.
pub fn unknown_parameter() -> Problem {
    Problem::InvalidParameters(vec![unknown_field("/x")])
}

/// What is answered where something is said in a body, and only a query is heeded.
pub fn body_for_nothing() -> Vec<Problem> {
    let refused = Problem::ValidationFailed(vec![unknown_field("/because")]);
    refusals().into_iter().chain([refused]).collect()
}

fn unknown_field(pointer: &'static str) -> FieldError {
    let detail = "is not known here".to_owned();
    FieldError { pointer: pointer.into(), code: "unknown_field", detail }
}

/// Data as it is answered.
pub fn envelope(message: &str, data: &Value) -> Value {
    json!({
        "success": true, "data": data, "message": message,
        "timestamp": "2026-11-22T11:00:00.000Z",
    })
}
