//! Which address leads where. A route cannot be added without its description, and has no method
//! that the description does not have.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    extract::Request,
    handler::Handler,
    response::Response,
    routing::{self, MethodRouter},
};
use common::ports::limits::Policy;
use futures_util::future::BoxFuture;

use crate::{
    answers, cors,
    edge::Edge,
    events, health, limits, lookup, measure,
    openapi::{self, Operation, Schemas, page, process, replay, statistics, tickets},
    problem::Problem,
    progress, request, stats, submit, whoami,
};

/// Where submissions are posted, and under which they are found again.
pub const TICKETS: &str = "/api/support/ticket";

/// One method of one address.
pub struct Route {
    pub path: &'static str,
    /// As the `OpenAPI` document writes it.
    pub method: &'static str,
    pub describe: Describe,
    /// What is counted for it.
    pub policy: Option<Policy>,
    serve: Serve,
}

/// Makes a route of a method's handler, under a policy.
type Serve = Box<dyn FnOnce(Option<Policy>) -> MethodRouter<Arc<Edge>>>;

impl Route {
    fn limited(self, policy: Policy) -> Self {
        Self { policy: Some(policy), ..self }
    }
}

/// A handler within everything that a request gets.
#[derive(Clone)]
struct Guarded<H> {
    handler: H,
    policy: Option<Policy>,
}

impl<T: 'static, H: Handler<T, Arc<Edge>>> Handler<T, Arc<Edge>> for Guarded<H> {
    type Future = BoxFuture<'static, Response>;

    fn call(self, request: Request, edge: Arc<Edge>) -> Self::Future {
        let Self { handler, policy } = self;
        Box::pin(async move {
            let (edge, around) = (&edge, edge.around());
            // Its own, since a submission goes on without those around it.
            let own = Arc::clone(edge);
            let within_limits = async move |request| {
                let handled = |request| handler.call(request, Arc::clone(&own));
                request::within_limits(own.around(), request, handled).await
            };
            let limited = |request| limits::limited(policy, edge, request, within_limits);
            let bounded = |request| request::bounded(around, request, limited);
            let shared = |request| cors::share(&edge.cors_origins, request, bounded);
            let counted = |request| measure::submissions(request, shared);
            request::around(around, request, counted).await
        })
    }
}

type Describe = fn(&mut Schemas) -> Operation;

fn get<T: 'static>(
    path: &'static str,
    handler: impl Handler<T, Arc<Edge>>,
    describe: Describe,
) -> Route {
    let serve = |policy| routing::get(Guarded { handler, policy });
    Route { path, method: "get", describe, policy: None, serve: Box::new(serve) }
}

fn post<T: 'static>(
    path: &'static str,
    handler: impl Handler<T, Arc<Edge>>,
    describe: Describe,
) -> Route {
    let serve = |policy| routing::post(Guarded { handler, policy });
    Route { path, method: "post", describe, policy: None, serve: Box::new(serve) }
}

/// Every route there is.
pub fn all() -> Vec<Route> {
    vec![
        post(TICKETS, submit::submit, tickets::submit).limited(Policy::Create),
        get("/api/support/ticket/{reference}", lookup::look_up, tickets::look_up)
            .limited(Policy::Lookup),
        get("/api/support/ticket/{reference}/events", progress::events, tickets::events)
            .limited(Policy::Lookup),
        post("/api/support/ticket/{reference}/replies", answers::answer, tickets::answer)
            .limited(Policy::Lookup),
        get("/api/support/stats", stats::stats, statistics::statistics).limited(Policy::Stats),
        get("/api/support/events", events::events, replay::events),
        get("/api/support/whoami", whoami::whoami, process::whoami),
        get("/api/support/health", health::health, process::health),
        get("/livez", health::live, process::live),
        get("/readyz", health::ready, process::ready),
        get("/metrics", measure::metrics, process::metrics),
        get("/openapi.json", openapi::openapi_json, process::openapi),
        get("/docs", page::html, page::describe_html),
        get("/docs/page.js", page::script, page::describe_script),
        get("/docs/page.css", page::style, page::describe_style),
    ]
}

