//! Which address leads where.

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{get, post},
};

use crate::{
    edge::Edge, events, health, limits, lookup, measure, problem::Problem, progress, request,
    stats, submit, whoami,
};

/// Where submissions are posted, and under which they are found again.
pub const TICKETS: &str = "/api/support/ticket";

/// The public API.
pub fn router(edge: Arc<Edge>) -> Router {
    Router::new()
        .merge(limited(&edge))
        .route("/api/support/events", get(events::events))
        .route("/api/support/whoami", get(whoami::whoami))
        .route("/api/support/health", get(health::health))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(measure::metrics))
        .fallback(async || Problem::NotFound)
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&edge), request::around))
        .with_state(edge)
}

/// What is limited, each within the limits of its own.
fn limited(edge: &Arc<Edge>) -> Router<Arc<Edge>> {
    let submissions = middleware::from_fn_with_state(Arc::clone(edge), limits::submissions);
    let look_ups = middleware::from_fn_with_state(Arc::clone(edge), limits::look_ups);
    let statistics = middleware::from_fn_with_state(Arc::clone(edge), limits::statistics);
    Router::new()
        .route(TICKETS, post(submit::submit).route_layer(submissions))
        .route(
            &format!("{TICKETS}/{{reference}}"),
            get(lookup::look_up).route_layer(look_ups.clone()),
        )
        .route(
            &format!("{TICKETS}/{{reference}}/events"),
            get(progress::events).route_layer(look_ups),
        )
        .route("/api/support/stats", get(stats::stats).route_layer(statistics))
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
            ("GET", "/api/support/ticket", "POST"),
            ("DELETE", "/api/support/ticket/x", "GET,HEAD"),
            ("TRACE", "/api/support/stats", "GET,HEAD"),
            ("OPTIONS", "/livez", "GET,HEAD"),
            ("BREW", "/readyz", "GET,HEAD"),
        ] {
            let heard = stage.ask(method, path, "", vec![]).await;
            assert_eq!(heard.code(), (405, "method_not_allowed"), "{method}");
            assert_eq!(heard.header("allow"), allow);
        }
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
    fn stage_with(router: Router) -> Stage {
        let stage = Stage::new();
        let around = middleware::from_fn_with_state(Arc::clone(&stage.edge), request::around);
        Stage { router: router.layer(around), ..stage }
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_keeps_a_policy_of_its_own() {
        let page = async || [(header::CONTENT_SECURITY_POLICY, "default-src 'self'")];
        let stage = stage_with(Router::new().route("/page", get(page)));
        let heard = stage.get("/page").await;
        assert_eq!(heard.header("content-security-policy"), "default-src 'self'");
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_does_not_end_is_answered_for() {
        let endless = async || -> Problem { std::future::pending().await };
        let stage = stage_with(Router::new().route("/endless", get(endless)));
        let heard = stage.get("/endless").await;
        assert_eq!(heard.code(), (503, "overdue"));
        assert_eq!(heard.after, stage.edge.reply_wait + REQUEST_SPARE);
        assert_eq!(heard.header("retry-after"), "2");
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
        let stage = stage_with(Router::new().route("/broken", get(broken)));
        let heard = stage.get("/broken").await;
        assert_eq!(heard.code(), (500, "internal"));
        assert!(!heard.json.to_string().contains("secret"));
    }
}
