//! Chaos for an installation of one process: killed hundreds of times, with a full disk, over links
//! that fail, and its files copied from under it. The crowd, the ledger and the checker are those of
//! the distributed runs; the store is a file.
//!
//! What a kill cannot show is whether a commit is flushed: what the process wrote, the kernel has, and
//! keeps. With `synchronous` off these tests pass.

mod copies;
mod full_disk;
mod kills;
mod letters;
mod links;
mod store;
mod stranger;

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::store::Database;
use super::checker::{Findings, Wrong, check};
use super::ledger::Line;
use crate::bed::client::Client;
use crate::bed::system::{ADMIN_TOKEN, TestSystem};
use crate::bed::wait::eventually;

/// Everything is told and counted so long after everything was healed.
const DRAIN: Duration = Duration::from_mins(1);

/// Events in one answer.
const EVENTS_MAX: usize = 1_000;

fn data_dir(system: &TestSystem) -> PathBuf {
    system.folder().join("data")
}

/// Holds everything against the ledger: the audit, the replay of events, the file, and every ticket.
/// Stops the installation on the way. Fails the test when something is wrong.
async fn conclude(
    seed: u64,
    system: &TestSystem,
    data_dir: &Path,
    ledger: impl IntoIterator<Item = Line>,
) -> Conclusion {
    let client = Client::new(system.edge(0).address());
    passes_the_audit(system, data_dir).await;
    let announced = announced(&client).await;
    let stopped = system.stop_gracefully().await;
    assert!(stopped.iter().all(|stopped| stopped.status.success()), "{stopped:?}");
    let log = system.edge(0).log();
    assert!(!log.contains("panicked"), "{log}");

    let mut database = Database::open(data_dir).await;
    assert_eq!(database.integrity().await, "ok");
    let tickets = database.tickets().await;
    let stored: HashSet<_> = tickets.iter().map(|ticket| ticket.id.clone()).collect();
    assert_eq!(announced.len(), stored.len(), "each ticket's creation is an event, once");
    assert!(announced.iter().all(|id| stored.contains(id)), "and nothing else is");
    let conclusion = Conclusion { findings: check(ledger, tickets), events: announced.len() };
    conclusion.is_good_or_fails(seed);
    conclusion
}

/// Waits until the audit finds nothing: a moment after a start there are events to be published.
async fn passes_the_audit(system: &TestSystem, data_dir: &Path) {
    let setting = [("SUPPORT_DATA_DIR", data_dir.to_str().expect("a path of ours"))];
    eventually(DRAIN, "the audit is passed", async || {
        let audit = system.run_with(&["verify"], &setting).await;
        if audit.status.success() { Ok(()) } else { Err(audit) }
    })
    .await;
}

/// The ids of all tickets whose creation is in the replay. Fails the test when one is there twice.
async fn announced(client: &Client) -> HashSet<String> {
    let (mut announced, mut after) = (HashSet::new(), String::new());
    loop {
        let path = format!("/api/support/events?limit={EVENTS_MAX}{after}");
        let page = client.get(&path).bearer(ADMIN_TOKEN).send().await.json();
        let events = page["data"]["events"].as_array().expect("events");
        for event in events {
            assert_eq!(event["type"], "supportline.ticket.created");
            let id = event["data"]["id"].as_str().expect("an id").to_owned();
            assert!(announced.insert(id), "twice: {event}");
        }
        if events.len() < EVENTS_MAX {
            return announced;
        }
        after = format!("&after={}", page["data"]["next"].as_str().expect("a cursor"));
    }
}

/// What was found in the end.
struct Conclusion {
    findings: Findings,
    events: usize,
}

impl Conclusion {
    fn is_good_or_fails(&self, seed: u64) {
        for violation in self.findings.violations.iter().take(20) {
            println!("{violation}");
        }
        assert!(self.findings.violations.is_empty(), "seed {seed} breaks promises: {self}");
    }
}

impl fmt::Display for Conclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Findings { attempts, acknowledged, refused, unknown, recovered, .. } = &self.findings;
        let count = |wrong| self.findings.count(wrong);
        write!(
            f,
            "{attempts} attempts; {acknowledged} submissions acknowledged, {refused} refused, \
             {unknown} unknown, {recovered} recovered; {} lost, {} duplicated, {} unexpected, \
             {} corrupt, {} absurd answers; {} events, one for each ticket",
            count(Wrong::Lost),
            count(Wrong::Duplicated),
            count(Wrong::Unexpected),
            count(Wrong::Corrupt),
            count(Wrong::Absurd),
            self.events
        )
    }
}
