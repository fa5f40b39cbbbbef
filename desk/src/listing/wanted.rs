//! Which tickets somebody wants listed.

use std::{collections::BTreeSet, str::FromStr};

use chrono::{DateTime, Utc};
use common::domain::{
    Assignment, Filters, Name, RuleViolation, Search, Sort, Tag, TicketQuery, UnknownWord,
};
use http::query::number;

use super::cursor::Cursors;
use crate::{
    fields::{Fields, text},
    times::{between, time},
    wanted::switch,
};

/// How many tickets are listed unless another number is asked for.
pub const LIMIT_DEFAULT: u32 = 25;
/// The most tickets of a page.
pub const LIMIT_MAX: u32 = 100;

/// What the parameters say. Worth nothing once one was refused.
pub fn query(fields: &mut Fields, cursors: &Cursors, now: DateTime<Utc>) -> TicketQuery {
    let search = fields.optional("q", text(Search::parse)).flatten();
    let filters = Filters {
        statuses: fields.optional("status", text(choices)).unwrap_or_default(),
        priorities: fields.optional("priority", text(choices)).unwrap_or_default(),
        subjects: fields.optional("subject", text(choices)).unwrap_or_default(),
        assignee: fields.optional("assignee", text(assigned)),
        tag: fields.optional("tag", text(Tag::parse)),
        has_reply: fields.optional("hasReply", text(switch)),
        submitted: between(fields, ("submittedFrom", "submittedTo"), time),
        updated: between(fields, ("updatedFrom", "updatedTo"), time),
    };
    let sort = sort(fields, search.is_some());
    let limit = fields.optional("limit", text(|text| number(text, LIMIT_MAX)));
    let cursor = fields.optional("cursor", text(|text| Ok(text.to_owned())));
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    let mut query = TicketQuery { filters, search, sort, after: None, limit };
    // A cursor is one of a query; of which, cannot be told of one that is none.
    if let Some(cursor) = cursor.filter(|_| !fields.has_errors()) {
        match cursors.read(&cursor, &query, now) {
            Ok(place) => query.after = Some(place),
            Err(violation) => fields.refuse("cursor", violation),
        }
    }
    query
}

/// By what a query filters, by name.
pub fn filters(query: &TicketQuery) -> Vec<&'static str> {
    let Filters { statuses, priorities, subjects, assignee, tag, has_reply, submitted, updated } =
        &query.filters;
    let all = [
        ("q", query.search.is_some()),
        ("status", !statuses.is_empty()),
        ("priority", !priorities.is_empty()),
        ("subject", !subjects.is_empty()),
        ("assignee", assignee.is_some()),
        ("tag", tag.is_some()),
        ("hasReply", has_reply.is_some()),
        ("submittedFrom", submitted.from.is_some()),
        ("submittedTo", submitted.to.is_some()),
        ("updatedFrom", updated.from.is_some()),
        ("updatedTo", updated.to.is_some()),
    ];
    all.into_iter().filter_map(|(name, is_given)| is_given.then_some(name)).collect()
}

/// Words with commas between them.
fn choices<T: FromStr<Err = UnknownWord> + Ord>(text: &str) -> Result<BTreeSet<T>, RuleViolation> {
    let words = text.split(',').map(T::from_str).collect::<Result<_, _>>();
    words.map_err(|error| {
        RuleViolation::new("invalid_choice", format!("{error}, or several with commas between"))
    })
}

fn assigned(text: &str) -> Result<Assignment, RuleViolation> {
    if text == Assignment::NOBODY {
        Ok(Assignment::Nobody)
    } else {
        Name::parse(text).map(Assignment::To)
    }
}

fn sort(fields: &mut Fields, is_search: bool) -> Sort {
    let default = if is_search { Sort::Rank } else { Sort::NewestFirst };
    let sort = fields.optional("sort", text(one)).unwrap_or(default);
    if sort == Sort::Rank && !is_search {
        let detail = "is for what is looked for by q";
        fields.refuse("sort", RuleViolation::new("invalid_choice", detail));
    }
    sort
}

fn one(text: &str) -> Result<Sort, RuleViolation> {
    let violation = |error: UnknownWord| RuleViolation::new("invalid_choice", error.to_string());
    text.parse().map_err(violation)
}
