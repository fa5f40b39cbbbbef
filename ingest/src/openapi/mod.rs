//! The edge's part of the `OpenAPI` document, made of the code that serves it: paths from the table of
//! routes, problems and their headers from [`crate::problem`], schemas from the types that are
//! written, bounds and words from the domain. What people need beside that stands in the modules here, one function an
//! operation.
//!
//! Tests hold every answer that they get against the document.

mod form;
pub mod page;
pub mod process;
pub mod replay;
pub mod statistics;
pub mod tickets;

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
pub use http::openapi::{Answer, Operation, Schemas, schemas};
use http::openapi::{Chapter, Described};

use crate::{cors, edge::Edge, routes};

/// What the edge serves.
pub fn chapter() -> Chapter {
    let described = |route: routes::Route| Described {
        path: route.path,
        method: route.method,
        describe: route.describe,
        policy: route.policy,
        is_shared: cors::is_public(route.path),
        roles: &[],
    };
    Chapter { routes: routes::all().into_iter().map(described).collect(), groups: &GROUPS }
}

/// `GET /openapi.json`
pub async fn openapi_json(State(edge): State<Arc<Edge>>) -> Response {
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (json, edge.document).into_response()
}

/// The groups of operations, in the order in which they are shown.
const GROUPS: [(&str, &str); 4] = [
    (tickets::TAG, "Submitting a form, and finding out what has become of it."),
    (statistics::TAG, "Counts, for staff."),
    (replay::TAG, "What happened, for the programs of staff."),
    (process::TAG, "The running process and its description."),
];

#[cfg(test)]
pub fn document() -> &'static str {
    static DOCUMENT: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| http::openapi::document(&[chapter()]).to_string());
    &DOCUMENT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::Stage;

    #[tokio::test(start_paused = true)]
    async fn the_document_is_served_as_it_is() {
        let heard = Stage::new().get("/openapi.json").await;
        assert_eq!((heard.status, heard.json.to_string()), (200, document().to_owned()));
        assert_eq!(heard.headers["content-type"], "application/json");
    }
}
