//! What an orchestrator asks a process that has no public API of its own.

use axum::{Router, http::StatusCode, routing::get};

/// `/livez`: the process answers. `/readyz`: it does its work, as `is_ready` has it.
pub fn router(is_ready: impl Fn() -> bool + Clone + Send + Sync + 'static) -> Router {
    let readiness = move || async move {
        if is_ready() {
            (StatusCode::OK, "ok\n")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
        }
    };
    Router::new().route("/livez", get(|| async { "ok\n" })).route("/readyz", get(readiness))
}
