//! What is tallied of tickets by time: when they came and were resolved, how long staff took, and who did
//! it. Days of any zone, averages and percentiles are sums over these, and nobody scans tickets for them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, DurationRound, NaiveDate, NaiveDateTime, TimeDelta, Utc};

use super::{
    Case, Name, Status,
    statistics::{Amount, difference},
};

/// Every offset from UTC that is in use is a multiple of so long, so days of any zone are sums of these.
pub const QUARTER: TimeDelta = TimeDelta::minutes(15);

/// How a quarter of an hour is written, as its beginning.
const QUARTER_FORMAT: &str = "%Y-%m-%dT%H:%MZ";

/// Parts that each doubling of a duration is divided into.
const PARTS: u64 = 10;

/// Longer ones, of some thirty thousand years, count as this long.
const MILLISECONDS_MAX: i64 = 1 << 50;

/// Durations that are taken for one: from its lower end up to at most a tenth more. The middle, which
/// stands for all of them, is off by five percent at the most.
///
/// Computed of whole numbers alone, so that every database recounts it to the bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket(u16);

impl Bucket {
    /// Where a duration belongs.
    #[must_use]
    pub fn of(milliseconds: u64) -> Self {
        let milliseconds = milliseconds.max(1);
        let octave = milliseconds.ilog2();
        let part = (milliseconds.saturating_mul(PARTS) >> octave).saturating_sub(PARTS);
        Self(u16::try_from(u64::from(octave) * PARTS + part).unwrap_or(u16::MAX))
    }

    /// What stands for all in it.
    #[must_use]
    pub fn middle(self) -> Duration {
        let (octave, part) = (u64::from(self.0) / PARTS, u64::from(self.0) % PARTS);
        let halves = 2 * (PARTS + part) + 1;
        let microseconds = (1_u128 << octave.min(62)) * u128::from(halves) * 1_000;
        let microseconds = microseconds / u128::from(2 * PARTS);
        Duration::from_micros(u64::try_from(microseconds).unwrap_or(u64::MAX))
    }
}

/// How long something took, many times: a histogram that can be added to another, and the sum.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Times {
    /// How many took so long.
    pub buckets: BTreeMap<Bucket, u64>,
    /// All together.
    pub milliseconds: u64,
}

impl Times {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.values().sum()
    }

    /// What all of them took on average, to the millisecond.
    #[must_use]
    pub fn average(&self) -> Option<Duration> {
        self.milliseconds.checked_div(self.count()).map(Duration::from_millis)
    }

    /// How long the one took that so many percent of them took no longer than, to five percent of it.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<Duration> {
        let rank = self.count().saturating_mul(percent).div_ceil(100);
        let mut passed = 0;
        let reaches = |(bucket, count): (&Bucket, &u64)| {
            passed += count;
            (passed >= rank).then(|| bucket.middle())
        };
        self.buckets.iter().find_map(reaches)
    }

    /// Adds others.
    pub fn add(&mut self, others: &Self) {
        self.milliseconds += others.milliseconds;
        for (bucket, count) in &others.buckets {
            *self.buckets.entry(*bucket).or_default() += count;
        }
    }
}

/// What a member of staff has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Done {
    /// Tickets resolved that are theirs.
    pub resolved: u64,
    /// How long those were open, all together.
    pub milliseconds: u64,
}

/// What is tallied of one UTC day.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DayTally {
    /// Tickets submitted, by the beginning of the quarter of an hour.
    pub created: BTreeMap<DateTime<Utc>, u64>,
    /// Tickets resolved, likewise.
    pub resolved: BTreeMap<DateTime<Utc>, u64>,
    /// From the submission to the first response, of those first responded to that day.
    pub response: Times,
    /// From the submission to the resolution, of those resolved that day.
    pub resolution: Times,
    /// By whose the tickets are that were resolved that day.
    pub members: BTreeMap<String, Done>,
}

/// What is tallied beside the kinds of tickets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tallies {
    /// The last days; earlier ones are read apart, for they seldom change.
    pub days: BTreeMap<NaiveDate, Arc<DayTally>>,
    /// How many of the tickets of a day are resolved or closed.
    pub settled: BTreeMap<NaiveDate, u64>,
    /// Tickets that a member has in hand.
    pub assigned: BTreeMap<String, u64>,
    /// How often a day was changed when it was over: whoever knows it as it was reads it again.
    pub revised: BTreeMap<NaiveDate, u64>,
}

impl Tallies {
    /// Sets one amount by the names it is stored under; `None` if none of ours is called that.
    pub fn set(&mut self, dimension: &str, value: &str, amount: u64) -> Option<()> {
        match dimension {
            "settled_on" => drop(self.settled.insert(value.parse().ok()?, amount)),
            "revised" => drop(self.revised.insert(value.parse().ok()?, amount)),
            "assigned" => drop(self.assigned.insert(value.to_owned(), amount)),
            _ => {
                let date = value.get(..10)?.parse().ok()?;
                let day = Arc::make_mut(self.days.entry(date).or_default());
                day.set(dimension, value, amount)?;
            }
        }
        Some(())
    }

