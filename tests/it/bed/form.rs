//! The support form as somebody fills it in.

use std::sync::atomic::{AtomicU32, Ordering};

use serde::Serialize;
use serde_json::{Map, Value, json};

/// The body of a submission, valid until a test changes it.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Form(Map<String, Value>);

impl Form {
    /// A form with every required field. Two of them differ in their message, so that neither
    /// is taken for a repetition of the other.
    pub fn valid() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(Map::new())
            .with("name", "Ada Lovelace")
            .with("email", "ada@example.org")
            .with("subject", "technical")
            .with("message", format!("The engine has stopped {number} times."))
            .with("timestamp", "2026-11-22T10:30:00.000Z")
    }

    /// Sets the name.
    pub fn name(self, name: &str) -> Self {
        self.with("name", name)
    }

    /// Sets the e-mail address.
    pub fn email(self, email: &str) -> Self {
        self.with("email", email)
    }

    /// Sets the subject.
    pub fn subject(self, subject: &str) -> Self {
        self.with("subject", subject)
    }

    /// Sets the message.
    pub fn message(self, message: &str) -> Self {
        self.with("message", message)
    }

    /// Sets any field to any JSON.
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0.insert(field.to_owned(), value.into());
        self
    }

    /// Leaves a field out.
    pub fn without(mut self, field: &str) -> Self {
        self.0.remove(field);
        self
    }

    /// The form as JSON.
    pub fn json(&self) -> Value {
        json!(self)
    }
}
