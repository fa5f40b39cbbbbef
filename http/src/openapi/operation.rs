//! An operation of the document: what may be asked, and everything that may be answered.

use std::collections::{BTreeMap, btree_map::Entry};

use common::domain::Role;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{headers, problems, schemas::Schemas};
use crate::problem::{Problem, Success};

/// One method of one address.
pub struct Operation {
    /// The name of the function that a generated client makes of it.
    pub id: &'static str,
    /// Its group.
    pub tag: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// What else is to be known.
    pub description: String,
    /// Beside the headers that every request may carry.
    pub parameters: Vec<Value>,
    /// The body of the request.
    pub body: Option<Value>,
    /// How it may be answered, problems aside.
    pub answers: Vec<Answer>,
    /// One of each kind that may be answered, beside those of every route.
    pub problems: Vec<Problem>,
    /// Names of headers that its answers may carry, problems too.
    pub optional_headers: Vec<&'static str>,
    /// The roles of the bearer tokens that are admitted; without any it is public.
    pub roles: &'static [Role],
}

impl Operation {
    /// A public operation without parameters, whose one answer is still to be told.
    #[must_use]
    pub fn new(id: &'static str, tag: &'static str, summary: &'static str) -> Self {
        Self {
            id,
            tag,
            summary,
            description: String::new(),
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            problems: Vec::new(),
            optional_headers: Vec::new(),
            roles: &[],
        }
    }

    /// As a path lists it.
    pub fn into_json(self, schemas: &mut Schemas) -> Value {
        let mut responses = BTreeMap::new();
        for answer in &self.answers {
            let mut headers: Vec<_> = self.common_headers().collect();
            headers.extend(answer.headers.iter().copied());
            responses.insert(answer.success.status().as_u16(), answer.to_json(headers));
        }
        for (status, response) in problems::responses(&self.problems, schemas, |names| {
            self.common_headers().chain(names).collect()
        }) {
            match responses.entry(status) {
                Entry::Vacant(entry) => {
                    entry.insert(response);
                }
                Entry::Occupied(mut entry) => merge(entry.get_mut(), response),
            }
        }
        let responses: Map<_, _> =
            responses.into_iter().map(|(status, it)| (status.to_string(), it)).collect();
        let tracing = headers::OF_EVERY_REQUEST
            .map(|name| json!({"$ref": format!("#/components/parameters/{name}")}));
        let mut operation = json!({
            "operationId": self.id,
            "tags": [self.tag],
            "summary": self.summary,
            "description": self.description,
            "parameters": self.parameters.into_iter().chain(tracing).collect::<Vec<_>>(),
            "responses": responses,
            "security": [],
        });
        if let Some(body) = self.body {
            operation["requestBody"] = body;
        }
        if !self.roles.is_empty() {
            let roles: Vec<_> = self.roles.iter().map(|role| role.as_str()).collect();
            operation["security"] = json!([{"token": roles}]);
        }
        operation
    }

    fn common_headers(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let optional = self.optional_headers.iter().map(|name| (*name, false));
        let required = headers::EVERYWHERE.iter().map(|name| (*name, true));
        // Of a name that is in both the last one counts.
        optional.chain(required)
    }
}

/// A status can be an answer in full and a problem as well: a health report's 503. Then a header of
/// the one alone is not always there.
fn merge(answer: &mut Value, mut problem: Value) {
    for (name, header) in problem["headers"].as_object_mut().into_iter().flatten() {
        if answer["headers"].get(name.as_str()).is_none() {
            header["required"] = false.into();
        }
    }
    add(answer, problem);
}

/// Adds what is not there yet.
fn add(to: &mut Value, from: Value) {
    match (to, from) {
        (Value::Object(fields), Value::Object(from)) => {
            for (name, value) in from {
                add(fields.entry(name).or_insert(Value::Null), value);
            }
        }
        (to @ Value::Null, from) => *to = from,
        _ => {}
    }
}

/// How a request may be answered that is no problem.
pub struct Answer {
    success: Success,
    description: &'static str,
    /// By media type.
    content: Map<String, Value>,
    headers: Vec<(&'static str, bool)>,
    links: Map<String, Value>,
}

impl Answer {
    /// Any content.
    #[must_use]
    pub fn new(
        success: Success,
        description: &'static str,
        media_type: &str,
        schema: &Value,
    ) -> Self {
        let content = [(media_type.to_owned(), json!({"schema": schema}))].into_iter().collect();
        Self { success, description, content, headers: Vec::new(), links: Map::new() }
    }

    /// An object of its own, as JSON.
    pub fn plain<T: ToSchema>(
        success: Success,
        description: &'static str,
        schemas: &mut Schemas,
    ) -> Self {
        Self::new(success, description, "application/json", &schemas.of::<T>())
    }

    /// Data in the success envelope.
    pub fn enveloped<T: ToSchema>(
        success: Success,
        description: &'static str,
        schemas: &mut Schemas,
    ) -> Self {
        Self::new(success, description, "application/json", &schemas.envelope::<T>())
    }

    /// An answer to the letter.
    #[must_use]
    pub fn example(mut self, name: &str, summary: &str, value: &Value) -> Self {
        for content in self.content.values_mut() {
            content["examples"][name] = json!({"summary": summary, "value": value});
        }
        self
    }

    /// The same content in another type.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        self.content.extend(other.content);
        self
    }

    /// A header that it always carries.
    #[must_use]
    pub fn header(mut self, name: &'static str) -> Self {
        self.headers.push((name, true));
        self
    }

    /// A header that it carries if there is reason to.
    #[must_use]
    pub fn optional_header(mut self, name: &'static str) -> Self {
        self.headers.push((name, false));
        self
    }

    /// What can be asked next, with the value at this place of the answer as the path's reference.
    #[must_use]
    pub fn link(mut self, operation_id: &str, pointer: &str) -> Self {
        let parameters = json!({"reference": format!("$response.body#{pointer}")});
        let link = json!({"operationId": operation_id, "parameters": parameters});
        self.links.insert(operation_id.to_owned(), link);
        self
    }

    fn to_json(&self, headers: Vec<(&'static str, bool)>) -> Value {
        json!({
            "description": self.description,
            "headers": headers::objects(headers),
            "content": self.content,
            "links": self.links,
        })
    }
}
