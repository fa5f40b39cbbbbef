//! Limits across whole installations: many edges, forged headers, and Redis gone.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use serde_json::Value;

use super::figure;
use crate::bed::client::Answer;
use crate::bed::form::Form;
use crate::bed::redis::Redis;
use crate::bed::server::Server;
use crate::bed::servers::Servers;
use crate::bed::system::{ADMIN_TOKEN, Plan, TICKETS, TestSystem};
use crate::bed::wait::{is_alone, until};

const EDGES: usize = 4;
/// Posts under way at a time.
const PARALLEL: usize = 400;

/// On a machine that is busy with itself an edge may think for a moment that Redis is away, and then
/// counts for itself, as it should. Such a try tells nothing.
const TRIES: u32 = 4;
/// For Redis to be found again, which is tried every few seconds.
const SOON: Duration = Duration::from_secs(20);
/// What the 99th percentile of look-ups may lose with Redis.
const DEARER_BY_MAX: Duration = Duration::from_millis(50);

async fn edges() -> Plan {
    let backing = Servers::shared().await.backing().await;
    TestSystem::distributed(backing).with_ingest(EDGES).with_env("SUPPORT_LIMIT_CREATE", "3/10m")
}

/// Posts as many forms over all edges, the header of each as told, and counts the answers.
async fn post(
    system: &TestSystem,
    count: u32,
    forwarded_for: impl Fn(u32) -> Option<String>,
) -> BTreeMap<u16, u32> {
    let posts = (0..count).map(|number| {
        let client = system.edge(number as usize % EDGES).client();
        let request = client.post(TICKETS).json(&Form::valid());
        match forwarded_for(number) {
            Some(address) => request.header("x-forwarded-for", &address).send(),
            None => request.send(),
        }
    });
    let mut statuses = BTreeMap::new();
    let mut answers = stream::iter(posts.collect::<Vec<_>>()).buffer_unordered(PARALLEL);
    while let Some(answer) = answers.next().await {
        if answer.status == 429 {
            assert_eq!(answer.json()["violated-policies"], serde_json::json!(["create"]));
            assert!(seconds(&answer, "retry-after") >= reset(&answer), "{answer:?}");
        }
        let status = if answer.status.is_success() { 200 } else { answer.status.as_u16() };
        *statuses.entry(status).or_default() += 1;
    }
    statuses
}

fn seconds(answer: &Answer, header: &str) -> u64 {
    answer.header(header).unwrap_or_else(|| panic!("{header}: {answer:?}")).parse().unwrap()
}

/// `t` of `RateLimit`.
fn reset(answer: &Answer) -> u64 {
    answer.header("ratelimit").unwrap().split(";t=").nth(1).unwrap().parse().unwrap()
}

/// As [`post`], by clients that Redis has counted throughout; they are named after the try and the
/// post. Also gives back which try that was.
async fn post_counted_together(
    system: &TestSystem,
    count: u32,
    client: impl Fn(u32, u32) -> String,
) -> (u32, BTreeMap<u16, u32>) {
    for round in 0..TRIES {
        until_counted_by(system, "all instances").await;
        let before = stand_ins(system).await;
        let statuses = post(system, count, |number| Some(client(round, number))).await;
        if stand_ins(system).await == before {
            return (round, statuses);
        }
    }
    panic!("Redis never counts throughout");
}

/// How often the edges have counted for themselves, all together.
async fn stand_ins(system: &TestSystem) -> u64 {
    let mut sum = 0;
    for edge in 0..EDGES {
        let metrics = system.edge(edge).client().get("/metrics").send().await;
        let decisions = metrics.text().lines().filter(|line| {
            line.starts_with("supportline_limit_decisions_total{") && line.contains("\"stand_in\"")
        });
        let counts = decisions.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap());
        sum += counts.sum::<u64>();
    }
    sum
}

async fn until_counted_by(system: &TestSystem, who: &str) {
    until(SOON, "every edge says who counts", async || {
        for edge in 0..EDGES {
            if whoami(system, edge, "192.0.2.200").await["countedBy"] != who {
                return false;
            }
        }
        true
    })
    .await;
}

async fn whoami(system: &TestSystem, edge: usize, forwarded_for: &str) -> Value {
    let request = system.edge(edge).client().get("/api/support/whoami").bearer(ADMIN_TOKEN);
    request.header("x-forwarded-for", forwarded_for).send().await.json()["data"].clone()
}

#[tokio::test]
async fn four_edges_accept_three_of_ten_thousand_posts_whatever_address_they_forge() {
    for _ in 0..TRIES {
        if three_of_ten_thousand_are_accepted().await {
            return;
        }
    }
    panic!("Redis never counts throughout");
}

/// Whether that could be told: an installation where Redis counted all the time.
async fn three_of_ten_thousand_are_accepted() -> bool {
    let system = edges().await.start().await;
    // Every other one claims to come from somewhere else: 5,000 addresses.
    let forged = |number: u32| {
        number
            .is_multiple_of(2)
            .then(|| std::net::Ipv4Addr::from_bits(number * 429_496).to_string())
    };
    until_counted_by(&system, "all instances").await;
    let before = stand_ins(&system).await;
    let statuses = post(&system, 10_000, forged).await;
    if stand_ins(&system).await > before {
        return false;
    }
    assert_eq!(statuses, BTreeMap::from([(200, 3), (429, 9_997)]));
    assert_eq!(whoami(&system, 0, "6.6.6.6").await["address"], "127.0.0.1");
    system.settled(3).await;
    true
}

