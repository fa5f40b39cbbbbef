//! Asking for the events of a ticket: who gets a stream, and who gets which answer instead.

use std::time::Duration;

use hyper::Method;

use super::table::problem;
use super::{Api, on_both_systems};
use crate::bed::event_stream::EventStream;
use crate::bed::form::Form;
use crate::bed::system::TICKETS;
use crate::bed::wait::eventually;

on_both_systems! {
    what_has_no_events_is_the_same_404_as_in_a_look_up,
    who_takes_no_event_stream_is_told_so,
    head_tells_what_get_would_and_opens_nothing,
    a_stream_says_nothing_personal,
    no_more_than_twenty_follow_one_ticket,
}

const SOON: Duration = Duration::from_secs(5);

/// Twenty, and a place more than there is.
const PER_TICKET_MAX: usize = 20;

fn events(reference: &str) -> String {
    format!("{TICKETS}/{reference}/events")
}

/// A new ticket's id and number.
async fn ticket(api: &Api) -> (String, String) {
    let answer = eventually(SOON, "a form is a ticket", async || {
        let answer = api.submit(&Form::valid().name("Grace Hopper")).await;
        if answer.status == 201 { Ok(answer) } else { Err(answer) }
    })
    .await;
    let data = answer.json()["data"].clone();
    let text = |name: &str| data[name].as_str().unwrap().to_owned();
    (text("id"), text("ticketNumber"))
}

async fn what_has_no_events_is_the_same_404_as_in_a_look_up(api: Api) {
    let (id, number) = ticket(&api).await;
    let last = if id.ends_with('0') { "1" } else { "0" };
    let forged = format!("{}{last}", &id[..id.len() - 1]);
    let unknown = api.look_up("SUP-9999-999999").await.json();
    for reference in [
        &*number,
        &number.to_lowercase(),
        &forged,
        &id.replace('-', ""),
        "SUP-9999-999999",
        "x",
        "%00",
        "%ff",
        "..%2f..",
        "'%20OR%201=1--",
        &"9".repeat(8_000),
    ] {
        let answer = api.get(&events(reference)).await;
        problem(&answer, 404, "ticket_not_found");
        for key in ["title", "detail", "type"] {
            assert_eq!(answer.json()[key], unknown[key], "{reference}");
        }
    }
    problem(&api.get(&format!("{}/", events(&id))).await, 404, "not_found");
    let post = api.client.request(Method::POST, &events(&id)).send().await;
    problem(&post, 405, "method_not_allowed");
    assert_eq!(post.header("allow"), Some("GET,HEAD,OPTIONS"));
}

async fn who_takes_no_event_stream_is_told_so(api: Api) {
    let (id, _) = ticket(&api).await;
    for accept in ["application/json", "text/html, application/xml;q=0.9"] {
        let answer = api.client.get(&events(&id)).header("accept", accept).send().await;
        problem(&answer, 406, "not_acceptable");
    }
}

async fn head_tells_what_get_would_and_opens_nothing(api: Api) {
    let (id, _) = ticket(&api).await;
    for _ in 0..=PER_TICKET_MAX {
        let head = api.client.request(Method::HEAD, &events(&id)).send().await;
        assert_eq!((head.status.as_u16(), head.text()), (200, ""));
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
    }
}

async fn a_stream_says_nothing_personal(api: Api) {
    let (id, number) = ticket(&api).await;
    let mut stream = EventStream::open(api.system.edge(0).address(), &id, None).await;
    let event = stream.next(SOON).await.unwrap();
    let keys: Vec<_> = event.data.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["at", "priority", "status", "subject", "ticketNumber"]);
    assert_eq!(event.data["ticketNumber"], number);
    for secret in ["Grace", "Hopper", "engine", "@", &id] {
        assert!(!stream.text.contains(secret), "{secret} in {}", stream.text);
    }
}

async fn no_more_than_twenty_follow_one_ticket(api: Api) {
    let (id, _) = ticket(&api).await;
    let address = api.system.edge(0).address();
    let mut streams = Vec::new();
    for _ in 0..PER_TICKET_MAX {
        streams.push(EventStream::open(address, &id, None).await);
    }
    let refused = api.get(&events(&id)).await;
    problem(&refused, 503, "too_many_subscribers");
    assert_eq!(refused.header("retry-after"), Some("2"));
    let (other, _) = ticket(&api).await;
    EventStream::open(address, &other, None).await;
    // Whoever leaves makes room, as soon as the server has seen it.
    streams.pop();
    eventually(SOON, "a place comes free", async || {
        EventStream::try_open(address, &id, None).await.map(drop).map_err(|error| error.to_string())
    })
    .await;
}
