//! One request id and one trace through all processes: how an operator follows a submission.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::running::Running;
use super::{Settings, settings};
use crate::bed::folder::Folder;
use crate::bed::form::Form;
use crate::bed::servers::Servers;
use crate::bed::system::TICKETS;
use crate::bed::wait::until;

const NUMBER_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const REQUEST_ID: &str = "follow-me.7f50";
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const STEPS: Duration = Duration::from_secs(20);

/// The lines of a process that name the request, as (message, line).
fn steps(process: &Running) -> Vec<(String, Value)> {
    let log = process.log();
    // The welcome on standard output is for people.
    let lines = log.lines().filter(|line| line.starts_with('{')).map(|line| {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    });
    let ours = lines.filter(|line| line["request_id"] == REQUEST_ID);
    ours.map(|line| (line["message"].as_str().unwrap_or_default().to_owned(), line)).collect()
}

fn logging(servers: &[(&str, &str)]) -> Settings {
    let mut told = settings(servers);
    told.extend(settings(&[
        ("SUPPORT_NUMBER_KEY", NUMBER_KEY),
        ("SUPPORT_LOG_FORMAT", "json"),
        ("RUST_LOG", "supportline=debug"),
    ]));
    told
}

/// Posts a form under the request id and the trace, and gives back its ticket's number.
async fn post(edge: &Running) -> String {
    let request = edge.client().post(TICKETS).header("x-request-id", REQUEST_ID);
    let parent = format!("00-{TRACE_ID}-00f067aa0ba902b7-01");
    let answer = request.header("traceparent", &parent).json(&Form::valid()).send().await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["data"]["ticketNumber"].as_str().unwrap().to_owned()
}

/// Waits for the steps and checks that each is of the one trace.
async fn find(process: &Running, expected: &[&str]) -> Vec<(String, Value)> {
    until(STEPS, &format!("{expected:?} are logged"), async || {
        let steps = steps(process);
        expected.iter().all(|message| steps.iter().any(|(told, _)| told == message))
    })
    .await;
    let steps = steps(process);
    for (message, line) in &steps {
        let parent = line["traceparent"].as_str().unwrap_or_default();
        assert_eq!(parent.split('-').nth(1), Some(TRACE_ID), "{message}: {line}");
    }
    steps
}

const AT_THE_EDGE: [&str; 2] = ["a submission was offered", "served"];
const AT_THE_WORKER: [&str; 3] =
    ["a submission was received", "a submission is a ticket", "an event was published"];

fn number(steps: &[(String, Value)]) -> Option<&str> {
    let (_, line) = steps.iter().find(|(message, _)| message == AT_THE_WORKER[1])?;
    line["number"].as_str()
}

#[tokio::test]
async fn one_request_id_and_trace_follow_a_submission_through_all_processes() {
    let folder = Folder::new("traces");
    let backing = Servers::shared().await.backing().await;
    let told = logging(&[
        ("DATABASE_URL", &backing.database_url),
        ("AMQP_URL", &backing.amqp_url),
        ("REDIS_URL", &backing.redis_url),
    ]);
    let edge = Running::start("ingest", folder.path(), &told).await;
    let worker = Running::start("worker", folder.path(), &told).await;
    let ticket = post(&edge).await;
    find(&edge, &AT_THE_EDGE).await;
    let steps = find(&worker, &AT_THE_WORKER).await;
    assert_eq!(number(&steps), Some(&*ticket));
}

#[tokio::test]
async fn one_request_id_and_trace_follow_a_submission_in_one_process() {
    let folder = Folder::new("traces");
    let told = logging(&[("SUPPORT_DATA_DIR", data(folder.path()).as_str())]);
    let serve = Running::start("serve", folder.path(), &told).await;
    let ticket = post(&serve).await;
    let steps = find(&serve, &[&AT_THE_EDGE[..], &AT_THE_WORKER].concat()).await;
    assert_eq!(number(&steps), Some(&*ticket));
}

fn data(folder: &Path) -> String {
    folder.join("data").display().to_string()
}
