//! What lies in Redis while releases change.

use std::time::Duration;

use common::domain::{Day, Priority, Statistics, Status, Subject};
use common::ports::claims::{ClaimName, Claimed};
use uuid::Uuid;

use crate::bed::servers::Servers;
use crate::conformance::installation::Installation;

/// As it was before there were tallies.
const WITHOUT_TALLIES: &str = include_str!("redis-statistics.json");
const SNAPSHOT: &str = include_str!("redis-statistics-tallies.json");

fn statistics() -> Statistics {
    let mut statistics = Statistics::as_of("2026-11-22T10:30:00.123Z".parse().unwrap());
    statistics.by_status.insert(Status::Open, 3);
    statistics.by_priority.insert(Priority::High, 3);
    statistics.by_subject.insert(Subject::Technical, 3);
    let day = "2026-11-22".parse().unwrap();
    statistics.daily.insert(day, Day { created: 3, resolved: 0 });
    for (dimension, value, amount) in [
        ("assigned", "Ada", 1),
        ("settled_on", "2026-11-21", 2),
        ("revised", "2026-11-01", 1),
        ("submitted_in", "2026-11-22T10:15Z", 3),
        ("resolved_in", "2026-11-22T10:15Z", 1),
        ("response_time", "2026-11-22/168", 1),
        ("response_ms", "2026-11-22", 120_000),
        ("resolution_time", "2026-11-22/168", 1),
        ("resolution_ms", "2026-11-22", 120_000),
        ("resolved_by", "2026-11-22/Ada", 1),
        ("resolution_ms_by", "2026-11-22/Ada", 120_000),
    ] {
        statistics.set(dimension, value, amount).unwrap();
    }
    statistics
}

#[tokio::test]
async fn a_snapshot_of_the_statistics_is_written_as_ever_and_read_with_what_was_added() {
    let servers = Servers::shared().await;
    let backing = servers.backing().await;
    let ask = async |question: &str| servers.redis.ask(backing.redis_database, question).await;
    let cache = Installation::on(backing.clone()).backend.edge().await.cache;
    cache.put(&statistics()).await.unwrap();
    let written = ask("GET supportline:statistics").await;
    assert_eq!(written.split_once("\r\n").unwrap().1, SNAPSHOT);
    let with_more = SNAPSHOT.replacen('{', r#"{"mood":{"good":1},"#, 1);
    for text in [SNAPSHOT, &with_more] {
        assert_eq!(ask(&format!("SET supportline:statistics '{text}'")).await, "+OK");
        assert_eq!(cache.get().await.unwrap(), Some(statistics()));
    }
    // What it would misread, or what lacks something, is none, and the store is asked.
    let foreign =
        [("technical", "mood"), ("settled_on", "mood")].map(|(a, b)| SNAPSHOT.replacen(a, b, 1));
    for text in foreign.iter().map(String::as_str).chain([WITHOUT_TALLIES]) {
        ask(&format!("SET supportline:statistics '{text}'")).await;
        assert_eq!(cache.get().await.unwrap(), None);
    }
    // Whoever reads only what there was before, reads what there was.
    let before = WITHOUT_TALLIES.strip_suffix('}').unwrap();
    assert!(SNAPSHOT.starts_with(before), "{SNAPSHOT}");
}

#[tokio::test]
async fn claims_are_read_however_certain_they_are() {
    const ID: &str = "019aab3c-5d6e-7f80-9182-a3b4c5d6e7f8";
    let servers = Servers::shared().await;
    let backing = servers.backing().await;
    let claims = Installation::on(backing.clone()).backend.edge().await.claims;
    let id = ID.parse::<Uuid>().unwrap().into();
    let marks = [
        ("", Claimed::Taken(id)),
        (" shared", Claimed::Taken(id)),
        (" accepted", Claimed::Accepted(id)),
        // A release to come may be more certain still.
        (" mood", Claimed::Taken(id)),
    ];
    for ((mark, claimed), number) in marks.into_iter().zip(0_u128..) {
        let set = format!("SET supportline:claim:{number:032x} '{ID}{mark}' PX 60000");
        assert_eq!(servers.redis.ask(backing.redis_database, &set).await, "+OK");
        let name = ClaimName(number.to_be_bytes());
        let other = Uuid::from_u128(7).into();
        let told = claims.claim(name, other, Duration::from_mins(1)).await;
        assert_eq!(told, claimed, "{mark}");
    }
}
