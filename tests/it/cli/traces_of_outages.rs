//! Which request met it first that something is away, and which that it is back: the lines that tell
//! of an outage name a request, as all lines do that a request caused.

use std::time::Duration;

use serde_json::Value;

use super::running::Running;
use super::settings;
use crate::bed::client::{Answer, Asking};
use crate::bed::folder::Folder;
use crate::bed::form::Form;
use crate::bed::link::Mode;
use crate::bed::servers::Servers;
use crate::bed::system::{ADMIN_TOKEN, TICKETS, UNLIMITED};
use crate::bed::wait::until;

const NUMBER_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const EVENTS: &str = "/api/support/events";
const STATISTICS: &str = "/api/support/stats";
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const RECOVERY: Duration = Duration::from_secs(30);

/// Lines that no request causes: what the monitor of health and the ledger's keeper find.
const OF_NOBODY: [&str; 5] = ["broker", "store", "cache", "workers", "the ledger"];

/// What is asked for, and how the requests end that ask for it. On a busy machine one that is asked for
/// while all is well may find that something takes too long.
const ASKERS: [(&str, &[&str]); 6] = [
    ("ticket look-up", &["-look-up", "first", "wait"]),
    ("token look-up", &["-token"]),
    ("statistics", &["-stats", "-cache"]),
    ("statistics cache", &["-stats", "-cache"]),
    ("look-up of what is sent again", &["-repeat", "-publish"]),
    ("publishing", &["-repeat", "-publish"]),
];

async fn send(asking: Asking, request_id: &str) -> Answer {
    let parent = format!("00-{TRACE_ID}-00f067aa0ba902b7-01");
    asking.header("x-request-id", request_id).header("traceparent", &parent).send().await
}

async fn look_up(edge: &Running, request_id: &str) -> Answer {
    send(edge.client().get(&format!("{TICKETS}/SUP-2026-123456")), request_id).await
}

async fn ask(edge: &Running, path: &str, token: &str, request_id: &str) -> Answer {
    send(edge.client().get(path).bearer(token), request_id).await
}

async fn post(edge: &Running, key: &str, request_id: &str) -> Answer {
    let post = edge.client().post(TICKETS).header("idempotency-key", key);
    send(post.header("prefer", "respond-async").json(&Form::valid()), request_id).await
}

/// Asks for everything that the database tells.
async fn ask_the_store(edge: &Running, prefix: &str, status: u16) {
    let token = format!("slt_{}", "0".repeat(64));
    let unauthorized = if status == 503 { 503 } else { 401 };
    let found = if status == 503 { 503 } else { 404 };
    let id = |what: &str| format!("{prefix}-{what}");
    let look_up_id = id("look-up");
    until(RECOVERY, &look_up_id, async || look_up(edge, &look_up_id).await.status == found).await;
    // Statistics are told from a copy for a moment, and connections are not all back at once.
    for (path, token, expected, id) in [
        (EVENTS, ADMIN_TOKEN, status, id("events")),
        (STATISTICS, token.as_str(), unauthorized, id("token")),
        (STATISTICS, ADMIN_TOKEN, status, id("stats")),
    ] {
        until(RECOVERY, &id, async || ask(edge, path, token, &id).await.status == expected).await;
    }
    assert_eq!(post(edge, &id("key"), &id("repeat")).await.status, 202, "whatever it says");
}

/// All lines of the log.
fn lines(edge: &Running) -> Vec<Value> {
    let log = edge.log();
    let lines = log.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The requests that the lines name which say this of something.
fn named(lines: &[Value], what: &str, message: &str) -> Vec<String> {
    let of_it = lines.iter().filter(|line| line["what"] == what && line["message"] == message);
    of_it.map(|line| line["request_id"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tells_of_an_outage_names_the_request_that_met_it() {
    let folder = Folder::new("traces");
    let backing = Servers::shared().await.backing().await;
    let (linked, links) = backing.over_links().await;
    let mut told = settings(&UNLIMITED);
    told.extend(settings(&[
        ("DATABASE_URL", &linked.database_url),
        ("AMQP_URL", &linked.amqp_url),
        ("REDIS_URL", &linked.redis_url),
        ("SUPPORT_NUMBER_KEY", NUMBER_KEY),
        ("SUPPORT_ADMIN_TOKEN", ADMIN_TOKEN),
        ("SUPPORT_LOG_FORMAT", "json"),
    ]));
    let edge = Running::start("ingest", folder.path(), &told).await;
    until(RECOVERY, "the store is prepared", async || look_up(&edge, "first").await.status == 404)
        .await;
    ask_the_store(&edge, "well", 200).await;

    links.postgres.set(Mode::Cut);
    ask_the_store(&edge, "away", 503).await;
    links.postgres.set(Mode::Pass);
    until(RECOVERY, "the store is back", async || look_up(&edge, "wait").await.status == 404).await;
    ask_the_store(&edge, "back", 200).await;

    links.redis.set(Mode::Cut);
    until(RECOVERY, "the cache is missed", async || {
        ask(&edge, STATISTICS, ADMIN_TOKEN, "away-cache").await;
        !named(&lines(&edge), "statistics cache", "fails").is_empty()
    })
    .await;
    links.rabbitmq.set(Mode::Blackhole);
    assert_eq!(post(&edge, "unconfirmed", "away-publish").await.status, 503);
    links.rabbitmq.set(Mode::Pass);

    // Its envelope is given up by itself, perhaps a moment later.
    until(RECOVERY, "the publish is missed", async || {
        !named(&lines(&edge), "publishing", "fails").is_empty()
    })
    .await;
    let log = lines(&edge);
    for (what, askers) in ASKERS {
        let fails = named(&log, what, "fails");
        assert!(!fails.is_empty(), "{what}: {}", edge.log());
        for request in fails.into_iter().chain(named(&log, what, "works")) {
            let is_one = askers.iter().any(|asker| request.ends_with(asker));
            assert!(is_one, "{what}: {request:?}: {}", edge.log());
        }
    }
    assert!(named(&log, "token look-up", "works").contains(&"back-token".to_owned()));
    every_line_of_a_request_names_it(&log);
}

fn every_line_of_a_request_names_it(lines: &[Value]) {
    let is_of_one = |line: &&Value| {
        let what = line["what"].as_str();
        what.is_some_and(|what| !OF_NOBODY.contains(&what))
            || ["not served", "events cannot be read"].iter().any(|it| line["message"] == **it)
    };
    let mut count = 0;
    for line in lines.iter().filter(is_of_one) {
        count += 1;
        let (id, parent) = (line["request_id"].as_str(), line["traceparent"].as_str());
        assert!(id.is_some() && parent.is_some(), "{line}");
        let is_ours = id.is_some_and(|id| id.starts_with("away-") || id.starts_with("back-"));
        assert!(!is_ours || parent.is_some_and(|parent| parent.contains(TRACE_ID)), "{line}");
    }
    assert!(count >= 14, "{count} lines");
}
