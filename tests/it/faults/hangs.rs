//! Every answer within two and a half seconds, whatever hangs behind it, and however.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::Value;

use crate::bed::client::{Answer, Asking, Client};
use crate::bed::form::Form;
use crate::bed::link::{Link, Mode};
use crate::bed::server::Server;
use crate::bed::servers::{Links, Servers};
use crate::bed::system::{ADMIN_TOKEN, TICKETS, TestSystem};
use crate::bed::wait::{eventually, until};

/// The promise.
const ANSWER_MAX: Duration = Duration::from_millis(2_500);

/// Each route is asked so often under each fault, with a pause between: the first ones meet a fault
/// that nobody has noticed yet, the last ones one that everybody has.
const ROUNDS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

const PATIENCE: Duration = Duration::from_mins(1);

/// Limits that are asked for and never reached.
const WIDE: [(&str, &str); 4] = [
    ("SUPPORT_LIMIT_CREATE", "10000/1h"),
    ("SUPPORT_LIMIT_LOOKUP", "10000/1h"),
    ("SUPPORT_LIMIT_STATS", "10000/1h"),
    ("SUPPORT_LIMIT_ATTEMPTS", "10000/1h"),
];

/// An edge and a worker over links, and what there is to ask for.
struct Bed {
    client: Client,
    number: String,
    id: String,
    token: String,
}

impl Bed {
    /// Every route, as everybody uses it.
    fn questions(&self) -> Vec<(&'static str, Asking)> {
        let Self { client, number, id, token } = self;
        let post = || client.post(TICKETS).json(&Form::valid());
        let key = Form::valid().json()["message"].as_str().unwrap().replace(' ', "-");
        let stats = || client.get("/api/support/stats");
        vec![
            ("POST", post()),
            ("POST under a key", post().header("idempotency-key", &key)),
            ("POST that does not wait", post().header("prefer", "respond-async")),
            ("look-up by number", client.get(&format!("{TICKETS}/{number}"))),
            ("look-up by id", client.get(&format!("{TICKETS}/{id}"))),
            ("look-up of nothing", client.get(&format!("{TICKETS}/SUP-2026-000000"))),
            ("statistics for the admin", stats().bearer(ADMIN_TOKEN)),
            ("statistics for a token", stats().bearer(token)),
            ("replay of events", client.get("/api/support/events").bearer(ADMIN_TOKEN)),
            ("whoami", client.get("/api/support/whoami").bearer(ADMIN_TOKEN)),
            ("health", client.get("/api/support/health")),
            ("readiness", client.get("/readyz")),
            ("liveness", client.get("/livez")),
            ("metrics", client.get("/metrics")),
        ]
    }

    /// Asks for everything, again and again, and gives back the longest answer.
    async fn ask(&self, fault: &str) -> Duration {
        let mut longest = Duration::ZERO;
        for _ in 0..ROUNDS {
            let asked = join_all(self.questions().into_iter().map(async |(route, asking)| {
                let asked_at = Instant::now();
                let answer = asking.send().await;
                (route, answer, asked_at.elapsed())
            }));
            for (route, answer, took) in asked.await {
                assert!(took <= ANSWER_MAX, "{fault}: {route}: {took:?} {}", answer.status);
                assert!(
                    is_honest(&answer),
                    "{fault}: {route}: {} {}",
                    answer.status,
                    answer.text()
                );
                longest = longest.max(took);
            }
            tokio::time::sleep(PAUSE).await;
        }
        longest
    }

    /// Waits until everything works again.
    async fn is_well(&self) {
        eventually(PATIENCE, "health says ok", async || {
            let answer = self.client.get("/api/support/health").send().await;
            let status = answer.json()["status"].clone();
            if status == "ok" { Ok(()) } else { Err(answer.text().to_owned()) }
        })
        .await;
        until(PATIENCE, "a form becomes a ticket at once", async || {
            self.client.post(TICKETS).json(&Form::valid()).send().await.status == 201
        })
        .await;
    }
}

/// What is done, or an honest 503.
fn is_honest(answer: &Answer) -> bool {
    matches!(answer.status.as_u16(), 200 | 201 | 202 | 404 | 503)
}

async fn start(servers: &Servers) -> (Bed, TestSystem, Links) {
    let (backing, links) = servers.backing().await.over_links().await;
    let plan = TestSystem::distributed(backing);
    let plan = WIDE.iter().fold(plan, |plan, (name, value)| plan.with_env(name, value));
    let system = plan.await;
    let made = system.submit(&Form::valid()).await.json()["data"].clone();
    let text = |value: &Value| value.as_str().expect("a ticket").to_owned();
    let token = system.run(&["token", "create", "--role", "stats", "--name", "monitor"]).await;
    let bed = Bed {
        client: system.client().clone(),
        number: text(&made["ticketNumber"]),
        id: text(&made["id"]),
        token: token.stdout.trim().to_owned(),
    };
    (bed, system, links)
}

/// Everything that can be wrong with one server, one after the other.
async fn suffer(bed: &Bed, name: &str, server: &mut impl Server, link: &Link) {
    let mut told = Vec::new();
    server.pause();
    told.push(("frozen", bed.ask(&format!("{name} is frozen")).await));
    server.resume();
    bed.is_well().await;
    link.set(Mode::Blackhole);
    told.push(("unreachable", bed.ask(&format!("{name} is unreachable")).await));
    link.set(Mode::Pass);
    bed.is_well().await;
    server.stop().await;
    told.push(("stopped", bed.ask(&format!("{name} is stopped")).await));
    server.start_again().await;
    bed.is_well().await;
    println!("longest answers while {name} is {told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_comes_in_time_whatever_hangs() {
    let mut servers = Servers::own().await;
    let (bed, _system, links) = start(&servers).await;
    bed.is_well().await;
    suffer(&bed, "Redis", &mut servers.redis, &links.redis).await;
    suffer(&bed, "Postgres", &mut servers.postgres, &links.postgres).await;
    suffer(&bed, "the broker", &mut servers.rabbitmq, &links.rabbitmq).await;
}
