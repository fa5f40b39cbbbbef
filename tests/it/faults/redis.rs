//! A Redis that is there and of no use. (Gone and back: `flow::limits`, `flow::keys`.)

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{ANSWER_MAX, RECOVERY, passes_the_audit};
use crate::bed::client::{Answer, Asking};
use crate::bed::form::Form;
use crate::bed::link::Mode;
use crate::bed::redis::Redis;
use crate::bed::server::Server;
use crate::bed::servers::{Links, Servers};
use crate::bed::system::{ADMIN_TOKEN, TICKETS, TestSystem};
use crate::bed::wait::until;

/// Puts a list in the place of whatever there is.
const SPOIL: &str = "EVAL \"for _, key in ipairs(redis.call('KEYS', '*')) do \
    redis.call('DEL', key) redis.call('RPUSH', key, 'spoilt') end return 'spoilt'\" 0";

/// A form that was accepted.
struct Sent {
    address: &'static str,
    form: Form,
    id: Value,
}

/// An installation on a Redis of its own.
struct Stage {
    redis: Redis,
    links: Links,
    system: TestSystem,
    stored: u64,
}

impl Stage {
    async fn set() -> Self {
        let redis = Redis::start().await;
        let backing = Servers::shared().await.backing().await.with_cache(&redis);
        let (backing, links) = backing.over_links().await;
        let system = TestSystem::distributed(backing)
            .with_env("SUPPORT_LIMIT_CREATE", "3/10m")
            .with_env("SUPPORT_TRUSTED_PROXIES", "127.0.0.1")
            .await;
        let stage = Self { redis, links, system, stored: 0 };
        stage.is_counted_by("all instances").await;
        stage
    }

    async fn ask(&self, question: &str) -> String {
        self.redis.ask(0, question).await
    }

    async fn is_counted_by(&self, who: &str) {
        until(RECOVERY, "the limits are counted as they should be", async || {
            let told = self.system.client().get("/api/support/whoami").bearer(ADMIN_TOKEN);
            told.send().await.json()["data"]["countedBy"] == who
        })
        .await;
    }

    async fn submit(&self, address: &str, form: &Form) -> Answer {
        let post = self.system.client().post(TICKETS).header("x-forwarded-for", address);
        in_time(post.json(form)).await
    }

    /// Submits a form of its own, which is accepted; gives back both, and its id.
    async fn submit_well(&mut self, address: &'static str) -> Sent {
        let form = Form::valid();
        let answer = self.submit(address, &form).await;
        assert!([201, 202].contains(&answer.status.as_u16()), "{}", answer.text());
        self.stored += 1;
        Sent { address, form, id: answer.json()["data"]["id"].clone() }
    }

    /// Whoever comes first has their three submissions, and so has whoever had one of them before
    /// the fault; nobody gets a fourth, or a second ticket for the same form; and what is asked for
    /// is answered from the store.
    async fn serves_during(&mut self, begin: impl AsyncFnOnce(&mut Self)) {
        let first = self.submit_well("192.0.2.1").await;
        self.counts_what_is_stored().await;
        begin(self).await;

        let mut sent = vec![first];
        for (address, left) in [("192.0.2.1", 2), ("192.0.2.2", 3)] {
            for _ in 0..left {
                sent.push(self.submit_well(address).await);
            }
            let answer = self.submit(address, &Form::valid()).await;
            assert_eq!(answer.status, 429, "{address}: {}", answer.text());
        }
        self.counts_what_is_stored().await;
        for Sent { address, form, id } in &sent {
            let again = self.submit(address, form).await;
            assert!(again.status.is_success(), "{}", again.text());
            let message = form.json()["message"].as_str().unwrap().to_owned();
            assert_eq!((&again.json()["data"]["id"], self.message(id).await), (id, message));
        }
    }

    /// What a look-up by id says was sent.
    async fn message(&self, id: &Value) -> String {
        let path = format!("{TICKETS}/{}", id.as_str().unwrap());
        let ticket = in_time(self.system.client().get(&path)).await;
        ticket.json()["data"]["message"].as_str().unwrap_or_default().to_owned()
    }

    async fn counts_what_is_stored(&self) {
        until(RECOVERY, "the statistics are right", async || {
            let asking = self.system.client().get("/api/support/stats").bearer(ADMIN_TOKEN);
            let answer = in_time(asking).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            answer.json()["data"]["total"] == self.stored
        })
        .await;
    }

    /// All is as before, by itself.
    async fn recovers(mut self) {
        self.is_counted_by("all instances").await;
        self.submit_well("192.0.2.3").await;
        self.system.settled(self.stored).await;
        passes_the_audit(&self.system).await;
    }
}

async fn in_time(asking: Asking) -> Answer {
    let asked_at = Instant::now();
    let answer = asking.send().await;
    assert!(asked_at.elapsed() <= ANSWER_MAX, "{:?}: {answer:?}", asked_at.elapsed());
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_redis_costs_no_submission_and_no_limit() {
    let mut stage = Stage::set().await;
    stage
        .serves_during(async |stage| {
            assert_eq!(stage.ask("CONFIG SET maxmemory-policy noeviction").await, "+OK");
            assert_eq!(stage.ask("CONFIG SET maxmemory 1").await, "+OK");
            let refused = stage.ask("SET a b").await;
            assert!(refused.starts_with("-OOM"), "{refused}");
        })
        .await;
    stage.ask("CONFIG SET maxmemory 0").await;
    stage.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_only_reads_costs_no_submission_and_no_limit() {
    let mut stage = Stage::set().await;
    stage
        .serves_during(async |stage| {
            // Of a server that is not there; what is here already can still be read.
            assert_eq!(stage.ask("REPLICAOF 127.0.0.1 1").await, "+OK");
            let refused = stage.ask("SET a b").await;
            assert!(refused.starts_with("-READONLY"), "{refused}");
        })
        .await;
    stage.ask("REPLICAOF NO ONE").await;
    stage.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_whose_keys_are_of_another_type_costs_no_submission_and_no_limit() {
    let mut stage = Stage::set().await;
    stage
        .serves_during(async |stage| {
            assert!(stage.ask(SPOIL).await.ends_with("spoilt"));
            let keys = stage.ask("DBSIZE").await;
            assert!(keys.trim_start_matches(':').parse::<u32>().unwrap() >= 3, "{keys}");
        })
        .await;
    stage.ask("FLUSHALL").await;
    stage.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_redis_costs_no_submission_and_no_limit() {
    let mut stage = Stage::set().await;
    stage
        .serves_during(async |stage| {
            // There and back it is more than a call may take, and less than opening may.
            stage.links.redis.set(Mode::Delay(Duration::from_millis(150)));
        })
        .await;
    stage.links.redis.set(Mode::Pass);
    stage.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_redis_costs_no_submission_and_no_limit() {
    let mut stage = Stage::set().await;
    stage.serves_during(async |stage| stage.redis.pause()).await;
    stage.redis.resume();
    stage.recovers().await;
}