/// The public API.
pub fn router(edge: Arc<Edge>) -> Router {
    serve(all(), edge)
}

/// These routes, and answers to what is none.
fn serve(routes: Vec<Route>, edge: Arc<Edge>) -> Router {
    let mut methods = BTreeMap::<_, Vec<_>>::new();
    let mut served = Router::new();
    for Route { path, method, policy, serve, .. } in routes {
        methods.entry(path).or_default().push(method);
        served = served.route(path, serve(policy));
    }
    // Every address tells its methods, which counts for no limit.
    for (path, methods) in methods {
        let options = request::options(&methods);
        served = served.route(path, routing::options(unlimited(async move || options)));
    }
    served
        .fallback(unlimited(async || Problem::NotFound))
        .method_not_allowed_fallback(unlimited(async || Problem::MethodNotAllowed))
        .with_state(edge)
}

fn unlimited<H>(handler: H) -> Guarded<H> {
    Guarded { handler, policy: None }
}

#[cfg(test)]
mod tests {
    use axum::{
        body::Body,
        http::{Request, header},
    };
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;
    use crate::{
        doubles::{FORM, Stage},
        edge::REQUEST_SPARE,
    };

    #[tokio::test(start_paused = true)]
    async fn what_has_no_route_or_no_such_method_is_a_problem() {
        let stage = Stage::new();
        for path in ["/", "/api/support", "/api/support/ticket/", "/api/support/ticket/x/y", "/%00"]
        {
            assert_eq!(stage.get(path).await.code(), (404, "not_found"), "{path}");
        }
        for (method, path, allow) in [
            ("GET", "/api/support/ticket", "POST,OPTIONS"),
            ("DELETE", "/api/support/ticket/x", "GET,HEAD,OPTIONS"),
            ("TRACE", "/api/support/stats", "GET,HEAD,OPTIONS"),
            ("BREW", "/readyz", "GET,HEAD,OPTIONS"),
        ] {
            let heard = stage.ask(method, path, "", vec![]).await;
            assert_eq!(heard.code(), (405, "method_not_allowed"), "{method}");
            assert_eq!(heard.header("allow"), allow);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn options_tells_what_every_address_has_and_counts_for_no_limit() {
        let stage = Stage::new();
        for route in all() {
            let path = route.path.replace("{reference}", "SUP-2026-123456");
            let heard = stage.ask("OPTIONS", &path, "", vec![]).await;
            let methods = if route.method == "post" { "POST,OPTIONS" } else { "GET,HEAD,OPTIONS" };
            assert_eq!((heard.status, heard.header("allow")), (204, methods), "{path}");
            assert!(!heard.headers.contains_key("ratelimit"), "{path}");
        }
        let heard = stage.ask("OPTIONS", "/nowhere", "", vec![]).await;
        assert_eq!(heard.code(), (404, "not_found"));
    }

    #[tokio::test(start_paused = true)]
    async fn head_is_get_without_the_body() {
        let stage = Stage::new();
        for path in ["/livez", "/api/support/ticket/x", "/nowhere"] {
            let get = stage.get(path).await;
            let head = stage.ask("HEAD", path, "", vec![]).await;
            assert_eq!((head.status, head.json), (get.status, serde_json::Value::Null));
            assert_eq!(head.headers["content-length"], get.headers["content-length"], "{path}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_answer_carries_its_request_id_and_trace() {
        let stage = Stage::new();
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        for path in ["/livez", "/nowhere", "/api/support/stats", "/api/support/ticket/x"] {
            let headers = vec![("x-request-id", "order-66"), ("traceparent", parent)];
            let heard = stage.ask("GET", path, "", headers).await;
            assert_eq!(heard.header("x-request-id"), "order-66");
            assert_eq!(heard.header("traceparent")[..35], parent[..35]);
            assert_eq!(heard.header("x-content-type-options"), "nosniff");
            assert_eq!(heard.header("cache-control"), "no-store");
            assert_eq!(heard.header("referrer-policy"), "no-referrer");
            let policy = "default-src 'none'; frame-ancestors 'none'";
            assert_eq!(heard.header("content-security-policy"), policy);
            let headers = vec![("x-request-id", "\"><script>")];
            let heard = stage.ask("GET", path, "", headers).await;
            assert_eq!(heard.header("x-request-id").len(), 32);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_cannot_be_read_is_told_apart() {
        let stage = Stage::new();
        let json = ("content-type", "application/json");
        for (headers, body, code) in [
            (vec![], FORM, (415, "unsupported_media_type")),
            (vec![json, ("content-encoding", "gzip")], FORM, (415, "unsupported_encoding")),
            (vec![json], "", (400, "invalid_json")),
            (vec![json], "{}", (422, "validation_failed")),
            (vec![json], &" ".repeat(65_537), (413, "body_too_large")),
        ] {
            let heard = stage.ask("POST", TICKETS, body.to_owned(), headers).await;
            assert_eq!(heard.code(), code);
            assert_eq!(heard.header("vary"), "Prefer");
            assert_eq!(heard.header("connection") == "close", code.0 == 413);
        }
    }

    /// An edge with these routes in the place of its own.
    fn stage_with(routes: Vec<Route>) -> Stage {
        let stage = Stage::new();
        Stage { router: serve(routes, Arc::clone(&stage.edge)), ..stage }
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_keeps_a_policy_of_its_own() {
        let page = async || [(header::CONTENT_SECURITY_POLICY, "default-src 'self'")];
        let stage = stage_with(vec![get("/page", page, process::live)]);
        let heard = stage.get("/page").await;
        assert_eq!(heard.header("content-security-policy"), "default-src 'self'");
    }

    /// An edge with this handler in the place of its own, within the limits of each kind.
    fn limited_stage<T: 'static>(handler: &impl Handler<T, Arc<Edge>>) -> Stage {
        let route = |path, policy| get(path, handler.clone(), process::live).limited(policy);
        stage_with(vec![
            route("/create", Policy::Create),
            route("/lookup", Policy::Lookup),
            route("/stats", Policy::Stats),
        ])
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_does_not_end_is_answered_for_with_its_limits() {
        let stage = limited_stage(&async || -> Problem { std::future::pending().await });
        for policy in ["create", "lookup", "stats"] {
            let heard = stage.get(&format!("/{policy}")).await;
            assert_eq!(heard.code(), (503, "overdue"));
            assert_eq!(heard.after, stage.edge.reply_wait + REQUEST_SPARE);
            assert_eq!(heard.header("retry-after"), "2");
            assert!(heard.header("ratelimit").starts_with(&format!("\"{policy}\";r=")));
            assert_eq!(heard.header("vary"), if policy == "create" { "Prefer" } else { "" });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_panics_is_answered_for_with_its_limits() {
        let stage = limited_stage(&async || -> Problem { panic!("with a secret") });
        for policy in ["create", "lookup", "stats"] {
            let heard = stage.get(&format!("/{policy}")).await;
            assert_eq!(heard.code(), (500, "internal"));
            assert!(heard.header("ratelimit").starts_with(&format!("\"{policy}\";r=")));
            assert_eq!(heard.header("vary"), if policy == "create" { "Prefer" } else { "" });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn metrics_are_what_the_recorder_writes() {
        let stage = Stage::new();
        let router = stage.router.clone();
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let answer = router.oneshot(request).await.unwrap();
        assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "exposed 1\n");
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_a_500_that_says_nothing() {
        let broken = async || -> Problem { panic!("with a secret") };
        let stage = stage_with(vec![get("/broken", broken, process::live)]);
        let heard = stage.get("/broken").await;
        assert_eq!(heard.code(), (500, "internal"));
        assert!(!heard.json.to_string().contains("secret"));
    }
}
