//! `GET /api/support/stats`: the counts, for staff of any role.

mod memo;
mod period;
mod zone;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{extract::State, http::request::Parts, response::Response};
use chrono::NaiveDate;
use common::domain::{
    DAYS_MAX, Day, Done, Priority, Role, RuleViolation, Statistics, Status, Subject, Times,
};
use http::query::number;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::{ToSchema, openapi::Object};

pub use self::memo::Memo;
use self::{
    memo::Question,
    period::{AGES, Asked, Calendar, Half, Sums, backlog},
    zone::Zone,
};
use crate::{
    answer::{enveloped, rfc3339, written},
    edge::Edge,
    openapi::schemas::{self, Time},
    problem::{Problem, Success},
    query::Query,
    snapshot::{Snapshot, Source},
};

pub const DAYS_DEFAULT: u16 = 30;

/// Answers with the counts; the token is looked at before anything else.
pub async fn stats(State(edge): State<Arc<Edge>>, head: Parts) -> Result<Response, Problem> {
    edge.access.authorize(&head, &[Role::Admin, Role::Agent, Role::Stats]).await?;
    let asked = asked(head.uri.query())?;
    let snapshot = edge.snapshots.latest().await.map_err(|_| Problem::Unavailable)?;
    let now = edge.clock.now();
    let question = Question::new(asked, now);
    let data = if let Some(data) = edge.answers.find(&snapshot.statistics, question) {
        data
    } else {
        let data = counts(&edge, &snapshot, Calendar::new(asked, now)).await?;
        edge.answers.keep(&snapshot.statistics, question, Arc::clone(&data));
        data
    };
    enveloped(Success::Found, "Support ticket statistics", &&*data, now)
}

/// The counts, written.
async fn counts(
    edge: &Edge,
    snapshot: &Snapshot,
    calendar: Calendar,
) -> Result<Arc<RawValue>, Problem> {
    let told = edge.history.since(calendar.since(), &snapshot.statistics).await;
    let sums = calendar.sum(&told.map_err(|_| Problem::Unavailable)?);
    written(&Counts::new(snapshot, &calendar, sums)).map(Arc::from)
}

fn asked(query: Option<&str>) -> Result<Asked, Problem> {
    let mut query = Query::of(query);
    let days = query.optional("days", |text| number(text, DAYS_MAX)).unwrap_or(DAYS_DEFAULT);
    let zone = query.optional("timeZone", zone).unwrap_or(Zone::UTC);
    query.finish()?;
    Ok(Asked { days, zone })
}

fn zone(name: &str) -> Result<Zone, RuleViolation> {
    let detail = "must be the name of an IANA time zone, such as Asia/Kolkata";
    // A plus sign that was not escaped stands for a space, which is in no name.
    let zone = Zone::parse(&name.replace(' ', "+"));
    zone.ok_or_else(|| RuleViolation::new("invalid_time_zone", detail))
}

/// The counts of all tickets.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Statistics)]
pub struct Counts {
    total: u64,
    open: u64,
    #[schema(schema_with = by_status)]
    by_status: Words,
    #[schema(schema_with = by_priority)]
    by_priority: Words,
    #[schema(schema_with = by_subject)]
    by_subject: Words,
    /// From the submission to the first reply of staff or the first move off `open`, of the tickets that
    /// were first responded to in the period, by days of UTC.
    response_time: TimeCounts,
    /// From the submission to the resolution, of the tickets that were resolved in the period and are
    /// still, by days of UTC.
    resolution_time: TimeCounts,
    /// The last days, oldest first, none left out.
    daily: Vec<DayCounts>,
    trend: Trend,
    /// Open and in-progress tickets by their age in days of UTC, the youngest first.
    backlog: Vec<AgeCounts>,
    /// Those of staff who have tickets in hand or had some resolved in the period.
    by_member: Vec<MemberCounts>,
    /// Whose days are in `daily`.
    time_zone: &'static str,
    /// When the counts were read from the store.
    #[schema(value_type = Time)]
    generated_at: String,
    #[schema(schema_with = source)]
    source: &'static str,
}

