//! Wall clocks that jump while everything runs, each process's another way.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{RECOVERY, passes_the_audit};
use crate::api::metrics::Metrics;
use crate::bed::client::{Answer, Client};
use crate::bed::clock::Clock;
use crate::bed::form::Form;
use crate::bed::instance::Instance;
use crate::bed::servers::Servers;
use crate::bed::system::{ADMIN_TOKEN, TICKETS, TestSystem};
use crate::bed::wait::until;

/// Where an edge's clock jumps to, and a worker's. The last of an edge's is in another year.
const JUMPS: [(&str, &str); 6] = [
    ("+1h", "-1h"),
    ("-1h", "+1h"),
    ("+1d", "-1d"),
    ("-1d", "+1d"),
    ("+400d", "+0"),
    ("+0", "-400d"),
];

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_jump_change_no_outcome_distributed() {
    let backing = Servers::shared().await.backing().await;
    let (edges_clock, workers_clock) = (Clock::new(), Clock::new());
    let workers = TestSystem::distributed(backing.clone())
        .with_ingest(0)
        .with_worker(2)
        .with_all(workers_clock.environment())
        .await;
    let edges = TestSystem::distributed(backing)
        .with_worker(0)
        .with_env("SUPPORT_LIMIT_CREATE", "3/10m")
        .with_env("SUPPORT_TRUSTED_PROXIES", "127.0.0.1")
        .with_all(edges_clock.environment())
        .await;
    let mut visitors = Visitors::at(&edges).await;
    for (edge, worker) in JUMPS {
        edges_clock.turn(edge);
        workers_clock.turn(worker);
        visitors.come_again(edge).await;
        for worker in workers.workers() {
            assert_no_duration_is_negative(worker).await;
        }
    }
    visitors.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_jump_change_no_outcome_embedded() {
    let clock = Clock::new();
    let system = TestSystem::embedded()
        .with_env("SUPPORT_LIMIT_CREATE", "3/10m")
        .with_env("SUPPORT_TRUSTED_PROXIES", "127.0.0.1")
        .with_all(clock.environment())
        .await;
    let mut visitors = Visitors::at(&system).await;
    for (jump, _) in JUMPS {
        clock.turn(jump);
        visitors.come_again(jump).await;
    }
    visitors.leave().await;
}

/// People who submit forms, one of whom has used up their limit before the clocks begin to jump.
struct Visitors<'a> {
    system: &'a TestSystem,
    /// The first one's first form, and what was answered.
    first: (Form, Value),
    submitted: u64,
    years: BTreeSet<String>,
}

const EAGER: &str = "192.0.2.1";

impl<'a> Visitors<'a> {
    async fn at(system: &'a TestSystem) -> Self {
        let form = Form::valid();
        let answer = post(system.client(), EAGER, &form).await;
        let first = (form, answer.json()["data"].clone());
        let mut visitors = Self { system, first, submitted: 1, years: BTreeSet::new() };
        for _ in 0..2 {
            visitors.submit(EAGER).await;
        }
        visitors.are_counted().await;
        visitors
    }

    async fn submit(&mut self, address: &str) {
        let answer = post(self.system.client(), address, &Form::valid()).await;
        assert!([201, 202].contains(&answer.status.as_u16()), "{}", answer.text());
        self.submitted += 1;
        let id = answer.json()["data"]["id"].as_str().unwrap().to_owned();
        let path = format!("{TICKETS}/{id}");
        let mut ticket = Value::Null;
        until(RECOVERY, "it is a ticket", async || {
            ticket = self.system.client().get(&path).send().await.json()["data"].clone();
            ticket["ticketNumber"].is_string()
        })
        .await;
        // Of the time at which it was accepted, whatever a worker thinks the year is.
        let year = &ticket["submittedAt"].as_str().unwrap()[..4];
        let number = ticket["ticketNumber"].as_str().unwrap();
        assert!(number.starts_with(&format!("SUP-{year}-")), "{ticket}");
        self.years.insert(year.to_owned());
    }

    /// After a jump: who had no room has none, who comes new has, the same form is the same ticket,
    /// and nothing that is told went backwards.
    async fn come_again(&mut self, jump: &str) {
        let refused = post(self.system.client(), EAGER, &Form::valid()).await;
        assert_eq!(refused.status, 429, "{jump}: {}", refused.text());
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=600).contains(&wait), "{jump}: {wait}");
        for number in 0..3 {
            let address = format!("198.51.{}.{number}", self.submitted);
            self.submit(&address).await;
        }
        let (form, told) = &self.first;
        let again = post(self.system.client(), EAGER, form).await;
        assert_eq!(again.status, 200, "{jump}: {}", again.text());
        assert_eq!(again.json()["data"]["id"], told["id"], "{jump}");
        self.are_counted().await;
        assert_no_duration_is_negative(self.system.edge(0)).await;
        let health = self.system.health().await;
        assert_eq!(health.status, 200, "{jump}: {}", health.text());
        assert!(least(&health.json()) >= 0.0, "{jump}: {}", health.text());
    }

    async fn are_counted(&self) {
        until(RECOVERY, "every ticket is counted", async || {
            let asking = self.system.client().get("/api/support/stats?days=366");
            let answer = asking.bearer(ADMIN_TOKEN).send().await;
            let mut told = answer.json()["data"].take();
            // There may be fewer than in the period before.
            told["trend"].take();
            assert!(least(&told) >= 0.0, "{told}");
            told["total"] == self.submitted
        })
        .await;
    }

    async fn leave(self) {
        assert!(self.years.len() > 1, "no clock has shown another year");
        self.system.settled(self.submitted).await;
        passes_the_audit(self.system).await;
    }
}

async fn post(edge: &Client, address: &str, form: &Form) -> Answer {
    edge.post(TICKETS).header("x-forwarded-for", address).json(form).send().await
}

async fn assert_no_duration_is_negative(instance: &Instance) {
    let least = Metrics::of(&Client::new(instance.address())).await.least();
    assert!(least >= 0.0, "{least}");
}

/// The smallest number in a document; a trend may be one, and there is none here.
fn least(document: &Value) -> f64 {
    match document {
        Value::Number(number) => number.as_f64().unwrap(),
        Value::Array(values) => values.iter().map(least).fold(f64::INFINITY, f64::min),
        Value::Object(values) => values.values().map(least).fold(f64::INFINITY, f64::min),
        _ => f64::INFINITY,
    }
}
