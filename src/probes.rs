//! What an orchestrator asks a process that has no public API of its own.

use axum::{
    Router,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use common::metrics::Exposition;

/// `/livez`: the process answers. `/readyz`: it does its work, as `is_ready` has it. `/metrics`: what
/// it has recorded.
pub fn router<R: Future<Output = bool> + Send>(
    is_ready: impl Fn() -> R + Clone + Send + Sync + 'static,
    exposition: Exposition,
) -> Router {
    let readiness = move || async move {
        if is_ready().await {
            (StatusCode::OK, "ok\n")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
        }
    };
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    let metrics = move || async move { (kind, exposition()) };
    Router::new()
        .route("/livez", get(|| async { "ok\n" }).options(methods))
        .route("/readyz", get(readiness).options(methods))
        .route("/metrics", get(metrics).options(methods))
}

/// The answer to `OPTIONS`, as of the public API.
async fn methods() -> impl IntoResponse {
    (StatusCode::NO_CONTENT, [(header::ALLOW, "GET,HEAD,OPTIONS")])
}
