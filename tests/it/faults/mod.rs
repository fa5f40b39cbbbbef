//! Installations of real processes that are hurt on purpose: one component and one fault a test, and
//! every step of a submission; what a client sees meanwhile, and what is stored in the end.

mod accounts;
mod broker;
mod clocks;
mod cluster;
mod database;
mod disks;
#[cfg(debug_assertions)]
mod failpoints;
mod hang_ups;
mod hangs;
mod messages;
mod open_loop;
mod oracle;
mod outage;
mod partitions;
mod redis;
mod restarts;
mod spool;
mod trace;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::bed::client::{Answer, Client};
use crate::bed::form::Form;
use crate::bed::system::{TICKETS, TestSystem};
use crate::bed::wait::{eventually, until};
use crate::flow::stored;

/// Longer than any deadline of ours on the way, shorter than a person's patience.
const ANSWER_MAX: Duration = Duration::from_millis(2_500);

/// Everything is well again so long after a fault's end: a lane that was in vain for long pauses for half of it.
pub const RECOVERY: Duration = Duration::from_mins(1);

/// Submits a form without waiting for its number, and fails the test when the answer is late.
async fn post(edge: &Client, form: &Form) -> Answer {
    let asked_at = Instant::now();
    let answer = edge.post(TICKETS).header("prefer", "respond-async").json(form).send().await;
    assert!(asked_at.elapsed() <= ANSWER_MAX, "{:?}: {answer:?}", asked_at.elapsed());
    answer
}

/// Waits until an edge takes submissions again, and says so itself.
async fn until_ready(edge: &Client) {
    let is_ready = async || edge.get("/readyz").send().await.status == 200;
    until(RECOVERY, "the edge is ready", is_ready).await;
}

/// Holds the audit against the installation, until the last event is published. It fails on a dead
/// letter, on a number that two tickets have, and on statistics that are no recount.
pub async fn passes_the_audit(system: &TestSystem) {
    eventually(RECOVERY, "the audit is passed", async || {
        let audit = system.verify().await;
        if audit.status.success() { Ok(()) } else { Err(audit.stdout) }
    })
    .await;
}

fn assert_refused(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
}

/// What was submitted without a key, and what came of it.
#[derive(Default)]
struct Told {
    /// Messages by submission.
    accepted: BTreeMap<String, String>,
    /// Messages of what was answered 503; each may become a ticket or not.
    refused: BTreeSet<String>,
}

impl Told {
    /// Submits a form; gives back whether it was accepted.
    async fn submit(&mut self, edge: &Client, form: &Form) -> bool {
        let message = form.json()["message"].as_str().expect("a message").to_owned();
        let answer = post(edge, form).await;
        if answer.status == 202 {
            let id = answer.json()["data"]["id"].as_str().expect("an id").to_owned();
            self.accepted.insert(id, message);
            return true;
        }
        assert_refused(&answer);
        self.refused.insert(message);
        false
    }

    /// So many that are all accepted.
    async fn submit_well(&mut self, edge: &Client, count: usize) {
        for number in 0..count {
            assert!(
                self.submit(edge, &Form::valid()).await,
                "the {number}th of {count} was refused"
            );
        }
    }

    /// Waits until everything accepted is a ticket; gives back id, number and message of each.
    async fn are_stored(&self, database_url: &str) -> Vec<(String, String, String)> {
        let mut store = stored::connect(database_url).await;
        eventually(RECOVERY, "what was accepted is stored", async || {
            let tickets = stored::tickets(&mut store).await;
            let ids: BTreeSet<_> = tickets.iter().map(|(id, _, _)| id.as_str()).collect();
            let missing = self.accepted.keys().filter(|id| !ids.contains(id.as_str())).count();
            if missing == 0 { Ok(tickets) } else { Err(missing) }
        })
        .await
    }

    /// Waits until everything accepted is a ticket, once, and nothing else is that was not
    /// submitted; then holds the audit against the installation.
    async fn becomes_tickets(&self, system: &TestSystem) {
        let tickets = self.are_stored(&system.backing().database_url).await;
        let mut messages = BTreeSet::new();
        for (id, _, message) in &tickets {
            assert!(messages.insert(message), "two tickets: {message}");
            let is_accepted = self.accepted.get(id) == Some(message);
            assert!(is_accepted || self.refused.contains(message), "nobody's: {message}");
        }
        system.settled(tickets.len() as u64).await;
        passes_the_audit(system).await;
    }
}
