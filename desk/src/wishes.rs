//! What staff want of a ticket, as they write it: `status`, `assignee`, `addTags` and `removeTags`.

use std::collections::BTreeSet;

use common::domain::{Assignment, Change, Role, RuleViolation, Standing, Status, TAGS_MAX, Tag};
use http::problem::Problem;

use crate::{
    desk::Desk,
    fields::{Fields, one_of, text},
};

/// Reads them. Something must be wanted.
pub fn read(fields: &mut Fields) -> Change {
    let change = Change {
        status: fields.optional("status", one_of(Status::ALL, Status::as_str)),
        assignee: fields.nullable("assignee", Assignment::Nobody, text(member)),
        tags_added: tags(fields, "addTags"),
        tags_removed: tags(fields, "removeTags"),
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

/// Refuses, at this end of a pointer, to give a ticket to who is no member of staff: to nobody's name
/// that an admin's or agent's token has now.
pub async fn admit(
    desk: &Desk,
    assignee: Option<&Assignment>,
    fields: &mut Fields,
    place: &str,
) -> Result<(), Problem> {
    let Some(Assignment::To(name)) = assignee else { return Ok(()) };
    let now = desk.clock.now();
    let tokens = desk.stored(desk.tokens.list()).await?;
    let is_member = tokens.iter().any(|token| {
        token.name.as_deref() == Some(name.as_str())
            && token.role != Role::Stats
            && token.standing(now) == Standing::Active
    });
    if !is_member {
        let detail = "must be the name of an active token of role admin or agent";
        fields.refuse_at(place, RuleViolation::new("unknown_member", detail));
    }
    Ok(())
}

fn member(text: &str) -> Result<Assignment, RuleViolation> {
    Assignment::member(text).map(Assignment::To)
}

fn tags(fields: &mut Fields, name: &'static str) -> BTreeSet<Tag> {
    let few = |count| {
        let detail = || format!("must be at most {TAGS_MAX}");
        (count <= TAGS_MAX).then_some(()).ok_or_else(|| RuleViolation::new("too_many", detail()))
    };
    fields.list(name, few, Tag::parse).unwrap_or_default().into_iter().collect()
}
