//! What is not in logs and metrics, however much they tell: what people sent, and what opens doors.

use std::time::Duration;

use super::running::Running;
use super::{Settings, settings};
use crate::bed::folder::Folder;
use crate::bed::form::Form;
use crate::bed::process::Signal;
use crate::bed::servers::{Backing, Servers};
use crate::bed::system::{TICKETS, UNLIMITED};
use crate::bed::wait::until;

const NUMBER_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const TOKEN: &str = "token-planted-4a1f9c27e0";

/// What is planted where personal data goes. Each appears nowhere else.
const PLANTED: [(&str, &str); 6] = [
    ("name", "Planted Name 7f3a"),
    ("email", "planted-7f3b@example.org"),
    ("message", "planted message 7f3c"),
    ("userId", "planted-user-7f3d"),
    ("userAgent", "planted agent 7f3e"),
    ("url", "https://planted-7f3f.example.org/"),
];

fn planted() -> Form {
    PLANTED.iter().fold(Form::valid(), |form, (field, value)| form.with(field, *value))
}

/// Does all that a visitor can do wrong or right, and returns the ids, which are secrets too.
async fn visit(edge: &Running) -> Vec<String> {
    let client = edge.client();
    let mut ids = Vec::new();
    for prefer in ["wait=2", "respond-async"] {
        // Two submissions: the same form again would be told of the first one.
        let form = planted().with("message", format!("planted message 7f3c, {prefer}"));
        let answer = client.post(TICKETS).header("prefer", prefer).json(&form).send().await;
        assert!([201, 202].contains(&answer.status.as_u16()), "{}", answer.text());
        ids.push(answer.json()["data"]["id"].as_str().unwrap().to_owned());
    }
    for id in &ids {
        client.get(&format!("{TICKETS}/{id}")).send().await;
        client.get(&format!("{TICKETS}/{id}x")).send().await;
    }
    for field in ["name", "email", "message", "userId", "userAgent", "url", "subject", "timestamp"]
    {
        let broken = planted().with(field, format!("{}\0", "planted ".repeat(3_000)));
        assert_eq!(client.post(TICKETS).json(&broken).send().await.status, 422, "{field}");
    }
    client
        .post(TICKETS)
        .header("content-type", "application/json")
        .body("{planted 7f31")
        .send()
        .await;
    client.get(&format!("{TICKETS}?email=planted-7f3b@example.org")).send().await;
    client.get("/api/support/stats").bearer(TOKEN).send().await;
    client.get("/api/support/stats").bearer("wrong-planted-7f32").send().await;
    client.get("/api/support/stats?token=planted-7f33").send().await;
    ids
}

fn assert_tells_nothing(log: &str, secrets: &[&str]) {
    assert!(log.lines().count() > 10, "it logs at all: {log}");
    let words = ["planted", "Planted", TOKEN, NUMBER_KEY];
    for word in words.iter().chain(secrets) {
        let told: Vec<_> = log.lines().filter(|line| line.contains(word)).collect();
        assert!(told.is_empty(), "{word} is told: {told:?}");
    }
}

#[tokio::test]
async fn an_embedded_installation_logs_nothing_that_people_sent() {
    let folder = Folder::new("logs");
    let told = everything_told(&[]);
    let serve = Running::start("serve", folder.path(), &told).await;
    let ids = visit(&serve).await;
    serve.kill();
    serve.start_again().await;
    visit(&serve).await;
    let figures = figures(&serve).await;
    assert!(serve.stop(Signal::Term).await.0.success());
    let secrets: Vec<_> = ids.iter().map(String::as_str).collect();
    assert_tells_nothing(&serve.log(), &secrets);
    assert_tells_nothing(&figures, &secrets);
}

#[tokio::test]
async fn a_distributed_installation_logs_nothing_that_people_sent() {
    let folder = Folder::new("logs");
    let backing = Servers::shared().await.backing().await;
    let told = servers(&backing);
    let edge = Running::start("ingest", folder.path(), &told).await;
    let worker = Running::start("worker", folder.path(), &told).await;
    let ids = visit(&edge).await;
    worker.kill();
    // The worker is away, so this one is delivered to the next.
    let another = planted().with("message", "another planted message 7f3c");
    let answer = edge.client().post(TICKETS).json(&another).send().await;
    assert!([201, 202].contains(&answer.status.as_u16()));
    worker.start_again().await;
    let path = answer.header("location").unwrap().to_owned();
    until(Duration::from_secs(30), "the next worker has stored it", async || {
        edge.client().get(&path).send().await.json()["data"]["status"] == "open"
    })
    .await;
    for process in [&edge, &worker] {
        let figures = figures(process).await;
        assert!(process.stop(Signal::Term).await.0.success());
        let mut secrets = passwords(&backing);
        secrets.extend(ids.iter().cloned());
        let secrets: Vec<_> = secrets.iter().map(String::as_str).collect();
        assert_tells_nothing(&process.log(), &secrets);
        assert_tells_nothing(&figures, &secrets);
    }
}

/// A panic's own words may quote what somebody sent, as those of a text sliced out of bounds do.
#[cfg(debug_assertions)]
#[tokio::test]
async fn a_panic_is_told_by_where_it_was_and_never_in_its_own_words() {
    const POINTS: [&str; 3] =
        ["edge.before_answer", "worker.before_commit", "relay.before_publish"];
    let folder = Folder::new("logs");
    let plan = POINTS.map(|point| format!("{point}=panic@1")).join(";");
    let mut told = everything_told(&[]);
    told.push((common::failpoint::VARIABLE.to_owned(), plan));
    let serve = Running::start("serve", folder.path(), &told).await;
    until(Duration::from_secs(30), "each has panicked and works again", async || {
        let answer = serve.client().post(TICKETS).json(&Form::valid()).send().await;
        let places = serve.log().matches("common/src/failpoint.rs:").count();
        answer.status == 201 && places == POINTS.len()
    })
    .await;
    assert!(serve.stop(Signal::Term).await.0.success());
    let log = serve.log();
    assert!(log.contains("a lane died") && log.contains("a part of the worker died"), "{log}");
    // What a failpoint panics with; the lines that tell of one say something else.
    assert!(!log.contains("the failpoint "), "{log}");
}

/// What a monitor is told.
async fn figures(process: &Running) -> String {
    process.client().get("/metrics").send().await.text().to_owned()
}

fn servers(backing: &Backing) -> Settings {
    everything_told(&[
        ("DATABASE_URL", &backing.database_url),
        ("AMQP_URL", &backing.amqp_url),
        ("REDIS_URL", &backing.redis_url),
    ])
}

/// Secrets to plant, and a log that leaves nothing out. All visits come from one address.
fn everything_told(servers: &[(&str, &str)]) -> Settings {
    let planted =
        [("SUPPORT_NUMBER_KEY", NUMBER_KEY), ("SUPPORT_ADMIN_TOKEN", TOKEN), ("RUST_LOG", "debug")];
    settings(&[servers, &planted, &UNLIMITED].concat())
}

/// The passwords in the URLs, as `:password@`.
fn passwords(backing: &Backing) -> Vec<String> {
    let urls = [&backing.database_url, &backing.amqp_url, &backing.redis_url];
    let password = |url: &&String| {
        let (user, _) = url.split_once("://")?.1.split_once('@')?;
        Some(format!(":{}@", user.split_once(':')?.1))
    };
    urls.iter().filter_map(password).collect()
}
