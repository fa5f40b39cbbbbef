//! The figures of each request.

use std::{
    sync::{PoisonError, RwLock},
    time::Duration,
};

use axum::{
    extract::MatchedPath,
    http::{Method, StatusCode},
    response::Response,
};
use common::metrics::{HTTP_PROBLEMS, HTTP_REQUEST_DURATION};

use crate::problem::Problem;

/// What a request's route is called when it has none.
const NO_ROUTE: &str = "unmatched";

/// Counts a request that has its answer.
pub fn request(
    method: &Method,
    route: Option<&MatchedPath>,
    response: &Response,
    problem: Option<&Problem>,
    elapsed: Duration,
) {
    let route = route.map_or(NO_ROUTE, |route| for_ever(route.as_str()));
    let status = class(response.status());
    let labels = [("route", route), ("method", method_label(method)), ("status", status)];
    HTTP_REQUEST_DURATION.record(elapsed, &labels);
    if let Some(problem) = problem {
        HTTP_PROBLEMS.increment(&[("code", problem.code())]);
    }
}

/// The route as a label, which lives as long as its series. There are as many as the program has routes.
fn for_ever(route: &str) -> &'static str {
    static ROUTES: RwLock<Vec<&'static str>> = RwLock::new(Vec::new());
    let find = |routes: &[&'static str]| routes.iter().copied().find(|known| *known == route);
    let known = find(&ROUTES.read().unwrap_or_else(PoisonError::into_inner));
    known.unwrap_or_else(|| {
        let mut routes = ROUTES.write().unwrap_or_else(PoisonError::into_inner);
        find(&routes).unwrap_or_else(|| {
            let route: &'static str = Box::leak(route.into());
            routes.push(route);
            route
        })
    })
}

/// Strangers invent methods; those are one.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        ..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}
