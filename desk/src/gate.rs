//! The one layer before every route: who asks, and whether their role is in the route's list. What
//! has no entry in the table of routes is not there for anybody.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use common::domain::Role;
use http::{auth::Principal, body, problem::Problem};

use crate::{REQUEST_WAIT, desk::Desk, routes};

/// Who may do what, by path and method.
pub struct Gate {
    methods: BTreeMap<&'static str, Vec<(Method, &'static [Role])>>,
    /// Of those whose answers may take longer than others to begin.
    waits: Vec<(&'static str, Method, Duration)>,
}

/// Why somebody does not get past it.
enum Refusal {
    Problem(Problem),
    /// 405, or for `OPTIONS` 204: the path has these methods.
    Methods {
        allow: String,
        is_asked_for: bool,
    },
}

impl Gate {
    /// As the table of routes has it.
    pub fn new() -> Self {
        let mut methods = BTreeMap::<_, Vec<_>>::new();
        let mut waits = Vec::new();
        for route in routes::all() {
            if route.wait > REQUEST_WAIT {
                waits.push((route.path, route.method.clone(), route.wait));
            }
            methods.entry(route.path).or_default().push((route.method, route.roles));
        }
        Self { methods, waits }
    }

    /// How long an answer may take to begin.
    pub fn wait(&self, path: &str, method: &Method) -> Duration {
        let found = self.waits.iter().find(|(of_path, of, _)| *of_path == path && of == method);
        found.map_or(REQUEST_WAIT, |(_, _, wait)| *wait)
    }

    /// The roles that may do this.
    fn roles(&self, path: &str, method: &Method) -> Result<&'static [Role], Refusal> {
        let methods = self.methods.get(path).ok_or(Refusal::Problem(Problem::NotFound))?;
        let wanted = if method == Method::HEAD { &Method::GET } else { method };
        let found = methods.iter().find(|(method, _)| method == wanted);
        found.map(|(_, roles)| *roles).ok_or_else(|| Refusal::Methods {
            allow: allow(methods),
            is_asked_for: method == Method::OPTIONS,
        })
    }
}

/// The value of `Allow`.
fn allow(methods: &[(Method, &'static [Role])]) -> String {
    let with_head = methods.iter().flat_map(|(method, _)| {
        let head = (method == Method::GET).then_some("HEAD");
        [Some(method.as_str()), head].into_iter().flatten()
    });
    with_head.chain(["OPTIONS"]).collect::<Vec<_>>().join(",")
}

/// Around every route. Handlers find the [`Principal`] among the request's extensions.
pub async fn admit<F: Future<Output = Response>>(
    desk: &Desk,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let (mut head, body) = request.into_parts();
    match judge(desk, &head).await {
        Ok(principal) => {
            head.extensions.insert(principal);
            next(Request::from_parts(head, body)).await
        }
        Err(refusal) => body::decline(&head.headers, body, refusal).await,
    }
}

/// Who asks comes first: what is there and what is not is nobody else's business.
async fn judge(desk: &Desk, head: &Parts) -> Result<Principal, Refusal> {
    let principal = desk.access.authenticate(head).await.map_err(Refusal::Problem)?;
    let path = head.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    if desk.gate.roles(path, &head.method)?.contains(&principal.role) {
        Ok(principal)
    } else {
        Err(Refusal::Problem(Problem::Forbidden))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem.into_response(),
            Self::Methods { allow, is_asked_for } => {
                let mut response = if is_asked_for {
                    StatusCode::NO_CONTENT.into_response()
                } else {
                    Problem::MethodNotAllowed.into_response()
                };
                let allow = HeaderValue::try_from(allow).ok();
                response.headers_mut().extend(allow.map(|allow| (header::ALLOW, allow)));
                response
            }
        }
    }
}