    /// Every amount by the names it is stored under, as [`Tallies::set`] takes them.
    #[must_use]
    pub fn amounts(&self) -> Vec<(&'static str, String, u64)> {
        let mut all = Vec::new();
        for (dimension, days) in [("settled_on", &self.settled), ("revised", &self.revised)] {
            all.extend(days.iter().map(|(date, count)| (dimension, date.to_string(), *count)));
        }
        all.extend(self.assigned.iter().map(|(name, count)| ("assigned", name.clone(), *count)));
        for (date, day) in &self.days {
            day.list(*date, &mut all);
        }
        all
    }
}

impl DayTally {
    fn set(&mut self, dimension: &str, value: &str, amount: u64) -> Option<()> {
        let quarter = || NaiveDateTime::parse_from_str(value, QUARTER_FORMAT).ok();
        let bucket = || Some(Bucket(value.get(11..)?.parse().ok()?));
        let member = || Some(value.get(11..)?.to_owned());
        match dimension {
            "submitted_in" => drop(self.created.insert(quarter()?.and_utc(), amount)),
            "resolved_in" => drop(self.resolved.insert(quarter()?.and_utc(), amount)),
            "response_time" => drop(self.response.buckets.insert(bucket()?, amount)),
            "response_ms" => self.response.milliseconds = amount,
            "resolution_time" => drop(self.resolution.buckets.insert(bucket()?, amount)),
            "resolution_ms" => self.resolution.milliseconds = amount,
            "resolved_by" => self.members.entry(member()?).or_default().resolved = amount,
            "resolution_ms_by" => self.members.entry(member()?).or_default().milliseconds = amount,
            _ => return None,
        }
        Some(())
    }

    fn list(&self, date: NaiveDate, all: &mut Vec<(&'static str, String, u64)>) {
        for (dimension, quarters) in
            [("submitted_in", &self.created), ("resolved_in", &self.resolved)]
        {
            all.extend(quarters.iter().map(|(at, count)| (dimension, quarter(*at), *count)));
        }
        for (time, sum, times) in [
            ("response_time", "response_ms", &self.response),
            ("resolution_time", "resolution_ms", &self.resolution),
        ] {
            let placed =
                |(bucket, count): (&Bucket, &u64)| (time, in_bucket(date, *bucket), *count);
            all.extend(times.buckets.iter().map(placed));
            all.extend(
                (times.milliseconds > 0).then(|| (sum, date.to_string(), times.milliseconds)),
            );
        }
        for (name, done) in &self.members {
            all.push(("resolved_by", format!("{date}/{name}"), done.resolved));
            all.push(("resolution_ms_by", format!("{date}/{name}"), done.milliseconds));
        }
    }
}

/// What a change of a ticket changes in the tallies: dimension, value, and how much more or less.
#[must_use]
pub fn retallied(before: &Case, after: &Case) -> Vec<(&'static str, String, i64)> {
    let changes = difference(&tallied(before), &tallied(after));
    let today = after.ticket.updated_at.date_naive().to_string();
    let is_of_a_day_over = |(dimension, value): &&(&str, String)| {
        !["settled_on", "assigned"].contains(dimension) && !value.starts_with(&today)
    };
    let over = changes.keys().filter(is_of_a_day_over);
    let revised = over.filter_map(|(_, value)| Some(("revised", value.get(..10)?.to_owned())));
    let revised: BTreeMap<_, i64> = revised.map(|day| (day, 1)).collect();
    let changes = changes.into_iter().chain(revised);
    changes.map(|((dimension, value), change)| (dimension, value, change)).collect()
}

/// What a ticket counts for, its submission apart, which stays as it is.
fn tallied(Case { ticket, work }: &Case) -> Vec<Amount> {
    let mut all = Vec::new();
    let assignee = work.assignee.as_ref().map(Name::as_str);
    if matches!(ticket.status, Status::Resolved | Status::Closed) {
        all.push(("settled_on", ticket.submitted_at.date_naive().to_string(), 1));
    } else {
        all.extend(assignee.map(|name| ("assigned", name.to_owned(), 1)));
    }
    if let Some(at) = work.first_response_at {
        let (day, took) = (at.date_naive(), took(ticket.submitted_at, at));
        all.push(("response_time", in_bucket(day, Bucket::of(took.unsigned_abs())), 1));
        all.push(("response_ms", day.to_string(), took));
    }
    if let Some(at) = ticket.resolved_at {
        let (day, took) = (at.date_naive(), took(ticket.submitted_at, at));
        all.push(("resolved_in", quarter(at), 1));
        all.push(("resolution_time", in_bucket(day, Bucket::of(took.unsigned_abs())), 1));
        all.push(("resolution_ms", day.to_string(), took));
        if let Some(name) = assignee {
            all.push(("resolved_by", format!("{day}/{name}"), 1));
            all.push(("resolution_ms_by", format!("{day}/{name}"), took));
        }
    }
    all
}

/// In milliseconds. What is over before it began, by clocks that disagree, took one.
fn took(since: DateTime<Utc>, until: DateTime<Utc>) -> i64 {
    (until - since).num_milliseconds().clamp(1, MILLISECONDS_MAX)
}

/// The quarter of an hour that a time belongs to.
fn quarter(at: DateTime<Utc>) -> String {
    at.duration_trunc(QUARTER).unwrap_or(at).format(QUARTER_FORMAT).to_string()
}

fn in_bucket(day: NaiveDate, Bucket(index): Bucket) -> String {
    format!("{day}/{index:03}")
}

#[cfg(test)]
mod tests;
