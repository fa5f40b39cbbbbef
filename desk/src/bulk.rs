//! `POST /api/support/admin/tickets/bulk`: the same change of many tickets, each for itself or all
//! together, with a result for each.

use std::{collections::HashSet, sync::Arc};

use axum::{
    Extension,
    extract::{Request, State},
    http::header,
    response::Response,
};
use common::{
    domain::{Case, Change, RuleViolation},
    ports::cases::{Author, Reference, Step},
};
use http::{
    answer::enveloped,
    auth::Principal,
    problem::{FieldError, Problem, Success},
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    changing::{outcome, refusal},
    desk::Desk,
    tickets::{read, reference},
    wishes,
};

/// The most tickets at a time.
pub const TICKETS_MAX: usize = 1_000;

/// How often those are tried again that others came before.
const ATTEMPTS: usize = 20;

/// Changes them.
pub async fn bulk(
    State(desk): State<Arc<Desk>>,
    Extension(principal): Extension<Principal>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, mut fields) = read(request).await?;
    // Of many tickets there is no one version: better refused than passed over.
    if head.headers.contains_key(header::IF_MATCH) {
        return Err(Problem::InvalidIfMatch);
    }
    let named = fields.required("tickets", named);
    let together = fields.optional("allOrNothing", switch).unwrap_or_default();
    let wanted = fields.object("change", wishes::read);
    if wanted.is_none() && !fields.has_errors() {
        fields.refuse("change", RuleViolation::new("required", "is required"));
    }
    fields.finish()?;
    let (named, wanted) = (named.ok_or(Problem::Internal)?, wanted.ok_or(Problem::Internal)?);
    wishes::admit(&desk, &wanted, "/change").await?;
    let author = desk.author(&principal, &head);
    let mut round = Round::new(&desk, &named, wanted, author);
    round.run(together).await?;
    if together && round.has_failed() {
        return Err(Problem::NotTogether(round.errors()));
    }
    let results = Results { tickets: round.results() };
    enveloped(Success::Found, "Tickets", &results, desk.clock.now())
}

fn named(value: &Value) -> Result<Vec<String>, RuleViolation> {
    let list = value.as_array().map(|list| list.iter().map(|it| it.as_str().map(str::to_owned)));
    let Some(names) = list.and_then(Iterator::collect::<Option<Vec<_>>>) else {
        return Err(RuleViolation::new("wrong_type", "must be a list of strings"));
    };
    if names.is_empty() || names.len() > TICKETS_MAX {
        let detail = format!("must name 1 to {TICKETS_MAX} tickets");
        return Err(RuleViolation::new("out_of_range", detail));
    }
    Ok(names)
}

fn switch(value: &Value) -> Result<bool, RuleViolation> {
    value.as_bool().ok_or_else(|| RuleViolation::new("wrong_type", "must be true or false"))
}

/// What became of one ticket.
enum Verdict {
    Changed(Case),
    /// It was as wanted before.
    Unchanged(Case),
    Failed(Problem),
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

impl<'a> Round<'a> {
    fn new(desk: &'a Desk, named: &'a [String], wanted: Change, author: Author) -> Self {
        let verdicts = named.iter().map(|_| None).collect();
        Self { desk, named, wanted, author, verdicts }
    }

    async fn run(&mut self, together: bool) -> Result<(), Problem> {
        for _ in 0..ATTEMPTS {
            let (places, steps) = self.steps().await?;
            if steps.is_empty() && self.verdicts.iter().all(Option::is_some) {
                return Ok(());
            }
            if together && self.has_failed() {
                return Ok(());
            }
            let done = self.desk.stored(self.desk.cases.commit(&steps, together)).await?;
            if together && done.contains(&false) {
                self.verdicts.fill_with(|| None);
                continue;
            }
            for ((place, step), done) in places.into_iter().zip(steps).zip(done) {
                self.verdicts[place] = done.then_some(Verdict::Changed(step.outcome.case));
            }
        }
        for verdict in self.verdicts.iter_mut().filter(|verdict| verdict.is_none()) {
            *verdict = Some(Verdict::Failed(Problem::Unavailable));
        }
        Ok(())
    }

    /// What is to be written down for those that have no verdict yet, and their places. A ticket that
    /// is named twice has its second turn once the first is done.
    async fn steps(&mut self) -> Result<(Vec<usize>, Vec<Step>), Problem> {
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
        let (mut places, mut steps, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        for (place, case) in known.into_iter().zip(cases) {
            let Some(before) = case else {
                self.verdicts[place] = Some(Verdict::Failed(Problem::TicketNotFound));
                continue;
            };
            if !seen.insert(before.ticket.id) {
                continue;
            }
            match outcome(self.desk, &before, &self.wanted, &self.author) {
                Err(refused) => {
                    self.verdicts[place] = Some(Verdict::Failed(refusal(&refused)));
                }
                Ok(outcome) if outcome.entries.is_empty() => {
                    self.verdicts[place] = Some(Verdict::Unchanged(before));
                }
                Ok(outcome) => {
                    places.push(place);
                    steps.push(Step { before, outcome, author: self.author.clone() });
                }
            }
        }
        Ok((places, steps))
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
        let done = |outcome, case: &Case| Self {
            ticket: ticket.clone(),
            outcome,
            version: Some(case.work.version),
            code: None,
            detail: None,
        };
        match verdict {
            Verdict::Changed(case) => done("changed", case),
            Verdict::Unchanged(case) => done("unchanged", case),
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
