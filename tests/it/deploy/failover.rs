//! The whole installation of `docker-compose.yml`, started, used through its proxy, hurt, stopped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use super::addresses;
use super::containers::{Container, Engine, PATIENCE, Proxy};
use super::mute::Mute;
use super::names::Names;
use super::visitor::{Seen, Visitor};
use crate::bed::form::Form;
use crate::bed::servers::Servers;
use crate::bed::wait::{eventually, until};

/// Visitors at a time.
const CROWD: usize = 8;
/// The default of `shutdown-grace`, which is what `stop_grace_period` has to leave room for.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(25);

/// People who send one form after the other through the proxy until they are told to stop.
struct Crowd {
    visitors: JoinSet<Vec<Seen>>,
    sent: Arc<AtomicU32>,
    enough: Arc<AtomicBool>,
}

impl Crowd {
    fn at(proxy: SocketAddr) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let (sent, enough) = (Arc::<AtomicU32>::default(), Arc::<AtomicBool>::default());
        let mut visitors = JoinSet::new();
        for _ in 0..CROWD {
            let (sent, enough) = (Arc::clone(&sent), Arc::clone(&enough));
            visitors.spawn(async move {
                let mut seen = Vec::new();
                while !enough.load(Ordering::Relaxed) {
                    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
                    let visitor = Visitor::number(number);
                    let key = format!("idempotency-key: \"visit-{number}\"\r\n");
                    seen.push(visitor.post(proxy, &Form::valid(), &key).await);
                    sent.fetch_add(1, Ordering::Relaxed);
                }
                seen
            });
        }
        Self { visitors, sent, enough }
    }

    /// Waits until so many more were answered.
    async fn goes_on_for(&self, count: u32) {
        let target = self.sent.load(Ordering::Relaxed) + count;
        until(PATIENCE, "the crowd goes on", async || self.sent.load(Ordering::Relaxed) >= target)
            .await;
    }

    async fn ends(self) -> Vec<Seen> {
        self.enough.store(true, Ordering::Relaxed);
        self.visitors.join_all().await.into_iter().flatten().collect()
    }
}

fn assert_all_taken(seen: &[Seen], proxy: &Proxy) {
    let refused: Vec<_> = seen.iter().filter(|it| !matches!(it.status, 201 | 202)).collect();
    assert!(
        refused.is_empty(),
        "{} of {}: {refused:?}\n{}",
        refused.len(),
        seen.len(),
        proxy.log()
    );
}

