//! The wire form of a submission. Every violation of every field is told at once.
//!
//! The visitor is written by hand: serde's own takes an array for an object, stops at the first
//! violation, and words its errors with the values.

use std::{borrow::Cow, fmt};

use common::domain::{
    ClientTimestamp, Email, Form, Message, Name, PageUrl, RuleViolation, Subject, UserAgent, UserId,
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};
use serde_json::{error::Category, value::RawValue};

use crate::problem::{FieldError, Problem};

/// Names on the wire, in the order in which violations are told.
pub const FIELDS: [&str; 8] =
    ["name", "email", "subject", "message", "timestamp", "userId", "userAgent", "url"];

/// Reads a body. [`Problem::InvalidJson`] if it is not one JSON document in UTF-8,
/// [`Problem::ValidationFailed`] if that is no form.
pub fn parse(body: &[u8]) -> Result<Form, Problem> {
    let mut check = Check::read(body, &FIELDS)?;
    let form = check.form(None)?;
    check.finish()?;
    // What is required is there, or there was a violation.
    form.ok_or(Problem::Internal)
}

/// Reads a body that has nothing but a message.
pub fn parse_answer(body: &[u8]) -> Result<Message, Problem> {
    let mut check = Check::read(body, &FIELDS)?;
    let message = check.required(3, Message::parse)?;
    check.finish()?;
    message.ok_or(Problem::Internal)
}

fn subject(text: &str) -> Result<Subject, RuleViolation> {
    let words = || Subject::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(", ");
    text.parse()
        .map_err(|_| RuleViolation::new("invalid_choice", format!("must be one of {}", words())))
}

/// The visitor's one complaint is about a document that is no object. It comes before the rest of
/// the document is read, which must be JSON all the same.
fn refusal(error: &serde_json::Error, text: &str) -> Problem {
    if error.classify() != Category::Data || serde_json::from_str::<IgnoredAny>(text).is_err() {
        return Problem::InvalidJson;
    }
    let detail = "must be an object".to_owned();
    Problem::ValidationFailed(vec![FieldError { pointer: "".into(), code: "wrong_type", detail }])
}

/// What a field was given.
#[derive(Clone, Copy, Default)]
enum Given<'a> {
    #[default]
    Nothing,
    Value(&'a RawValue),
    Several,
}

/// Reads an object's members of these names.
struct Members<const N: usize>(&'static [&'static str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Members<N> {
    type Value = [Given<'de>; N];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Members<N> {
    type Value = [Given<'de>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = [Given::Nothing; N];
        while let Some(field) = map.next_key_seed(Key(self.0))? {
            // Raw, so that nesting of any depth and numbers of any size are just a value
            // of the wrong type.
            let value = map.next_value()?;
            if let Some(given) = field.map(|index| &mut values[index]) {
                *given = match given {
                    Given::Nothing => Given::Value(value),
                    Given::Value(_) | Given::Several => Given::Several,
                };
            }
        }
        Ok(values)
    }
}

/// Which of these fields a key names, if any.
struct Key(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Option<usize>, E> {
        Ok(self.0.iter().position(|field| *field == key))
    }
}

/// Takes an object's values one by one through their rules and gathers what breaks them. `Err` is
/// left for text that is no JSON string, which ends it all.
pub struct Check<'a, const N: usize> {
    names: &'static [&'static str; N],
    values: [Given<'a>; N],
    errors: Vec<(usize, RuleViolation)>,
}

type Rule<T> = fn(&str) -> Result<T, RuleViolation>;

impl<'a, const N: usize> Check<'a, N> {
    /// Of an object's members of these names; the form's are the first of them. Others are ignored.
    /// [`Problem::InvalidJson`] if the text is not one JSON document in UTF-8.
    pub fn read(body: &'a [u8], names: &'static [&'static str; N]) -> Result<Self, Problem> {
        let text = std::str::from_utf8(body).map_err(|_| Problem::InvalidJson)?;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let read = Members(names).deserialize(&mut deserializer);
        let read = read.and_then(|values| deserializer.end().map(|()| values));
        let values = read.map_err(|error| refusal(&error, text))?;
        Ok(Self { names, values, errors: Vec::new() })
    }

    /// The form among them, unless a field of it breaks its rule. Its time may be missing where there
    /// is one to stand in for it.
    pub fn form(&mut self, stand_in: Option<&ClientTimestamp>) -> Result<Option<Form>, Problem> {
        let errors = self.errors.len();
        let name = self.required(0, Name::parse)?;
        let email = self.required(1, Email::parse)?;
        let subject = self.required(2, subject)?;
        let message = self.required(3, Message::parse)?;
        let timestamp = match stand_in {
            Some(stand_in) if self.is_absent(4) => Some(stand_in.clone()),
            _ => self.required(4, ClientTimestamp::parse)?,
        };
        let user_id = self.optional(5, UserId::parse)?;
        let user_agent = self.optional(6, UserAgent::parse)?;
        let url = self.optional(7, PageUrl::parse)?;
        match (name, email, subject, message, timestamp) {
            (Some(name), Some(email), Some(subject), Some(message), Some(timestamp))
                if self.errors.len() == errors =>
            {
                Ok(Some(Form {
                    name,
                    email,
                    subject,
                    message,
                    timestamp,
                    user_id,
                    user_agent,
                    url,
                }))
            }
            _ => Ok(None),
        }
    }

    /// A field that must be there.
    pub fn required<T>(&mut self, field: usize, rule: Rule<T>) -> Result<Option<T>, Problem> {
        if self.is_absent(field) {
            self.refuse(field, RuleViolation::new("required", "is required"));
            return Ok(None);
        }
        self.optional(field, rule)
    }

    /// A field that may be missing; `null` is as good as that.
    pub fn optional<T>(&mut self, field: usize, rule: Rule<T>) -> Result<Option<T>, Problem> {
        let checked = match self.values[field] {
            _ if self.is_absent(field) => return Ok(None),
            Given::Value(value) if value.get().starts_with('"') => rule(&string(value)?),
            Given::Value(_) | Given::Nothing => {
                Err(RuleViolation::new("wrong_type", "must be a string"))
            }
            Given::Several => Err(RuleViolation::new("duplicate_field", "must be given once")),
        };
        Ok(checked.map_err(|violation| self.refuse(field, violation)).ok())
    }

    /// Whether a field was given nothing.
    #[must_use]
    pub fn is_absent(&self, field: usize) -> bool {
        match self.values[field] {
            Given::Nothing => true,
            Given::Value(value) => value.get() == "null",
            Given::Several => false,
        }
    }

    /// Refuses what a field says, for a reason beyond its own rule.
    pub fn refuse(&mut self, field: usize, violation: RuleViolation) {
        self.errors.push((field, violation));
    }

    /// Every violation there was, in the order of the names.
    pub fn finish(mut self) -> Result<(), Problem> {
        if self.errors.is_empty() {
            return Ok(());
        }
        self.errors.sort_by_key(|(field, _)| *field);
        let told = |(field, RuleViolation { code, detail }): (usize, RuleViolation)| {
            let pointer = Cow::Owned(format!("/{}", self.names[field]));
            FieldError { pointer, code, detail }
        };
        Err(Problem::ValidationFailed(self.errors.into_iter().map(told).collect()))
    }
}

/// The text of a JSON string, borrowed from the body where it has no escapes.
fn string(value: &RawValue) -> Result<Cow<'_, str>, Problem> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

    let Text(text) = serde_json::from_str(value.get()).map_err(|_| Problem::InvalidJson)?;
    Ok(text)
}

#[cfg(test)]
mod tests;
