use common::domain::Tallies;
use serde_json::json;
use tokio::time::advance;

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
        tallies: tallies(),
        generated_at: chrono::DateTime::UNIX_EPOCH,
    }
}

/// Of the days before the last three nothing is known by the counts: the store is asked.
fn tallies() -> Tallies {
    let mut tallies = Tallies::default();
    for (dimension, value, amount) in [
        ("submitted_in", "2026-11-22T00:00Z", 1),
        ("submitted_in", "2026-11-22T10:15Z", 1),
        ("submitted_in", "2026-11-20T18:15Z", 2),
        ("submitted_in", "2026-11-20T18:30Z", 3),
        ("resolved_in", "2026-11-22T09:45Z", 1),
        ("response_time", "2026-11-22/160", 1),
        ("response_ms", "2026-11-22", 66_000),
        ("resolution_time", "2026-11-22/160", 1),
        ("resolution_ms", "2026-11-22", 66_000),
        ("resolved_by", "2026-11-22/Ada", 1),
        ("resolution_ms_by", "2026-11-22/Ada", 66_000),
        ("assigned", "Grace", 2),
        ("settled_on", "2026-11-20", 3),
    ] {
        tallies.set(dimension, value, amount).unwrap();
    }
    tallies
}

fn days_before_those() -> Tallies {
    let mut tallies = Tallies::default();
    for (dimension, value, amount) in [
        ("submitted_in", "2026-11-19T10:00Z", 4),
        ("submitted_in", "2026-11-17T10:00Z", 7),
        ("resolved_in", "2026-11-19T10:00Z", 4),
        ("response_time", "2026-11-18/170", 2),
        ("response_ms", "2026-11-18", 264_000),
        ("response_time", "2026-11-16/170", 9),
    ] {
        tallies.set(dimension, value, amount).unwrap();
    }
    tallies
}

fn known(stage: &Stage) {
    *stage.store.statistics.lock().unwrap() = Some(statistics());
    *stage.store.days.lock().unwrap() = days_before_those().days;
}

#[tokio::test(start_paused = true)]
async fn every_word_and_every_day_has_its_count() {
    let stage = Stage::new();
    known(&stage);
    let heard = ask(&stage, "?days=3").await;
    assert_eq!(heard.status, 200);
    let expected = json!({
        "total": 7, "open": 3,
        "byStatus": {"open": 3, "in-progress": 0, "resolved": 0, "closed": 4},
        "byPriority": {"high": 7, "medium": 0, "low": 0},
        "bySubject": {"technical": 7, "billing": 0, "feature": 0, "account": 0, "general": 0},
        "responseTime": {
            "averageSeconds": 66.0, "p50Seconds": 68.813, "p90Seconds": 68.813,
            "p99Seconds": 68.813, "count": 1,
        },
        "resolutionTime": {
            "averageSeconds": 66.0, "p50Seconds": 68.813, "p90Seconds": 68.813,
            "p99Seconds": 68.813, "count": 1,
        },
        "daily": [
            {"date": "2026-11-20", "created": 5, "resolved": 0},
            {"date": "2026-11-21", "created": 0, "resolved": 0},
            {"date": "2026-11-22", "created": 2, "resolved": 1},
        ],
        "trend": {
            "created": {"current": 7, "previous": 11, "change": -0.364},
            "resolved": {"current": 1, "previous": 4, "change": -0.75},
            "averageResponseSeconds": {"current": 66.0, "previous": 132.0, "change": -0.5},
            "averageResolutionSeconds": {"current": 66.0, "previous": null, "change": null},
        },
        "backlog": [
            {"fromDays": 0, "toDays": 1, "count": 2},
            {"fromDays": 1, "toDays": 3, "count": 2},
            {"fromDays": 3, "toDays": 7, "count": 0},
            {"fromDays": 7, "toDays": 30, "count": 0},
            {"fromDays": 30, "toDays": null, "count": 0},
        ],
        "byMember": [
            {"name": "Ada", "assigned": 0, "resolved": 1, "averageResolutionSeconds": 66.0},
            {"name": "Grace", "assigned": 2, "resolved": 0, "averageResolutionSeconds": null},
        ],
        "timeZone": "UTC",
        "generatedAt": "2026-11-22T10:30:00.000Z",
        "source": "store",
    });
    assert_eq!(heard.json["data"], expected);
}

