//! What a stage answers.

use std::sync::LazyLock;

use axum::{http::HeaderMap, response::Response};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::Value;

use self::document::Document;

#[path = "../../../tests/it/bed/document.rs"]
mod document;

/// An answer, read to its end.
#[derive(Debug)]
pub struct Heard {
    pub status: u16,
    pub headers: HeaderMap,
    pub json: Value,
    bytes: Bytes,
}

impl Heard {
    pub async fn of(answer: Response) -> Self {
        let (head, mut body) = answer.into_parts();
        let content_type = head.headers.get("content-type").map_or("", |it| it.to_str().unwrap());
        let bytes = if content_type == "text/event-stream" {
            // It has no end: its first message will do.
            body.frame().await.unwrap().unwrap().into_data().unwrap()
        } else {
            body.collect().await.unwrap().to_bytes()
        };
        let json = serde_json::from_slice(&bytes).unwrap_or_default();
        Self { status: head.status.as_u16(), headers: head.headers, json, bytes }
    }

    /// Whatever is answered on a stage is in the document, as it is answered. What is not there, or
    /// has no such method, asks for a token first; the document says so in words.
    pub fn assert_is_described(&self, method: &str, path: &str) {
        static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
            Document::parse(&http::openapi::document(&[crate::chapter()]).to_string())
        });
        let is_elsewhere =
            !DOCUMENT.has(path) || ["PUT", "BREW", "OPTIONS", "HEAD", "TRACE"].contains(&method);
        if self.status == 401 && is_elsewhere {
            return;
        }
        let (method, status) = (method.parse().unwrap(), self.status.try_into().unwrap());
        let violations = DOCUMENT.violations(&method, path, status, &self.headers, &self.bytes);
        let told = violations.join("\n");
        assert!(violations.is_empty(), "{method} {path}: {self:?}, and the document:\n{told}");
    }

    /// The body as it is.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status and code of a problem, whose document must be complete and say nothing of ours.
    pub fn code(&self) -> (u16, &str) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(self.json["status"], self.status);
        assert_eq!(self.json["requestId"], self.header("x-request-id"));
        assert!(!self.json.to_string().contains("internal:"));
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