fn by_status() -> Object {
    schemas::counts(Status::ALL.iter().map(|word| word.as_str()))
}

fn by_priority() -> Object {
    schemas::counts(Priority::ALL.iter().map(|word| word.as_str()))
}

fn by_subject() -> Object {
    schemas::counts(Subject::ALL.iter().map(|word| word.as_str()))
}

fn source() -> Object {
    schemas::one_of(["cache", "store"])
}

/// What happened on one day of the time zone.
#[derive(Serialize, ToSchema)]
pub struct DayCounts {
    #[schema(value_type = String, format = Date)]
    date: NaiveDate,
    /// Tickets submitted that day.
    created: u64,
    /// Tickets resolved that day and not reopened since.
    resolved: u64,
}

/// How long something took; `null` where nothing did. The average is exact, each of the others within
/// five percent of what it was for one of the tickets.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimeCounts {
    #[schema(required)]
    average_seconds: Option<f64>,
    #[schema(required)]
    p50_seconds: Option<f64>,
    #[schema(required)]
    p90_seconds: Option<f64>,
    #[schema(required)]
    p99_seconds: Option<f64>,
    count: u64,
}

/// The period asked for, and as many days before it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Trend {
    created: CountPair,
    resolved: CountPair,
    average_response_seconds: SecondsPair,
    average_resolution_seconds: SecondsPair,
}

/// Tickets in both periods.
#[derive(Serialize, ToSchema)]
pub struct CountPair {
    current: u64,
    previous: u64,
    /// By how much it has changed, as a part of what it was: 0.25 is a quarter more. `null` if it was 0.
    #[schema(required)]
    change: Option<f64>,
}

/// Seconds in both periods; `null` where there is nothing to tell of.
#[derive(Serialize, ToSchema)]
pub struct SecondsPair {
    #[schema(required)]
    current: Option<f64>,
    #[schema(required)]
    previous: Option<f64>,
    /// By how much it has changed, as a part of what it was.
    #[schema(required)]
    change: Option<f64>,
}

/// Unresolved tickets of an age.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgeCounts {
    from_days: u16,
    /// The first age that is not meant any more; `null` if there is none.
    #[schema(required)]
    to_days: Option<u16>,
    count: u64,
}

/// A member of staff, by the name of their token.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberCounts {
    name: String,
    /// Open and in-progress tickets that they have in hand now.
    assigned: u64,
    /// Tickets of theirs that were resolved in the period, by days of UTC.
    resolved: u64,
    /// How long those had been there.
    #[schema(required)]
    average_resolution_seconds: Option<f64>,
}

impl Counts {
    fn new(snapshot: &Snapshot, calendar: &Calendar, sums: Sums) -> Self {
        let statistics = &*snapshot.statistics;
        Self {
            total: statistics.total(),
            open: status(statistics, Status::Open),
            by_status: Words::of(Status::ALL, Status::as_str, &statistics.by_status),
            by_priority: Words::of(Priority::ALL, Priority::as_str, &statistics.by_priority),
            by_subject: Words::of(Subject::ALL, Subject::as_str, &statistics.by_subject),
            response_time: TimeCounts::from(&sums.current.response),
            resolution_time: TimeCounts::from(&sums.current.resolution),
            daily: calendar.dated(&sums.days).into_iter().map(DayCounts::from).collect(),
            trend: Trend::of(&sums.current, &sums.previous),
            backlog: by_age(statistics),
            by_member: by_member(statistics, sums.members),
            time_zone: calendar.zone().name(),
            generated_at: rfc3339(statistics.generated_at),
            source: match snapshot.source {
                Source::Cache => "cache",
                Source::Store => "store",
            },
        }
    }
}

fn status(statistics: &Statistics, status: Status) -> u64 {
    statistics.by_status.get(&status).copied().unwrap_or_default()
}

