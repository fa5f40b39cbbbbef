//! What is asked for, field by field: members of a JSON object, or parameters of a query. Everything
//! that is wrong is told at once, and what is not known is refused: a misspelt `expiresIn` must not
//! make a token without an end.

use std::{borrow::Cow, convert::Infallible, fmt, str::FromStr};

use axum::{
    extract::{FromRequestParts, Path, Request},
    http::request::Parts,
};
use common::domain::RuleViolation;
use http::{
    body,
    problem::{FieldError, Problem},
};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Value, error::Category, value::RawValue};
use url::form_urlencoded;

/// Fields that are taken through their rules one by one.
pub struct Fields {
    given: Vec<(String, Given)>,
    errors: Vec<FieldError>,
    refusal: fn(Vec<FieldError>) -> Problem,
    /// Where these fields stand.
    prefix: String,
}

impl Fields {
    /// Of a body. [`Problem::InvalidJson`] if it is not one JSON document, a violation if that is no
    /// object.
    pub fn of_body(body: &[u8]) -> Result<Self, Problem> {
        let members: Members =
            serde_json::from_slice(body).map_err(|error| no_object(&error, body))?;
        let given = members.given().map_err(|_| Problem::InvalidJson)?;
        Ok(Self::of(given, Problem::ValidationFailed))
    }

    /// Of a query.
    pub fn of_query(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let given = pairs.map(|(name, value)| (name.into_owned(), Given::text(value.into_owned())));
        Self::of(given.collect(), Problem::InvalidParameters)
    }

    fn of(given: Vec<(String, Given)>, refusal: fn(Vec<FieldError>) -> Problem) -> Self {
        Self { given, errors: Vec::new(), refusal, prefix: String::new() }
    }

    /// A field that may be missing; `null` is as good as that.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        rule: impl FnOnce(&Value) -> Result<T, RuleViolation>,
    ) -> Option<T> {
        let value = self.take(name)?.value;
        rule(&value).map_err(|violation| self.refuse(name, violation)).ok()
    }

    /// A field that may be missing, or `null`, which is to say this.
    pub fn nullable<T>(
        &mut self,
        name: &'static str,
        null: T,
        rule: impl FnOnce(&Value) -> Result<T, RuleViolation>,
    ) -> Option<T> {
        let is_null = self.given.iter().any(|(given, it)| given == name && it.value.is_null());
        let errors = self.errors.len();
        let given = self.optional(name, rule);
        given.or_else(|| (is_null && self.errors.len() == errors).then_some(null))
    }

    /// A field that may not.
    pub fn required<T>(
        &mut self,
        name: &'static str,
        rule: impl FnOnce(&Value) -> Result<T, RuleViolation>,
    ) -> Option<T> {
        self.require(name);
        self.optional(name, rule)
    }

    /// Refuses that a field is missing, if it is.
    pub fn require(&mut self, name: &'static str) {
        let mut given = self.given.iter().filter(|(given, _)| given == name);
        let is_missing =
            given.next().is_none_or(|(_, it)| it.value.is_null()) && given.next().is_none();
        if is_missing {
            self.refuse(name, RuleViolation::new("required", "is required"));
        }
    }

    /// A field that may be missing and is a list of strings, so many as one rule says, each of which
    /// keeps the other. Those that do not are refused by their places.
    pub fn list<T>(
        &mut self,
        name: &'static str,
        count: impl FnOnce(usize) -> Result<(), RuleViolation>,
        rule: impl Fn(&str) -> Result<T, RuleViolation>,
    ) -> Option<Vec<T>> {
        let Value::Array(items) = self.take(name)?.value else {
            self.refuse(name, RuleViolation::new("wrong_type", "must be a list of strings"));
            return None;
        };
        count(items.len()).map_err(|violation| self.refuse(name, violation)).ok()?;
        let (mut fit, mut unfit) = (Vec::new(), Vec::new());
        for (place, item) in items.iter().enumerate() {
            match text(&rule)(item) {
                Ok(item) => fit.push(item),
                Err(violation) => unfit.push((place, violation)),
            }
        }
        let is_fit = unfit.is_empty();
        for (place, violation) in unfit.into_iter().take(UNFIT_MAX) {
            self.refuse_at(&format!("{name}/{place}"), violation);
        }
        is_fit.then_some(fit)
    }

    /// A field that may be missing and has fields of its own.
    pub fn object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> T,
    ) -> Option<T> {
        let Some(members) = self.take(name)?.members() else {
            self.refuse(name, RuleViolation::new("wrong_type", "must be an object"));
            return None;
        };
        let mut inner = Self::of(members, self.refusal);
        inner.prefix = format!("{}/{name}", self.prefix);
        let read = read(&mut inner);
        inner.refuse_unknown();
        let is_fit = !inner.has_errors();
        self.errors.append(&mut inner.errors);
        is_fit.then_some(read)
    }

    /// Whether anything was refused so far.
    pub fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Refuses the fields as a whole.
    pub fn refuse_all(&mut self, RuleViolation { code, detail }: RuleViolation) {
        self.errors.push(FieldError { pointer: self.prefix.clone().into(), code, detail });
    }

    /// Refuses what a field says, for a reason beyond its own rule.
    pub fn refuse(&mut self, name: &str, violation: RuleViolation) {
        self.refuse_at(&name.replace('~', "~0").replace('/', "~1"), violation);
    }

    /// Refuses what stands at this end of a pointer.
    pub fn refuse_at(&mut self, place: &str, RuleViolation { code, detail }: RuleViolation) {
        let pointer = Cow::Owned(format!("{}/{place}", self.prefix));
        self.errors.push(FieldError { pointer, code, detail });
    }

    /// Every violation there was, of fields that nobody asked for as well.
    pub fn finish(mut self) -> Result<(), Problem> {
        self.refuse_unknown();
        if self.errors.is_empty() { Ok(()) } else { Err((self.refusal)(self.errors)) }
    }

    fn refuse_unknown(&mut self) {
        for (name, _) in std::mem::take(&mut self.given).into_iter().take(UNFIT_MAX) {
            self.refuse(&name, RuleViolation::new("unknown_field", "is not known here"));
        }
    }

    fn take(&mut self, name: &'static str) -> Option<Given> {
        let is_it = |(given, _): &mut (String, Given)| given == name;
        let given: Vec<_> = self.given.extract_if(.., is_it).map(|(_, value)| value).collect();
        if given.len() > 1 {
            self.refuse(name, RuleViolation::new("duplicate_field", "must be given once"));
            return None;
        }
        given.into_iter().next().filter(|given| !given.value.is_null())
    }
}

