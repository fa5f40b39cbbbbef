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
use crate::bed::wait::until;

const EDGES: usize = 4;
/// Posts under way at a time.
const PARALLEL: usize = 400;

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

async fn whoami(system: &TestSystem, edge: usize, forwarded_for: &str) -> Value {
    let request = system.edge(edge).client().get("/api/support/whoami").bearer(ADMIN_TOKEN);
    request.header("x-forwarded-for", forwarded_for).send().await.json()["data"].clone()
}

#[tokio::test]
async fn four_edges_accept_three_of_ten_thousand_posts_whatever_address_they_forge() {
    let system = edges().await.start().await;
    // Every other one claims to come from somewhere else: 5,000 addresses.
    let forged = |number: u32| {
        number
            .is_multiple_of(2)
            .then(|| std::net::Ipv4Addr::from_bits(number * 429_496).to_string())
    };
    assert_eq!(post(&system, 10_000, forged).await, BTreeMap::from([(200, 3), (429, 9_997)]));
    // On a machine that is busy with itself an edge may think for a moment that Redis is away.
    until(Duration::from_secs(20), "Redis counts", async || {
        whoami(&system, 0, "6.6.6.6").await["countedBy"] == "all instances"
    })
    .await;
    let told = whoami(&system, 0, "6.6.6.6").await;
    assert_eq!(told["address"], "127.0.0.1");
    system.settled(3).await;
}

#[tokio::test]
async fn a_64_bit_network_is_one_client_and_another_is_another() {
    let system =
        edges().await.with_env("SUPPORT_TRUSTED_PROXIES", "127.0.0.1, fd00::/8").start().await;
    let one = |number: u32| Some(format!("6.6.6.6, [2001:db8:0:7:{number:x}::{number:x}]:443"));
    assert_eq!(post(&system, 1_000, one).await, BTreeMap::from([(200, 3), (429, 997)]));
    let many = |number: u32| Some(format!("2001:db8:1:{:x}::{number:x}", number % 20));
    assert_eq!(post(&system, 200, many).await, BTreeMap::from([(200, 60), (429, 140)]));
    let told = whoami(&system, 3, "2001:db8:0:7::9").await;
    assert_eq!(told["countedAs"], "2001:db8:0:7::/64");
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
    let counted_by = async |who: &str| {
        for edge in 0..EDGES {
            if whoami(&system, edge, "192.0.2.1").await["countedBy"] != who {
                return false;
            }
        }
        true
    };
    until(Duration::from_secs(20), "Redis counts", async || counted_by("all instances").await)
        .await;
    let address = |_| Some("192.0.2.1".to_owned());
    assert_eq!(post(&system, 40, address).await, BTreeMap::from([(200, 3), (429, 37)]));
    let with = latencies(&system).await;

    redis.kill();
    let without = latencies(&system).await;
    println!("look-ups, p50 and p99: with Redis {with:?}, from its end on {without:?}");
    assert!(counted_by("this instance").await);
    let another = |_| Some("192.0.2.2".to_owned());
    let each = BTreeMap::from([(200, 3 * 4), (429, 400 - 3 * 4)]);
    assert_eq!(post(&system, 400, another).await, each, "three at each edge");

    redis.start_again().await;
    until(Duration::from_secs(20), "Redis counts", async || counted_by("all instances").await)
        .await;
    let third = |_| Some("192.0.2.3".to_owned());
    assert_eq!(post(&system, 40, third).await, BTreeMap::from([(200, 3), (429, 37)]));
}

/// How long look-ups take, each of which asks the limiter: the median and the 99th percentile.
async fn latencies(system: &TestSystem) -> (Duration, Duration) {
    let count = figure("LOOK_UPS", 400);
    let mut took = Vec::with_capacity(count);
    for number in 0..count {
        let client = system.edge(number % EDGES).client();
        let asked_at = Instant::now();
        let answer = client.get(&format!("{TICKETS}/SUP-2026-000001")).send().await;
        took.push(asked_at.elapsed());
        assert_eq!(answer.status, 404);
    }
    took.sort();
    (took[count / 2], took[count * 99 / 100])
}
