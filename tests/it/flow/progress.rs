//! Following a ticket: whatever happens to instances and servers, its changes are told, once and in
//! order.

use std::time::Duration;

use expect_test::expect;
use serde_json::{Value, json};

use crate::bed::event_stream::{EventStream, ServerEvent};
use crate::bed::form::Form;
use crate::bed::server::Server;
use crate::bed::servers::Servers;
use crate::bed::system::{TICKETS, TestSystem};
use crate::bed::wait::{eventually, within};

/// In normal running.
const SOON: Duration = Duration::from_secs(5);
/// Over the restart of a broker, or the hand-over of a relay that died.
const LATE: Duration = Duration::from_secs(40);

/// A stop that waited for streams would take as long as the grace: 25 seconds.
const STOPPED_WITHIN: Duration = Duration::from_secs(2);

/// Submits forms until one is a ticket at once, as they all are on a machine with time to spare,
/// and gives back its id and number.
pub async fn ticket(system: &TestSystem) -> (String, String) {
    let data = eventually(LATE, "a form is a ticket", async || {
        let answer = system.submit(&Form::valid().subject("billing")).await;
        if answer.status == 201 { Ok(answer.json()["data"].clone()) } else { Err(answer) }
    })
    .await;
    let text = |name: &str| data[name].as_str().unwrap().to_owned();
    (text("id"), text("ticketNumber"))
}

async fn follow(system: &TestSystem, edge: usize, id: &str, last: Option<&str>) -> EventStream {
    EventStream::open(system.edge(edge).address(), id, last).await
}

/// The version and the status of the next event.
async fn step(stream: &mut EventStream, deadline: Duration) -> (String, String) {
    let event = stream.next(deadline).await.expect("the stream goes on");
    assert_eq!(event.event, "progress");
    (event.id, event.data["status"].as_str().unwrap().to_owned())
}

fn told(version: u32, status: &str) -> (String, String) {
    (version.to_string(), status.to_owned())
}

/// The stream's bytes, without what differs from run to run.
fn shown(stream: &EventStream, number: &str) -> String {
    let mut shown = stream.text.replace(number, "NUMBER");
    for (prefix, end, word) in [("retry: ", "\n", "RETRY"), ("\"at\":\"", "\"", "TIME")] {
        let parts: Vec<_> = shown.split(prefix).map(str::to_owned).collect();
        let rest = parts[1..].iter().map(|part| {
            let at = part.find(end).unwrap();
            format!("{prefix}{word}{}", &part[at..])
        });
        shown = [parts[0].clone()].into_iter().chain(rest).collect();
    }
    shown
}