/// What a field says.
struct Given {
    value: Value,
    /// As it is written, if it is JSON: what an object names twice is not lost there.
    json: Option<Box<RawValue>>,
}

impl Given {
    fn text(text: String) -> Self {
        Self { value: text.into(), json: None }
    }

    /// Those of an object.
    fn members(&self) -> Option<Vec<(String, Self)>> {
        let members: Members = serde_json::from_str(self.json.as_ref()?.get()).ok()?;
        members.given().ok()
    }
}

/// The id in the path. What is no text names nothing, as an empty one does.
pub struct Id(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Infallible;

    async fn from_request_parts(head: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let path = Path::<String>::from_request_parts(head, state).await;
        Ok(Self(path.map(|Path(id)| id).unwrap_or_default()))
    }
}

/// An answer that lists more of a kind is of use to nobody.
const UNFIT_MAX: usize = 10;

/// The head, and the fields of the body; of the query there are none.
pub async fn of_body(request: Request) -> Result<(Parts, Fields), Problem> {
    let (head, body) = request.into_parts();
    Fields::of_query(head.uri.query()).finish()?;
    body::require_json(&head.headers)?;
    let fields = Fields::of_body(&body::read(&head.headers, body).await?)?;
    Ok((head, fields))
}

/// The head, and the fields of the query; of the body there are none, so what one says is refused.
pub async fn of_query(request: Request) -> Result<(Parts, Fields), Problem> {
    let (head, body) = request.into_parts();
    let body = body::read(&head.headers, body).await?;
    if !body.is_empty() {
        body::require_json(&head.headers)?;
        Fields::of_body(&body)?.finish()?;
    }
    let fields = Fields::of_query(head.uri.query());
    Ok((head, fields))
}

/// A text that keeps a rule.
pub fn text<T>(
    rule: impl FnOnce(&str) -> Result<T, RuleViolation>,
) -> impl FnOnce(&Value) -> Result<T, RuleViolation> {
    |value| match value {
        Value::String(text) => rule(text),
        _ => Err(RuleViolation::new("wrong_type", "must be a string")),
    }
}

/// One of these words.
pub fn one_of<T: Copy + FromStr>(
    all: &'static [T],
    word: fn(T) -> &'static str,
) -> impl FnOnce(&Value) -> Result<T, RuleViolation> {
    text(move |text| {
        text.parse().map_err(|_| {
            let words: Vec<_> = all.iter().map(|it| word(*it)).collect();
            let detail = format!("must be one of {}", words.join(", "));
            RuleViolation::new("invalid_choice", detail)
        })
    })
}

fn no_object(error: &serde_json::Error, body: &[u8]) -> Problem {
    if error.classify() != Category::Data || serde_json::from_slice::<IgnoredAny>(body).is_err() {
        return Problem::InvalidJson;
    }
    let detail = "must be an object".to_owned();
    Problem::ValidationFailed(vec![FieldError { pointer: "".into(), code: "wrong_type", detail }])
}

/// The members of an object in their order, those of the same name included.
struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    fn given(self) -> serde_json::Result<Vec<(String, Given)>> {
        let read = |(name, json): (_, Box<RawValue>)| {
            Ok((name, Given { value: serde_json::from_str(json.get())?, json: Some(json) }))
        };
        self.0.into_iter().map(read).collect()
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(All)
    }
}
