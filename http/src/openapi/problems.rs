//! Responses made of problems: the very document and the very headers that the edge answers with.

use std::collections::{BTreeMap, BTreeSet};

use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::{headers, schemas::Schemas};
use crate::problem::{Document, Problem};

const REQUEST_ID: &str = "5f0c6d1e8a9b4c7d8e2f3a4b5c6d7e8f";
const TIMESTAMP: &str = "2026-11-22T10:30:00.000Z";

/// What any route may answer: a panic is caught wherever it happens, and so is what does not end.
fn of_every_route() -> Vec<Problem> {
    vec![Problem::Internal, Problem::Overdue]
}

/// The responses of an operation, by status. `with_common` puts the operation's own headers before
/// those of the problem.
pub fn responses(
    problems: &[Problem],
    schemas: &mut Schemas,
    with_common: impl Fn(Vec<(&'static str, bool)>) -> Vec<(&'static str, bool)>,
) -> BTreeMap<u16, Value> {
    let mut by_status = BTreeMap::<u16, Vec<Problem>>::new();
    for problem in problems.iter().cloned().chain(of_every_route()) {
        by_status.entry(problem.status().as_u16()).or_default().push(problem);
    }
    by_status
        .into_iter()
        .map(|(status, problems)| (status, response(status, &problems, schemas, &with_common)))
        .collect()
}

/// The response of an address that is not there, or that has no such method: in `components`, for
/// no operation has it.
pub fn elsewhere(problem: &Problem, more: &[&'static str], schemas: &mut Schemas) -> Value {
    let always = headers::EVERYWHERE.iter().chain(more).map(|name| (*name, true));
    let more: Vec<_> = always.chain(headers::SHARED.map(|name| (name, false))).collect();
    let status = problem.status().as_u16();
    response(status, std::slice::from_ref(problem), schemas, &|names| {
        more.iter().copied().chain(names).collect()
    })
}

fn response(
    status: u16,
    problems: &[Problem],
    schemas: &mut Schemas,
    with_common: &impl Fn(Vec<(&'static str, bool)>) -> Vec<(&'static str, bool)>,
) -> Value {
    let of_problem = schemas.of::<Document<'static>>();
    let codes: Vec<_> = problems.iter().map(Problem::code).collect();
    let told: Vec<_> = problems
        .iter()
        .map(|problem| format!("`{}`: {}", problem.code(), detail(problem)))
        .collect();
    let examples: Value = problems
        .iter()
        .map(|problem| {
            let document = problem.document(REQUEST_ID, TIMESTAMP);
            let summary = document.title;
            // Strings and numbers under string keys always serialize.
            let value = serde_json::to_value(document).unwrap_or_default();
            (problem.code().to_owned(), json!({"summary": summary, "value": value}))
        })
        .collect();
    let schema = json!({"allOf": [of_problem, {
        "type": "object",
        "properties": {"status": {"const": status}, "code": {"enum": codes}},
    }]});
    json!({
        "description": told.join("\n\n"),
        "headers": headers::objects(with_common(headers_of(problems))),
        "content": {"application/problem+json": {"schema": schema, "examples": examples}},
    })
}

fn detail(problem: &Problem) -> &'static str {
    problem.document("", "").detail
}

/// The headers that problems bring along; required where each of them does.
fn headers_of(problems: &[Problem]) -> Vec<(&'static str, bool)> {
    let carried: Vec<_> = problems
        .iter()
        .map(|problem| problem.clone().into_response().into_parts().0.headers)
        .collect();
    let names: BTreeSet<_> = carried
        .iter()
        .flat_map(|it| it.keys())
        .filter_map(|it| headers::written(it.as_str()))
        .collect();
    let is_in_all = |name: &str| carried.iter().all(|headers| headers.contains_key(name));
    names.into_iter().map(|name| (name, is_in_all(name))).collect()
}
