//! The `OpenAPI` document, of all that an installation answers over HTTP.

use std::sync::LazyLock;

/// As it is served.
pub fn document() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
        http::openapi::document(&[ingest::chapter(), desk::chapter()]).to_string()
    });
    &DOCUMENT
}
