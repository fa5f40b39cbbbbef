//! Holds answers against the `OpenAPI` document: an answer that it does not describe, with that
//! status, those headers and that body, is a defect of the one or the other.
//!
//! Stricter than the document itself, which lets answers grow: a field or a header that it does not
//! name is a violation here.

use std::collections::BTreeMap;

use hyper::{HeaderMap, Method, StatusCode};
use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// Headers that belong to the connection or to HTTP itself, and not to the API.
const OF_HTTP: [&str; 5] =
    ["connection", "content-length", "content-type", "date", "transfer-encoding"];

/// A document, ready to check answers.
pub struct Document {
    paths: Vec<(String, BTreeMap<String, Responses>)>,
    not_found: Response,
    method_not_allowed: Response,
    options: Response,
}

type Responses = BTreeMap<u16, Response>;

/// What an answer of one status must be.
struct Response {
    /// By name in small letters: whether it must be there, and what its value must be.
    headers: BTreeMap<String, (bool, Validator)>,
    /// By media type.
    content: BTreeMap<String, Validator>,
}

impl Document {
    /// Reads a document.
    pub fn parse(text: &str) -> Self {
        let document: Value = serde_json::from_str(text).expect("a document of JSON");
        let response = |value: &Value| Response::of(&document, value);
        let responses = |operation: &Value| -> Responses {
            let responses = operation["responses"].as_object().expect("responses");
            let status = |status: &String| status.parse().expect("a status");
            responses.iter().map(|(name, value)| (status(name), response(value))).collect()
        };
        let paths = document["paths"].as_object().expect("paths").iter();
        let paths = paths.map(|(path, item)| {
            let operations = item.as_object().expect("operations").iter();
            let operations = operations.map(|(method, it)| (method.to_uppercase(), responses(it)));
            (path.clone(), operations.collect())
        });
        Self {
            paths: paths.collect(),
            not_found: response(&document["components"]["responses"]["NotFound"]),
            method_not_allowed: response(&document["components"]["responses"]["MethodNotAllowed"]),
            options: response(&document["components"]["responses"]["Options"]),
        }
    }

    /// Whether the document tells of such a path at all.
    pub fn has(&self, path: &str) -> bool {
        self.paths.iter().any(|(template, _)| is_of(path, template))
    }

    /// What the answer has, or has not, against the document.
    pub fn violations(
        &self,
        method: &Method,
        path: &str,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Vec<String> {
        let response = match self.response(method, path, status) {
            Ok(response) => response,
            Err(violation) => return vec![violation],
        };
        let mut violations = response.header_violations(headers);
        let body = (*method != Method::HEAD).then_some(body);
        violations.extend(response.content_violations(headers, body));
        violations
    }

    fn response(
        &self,
        method: &Method,
        path: &str,
        status: StatusCode,
    ) -> Result<&Response, String> {
        let path = path.split('?').next().unwrap_or_default();
        // What is written out counts more than what stands for anything.
        let found = self.paths.iter().filter(|(template, _)| is_of(path, template));
        let found = found.min_by_key(|(template, _)| template.matches('{').count());
        let Some((template, operations)) = found else {
            return match status.as_u16() {
                404 => Ok(&self.not_found),
                _ => Err(format!("{status} where the document has no path")),
            };
        };
        let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
        let Some(responses) = operations.get(method) else {
            return match status.as_u16() {
                405 => Ok(&self.method_not_allowed),
                204 if method == "OPTIONS" => Ok(&self.options),
                _ => Err(format!("{status} where {template} has no {method}")),
            };
        };
        let missing = || format!("{status} is no answer of {method} {template}");
        responses.get(&status.as_u16()).ok_or_else(missing)
    }
}

/// Whether a path is one of those that a template stands for.
fn is_of(path: &str, template: &str) -> bool {
    let (mut given, mut expected) = (path.split('/'), template.split('/'));
    loop {
        match (given.next(), expected.next()) {
            (None, None) => return true,
            (Some(given), Some(expected)) if expected.starts_with('{') && !given.is_empty() => {}
            (Some(given), Some(expected)) if given == expected => {}
            _ => return false,
        }
    }
}

impl Response {
    fn of(document: &Value, response: &Value) -> Self {
        let entries = |name: &str| response[name].as_object().cloned().unwrap_or_default();
        let validator = |schema: &Value| {
            jsonschema::validator_for(&closed(document, schema)).expect("a valid schema")
        };
        let headers = entries("headers").into_iter().map(|(name, header)| {
            let header = resolved(document, &header);
            let is_required = header["required"] == true;
            (name.to_lowercase(), (is_required, validator(&header["schema"])))
        });
        let content = entries("content").into_iter();
        let content = content.map(|(name, content)| (name, validator(&content["schema"])));
        Self { headers: headers.collect(), content: content.collect() }
    }

