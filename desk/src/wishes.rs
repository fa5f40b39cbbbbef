//! What staff want of a ticket, as they write it: `status`, `assignee`, `addTags` and `removeTags`.

use std::collections::BTreeSet;

use common::domain::{
    Assignment, Change, Name, Role, RuleViolation, Standing, Status, TAGS_MAX, Tag,
};
use http::problem::{FieldError, Problem};
use serde_json::Value;

use crate::{
    desk::Desk,
    fields::{Fields, one_of, text},
};

/// Reads them. Something must be wanted.
pub fn read(fields: &mut Fields) -> Change {
    let change = Change {
        status: fields.optional("status", one_of(Status::ALL, Status::as_str)),
        assignee: fields.nullable("assignee", Assignment::Nobody, text(member)),
        tags_added: fields.optional("addTags", tags).unwrap_or_default(),
        tags_removed: fields.optional("removeTags", tags).unwrap_or_default(),
        post: None,
    };
    if change == Change::default() && !fields.has_errors() {
        let detail = "must have at least one of status, assignee, addTags and removeTags";
        fields.refuse_all(RuleViolation::new("too_few", detail));
    }
    for tag in change.tags_added.intersection(&change.tags_removed).take(1) {
        let detail = format!("must not have {} as well", tag.as_str());
        fields.refuse("removeTags", RuleViolation::new("ambiguous", detail));
    }
    change
}

/// Refuses to give a ticket to who is no member of staff: to nobody's name that an admin's or agent's
/// token has now.
pub async fn admit(desk: &Desk, wanted: &Change, prefix: &str) -> Result<(), Problem> {
    let Some(Assignment::To(name)) = &wanted.assignee else { return Ok(()) };
    let now = desk.clock.now();
    let tokens = desk.stored(desk.tokens.list()).await?;
    let is_member = tokens.iter().any(|token| {
        token.name.as_deref() == Some(name.as_str())
            && token.role != Role::Stats
            && token.standing(now) == Standing::Active
    });
    if is_member {
        return Ok(());
    }
    let pointer = format!("{prefix}/assignee").into();
    let detail = "must be the name of an active token of role admin or agent".to_owned();
    Err(Problem::ValidationFailed(vec![FieldError { pointer, code: "unknown_member", detail }]))
}

fn member(text: &str) -> Result<Assignment, RuleViolation> {
    Name::parse(text).map(Assignment::To)
}

fn tags(value: &Value) -> Result<BTreeSet<Tag>, RuleViolation> {
    let wrong = || RuleViolation::new("wrong_type", "must be a list of strings");
    let list = value.as_array().ok_or_else(wrong)?;
    if list.len() > TAGS_MAX {
        let detail = format!("must be at most {TAGS_MAX}");
        return Err(RuleViolation::new("too_many", detail));
    }
    list.iter().map(|tag| Tag::parse(tag.as_str().ok_or_else(wrong)?)).collect()
}
