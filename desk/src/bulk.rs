//! `POST /api/support/admin/tickets/bulk`: the same change of many tickets, each for itself or all
//! together, with a result for each.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::{Request, State},
    http::header,
    response::Response,
};
use common::{
    domain::{Change, RuleViolation},
    ports::cases::{Author, Reference, Step},
};
use http::{
    answer::enveloped,
    auth::Principal,
    contention::ATTEMPTS,
    problem::{FieldError, Problem, Success},
};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::{
    changing::{outcome, refusal},
    desk::Desk,
    fields,
    tickets::reference,
    wishes,
};

/// The most tickets at a time.
pub const TICKETS_MAX: usize = 1_000;

/// How long those are tried again that others came before: well within a request's deadline, or nobody
/// would be told what was changed.
const TRYING_WAIT: Duration = Duration::from_secs(20);

/// Changes them.
pub async fn bulk(
    State(desk): State<Arc<Desk>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, mut fields) = fields::of_body(request).await?;
    // Of many tickets there is no one version: better refused than passed over.
    if head.headers.contains_key(header::IF_MATCH) {
        return Err(Problem::InvalidIfMatch);
    }
    fields.require("tickets");
    let named = fields.list("tickets", some, |name| Ok(name.to_owned()));
    fields.require("change");
    let mut assignee = None;
    let wanted = fields.object("change", |fields| {
        let wanted = wishes::read(fields);
        assignee.clone_from(&wanted.assignee);
        wanted
    });
    wishes::admit(&desk, assignee.as_ref(), &mut fields, "change/assignee").await?;
    let together = fields.optional("allOrNothing", switch).unwrap_or_default();
    fields.finish()?;
    let (named, wanted) = (named.ok_or(Problem::Internal)?, wanted.ok_or(Problem::Internal)?);
    let author = desk.author(&principal, &head);
    let mut round = Round::new(&desk, &named, wanted, author);
    round.run(together).await?;
    if together && round.has_failed() {
        return Err(Problem::NotTogether(round.errors()));
    }
    let results = Results { tickets: round.results() };
    enveloped(Success::Found, "Tickets", &results, desk.clock.now())
}

fn some(count: usize) -> Result<(), RuleViolation> {
    let detail = || format!("must name 1 to {TICKETS_MAX} tickets");
    let is_fit = (1..=TICKETS_MAX).contains(&count);
    is_fit.then_some(()).ok_or_else(|| RuleViolation::new("out_of_range", detail()))
}

fn switch(value: &Value) -> Result<bool, RuleViolation> {
    value.as_bool().ok_or_else(|| RuleViolation::new("wrong_type", "must be true or false"))
}

/// What became of one ticket, with the version it has now.
#[derive(Clone)]
enum Verdict {
    Changed(u32),
    /// It was as wanted before.
    Unchanged(u32),
    Failed(Problem),
}

impl Verdict {
    /// That of a ticket where it is named once more: what was changed is as wanted by then.
    fn again(&self) -> Self {
        match self {
            Self::Changed(version) => Self::Unchanged(*version),
            other => other.clone(),
        }
    }
}

/// A change on its way to many tickets.
struct Round<'a> {
    desk: &'a Desk,
    named: &'a [String],
    wanted: Change,
    author: Author,
    /// In the places of the names; none yet where it is to be tried again.
    verdicts: Vec<Option<Verdict>>,
}

/// What is to be written down at once.
#[derive(Default)]
struct Turn {
    steps: Vec<Step>,
    /// Where the tickets of the steps are named.
    places: Vec<usize>,
    /// Where a ticket is named once more, and where it is named first.
    repeats: Vec<(usize, usize)>,
}

impl<'a> Round<'a> {
    fn new(desk: &'a Desk, named: &'a [String], wanted: Change, author: Author) -> Self {
        let verdicts = named.iter().map(|_| None).collect();
        Self { desk, named, wanted, author, verdicts }
    }

    /// Until each has a verdict, or together until one has failed. Once something is changed there is
    /// no problem as a whole any more: whoever asked must learn what it was.
    async fn run(&mut self, together: bool) -> Result<(), Problem> {
        let ends_at = Instant::now() + TRYING_WAIT;
        for _ in 0..ATTEMPTS {
            match self.turn(together).await {
                Err(problem) if !self.has_changed() => return Err(problem),
                Ok(()) if self.is_decided(together) => return Ok(()),
                Ok(()) if Instant::now() < ends_at => {}
                _ => break,
            }
        }
        if together {
            return Err(Problem::Unavailable);
        }
        for verdict in self.verdicts.iter_mut().filter(|verdict| verdict.is_none()) {
            *verdict = Some(Verdict::Failed(Problem::Unavailable));
        }
        Ok(())
    }