    fn header_violations(&self, given: &HeaderMap) -> Vec<String> {
        let mut violations = Vec::new();
        for (name, (is_required, _)) in &self.headers {
            if *is_required && !given.contains_key(name) {
                violations.push(format!("{name} is missing"));
            }
        }
        for (name, value) in given {
            let value = Value::from(String::from_utf8_lossy(value.as_bytes()));
            match self.headers.get(name.as_str()) {
                Some((_, validator)) if !validator.is_valid(&value) => {
                    violations.push(format!("{name}: {value} is not as described"));
                }
                None if !OF_HTTP.contains(&name.as_str()) => {
                    violations.push(format!("{name} is not described"));
                }
                _ => {}
            }
        }
        violations
    }

    /// `body` is none where only the head is answered.
    fn content_violations(&self, headers: &HeaderMap, body: Option<&[u8]>) -> Vec<String> {
        let media_type = headers.get("content-type").and_then(|it| it.to_str().ok());
        let Some(media_type) = media_type else {
            let is_empty = self.content.is_empty() && body.is_none_or(<[u8]>::is_empty);
            return if is_empty { vec![] } else { vec!["content-type is missing".to_owned()] };
        };
        let Some(validator) = self.content.get(media_type) else {
            return vec![format!("{media_type} is not described")];
        };
        let Some(body) = body else { return vec![] };
        let is_one_document = media_type == "application/json" || media_type.ends_with("+json");
        let value = if is_one_document {
            serde_json::from_slice(body).unwrap_or(Value::Null)
        } else {
            Value::from(String::from_utf8_lossy(body))
        };
        let told = validator.iter_errors(&value);
        told.map(|error| format!("{}: {error}", error.instance_path())).collect()
    }
}

fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        None => value,
        Some(reference) => {
            let pointer = reference.strip_prefix('#').expect("a reference into the document");
            let found = document.pointer(pointer);
            resolved(document, found.unwrap_or_else(|| panic!("{reference} leads nowhere")))
        }
    }
}

/// The schema with everything that it refers to written out, all that it demands at once in one
/// place, and no field admitted that it does not name.
fn closed(document: &Value, schema: &Value) -> Value {
    let schema = resolved(document, schema);
    let Value::Object(fields) = schema else { return schema.clone() };
    let mut closed = Map::new();
    for (name, value) in fields {
        let value = match (name.as_str(), value) {
            ("properties", Value::Object(properties)) => properties
                .iter()
                .map(|(name, property)| (name.clone(), self::closed(document, property)))
                .collect(),
            ("items" | "additionalProperties", value) => self::closed(document, value),
            ("anyOf" | "oneOf", Value::Array(schemas)) => {
                schemas.iter().map(|schema| self::closed(document, schema)).collect()
            }
            ("allOf", _) => continue,
            (_, value) => value.clone(),
        };
        closed.insert(name.clone(), value);
    }
    for part in fields.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        merge(&mut closed, self::closed(document, part));
    }
    if closed.contains_key("properties") {
        closed.entry("additionalProperties").or_insert(json!(false));
    }
    Value::Object(closed)
}

fn merge(schema: &mut Map<String, Value>, part: Value) {
    let Value::Object(part) = part else { return };
    for (name, value) in part {
        match (schema.get_mut(&name), value) {
            (Some(Value::Object(fields)), value @ Value::Object(_)) => merge(fields, value),
            (Some(Value::Array(items)), Value::Array(more)) => {
                items.extend(more.into_iter().filter(|it| !items.contains(it)).collect::<Vec<_>>());
            }
            (_, value) => {
                schema.insert(name, value);
            }
        }
    }
}
