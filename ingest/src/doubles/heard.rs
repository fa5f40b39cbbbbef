//! What a stage answers.

use std::{sync::LazyLock, time::Duration};

use axum::{http::HeaderMap, response::Response};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::time::Instant;

use self::document::Document;

#[path = "../../../tests/it/bed/document.rs"]
mod document;

/// An answer, read to its end.
#[derive(Debug)]
pub struct Heard {
    pub status: u16,
    pub headers: HeaderMap,
    pub json: Value,
    pub after: Duration,
    bytes: Bytes,
}

impl Heard {
    pub async fn of(answer: Response, asked_at: Instant) -> Self {
        let after = asked_at.elapsed();
        let (head, body) = answer.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let json = serde_json::from_slice(&bytes).unwrap_or_default();
        Self { status: head.status.as_u16(), headers: head.headers, json, after, bytes }
    }

    /// Whatever is answered on a stage is in the document, as it is answered.
    pub fn assert_is_described(&self, method: &str, path: &str) {
        static DOCUMENT: LazyLock<Document> =
            LazyLock::new(|| Document::parse(crate::openapi::document()));
        if !DOCUMENT.has(path) && self.status != 404 {
            // A route of the test's own: the product's are all in the document.
            return;
        }
        let (method, status) = (method.parse().unwrap(), self.status.try_into().unwrap());
        let violations = DOCUMENT.violations(&method, path, status, &self.headers, &self.bytes);
        let told = violations.join("\n");
        assert!(violations.is_empty(), "{method} {path}: {self:?}, and the document:\n{told}");
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status, code and headers of a problem, whose document must be complete.
    pub fn code(&self) -> (u16, &str) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(self.json["status"], self.status);
        assert_eq!(self.json["success"], false);
        assert_eq!(self.json["requestId"], self.header("x-request-id"));
        assert!(!self.json.to_string().contains("internal:") && self.json["title"].is_string());
        (self.status, self.json["code"].as_str().unwrap())
    }

    /// Pointer and code of each violation that a 422 lists.
    pub fn violations(&self) -> Vec<String> {
        assert_eq!(self.status, 422, "{self:?}");
        let errors = self.json["errors"].as_array().unwrap();
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        errors.iter().map(|it| format!("{} {}", word(&it["pointer"]), word(&it["code"]))).collect()
    }
}
