//! Which dead letters somebody wants something done to, and how fast.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use common::{
    domain::{Because, Between, DeadLetterCode, RuleViolation, TimeSpan},
    letters::Pace,
    ports::dead_letters::{Filter, LetterId, Selection},
};
use http::query::number;
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use crate::fields::{Fields, text};

/// How many letters are listed unless another number is asked for, and at most.
pub const LIMIT_DEFAULT: u32 = 100;
/// The most letters in a list.
pub const LIMIT_MAX: u32 = 1_000;
/// The most letters that one request handles: what it answers stays readable.
pub const HANDLED_MAX: usize = 10_000;
/// The most letters that are tried again in a second, unless asked otherwise: they should not crowd
/// out what is new.
pub const RATE_DEFAULT: u32 = 50;
/// The most that can be asked for.
pub const RATE_MAX: u32 = 10_000;

/// How long a request goes on with more letters, well within its deadline.
const HANDLING_WAIT: Duration = Duration::from_secs(20);

/// Which letters.
pub struct Wanted {
    pub which: Selection,
}

impl Wanted {
    /// This one.
    pub fn one(id: &str) -> Self {
        Self { which: Selection::These(BTreeSet::from([LetterId::new(id)])) }
    }

    /// Exactly one of `ids`, `all` and `filter`; `None` after a violation.
    pub fn read(fields: &mut Fields, now: DateTime<Utc>) -> Option<Self> {
        let ids = fields.optional("ids", ids);
        let all = fields.optional("all", all);
        let like = fields.object("filter", |fields| {
            let filter = filter(fields, now);
            if filter == Filter::default() && !fields.has_errors() {
                fields
                    .refuse_all(RuleViolation::new("too_few", "must say what they have in common"));
            }
            filter
        });
        let which = match (ids, all, like) {
            (Some(ids), None, None) => Some(Selection::These(ids)),
            (None, Some(()), None) => Some(Selection::All),
            (None, None, Some(filter)) => Some(Selection::Like(filter)),
            _ => None,
        };
        if which.is_none() && !fields.has_errors() {
            let detail = "must have exactly one of ids, all and filter";
            fields.refuse_all(RuleViolation::new("ambiguous", detail));
        }
        which.map(|which| Self { which })
    }

    /// Those named that are none of these.
    pub fn others_than(&self, handled: &[LetterId]) -> Vec<String> {
        let Selection::These(ids) = &self.which else { return vec![] };
        ids.iter().filter(|id| !handled.contains(id)).map(ToString::to_string).collect()
    }
}

fn ids(value: &Value) -> Result<BTreeSet<LetterId>, RuleViolation> {
    let list = value.as_array().map(|list| list.iter().map(Value::as_str));
    let ids: Option<BTreeSet<_>> =
        list.and_then(|list| list.map(|it| it.map(LetterId::new)).collect());
    match ids {
        Some(ids) if ids.is_empty() => Err(RuleViolation::new("too_few", "must name a letter")),
        Some(ids) => Ok(ids),
        None => Err(RuleViolation::new("wrong_type", "must be a list of strings")),
    }
}

fn all(value: &Value) -> Result<(), RuleViolation> {
    match value {
        Value::Bool(true) => Ok(()),
        _ => Err(RuleViolation::new("invalid_choice", "must be true, or left out")),
    }
}

/// `reason`, `olderThan` and `newerThan`: members of an object or parameters of a query alike.
pub fn filter(fields: &mut Fields, now: DateTime<Utc>) -> Filter {
    let codes = fields.optional("reason", text(codes)).unwrap_or_default();
    let mut ago = |name| fields.optional(name, text(TimeSpan::parse)).map(|span| span.before(now));
    let (before, since) = (ago("olderThan"), ago("newerThan"));
    if (Between { from: since, to: before }).is_empty() {
        let detail = "must be longer than olderThan";
        fields.refuse("newerThan", RuleViolation::new("impossible_range", detail));
    }
    Filter { codes, before, since }
}

/// Words with commas between them.
fn codes(text: &str) -> Result<BTreeSet<String>, RuleViolation> {
    let known = || DeadLetterCode::ALL.iter().map(|code| code.as_str()).chain(["unknown"]);
    if text.split(',').all(|word| known().any(|code| code == word)) {
        return Ok(text.split(',').map(ToOwned::to_owned).collect());
    }
    let detail =
        format!("must be of {}, with commas between", known().collect::<Vec<_>>().join(", "));
    Err(RuleViolation::new("invalid_choice", detail))
}

/// `limit`.
pub fn limit(fields: &mut Fields) -> u32 {
    fields.optional("limit", text(|text| number(text, LIMIT_MAX))).unwrap_or(LIMIT_DEFAULT)
}

/// `because`, where somebody must say why.
pub fn because(fields: &mut Fields) -> Option<Because> {
    fields.required("because", text(Because::parse))
}

/// A parameter that is `true` or `false`.
pub fn switch(text: &str) -> Result<bool, RuleViolation> {
    text.parse().map_err(|_| RuleViolation::new("invalid_choice", "must be true or false"))
}

/// How fast letters are handled: so many in a second, for as long and as many as a request may.
pub struct Pacing {
    rate: Option<u32>,
    ends_at: Instant,
    state: Mutex<Going>,
    has_ended: AtomicBool,
}

struct Going {
    next_at: Instant,
    left: usize,
}

impl Pacing {
    /// `rate`: letters in a second, or `off`.
    pub fn read(fields: &mut Fields) -> Self {
        let rate = fields.optional("rate", rate).unwrap_or(Some(RATE_DEFAULT));
        Self::new(rate)
    }

    /// As fast as it goes.
    pub fn off() -> Self {
        Self::new(None)
    }

    fn new(rate: Option<u32>) -> Self {
        let now = Instant::now();
        let state = Mutex::new(Going { next_at: now, left: HANDLED_MAX });
        Self { rate, ends_at: now + HANDLING_WAIT, state, has_ended: AtomicBool::new(false) }
    }

    /// Whether it ended before everything was handled.
    pub fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed)
    }

    /// How many are next, and when; none once what a request may is used up.
    fn next(&self) -> Option<(usize, Instant)> {
        // Nothing panics under this lock.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let at = state.next_at.max(now);
        if at >= self.ends_at || state.left == 0 {
            return None;
        }
        let Some(rate) = self.rate else { return Some((state.left, now)) };
        // A tenth of a second's worth at a time, and one at least.
        let count = (rate / 10).max(1);
        state.next_at = at + Duration::from_secs(count.into()) / rate;
        Some(((count as usize).min(state.left), at))
    }
}

fn rate(value: &Value) -> Result<Option<u32>, RuleViolation> {
    let detail = format!("must be a whole number from 1 to {RATE_MAX}, or \"off\"");
    let number = value.as_u64().and_then(|rate| u32::try_from(rate).ok());
    match number.filter(|rate| (1..=RATE_MAX).contains(rate)) {
        Some(rate) => Ok(Some(rate)),
        None if value == "off" => Ok(None),
        None => Err(RuleViolation::new("out_of_range", detail)),
    }
}

#[async_trait]
impl Pace for Pacing {
    async fn admit(&self) -> Option<usize> {
        let next = self.next();
        if let Some((count, at)) = next {
            sleep_until(at).await;
            Some(count)
        } else {
            self.has_ended.store(true, Ordering::Relaxed);
            None
        }
    }

    fn handled(&self, letters: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.left = state.left.saturating_sub(letters);
    }
}
