//! `GET /api/support/stats`: the counts, for staff of any role.

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::State, http::request::Parts, response::Response};
use chrono::{Days, NaiveDate};
use common::domain::{DAYS_MAX, Day, Priority, Role, Statistics, Status, Subject};
use serde::{Serialize, Serializer};
use utoipa::{ToSchema, openapi::Object};

use crate::{
    answer::{enveloped, rfc3339},
    edge::Edge,
    openapi::schemas::{self, Time},
    problem::{Problem, Success},
    query::values,
    snapshot::{Snapshot, Source},
};

pub const DAYS_DEFAULT: u16 = 30;

/// Answers with the counts; the token is looked at before anything else.
pub async fn stats(State(edge): State<Arc<Edge>>, head: Parts) -> Result<Response, Problem> {
    edge.access.authorize(&head, &[Role::Admin, Role::Agent, Role::Stats]).await?;
    let query = head.uri.query().unwrap_or_default();
    let days = days(query)?;
    refuse_time_zone(query)?;
    let snapshot = edge.snapshots.latest().await.map_err(|_| Problem::Unavailable)?;
    let now = edge.clock.now();
    let data = Counts::new(&snapshot, now.date_naive(), days);
    enveloped(Success::Found, "Support ticket statistics", &data, now)
}

/// `days`, at most once; other parameters are ignored.
fn days(query: &str) -> Result<u16, Problem> {
    let mut given = values(query, "days");
    let days = match (given.next(), given.next()) {
        (None, _) => Some(DAYS_DEFAULT),
        (Some(value), None) if value.bytes().all(|byte| byte.is_ascii_digit()) => {
            value.parse().ok().filter(|days| (1..=DAYS_MAX).contains(days))
        }
        _ => None,
    };
    days.ok_or(Problem::InvalidQuery("days must be one whole number from 1 to 366."))
}

/// Days are counted in UTC. Who asks for others must not take these for them.
fn refuse_time_zone(query: &str) -> Result<(), Problem> {
    match values(query, "timeZone").next() {
        None => Ok(()),
        Some(_) => Err(Problem::InvalidQuery("timeZone is not known; days are those of UTC.")),
    }
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
    /// The last days, oldest first, none left out.
    daily: Vec<DayCounts>,
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

/// What happened on one day, which is one of UTC.
#[derive(Serialize, ToSchema)]
pub struct DayCounts {
    #[schema(value_type = String, format = Date)]
    date: NaiveDate,
    created: u64,
    resolved: u64,
}

impl Counts {
    fn new(snapshot: &Snapshot, today: NaiveDate, days: u16) -> Self {
        let statistics = &*snapshot.statistics;
        Self {
            total: statistics.total(),
            open: statistics.by_status.get(&Status::Open).copied().unwrap_or(0),
            by_status: Words::of(Status::ALL, Status::as_str, &statistics.by_status),
            by_priority: Words::of(Priority::ALL, Priority::as_str, &statistics.by_priority),
            by_subject: Words::of(Subject::ALL, Subject::as_str, &statistics.by_subject),
            daily: daily(statistics, today, days),
            generated_at: rfc3339(statistics.generated_at),
            source: match snapshot.source {
                Source::Cache => "cache",
                Source::Store => "store",
            },
        }
    }
}

/// The last `days` days up to `today`, oldest first, none left out.
fn daily(statistics: &Statistics, today: NaiveDate, days: u16) -> Vec<DayCounts> {
    (0..days)
        .rev()
        .filter_map(|days_ago| today.checked_sub_days(Days::new(days_ago.into())))
        .map(|date| {
            let Day { created, resolved } =
                statistics.daily.get(&date).copied().unwrap_or_default();
            DayCounts { date, created, resolved }
        })
        .collect()
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
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doubles::{ADMIN_TOKEN, Heard, Mood, Stage};

    async fn ask(stage: &Stage, query: &str) -> Heard {
        let bearer = format!("Bearer {ADMIN_TOKEN}");
        let path = format!("/api/support/stats{query}");
        stage.ask("GET", &path, "", vec![("authorization", &bearer)]).await
    }

    fn statistics() -> Statistics {
        let date = |text: &str| text.parse::<NaiveDate>().unwrap();
        Statistics {
            by_status: [(Status::Open, 3), (Status::Closed, 4)].into(),
            by_priority: [(Priority::High, 7)].into(),
            by_subject: [(Subject::Technical, 7)].into(),
            daily: [
                (date("2026-11-22"), Day { created: 2, resolved: 1 }),
                (date("2026-11-20"), Day { created: 5, resolved: 0 }),
                (date("2026-10-23"), Day { created: 9, resolved: 9 }),
            ]
            .into(),
            generated_at: chrono::DateTime::UNIX_EPOCH,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_word_and_every_day_has_its_count() {
        let stage = Stage::new();
        *stage.store.statistics.lock().unwrap() = Some(statistics());
        let heard = ask(&stage, "?days=3").await;
        assert_eq!(heard.status, 200);
        let expected = json!({
            "total": 7, "open": 3,
            "byStatus": {"open": 3, "in-progress": 0, "resolved": 0, "closed": 4},
            "byPriority": {"high": 7, "medium": 0, "low": 0},
            "bySubject": {"technical": 7, "billing": 0, "feature": 0, "account": 0, "general": 0},
            "daily": [
                {"date": "2026-11-20", "created": 5, "resolved": 0},
                {"date": "2026-11-21", "created": 0, "resolved": 0},
                {"date": "2026-11-22", "created": 2, "resolved": 1},
            ],
            "generatedAt": "2026-11-22T10:30:00.000Z",
            "source": "store",
        });
        assert_eq!(heard.json["data"], expected);
    }

    #[tokio::test(start_paused = true)]
    async fn thirty_days_are_shown_unless_another_number_is_asked_for() {
        let stage = Stage::new();
        *stage.store.statistics.lock().unwrap() = Some(statistics());
        for (query, days) in [("", 30), ("?days=1", 1), ("?x=1&days=366&y", 366), ("?x", 30)] {
            let heard = ask(&stage, query).await;
            assert_eq!(heard.json["data"]["daily"].as_array().unwrap().len(), days, "{query}");
        }
        for query in ["0", "367", "-1", "%2B1", "+1", "1.0", "", "x", "1&days=1", "99999999"] {
            let heard = ask(&stage, &format!("?days={query}")).await;
            assert_eq!(heard.code(), (422, "invalid_query"), "{query}");
            assert!(heard.json.get("errors").is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_zone_is_refused_rather_than_ignored() {
        let stage = Stage::new();
        for query in ["?timeZone=Europe/Berlin", "?days=1&timeZone=UTC", "?timeZone"] {
            assert_eq!(ask(&stage, query).await.code(), (422, "invalid_query"), "{query}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_the_token_nothing_is_told_not_even_that_the_query_is_wrong() {
        let stage = Stage::new();
        let heard = stage.get("/api/support/stats?days=0").await;
        assert_eq!(heard.code(), (401, "unauthorized"));
        assert_eq!(heard.header("www-authenticate"), "Bearer");
        assert_eq!(stage.store.asked() + stage.cache.asked(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn counts_that_nobody_can_tell_are_a_503() {
        let stage = Stage::new();
        *stage.store.mood.lock().unwrap() = Mood::Failing;
        assert_eq!(ask(&stage, "").await.code(), (503, "unavailable"));
    }
}