async fn a_ticket_is_followed_from_its_beginning_and_resumed(system: &TestSystem) {
    let (id, number) = ticket(system).await;
    let mut stream = follow(system, 0, &id, None).await;
    let header = |name: &str| stream.headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "text/event-stream");
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("x-accel-buffering"), "no");
    assert_eq!(header("x-request-id").len(), 32);
    assert_eq!(step(&mut stream, SOON).await, told(1, "open"));
    for (version, status) in [(2, "in-progress"), (3, "resolved"), (4, "in-progress")] {
        system.change_status(std::slice::from_ref(&number), status).await;
        assert_eq!(step(&mut stream, SOON).await, told(version, status));
    }
    expect![[r#"
        retry: RETRY

        id: 1
        event: progress
        data: {"ticketNumber":"NUMBER","subject":"billing","status":"open","priority":"medium","at":"TIME"}

        id: 2
        event: progress
        data: {"ticketNumber":"NUMBER","subject":"billing","status":"in-progress","priority":"medium","at":"TIME"}

        id: 3
        event: progress
        data: {"ticketNumber":"NUMBER","subject":"billing","status":"resolved","priority":"medium","at":"TIME"}

        id: 4
        event: progress
        data: {"ticketNumber":"NUMBER","subject":"billing","status":"in-progress","priority":"medium","at":"TIME"}

    "#]]
    .assert_eq(&shown(&stream, &number));

    // What a look-up tells is what the events told.
    let history = system.look_up(&number).await.json()["data"]["history"].clone();
    let at = |step: &str| Value::from(&step[..24]);
    let times: Vec<_> = stream.text.split("\"at\":\"").skip(1).map(at).collect();
    let in_history = history.as_array().unwrap().iter().map(|change| change["at"].clone());
    assert_eq!(in_history.collect::<Vec<_>>(), times);
    drop(stream);

    system.change_status(std::slice::from_ref(&number), "resolved").await;
    let mut resumed = follow(system, 0, &id, Some("3")).await;
    assert_eq!(step(&mut resumed, SOON).await, told(4, "in-progress"));
    assert_eq!(step(&mut resumed, SOON).await, told(5, "resolved"));
}

/// A stop does not wait for streams, and none is cut off in the middle of an event.
async fn streams_end_when_their_instance_stops(system: &TestSystem) {
    let mut streams = Vec::new();
    for _ in 0..20 {
        let (id, _) = ticket(system).await;
        let mut stream = follow(system, 0, &id, None).await;
        assert_eq!(step(&mut stream, SOON).await, told(1, "open"));
        streams.push(stream);
    }
    let stopped = system.edge(0).stop_gracefully().await;
    assert_eq!(stopped.status.code(), Some(0), "{}", system.edge(0).log());
    assert!(stopped.took < within(STOPPED_WITHIN), "{:?}", stopped.took);
    for stream in &mut streams {
        assert_eq!(stream.next(SOON).await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_followed_embedded() {
    let system = TestSystem::embedded().await;
    a_ticket_is_followed_from_its_beginning_and_resumed(&system).await;
    streams_end_when_their_instance_stops(&system).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_followed_distributed() {
    let system = TestSystem::distributed(Servers::shared().await.backing().await).await;
    a_ticket_is_followed_from_its_beginning_and_resumed(&system).await;
    streams_end_when_their_instance_stops(&system).await;
    eventually(LATE, "no queue is left of those who listened", async || {
        let mut queues = system.backing().queues().await;
        queues.retain(|(name, _)| !name.starts_with("support."));
        if queues.is_empty() { Ok(()) } else { Err(queues) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_submission_is_followed_until_it_is_a_ticket_and_beyond_at_any_edge() {
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing).with_ingest(2).await;
    system.worker(0).stop_gracefully().await;
    let post = system.client().post(TICKETS).header("prefer", "respond-async");
    let answer = post.json(&Form::valid()).send().await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let id = answer.json()["data"]["id"].as_str().unwrap().to_owned();

    let mut streams = [follow(&system, 0, &id, None).await, follow(&system, 1, &id, None).await];
    let queued = ServerEvent {
        id: "0".to_owned(),
        event: "progress".to_owned(),
        data: json!({"status": "queued"}),
    };
    for stream in &mut streams {
        assert_eq!(stream.next(SOON).await, Some(queued.clone()));
    }
    system.worker(0).start_again().await;
    let mut number = String::new();
    for stream in &mut streams {
        let event = stream.next(LATE).await.unwrap();
        assert_eq!((&*event.id, &event.data["status"]), ("1", &json!("open")));
        event.data["ticketNumber"].as_str().unwrap().clone_into(&mut number);
    }
    system.change_status(std::slice::from_ref(&number), "in-progress").await;
    for stream in &mut streams {
        assert_eq!(step(stream, SOON).await, told(2, "in-progress"));
    }

    // A client whose edge is gone goes on at another one where it was.
    system.edge(0).kill();
    system.change_status(std::slice::from_ref(&number), "resolved").await;
    let mut resumed = follow(&system, 1, &id, Some("2")).await;
    for stream in [&mut streams[1], &mut resumed] {
        assert_eq!(step(stream, LATE).await, told(3, "resolved"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_told_although_a_server_was_away() {
    let mut servers = Servers::own().await;
    let system = TestSystem::distributed(servers.backing().await).await;
    let (id, number) = ticket(&system).await;
    let mut stream = follow(&system, 0, &id, None).await;
    assert_eq!(step(&mut stream, SOON).await, told(1, "open"));
    let number = std::slice::from_ref(&number);

    servers.rabbitmq.stop().await;
    system.change_status(number, "in-progress").await;
    servers.rabbitmq.start_again().await;
    assert_eq!(step(&mut stream, LATE).await, told(2, "in-progress"));

    servers.rabbitmq.kill();
    servers.rabbitmq.start_again().await;
    system.change_status(number, "resolved").await;
    assert_eq!(step(&mut stream, LATE).await, told(3, "resolved"));

    servers.postgres.kill();
    servers.postgres.start_again().await;
    system.change_status(number, "closed").await;
    assert_eq!(step(&mut stream, LATE).await, told(4, "closed"));

    servers.redis.kill();
    system.change_status(number, "in-progress").await;
    assert_eq!(step(&mut stream, SOON).await, told(5, "in-progress"));
}

/// One of the two relays; whichever it is, it dies.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_told_although_the_relay_was_killed() {
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing).with_worker(2).await;
    let (id, number) = ticket(&system).await;
    let mut stream = follow(&system, 0, &id, None).await;
    assert_eq!(step(&mut stream, SOON).await, told(1, "open"));
    for (version, status, worker) in [(2, "in-progress", 0), (3, "resolved", 1)] {
        system.worker(worker).kill();
        system.change_status(std::slice::from_ref(&number), status).await;
        assert_eq!(step(&mut stream, LATE).await, told(version, status));
        system.worker(worker).start_again().await;
    }
}
