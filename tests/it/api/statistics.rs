//! The counts, on installations of their own where nobody else counts along.

use std::time::Duration;

use chrono::{DateTime, Days, TimeDelta, Utc};
use expect_test::expect;
use serde_json::{Value, json};

use super::shown::{date, is_time_of_ours};
use super::table::problem;
use super::{ADMIN_TOKEN, Api, STATISTICS, on_both_systems, patient};
use crate::bed::form::Form;
use crate::bed::servers::Servers;
use crate::bed::system::TestSystem;
use crate::bed::wait::{until, within};

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
    assert!(["cache", "store"].map(Value::from).contains(&statistics["data"]["source"]));
    statistics["data"]["source"] = Value::from("SOURCE");
    let shown = serde_json::to_string_pretty(&super::shown::masked(statistics)).unwrap();
    expect![[r#"
        {
          "data": {
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
            "source": "SOURCE",
            "total": 7
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
    // Not ignored, since the days told would be taken for others.
    problem(&ask("?timeZone=Europe/Berlin").await, 422, "invalid_query");
}