#[tokio::test]
async fn a_64_bit_network_is_one_client_and_another_is_another() {
    let system =
        edges().await.with_env("SUPPORT_TRUSTED_PROXIES", "127.0.0.1, fd00::/8").start().await;
    let one = |net: u32, number: u32| format!("6.6.6.6, [2001:db8:0:7{net}:{number:x}::1]:443");
    let (net, statuses) = post_counted_together(&system, 1_000, one).await;
    assert_eq!(statuses, BTreeMap::from([(200, 3), (429, 997)]));
    let many = |net: u32, number: u32| format!("2001:db8:1{net}:{:x}::{number:x}", number % 20);
    let (_, statuses) = post_counted_together(&system, 200, many).await;
    assert_eq!(statuses, BTreeMap::from([(200, 60), (429, 140)]));
    let told = whoami(&system, 3, &format!("2001:db8:0:7{net}::9")).await;
    assert_eq!(told["countedAs"], format!("2001:db8:0:7{net}::/64"));
    assert_eq!(
        (&told["limits"][0]["policy"], &told["limits"][0]["remaining"]),
        (&"create".into(), &0.into())
    );
}

#[tokio::test]
async fn without_redis_each_edge_limits_for_itself_and_none_fails() {
    let mut redis = Redis::start().await;
    let mut backing = Servers::shared().await.backing().await;
    backing.redis_url = redis.url(0);
    let system = TestSystem::distributed(backing)
        .with_ingest(EDGES)
        .with_env("SUPPORT_LIMIT_CREATE", "3/10m")
        .with_env("SUPPORT_LIMIT_LOOKUP", "10000/1m")
        .with_env("SUPPORT_TRUSTED_PROXIES", "127.0.0.1")
        .start()
        .await;
    let three = BTreeMap::from([(200, 3), (429, 37)]);
    let address = |client: u32, _| format!("192.0.2.{client}");
    assert_eq!(post_counted_together(&system, 40, address).await.1, three);
    let with = latencies(&system).await;

    redis.kill();
    let without = latencies(&system).await;
    println!("look-ups, p50 and p99: with Redis {with:?}, from its end on {without:?}");
    if is_alone() {
        assert!(without.1 <= with.1 + DEARER_BY_MAX, "the 99th percentile");
    }
    until_counted_by(&system, "this instance").await;
    let each = BTreeMap::from([(200, 3 * 4), (429, 400 - 3 * 4)]);
    let another = |_| Some("192.0.2.101".to_owned());
    assert_eq!(post(&system, 400, another).await, each, "three at each edge");
    everything_is_answered(&system).await;

    redis.start_again().await;
    let address = |client: u32, _| format!("192.0.2.{}", 110 + client);
    assert_eq!(post_counted_together(&system, 40, address).await.1, three);
}

/// What an edge tells without Redis, at each of them.
async fn everything_is_answered(system: &TestSystem) {
    let submitted = system.client().post(TICKETS).header("x-forwarded-for", "192.0.2.102");
    let submitted = submitted.json(&Form::valid()).send().await;
    let path = submitted.header("location").expect("it is accepted").to_owned();
    for edge in 0..EDGES {
        let client = system.edge(edge).client();
        let told = client.get("/api/support/stats").bearer(ADMIN_TOKEN).send().await;
        assert_eq!((told.status.as_u16(), &told.json()["data"]["source"]), (200, &"store".into()));
        // Without Redis, other edges know of it once it is stored.
        let is_found = async || client.get(&path).send().await.status == 200;
        until(SOON, "what was accepted is found", is_found).await;
        assert_eq!(client.get("/readyz").send().await.status, 200);
        // Probed every second, so it may still be told as it was.
        until(SOON, "health tells of it", async || {
            let health = client.get("/api/support/health").send().await;
            assert_eq!(health.status, 200);
            health.json()["status"] == "degraded"
                && health.json()["components"]["cache"]["status"] == "down"
        })
        .await;
    }
}

/// How long look-ups take, each of which asks the limiter: the median and the 99th percentile.
/// They come from a hundred clients, since the highest limit that can be set is 10,000.
async fn latencies(system: &TestSystem) -> (Duration, Duration) {
    let count = figure("LOOK_UPS", 400);
    let mut took = Vec::with_capacity(count);
    for number in 0..count {
        let look_up = system.edge(number % EDGES).client().get(&format!("{TICKETS}/nothing"));
        let look_up = look_up.header("x-forwarded-for", &format!("198.51.100.{}", number % 100));
        let asked_at = Instant::now();
        let answer = look_up.send().await;
        took.push(asked_at.elapsed());
        assert_eq!(answer.status, 404, "{}", answer.text());
    }
    took.sort();
    (took[count / 2], took[count * 99 / 100])
}
