//! The counts, on installations of their own where nobody else counts along.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Days, TimeDelta, Utc};
use common::clock::{Clock, SystemClock};
use common::domain::{Change, Status};
use expect_test::expect;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::shown::{date, is_time_of_ours};
use super::table::problem;
use super::{ADMIN_TOKEN, Api, STATISTICS, on_both_systems, patient};
use crate::bed::form::Form;
use crate::bed::servers::Servers;
use crate::bed::system::TestSystem;
use crate::bed::wait::{until, within};
use crate::conformance::installation::{Installation, done, tickets};
use crate::flow::stored;

on_both_systems! {
    days_are_counted_as_asked_for,
}

#[tokio::test]
async fn statistics_count_what_was_submitted_embedded() {
    count(&patient(TestSystem::embedded()).await).await;
}

#[tokio::test]
async fn statistics_count_what_was_submitted_distributed() {
    let backing = Servers::shared().await.backing().await;
    count(&patient(TestSystem::distributed(backing)).await).await;
}

async fn count(system: &TestSystem) {
    assert_eq!(system.statistics().await["total"], 0);
    let subjects =
        ["technical", "technical", "technical", "billing", "billing", "account", "general"];
    for subject in subjects {
        assert_eq!(system.submit(&Form::valid().subject(subject)).await.status, 201);
    }
    system.submit(&Form::valid().email("refused")).await;
    system.settled(7).await;
    until(Duration::from_secs(10), "the cache tells the counts", async || {
        system.statistics().await["source"] == "cache"
    })
    .await;

    let answer = system.client().get(STATISTICS).bearer(ADMIN_TOKEN).send().await;
    let mut statistics = answer.json();
    let daily = statistics["data"]["daily"].take();
    nothing_was_done(&mut statistics["data"]);
    assert!(["cache", "store"].map(Value::from).contains(&statistics["data"]["source"]));
    statistics["data"]["source"] = Value::from("SOURCE");
    let shown = serde_json::to_string_pretty(&super::shown::masked(statistics)).unwrap();
    expect![[r#"
        {
          "data": {
            "backlog": null,
            "byMember": [],
            "byPriority": {
              "high": 3,
              "low": 1,
              "medium": 3
            },
            "byStatus": {
              "closed": 0,
              "in-progress": 0,
              "open": 7,
              "resolved": 0
            },
            "bySubject": {
              "account": 1,
              "billing": 2,
              "feature": 0,
              "general": 1,
              "technical": 3
            },
            "daily": null,
            "generatedAt": "TIME",
            "open": 7,
            "resolutionTime": null,
            "responseTime": null,
            "source": "SOURCE",
            "timeZone": "UTC",
            "total": 7,
            "trend": null
          },
          "message": "Support ticket statistics",
          "success": true,
          "timestamp": "TIME"
        }"#]]
    .assert_eq(&shown);

    let days = daily.as_array().unwrap();
    let sum = |field: &str| days.iter().map(|day| day[field].as_u64().unwrap()).sum::<u64>();
    assert_eq!((days.len(), sum("created"), sum("resolved")), (30, 7, 0));
    // All of it today, unless midnight has passed since.
    assert!(days[..28].iter().all(|day| day["created"] == 0));
    let audit = system.verify().await;
    assert!(audit.status.success(), "{audit:?}");
}

/// Takes out what staff have done, which is nothing.
fn nothing_was_done(data: &mut Value) {
    let never = json!({
        "averageSeconds": null, "p50Seconds": null, "p90Seconds": null, "p99Seconds": null, "count": 0,
    });
    assert_eq!(
        (data["responseTime"].take(), data["resolutionTime"].take()),
        (never.clone(), never)
    );
    let trend = json!({
        "created": {"current": 7, "previous": 0, "change": null},
        "resolved": {"current": 0, "previous": 0, "change": null},
        "averageResponseSeconds": {"current": null, "previous": null, "change": null},
        "averageResolutionSeconds": {"current": null, "previous": null, "change": null},
    });
    assert_eq!(data["trend"].take(), trend);
    // All of them today, unless midnight has passed since.
    let backlog = data["backlog"].take();
    let ages = backlog.as_array().unwrap().iter().map(|age| age["count"].as_u64().unwrap());
    assert_eq!((ages.clone().take(2).sum::<u64>(), ages.sum::<u64>()), (7, 7));
}

#[tokio::test]
async fn an_answer_counts_what_a_second_before_it_was_a_ticket_embedded() {
    keep_counting(&patient(TestSystem::embedded()).await).await;
}

#[tokio::test]
async fn an_answer_counts_what_a_second_before_it_was_a_ticket_distributed() {
    let backing = Servers::shared().await.backing().await;
    keep_counting(&patient(TestSystem::distributed(backing)).await).await;
}

/// Submits and asks in turns, for as long as it takes to get fresh and cached answers alike.
async fn keep_counting(system: &TestSystem) {
    /// How far behind an answer may be, and half as much for its way.
    const BEHIND_MAX: Duration = Duration::from_millis(1_500);
    let behind_max = TimeDelta::from_std(within(BEHIND_MAX)).unwrap();
    let time = |text: &Value| text.as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    let mut created = Vec::new();
    for _ in 0..100 {
        let ticket = system.submit(&Form::valid()).await;
        assert_eq!(ticket.status, 201);
        created.push(time(&ticket.json()["timestamp"]));
        let told = system.client().get(STATISTICS).bearer(ADMIN_TOKEN).send().await.json();
        let counts_as_of = time(&told["data"]["generatedAt"]);
        assert!(time(&told["timestamp"]) - counts_as_of < behind_max, "{told}");
        let at_least = created.iter().filter(|created| **created < counts_as_of).count() as u64;
        assert!(told["data"]["total"].as_u64().unwrap() >= at_least, "{at_least}: {told}");
    }
}

async fn days_are_counted_as_asked_for(api: Api) {
    let ask = async |query: &str| {
        let path = format!("{STATISTICS}{query}");
        api.client.get(&path).bearer(ADMIN_TOKEN).send().await
    };
    for (query, count) in [
        ("", 30),
        ("?", 30),
        ("?days=1", 1),
        ("?days=30", 30),
        ("?days=366", 366),
        ("?days=007", 7),
        ("?unknown=1&days=2", 2),
    ] {
        let answer = ask(query).await.json();
        let today = date(&json!(answer["timestamp"].as_str().unwrap()[..10]));
        assert!(is_time_of_ours(answer["data"]["generatedAt"].as_str().unwrap()));
        let daily = answer["data"]["daily"].as_array().unwrap();
        assert_eq!(daily.len(), count, "{query}");
        for (days_ago, day) in daily.iter().rev().enumerate() {
            let expected = today - Days::new(days_ago as u64);
            assert_eq!(date(&day["date"]), expected, "{query}: oldest first, none left out");
            let keys: Vec<_> = day.as_object().unwrap().keys().collect();
            assert_eq!(keys, ["created", "date", "resolved"]);
        }
    }
    for days in
        ["0", "367", "-1", "%2B1", "1.0", "1e2", "", "x", "1&days=1", "99999999999999999999"]
    {
        problem(&ask(&format!("?days={days}")).await, 422, "invalid_query");
    }
    for zone in ["Europe/Berlin", "Asia%2FKathmandu", "Etc/GMT%2B12", "UTC"] {
        let answer = ask(&format!("?days=2&timeZone={zone}")).await.json();
        assert_eq!(answer["data"]["timeZone"], zone.replace("%2F", "/").replace("%2B", "+"));
    }
    for zone in ["Europe/Atlantis", "%2B01:00", "", "UTC&timeZone=UTC"] {
        problem(&ask(&format!("?timeZone={zone}")).await, 422, "invalid_query");
    }
}

/// Zones of half hours and quarters, and such as change their clocks by an hour and by half of one.
const ZONES: [&str; 4] =
    ["Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "America/New_York"];

/// Tickets of more than a year, on either side of every midnight: whatever the time of year, there are days
/// of 23, 23½, 24½ and 25 hours among them. The program's answer is held against Postgres's own calendar.
#[tokio::test]
async fn days_of_any_zone_equal_a_recount_also_when_clocks_change() {
    let backing = Servers::shared().await.backing().await;
    let it = Installation::on(backing.clone());
    it.backend.migrate().await.unwrap();
    insert_a_ticket_every_eleven_minutes(&it).await;
    resolve_one_every_three_days(&it).await;
    let system = TestSystem::distributed(backing.clone()).await;
    let mut connection = stored::connect(&backing.database_url).await;
    let mut lengths = BTreeSet::new();
    for zone in ZONES {
        let path = format!("{STATISTICS}?days=366&timeZone={zone}");
        let answer = system.client().get(&path).bearer(ADMIN_TOKEN).send().await.json();
        let daily = answer["data"]["daily"].as_array().unwrap();
        let first = daily[0]["date"].as_str().unwrap();
        for (field, column) in [("created", "submitted_at"), ("resolved", "resolved_at")] {
            let recounted = recount(&mut connection, column, zone, first).await;
            let told = daily.iter().filter(|day| day[field] != 0).map(|day| {
                (day["date"].as_str().unwrap().to_owned(), day[field].as_i64().unwrap())
            });
            assert_eq!(told.collect::<Vec<_>>(), recounted, "{zone}: {field}");
        }
        lengths.extend(daily[1..365].iter().map(|day| day["created"].as_u64().unwrap()));
    }
    // Of 24 hours there are 130 to 132, of 23 at most 127, of 25 at least 136.
    assert!(lengths.first() <= Some(&127) && lengths.last() >= Some(&136), "{lengths:?}");
}

async fn insert_a_ticket_every_eleven_minutes(it: &Installation) {
    it.tamper(
        "INSERT INTO tickets (id, number, name, email, subject, message, status, priority, \
         client_timestamp, submitted_at, updated_at, fingerprint, request_id, traceparent) \
         SELECT md5(n::text)::uuid, 'SUP-2026-' || (100000 + n), 'A', 'a@b.io', 'general', '?', 'open', \
         'low', '', now() - n * interval '11 minutes', now(), sha256(n::text::bytea), '', '' \
         FROM generate_series(1, 49000) AS n",
    )
    .await;
}

async fn resolve_one_every_three_days(it: &Installation) {
    let ports = it.backend.desk().await;
    let mut batch = tickets(0..120);
    for (ticket, age) in batch.iter_mut().zip(1..) {
        let age = TimeDelta::hours(73) * age + TimeDelta::minutes(7) * age;
        ticket.submission.submitted_at = SystemClock.now() - age;
    }
    it.backend.worker().await.tickets.insert(&batch).await.unwrap();
    for ticket in &batch {
        let at = ticket.submission.submitted_at + TimeDelta::hours(1);
        for status in [Status::InProgress, Status::Resolved] {
            let change = Change { status: Some(status), ..Change::default() };
            done(&*ports.cases, ticket, at, &change).await;
        }
    }
}

/// Tickets by day of a zone, as Postgres has it.
async fn recount(
    connection: &mut PgConnection,
    column: &str,
    zone: &str,
    first: &str,
) -> Vec<(String, i64)> {
    let query = sqlx::query_as(
        "SELECT day::text, count(*) FROM (SELECT (CASE $3 WHEN 'submitted_at' THEN submitted_at \
         ELSE resolved_at END AT TIME ZONE $1)::date AS day FROM tickets) AS dated \
         WHERE day >= $2::text::date GROUP BY day ORDER BY day",
    );
    let query = query.bind(zone).bind(first).bind(column);
    query.fetch_all(connection).await.unwrap()
}