impl From<(NaiveDate, Day)> for DayCounts {
    fn from((date, Day { created, resolved }): (NaiveDate, Day)) -> Self {
        Self { date, created, resolved }
    }
}

impl From<&Times> for TimeCounts {
    fn from(times: &Times) -> Self {
        Self {
            average_seconds: times.average().map(seconds),
            p50_seconds: times.percentile(50).map(seconds),
            p90_seconds: times.percentile(90).map(seconds),
            p99_seconds: times.percentile(99).map(seconds),
            count: times.count(),
        }
    }
}

impl Trend {
    fn of(current: &Half, previous: &Half) -> Self {
        let Half { counts, response, resolution } = current;
        Self {
            created: CountPair::of(counts.created, previous.counts.created),
            resolved: CountPair::of(counts.resolved, previous.counts.resolved),
            average_response_seconds: SecondsPair::of(response, &previous.response),
            average_resolution_seconds: SecondsPair::of(resolution, &previous.resolution),
        }
    }
}

impl CountPair {
    fn of(current: u64, previous: u64) -> Self {
        // Thousandths, of whole numbers.
        let share = current.saturating_mul(1_000).checked_div(previous);
        let share = share.map(|share| u32::try_from(share).unwrap_or(u32::MAX).into());
        Self {
            current,
            previous,
            change: share.map(|share: f64| thousandths(share / 1_000.0 - 1.0)),
        }
    }
}

impl SecondsPair {
    fn of(current: &Times, previous: &Times) -> Self {
        let [current, previous] = [current, previous].map(|times| times.average().map(seconds));
        let change = current.zip(previous).filter(|(_, previous)| *previous > 0.0);
        let change = change.map(|(current, previous)| thousandths(current / previous - 1.0));
        Self { current, previous, change }
    }
}

fn by_age(statistics: &Statistics) -> Vec<AgeCounts> {
    let unresolved =
        status(statistics, Status::Open).saturating_add(status(statistics, Status::InProgress));
    let unresolved_on = |day: NaiveDate| {
        let created = statistics.daily.get(&day).map_or(0, |day| day.created);
        let settled = statistics.tallies.settled.get(&day).copied().unwrap_or_default();
        created.saturating_sub(settled)
    };
    let counts = backlog(statistics.generated_at.date_naive(), unresolved, unresolved_on);
    let ends = AGES.into_iter().skip(1).map(Some).chain([None]);
    let ages = counts.into_iter().zip(ends);
    ages.map(|((from_days, count), to_days)| AgeCounts { from_days, to_days, count }).collect()
}

fn by_member(statistics: &Statistics, done: BTreeMap<String, Done>) -> Vec<MemberCounts> {
    let mut members: BTreeMap<String, (u64, Done)> =
        done.into_iter().map(|(name, done)| (name, (0, done))).collect();
    for (name, assigned) in &statistics.tallies.assigned {
        members.entry(name.clone()).or_default().0 = *assigned;
    }
    let counts = |(name, (assigned, done)): (String, (u64, Done))| MemberCounts {
        name,
        assigned,
        resolved: done.resolved,
        average_resolution_seconds: done
            .milliseconds
            .checked_div(done.resolved)
            .map(|average| seconds(Duration::from_millis(average))),
    };
    members.into_iter().map(counts).collect()
}

/// To the millisecond.
fn seconds(duration: Duration) -> f64 {
    thousandths(duration.as_secs_f64())
}

fn thousandths(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// A count for every word, in the words' order, zero where there is none.
struct Words(Vec<(&'static str, u64)>);

impl Words {
    fn of<K: Copy + Ord>(
        all: &[K],
        word: fn(K) -> &'static str,
        counts: &BTreeMap<K, u64>,
    ) -> Self {
        let count = |key| counts.get(key).copied().unwrap_or(0);
        Self(all.iter().map(|key| (word(*key), count(key))).collect())
    }
}

impl Serialize for Words {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

#[cfg(test)]
mod tests;
