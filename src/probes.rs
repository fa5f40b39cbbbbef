//! What an orchestrator asks a process that has no public API of its own.

use axum::{
    Router,
    http::{StatusCode, header},
    routing::get,
};
use common::metrics::Exposition;

/// `/livez`: the process answers. `/readyz`: it does its work, as `is_ready` has it. `/metrics`: what
/// it has recorded.
pub fn router(
    is_ready: impl Fn() -> bool + Clone + Send + Sync + 'static,
    exposition: Exposition,
) -> Router {
    let readiness = move || async move {
        if is_ready() {
            (StatusCode::OK, "ok\n")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
        }
    };
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    let metrics = move || async move { (kind, exposition()) };
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readiness))
        .route("/metrics", get(metrics))
}
