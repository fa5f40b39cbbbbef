//! Limits as a client meets them, on installations of their own: the ones of the other tests have
//! none.

use std::time::Duration;

use serde_json::{Value, json};

use super::metrics::Metrics;
use super::table::problem;
use super::{ADMIN_TOKEN, STATISTICS};
use crate::bed::client::{Answer, Client};
use crate::bed::form::Form;
use crate::bed::servers::Servers;
use crate::bed::system::{Plan, TICKETS, TestSystem};
use crate::bed::wait::until;

const LIMITS: [(&str, &str); 4] = [
    ("SUPPORT_LIMIT_CREATE", "3/10m"),
    ("SUPPORT_LIMIT_LOOKUP", "20/5m"),
    ("SUPPORT_LIMIT_STATS", "3/1m"),
    ("SUPPORT_LIMIT_ATTEMPTS", "12/10m"),
];

#[tokio::test]
async fn limits_are_told_with_every_answer_and_kept_embedded() {
    limits_are_told_with_every_answer_and_kept(TestSystem::embedded()).await;
}

#[tokio::test]
async fn limits_are_told_with_every_answer_and_kept_distributed() {
    let backing = Servers::shared().await.backing().await;
    limits_are_told_with_every_answer_and_kept(TestSystem::distributed(backing)).await;
}

async fn limits_are_told_with_every_answer_and_kept(plan: Plan) {
    let system = LIMITS.iter().fold(plan, |plan, (name, value)| plan.with_env(name, value)).await;
    let client = Client::of_the_api(system.edge(0).address());
    until(Duration::from_secs(20), "all instances count together", async || {
        let request = client.get("/api/support/whoami").bearer(ADMIN_TOKEN);
        request.send().await.json()["data"]["countedBy"] == "all instances"
    })
    .await;
    let id = submissions(&client).await;
    look_ups(&client, &id).await;
    statistics(&client).await;
    decisions_are_counted(&client).await;
}

async fn decisions_are_counted(client: &Client) {
    let metrics = Metrics::of(client).await;
    let count = |policy: &str, outcome: &str, by: &str| {
        let labels = [("policy", policy), ("outcome", outcome), ("by", by)];
        let labels = labels.map(|(name, value)| format!("{name}=\"{value}\""));
        metrics.sum("limit_decisions_total", &labels.each_ref().map(String::as_str))
    };
    let told = ["create", "lookup", "stats"]
        .map(|policy| (count(policy, "admitted", "all"), count(policy, "refused", "all")));
    assert_eq!(told, [(3.0, 6.0), (6.0, 3.0), (3.0, 1.0)]);
    let guarded = (count("attempts", "admitted", "guard"), count("attempts", "refused", "guard"));
    assert_eq!(guarded, (12.0, 1.0));
}

/// What is accepted counts, and nothing else; and gives back the id of one.
async fn submissions(client: &Client) -> Value {
    let post = async |form: &Form, key: &str| {
        let request = client.post(TICKETS).json(form);
        if key.is_empty() {
            request.send().await
        } else {
            request.header("idempotency-key", key).send().await
        }
    };
    let invalid = post(&Form::valid().without("email"), "").await;
    assert_eq!((invalid.status.as_u16(), left(&invalid, "create", 3, 600)), (422, 3));
    let (first, second) = (Form::valid(), Form::valid());
    let keyed = post(&first, "order-66").await;
    assert_eq!((keyed.status.as_u16(), left(&keyed, "create", 3, 600)), (201, 2));
    for (form, remaining) in [(&second, 1), (&Form::valid(), 0)] {
        let created = post(form, "").await;
        assert_eq!((created.status.as_u16(), left(&created, "create", 3, 600)), (201, remaining));
    }
    let replay = post(&first, "order-66").await;
    assert_eq!(replay.header("idempotency-replayed"), Some("true"));
    assert_eq!((replay.status.as_u16(), left(&replay, "create", 3, 600)), (201, 0));
    let duplicate = post(&second, "").await;
    assert_eq!((duplicate.status.as_u16(), left(&duplicate, "create", 3, 600)), (200, 0));
    for _ in 0..6 {
        assert_refused(&post(&Form::valid(), "").await, "create", 3, 600);
    }
    assert_refused(&post(&Form::valid(), "").await, "attempts", 12, 600);
    keyed.json()["data"]["id"].clone()
}

