//! Changing a ticket: read it, compute what becomes of it, write that down on condition that nobody
//! was first. Who names the version they saw is told when somebody was; for who does not, it is done
//! again on what the ticket is by then.

use axum::http::{HeaderMap, header};
use common::{
    domain::{Case, Change, Outcome, Refused},
    ports::cases::{Author, Reference, Step},
};
use http::{contention::retried, problem::Problem};

use crate::desk::Desk;

/// What `If-Match` asks for: that a ticket has one of these versions.
#[derive(Debug, PartialEq, Eq)]
pub struct IfMatch(Vec<u32>);

impl IfMatch {
    /// Nothing without the header, or if it is `*`: a ticket that is there has some version. Tags that
    /// are none of ours match none.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut versions = None::<Vec<u32>>;
        for value in headers.get_all(header::IF_MATCH) {
            let value = value.to_str().map_err(|_| Problem::InvalidIfMatch)?.trim();
            if value == "*" {
                continue;
            }
            for tag in value.split(',').map(str::trim) {
                let opaque = tag.strip_prefix("W/").unwrap_or(tag);
                let inner = opaque.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
                let inner = inner.filter(|inner| !inner.contains('"'));
                let inner = inner.ok_or(Problem::InvalidIfMatch)?;
                // A weak tag never matches here (RFC 9110, 13.1.1).
                let version = inner.parse::<u32>().ok().filter(|_| opaque.len() == tag.len());
                versions.get_or_insert_default().extend(version);
            }
        }
        Ok(versions.map(Self))
    }

    fn admits(&self, case: &Case) -> bool {
        self.0.contains(&case.work.version)
    }
}

/// Changes one ticket, and says what it is then.
pub async fn change(
    desk: &Desk,
    which: &Reference,
    wanted: &Change,
    author: &Author,
    only: Option<&IfMatch>,
) -> Result<Case, Problem> {
    retried(|| async {
        let before = desk.stored(desk.cases.one(which)).await?.ok_or(Problem::TicketNotFound)?;
        if only.is_some_and(|only| !only.admits(&before)) {
            return Err(Problem::Stale);
        }
        let outcome = outcome(desk, &before, wanted, author).map_err(|it| refusal(&it))?;
        if outcome.entries.is_empty() {
            return Ok(Some(before));
        }
        let step = Step { before, outcome, author: author.clone() };
        let done = desk.stored(desk.cases.commit(std::slice::from_ref(&step), false)).await?;
        Ok((done == [true]).then_some(step.outcome.case))
    })
    .await
}

/// What becomes of a case.
pub fn outcome(
    desk: &Desk,
    before: &Case,
    wanted: &Change,
    author: &Author,
) -> Result<Outcome, Refused> {
    before.after(wanted, desk.clock.now(), author.name.as_ref())
}

/// What is answered where a ticket cannot be changed so.
pub fn refusal(refused: &Refused) -> Problem {
    match refused {
        Refused::Transition { from, .. } => Problem::WrongTransition { allowed: from.next() },
        Refused::Closed => Problem::TicketClosed,
        Refused::Erased => Problem::TicketErased,
        Refused::TooManyTags => Problem::ValidationFailed(vec![too_many_tags("/addTags")]),
    }
}

/// What is wrong with tags that do not fit beside those that are there.
pub fn too_many_tags(pointer: &'static str) -> http::problem::FieldError {
    let detail = format!("must leave the ticket with at most {} tags", common::domain::TAGS_MAX);
    http::problem::FieldError { pointer: pointer.into(), code: "too_many", detail }
}
