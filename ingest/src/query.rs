//! The parameters of a query, each taken through its rule. Everything that is wrong is told at once;
//! parameters that are not known are ignored.

use std::borrow::Cow;

use common::domain::RuleViolation;
use url::form_urlencoded;

use crate::problem::{FieldError, Problem};

/// A query, and what was wrong with it so far.
pub struct Query<'a> {
    given: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    errors: Vec<FieldError>,
}

impl<'a> Query<'a> {
    /// Takes it apart.
    pub fn of(query: Option<&'a str>) -> Self {
        let given = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect();
        Self { given, errors: Vec::new() }
    }

    /// A parameter that may be missing, and may be given once.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        rule: impl FnOnce(&str) -> Result<T, RuleViolation>,
    ) -> Option<T> {
        let mut given = self.given.iter().filter(|(it, _)| it == name);
        let read = match (given.next(), given.next()) {
            (None, _) => return None,
            (Some((_, value)), None) => rule(value),
            _ => Err(RuleViolation::new("duplicate_field", "must be given once")),
        };
        let refused = |RuleViolation { code, detail }| {
            self.errors.push(FieldError { pointer: format!("/{name}").into(), code, detail });
        };
        read.map_err(refused).ok()
    }

    /// Every violation there was.
    pub fn finish(self) -> Result<(), Problem> {
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::InvalidParameters(self.errors)) }
    }
}