/// One that finds something costs one, one that finds nothing four.
async fn look_ups(client: &Client, id: &Value) {
    let look_up = async |reference: &str| {
        let answer = client.get(&format!("{TICKETS}/{reference}")).send().await;
        (answer.status.as_u16(), answer)
    };
    let (status, found) = look_up(id.as_str().unwrap()).await;
    assert_eq!((status, left(&found, "lookup", 20, 300)), (200, 19));
    for remaining in [15, 11, 7, 3, 0] {
        let (status, missed) = look_up("SUP-2026-000001").await;
        assert_eq!((status, left(&missed, "lookup", 20, 300)), (404, remaining));
    }
    for path in ["SUP-2026-000001", id.as_str().unwrap(), "x/events"] {
        assert_refused(&look_up(path).await.1, "lookup", 20, 300);
    }
}

/// Whoever asks: guesses count as well.
async fn statistics(client: &Client) {
    let guess = client.get(STATISTICS).bearer("guess").send().await;
    assert_eq!((guess.status.as_u16(), left(&guess, "stats", 3, 60)), (401, 2));
    let ask = async || client.get(STATISTICS).bearer(ADMIN_TOKEN).send().await;
    for remaining in [1, 0] {
        let answer = ask().await;
        assert_eq!((answer.status.as_u16(), left(&answer, "stats", 3, 60)), (200, remaining));
    }
    assert_refused(&ask().await, "stats", 3, 60);
}

/// `r` of an answer that tells this policy and no other.
fn left(answer: &Answer, policy: &str, quota: u32, window_s: u64) -> u32 {
    let expected = format!("\"{policy}\";q={quota};w={window_s}");
    assert_eq!(answer.header("ratelimit-policy"), Some(&*expected), "{answer:?}");
    let (left, reset_s) = state(answer, policy);
    assert_eq!(left < quota, (1..=window_s).contains(&reset_s), "{answer:?}");
    left
}

/// `r` and `t`.
fn state(answer: &Answer, policy: &str) -> (u32, u64) {
    let told = answer.header("ratelimit").expect("the state of the limit");
    let told = told.strip_prefix(&format!("\"{policy}\";r=")).expect("of this policy");
    let (left, reset_s) = told.split_once(";t=").expect("both");
    (left.parse().unwrap(), reset_s.parse().unwrap())
}

/// A 429 that names the policy and says when to come back, which is not too early.
fn assert_refused(answer: &Answer, policy: &str, quota: u32, window_s: u64) {
    let told = problem(answer, 429, "rate_limited");
    assert_eq!(told["violated-policies"], json!([policy]));
    assert_eq!(left(answer, policy, quota, window_s), 0);
    let retry_after_s: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    let (_, reset_s) = state(answer, policy);
    assert!((reset_s.max(1)..=window_s).contains(&retry_after_s), "{answer:?}");
}

#[tokio::test]
async fn whoever_guesses_at_tokens_is_heard_no_further_embedded() {
    whoever_guesses_at_tokens_is_heard_no_further(TestSystem::embedded()).await;
}

#[tokio::test]
async fn whoever_guesses_at_tokens_is_heard_no_further_distributed() {
    let backing = Servers::shared().await.backing().await;
    whoever_guesses_at_tokens_is_heard_no_further(TestSystem::distributed(backing)).await;
}

/// On every route that asks for a token, and counted for all of them together.
async fn whoever_guesses_at_tokens_is_heard_no_further(plan: Plan) {
    let system = plan.with_env("SUPPORT_LIMIT_GUESSES", "3/10m").await;
    let client = Client::of_the_api(system.edge(0).address());
    let ask = async |path: &str, token: &str| client.get(path).bearer(token).send().await;
    until(Duration::from_secs(20), "all instances count together", async || {
        let told = ask("/api/support/whoami", ADMIN_TOKEN).await;
        told.json()["data"]["countedBy"] == "all instances"
    })
    .await;
    for path in [STATISTICS, "/api/support/events", "/api/support/whoami"] {
        for _ in 0..4 {
            assert_eq!(ask(path, ADMIN_TOKEN).await.status, 200, "{path}");
            problem(&client.get(path).send().await, 401, "unauthorized");
        }
        problem(&ask(path, "wrong").await, 401, "unauthorized");
    }
    for path in [STATISTICS, "/api/support/events", "/api/support/whoami"] {
        for token in ["wrong", ADMIN_TOKEN] {
            let answer = ask(path, token).await;
            let told = problem(&answer, 429, "rate_limited");
            assert_eq!(told["violated-policies"], json!(["guesses"]), "{path}");
            let wait = answer.header("retry-after").unwrap().parse::<u64>().unwrap();
            assert!((1..=600).contains(&wait), "{wait}");
        }
    }
    problem(&client.get(STATISTICS).send().await, 401, "unauthorized");
}