    /// Tries those that have no verdict yet, in one transaction.
    async fn turn(&mut self, together: bool) -> Result<(), Problem> {
        let Turn { steps, places, repeats } = self.next().await?;
        let is_in_vain = together && self.has_failed();
        if !steps.is_empty() && !is_in_vain {
            let done = self.desk.stored(self.desk.cases.commit(&steps, together)).await?;
            if together && done.contains(&false) {
                self.verdicts.fill(None);
                return Ok(());
            }
            for ((place, step), done) in places.into_iter().zip(steps).zip(done) {
                let version = step.outcome.case.work.version;
                self.verdicts[place] = done.then_some(Verdict::Changed(version));
            }
        }
        for (place, first) in repeats {
            self.verdicts[place] = self.verdicts[first].as_ref().map(Verdict::again);
        }
        Ok(())
    }

    /// What is to be written down for those that have no verdict yet; the others get theirs.
    async fn next(&mut self) -> Result<Turn, Problem> {
        let (mut known, mut which) = (Vec::new(), Vec::<Reference>::new());
        let open = self.verdicts.iter_mut().enumerate().filter(|(_, verdict)| verdict.is_none());
        for (place, verdict) in open {
            if let Some(reference) = reference(&self.named[place]) {
                known.push(place);
                which.push(reference);
            } else {
                *verdict = Some(Verdict::Failed(Problem::TicketNotFound));
            }
        }
        let cases = self.desk.stored(self.desk.cases.find(&which)).await?;
        let (mut turn, mut firsts) = (Turn::default(), HashMap::new());
        for (place, case) in known.into_iter().zip(cases) {
            let Some(before) = case else {
                self.verdicts[place] = Some(Verdict::Failed(Problem::TicketNotFound));
                continue;
            };
            let first = *firsts.entry(before.ticket.id).or_insert(place);
            if first != place {
                turn.repeats.push((place, first));
                continue;
            }
            match outcome(self.desk, &before, &self.wanted, &self.author) {
                Err(refused) => {
                    self.verdicts[place] = Some(Verdict::Failed(refusal(&refused)));
                }
                Ok(outcome) if outcome.entries.is_empty() => {
                    self.verdicts[place] = Some(Verdict::Unchanged(before.work.version));
                }
                Ok(outcome) => {
                    turn.places.push(place);
                    turn.steps.push(Step { before, outcome, author: self.author.clone() });
                }
            }
        }
        Ok(turn)
    }

    fn is_decided(&self, together: bool) -> bool {
        self.verdicts.iter().all(Option::is_some) || (together && self.has_failed())
    }

    fn has_changed(&self) -> bool {
        self.verdicts.iter().any(|verdict| matches!(verdict, Some(Verdict::Changed(_))))
    }

    fn has_failed(&self) -> bool {
        self.verdicts.iter().any(|verdict| matches!(verdict, Some(Verdict::Failed(_))))
    }

    fn results(&self) -> Vec<TicketResult> {
        let each = self.named.iter().zip(&self.verdicts);
        each.filter_map(|(ticket, verdict)| Some(TicketResult::of(ticket, verdict.as_ref()?)))
            .collect()
    }

    /// Those that failed, as violations of the list.
    fn errors(&self) -> Vec<FieldError> {
        let each = self.verdicts.iter().enumerate();
        let failed = each.filter_map(|(place, verdict)| match verdict {
            Some(Verdict::Failed(problem)) => Some(FieldError {
                pointer: format!("/tickets/{place}").into(),
                code: problem.code(),
                detail: detail(problem),
            }),
            _ => None,
        });
        failed.collect()
    }
}

/// What became of each.
#[derive(Serialize, ToSchema)]
#[schema(as = BulkResults)]
pub struct Results {
    /// In the order in which they were named.
    tickets: Vec<TicketResult>,
}

/// What became of one.
#[derive(Serialize, ToSchema)]
#[schema(as = BulkResult)]
pub struct TicketResult {
    /// As it was named.
    ticket: String,
    #[schema(schema_with = outcomes)]
    outcome: &'static str,
    /// The version it has now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    version: Option<u32>,
    /// Why not, as a problem of that ticket alone would say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<String>,
}

fn outcomes() -> utoipa::openapi::Object {
    http::openapi::schemas::one_of(["changed", "unchanged", "failed"])
}

impl TicketResult {
    fn of(ticket: &str, verdict: &Verdict) -> Self {
        let ticket = ticket.to_owned();
        let done = |outcome, version| Self {
            ticket: ticket.clone(),
            outcome,
            version: Some(version),
            code: None,
            detail: None,
        };
        match verdict {
            Verdict::Changed(version) => done("changed", *version),
            Verdict::Unchanged(version) => done("unchanged", *version),
            Verdict::Failed(problem) => {
                let (code, detail) = (Some(problem.code()), Some(detail(problem)));
                Self { ticket, outcome: "failed", version: None, code, detail }
            }
        }
    }
}

/// What it says to people, with what else there is to it.
fn detail(problem: &Problem) -> String {
    let said = problem.document("", "").detail;
    match problem {
        Problem::WrongTransition { allowed } if !allowed.is_empty() => {
            let words: Vec<_> = allowed.iter().map(|it| it.as_str()).collect();
            format!("{said} allowed: {}", words.join(", "))
        }
        _ => said.to_owned(),
    }
}

#[cfg(test)]
mod tests;