#[tokio::test(start_paused = true)]
async fn thirty_days_are_shown_unless_another_number_is_asked_for() {
    let stage = Stage::new();
    known(&stage);
    for (query, days) in [("", 30), ("?days=1", 1), ("?x=1&days=366&y", 366), ("?x", 30)] {
        let heard = ask(&stage, query).await;
        assert_eq!(heard.json["data"]["daily"].as_array().unwrap().len(), days, "{query}");
    }
    for query in ["0", "367", "-1", "%2B1", "+1", "1.0", "", "x", "99999999"] {
        let heard = ask(&stage, &format!("?days={query}")).await;
        assert_eq!(heard.code(), (422, "invalid_query"), "{query}");
        assert_eq!(heard.violations(), ["/days out_of_range"], "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn days_are_those_of_the_zone_that_is_asked_for() {
    let stage = Stage::new();
    known(&stage);
    for (query, zone, expected) in [
        // There it is the 23rd.
        ("Pacific%2FKiritimati", "Pacific/Kiritimati", [4, 5, 1, 1]),
        ("Asia/Kolkata", "Asia/Kolkata", [4, 2, 3, 2]),
        ("America/New_York", "America/New_York", [4, 5, 1, 1]),
        ("Etc/GMT%2B5", "Etc/GMT+5", [4, 5, 1, 1]),
        ("Etc/GMT+5", "Etc/GMT+5", [4, 5, 1, 1]),
    ] {
        let heard = ask(&stage, &format!("?days=4&timeZone={query}")).await;
        let data = &heard.json["data"];
        assert_eq!(data["timeZone"], zone);
        let daily = data["daily"].as_array().unwrap();
        let created: Vec<_> = daily.iter().map(|day| day["created"].as_u64().unwrap()).collect();
        assert_eq!(created, expected, "{zone}: {daily:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_time_zone_is_refused_rather_than_ignored() {
    let stage = Stage::new();
    for query in ["Europe/Atlantis", "", "%2B01:00", "utc", "%ff"] {
        let heard = ask(&stage, &format!("?days=1&timeZone={query}")).await;
        assert_eq!(heard.violations(), ["/timeZone invalid_time_zone"], "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_query_is_told_all_at_once() {
    let stage = Stage::new();
    let heard = ask(&stage, "?timeZone=x&days=0&x=1").await;
    assert_eq!(heard.violations(), ["/days out_of_range", "/timeZone invalid_time_zone"]);
    let heard = ask(&stage, "?days=1&days=1&timeZone=UTC&timeZone=UTC").await;
    assert_eq!(heard.violations(), ["/days duplicate_field", "/timeZone duplicate_field"]);
    assert_eq!(stage.store.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn days_that_are_over_are_read_once_and_again_when_they_are_changed() {
    let stage = Stage::new();
    known(&stage);
    let mut expected = 0;
    // Two years are read month by month; then all is known but the counts.
    for (query, reads) in [("?days=366", 23), ("?days=366", 0), ("?days=30&timeZone=Asia/Tokyo", 0)]
    {
        ask(&stage, query).await;
        expected += reads + 1;
        assert_eq!(stage.store.asked(), expected, "{query}");
        advance(Duration::from_secs(1)).await;
    }
    let mut changed = statistics();
    changed.tallies.set("revised", "2026-11-19", 1).unwrap();
    changed.tallies.set("revised", "2026-11-05", 2).unwrap();
    *stage.store.statistics.lock().unwrap() = Some(changed);
    ask(&stage, "?days=366").await;
    assert_eq!(stage.store.asked(), expected + 1 + 2);
}

/// Between two looks at the counts it may become another day.
#[tokio::test(start_paused = true)]
async fn who_asks_the_same_of_the_same_counts_is_told_the_same_until_midnight() {
    let stage = Stage::new();
    known(&stage);
    let last_of_the_day = Duration::from_mins(13 * 60 + 30) - Duration::from_millis(100);
    advance(last_of_the_day).await;
    let mut counts = statistics();
    counts.generated_at = stage.edge.clock.now();
    *stage.store.statistics.lock().unwrap() = Some(counts);
    let first = ask(&stage, "?days=1").await;
    let again = ask(&stage, "?days=1").await;
    assert_eq!(first.json["data"], again.json["data"]);
    let asked = Asked { days: 1, zone: Zone::UTC };
    let snapshot = stage.edge.snapshots.latest().await.unwrap();
    let question = Question::new(asked, stage.edge.clock.now());
    let kept = stage.edge.answers.find(&snapshot.statistics, question).expect("it is kept");
    assert_eq!(serde_json::from_str::<serde_json::Value>(kept.get()).unwrap(), first.json["data"]);
    advance(Duration::from_millis(150)).await;
    let next_day = ask(&stage, "?days=1").await;
    assert_eq!(next_day.json["data"]["generatedAt"], first.json["data"]["generatedAt"]);
    let dates = [&first, &next_day].map(|it| it.json["data"]["daily"][0]["date"].clone());
    assert_eq!(dates, ["2026-11-22", "2026-11-23"]);
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