async fn migrate(engine: &Engine) {
    // Twice: it has nothing to do when it is asked again, as with every `docker compose up`.
    for _ in 0..2 {
        let migrate = engine.container("migrate", 9);
        migrate.process.start();
        let status = migrate.process.wait(PATIENCE).await;
        assert!(status.success(), "{}", migrate.process.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_services_of_the_compose_file_do_as_processes_what_they_shall_do_as_containers() {
    let engine = Engine::start(Servers::shared().await).await;
    for (name, service) in engine.compose.ours() {
        assert!(service.stop_grace() > SHUTDOWN_GRACE, "{name}");
    }
    migrate(&engine).await;

    let edges = [1, 2].map(|octet| engine.container("ingest", octet));
    let workers = [3, 4].map(|octet| engine.container("worker", octet));
    let (first, second) = (edges[0].ip(), edges[1].ip());
    assert!(!edges[0].check().await.status.success(), "healthy before it runs");
    tokio::join!(edges[0].up(), edges[1].up(), workers[0].up(), workers[1].up());

    let names = Names::start(&[first, second]).await;
    let proxy = engine.proxy(&names);
    until(PATIENCE, "the proxy is healthy", async || proxy.is_healthy().await).await;

    a_ticket_is_made_and_seen(proxy.address()).await;
    what_is_the_operators_is_not_shown(proxy.address()).await;
    addresses::are_counted_as_the_proxy_sees_them(proxy.address()).await;

    let crowd = Crowd::at(proxy.address());
    crowd.goes_on_for(100).await;
    edges[0].process.kill();
    crowd.goes_on_for(100).await;
    // Docker starts it again, at another address.
    let third = engine.container("ingest", 5);
    third.up().await;
    names.set(&[second, third.ip()]);
    let forms = async || third.forms_taken().await > 0.0;
    until(PATIENCE, "the proxy has found it", forms).await;
    crowd.goes_on_for(100).await;
    // And now the other goes in an orderly way: all that is left is the new one.
    assert!(edges[1].stop().await.success(), "{}", edges[1].process.log());
    crowd.goes_on_for(100).await;
    assert!(workers[0].stop().await.success(), "{}", workers[0].process.log());
    crowd.goes_on_for(100).await;
    let seen = crowd.ends().await;
    assert_all_taken(&seen, &proxy);
    // Each form has a key, so what the proxy sent twice was stored once. The one more is the first.
    each_is_one_ticket(proxy.address(), seen.len() + 1).await;

    for container in [&third, &workers[1]] {
        assert!(container.stop().await.success(), "{}", container.process.log());
    }
    nobody_is_there(&proxy).await;
    // In the place of an edge, at an address of one.
    let mute = engine.container("ingest", 6);
    names.set(&[mute.ip()]);
    let mute = Mute::start(mute.listen()).await;
    until(PATIENCE, "the proxy is healthy again", async || proxy.is_healthy().await).await;
    mute.is_given_again_only_what_has_a_key(proxy.address()).await;
    nothing_secret_is_logged(&[&edges[0], &edges[1], &third, &workers[0], &workers[1]], &proxy);
}

async fn a_ticket_is_made_and_seen(proxy: SocketAddr) {
    let visitor = Visitor::number(50_000);
    let made = visitor.post(proxy, &Form::valid(), "x-request-id: from-the-outside\r\n").await;
    // On a busy machine the first number may take longer than a visitor waits for it.
    assert!(matches!(made.status, 201 | 202), "{made:?}");
    assert!(made.head.contains("x-request-id: from-the-outside"), "{made:?}");
    let id = made.json()["data"]["id"].as_str().unwrap().to_owned();
    let mut visitors = (55_000..).map(Visitor::number);
    let number = eventually(PATIENCE, "it has a number", async || {
        let visitor = visitors.next().unwrap();
        let found = visitor.get(proxy, &format!("/api/support/ticket/{id}"), "").await;
        let number = found.json()["data"]["ticketNumber"].as_str().map(str::to_owned);
        number.ok_or(found)
    })
    .await;
    let found = visitor.get(proxy, &format!("/api/support/ticket/{number}"), "").await;
    assert_eq!((found.status, &found.json()["data"]["status"]), (200, &"open".into()));
    // Told at once, though the stream goes on and a buffer would not be full for long.
    let events = format!("/api/support/ticket/{id}/events");
    let line = visitor.follow(proxy, &events, "data:").await;
    assert!(line.contains(&number), "{line}");
}

async fn what_is_the_operators_is_not_shown(proxy: SocketAddr) {
    let visitor = Visitor::number(50_001);
    for path in ["/metrics", "/livez", "/readyz", "/metrics/"] {
        assert_eq!(visitor.get(proxy, path, "").await.status, 404, "{path}");
    }
    assert_eq!(visitor.get(proxy, "/api/support/health", "").await.status, 200);
}

/// With no edge left the proxy says so itself, in the words of one.
async fn nobody_is_there(proxy: &Proxy) {
    until(PATIENCE, "the proxy is not healthy", async || !proxy.is_healthy().await).await;
    let visitor = Visitor::number(50_002);
    let seen = visitor.post(proxy.address(), &Form::valid(), "x-request-id: nobody\r\n").await;
    assert_eq!(seen.status, 503, "{seen:?}");
    assert!(seen.head.contains("content-type: application/problem+json"), "{seen:?}");
    assert!(seen.head.contains("retry-after: 2"), "{seen:?}");
    let problem = seen.json();
    assert_eq!((&problem["code"], &problem["status"]), (&"unavailable".into(), &503.into()));
    assert_eq!(problem["requestId"], "nobody");
    assert!(chrono::DateTime::parse_from_rfc3339(problem["timestamp"].as_str().unwrap()).is_ok());
}

async fn each_is_one_ticket(proxy: SocketAddr, count: usize) {
    let token = "authorization: Bearer example0admin0token\r\n";
    let mut visitors = (51_000..).map(Visitor::number);
    eventually(PATIENCE, "every form is one ticket", async || {
        // Another one each time: thirty looks a minute are all that one may have.
        let visitor = visitors.next().unwrap();
        let seen = visitor.get(proxy, "/api/support/stats", token).await;
        let total = seen.json()["data"]["total"].as_u64();
        if total == Some(count as u64) { Ok(()) } else { Err(format!("{count}: {seen:?}")) }
    })
    .await;
}

fn nothing_secret_is_logged(containers: &[&Container<'_>], proxy: &Proxy) {
    let logs = containers.iter().map(|it| it.process.log()).collect::<String>() + &proxy.log();
    assert!(proxy.log().contains(r#""requestId":"from-the-outside""#), "{}", proxy.log());
    for word in ["-secret", "example0admin0token", "0001020304", "Ada Lovelace", "127.99.", "SUP-"]
    {
        assert!(!logs.contains(word), "{word} is in the logs");
    }
}
