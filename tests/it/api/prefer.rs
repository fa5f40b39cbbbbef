//! How long a sender is willing to wait for the number.

use std::time::Duration;

use expect_test::expect;
use serde_json::json;

use super::shown::shown;
use super::{Api, on_both_systems};
use crate::bed::form::Form;
use crate::bed::system::TICKETS;
use crate::bed::wait::eventually;

on_both_systems! {
    whoever_asks_not_to_wait_is_told_that_it_is_queued,
    preferences_that_are_applied_are_named,
    what_is_queued_becomes_a_ticket_under_its_id,
}

/// A worker has it done in a fraction of that.
const DONE: Duration = Duration::from_secs(10);

async fn whoever_asks_not_to_wait_is_told_that_it_is_queued(api: Api) {
    let post = api.client.post(TICKETS).header("prefer", "respond-async");
    let answer = post.json(&Form::valid()).send().await;
    expect![[r#"
        202 Accepted
        cache-control: no-store
        content-length: LENGTH
        content-security-policy: default-src 'none'; frame-ancestors 'none'
        content-type: application/json
        date: DATE
        location: /api/support/ticket/ID
        preference-applied: respond-async
        referrer-policy: no-referrer
        traceparent: TRACEPARENT
        vary: Prefer
        x-content-type-options: nosniff
        x-request-id: REQUEST-ID

        {
          "data": {
            "id": "ID",
            "status": "queued"
          },
          "message": "Support ticket queued; it will be numbered shortly",
          "success": true,
          "timestamp": "TIME"
        }
    "#]]
    .assert_eq(&shown(&answer));
}

async fn preferences_that_are_applied_are_named(api: Api) {
    let (numbered, queued, either): (&[u16], &[u16], &[u16]) = (&[201], &[202], &[201, 202]);
    for (prefer, statuses, applied) in [
        ("wait=7", numbered, Some("wait=7")),
        // On a busy machine a second may be over before there is a number.
        ("wait=1", either, Some("wait=1")),
        ("respond-async, wait=7", numbered, Some("wait=7")),
        ("respond-async", queued, Some("respond-async")),
        ("Respond-Async", queued, Some("respond-async")),
        // Not to wait at all is still to look: the number may be there already.
        ("wait=0", either, Some("wait=0")),
        // Longer than this installation waits for anybody.
        ("wait=60", numbered, None),
        ("wait=-1", numbered, None),
        ("wait", numbered, None),
        ("handling=lenient", numbered, None),
        ("", numbered, None),
    ] {
        let post = api.client.post(TICKETS).header("prefer", prefer);
        let answer = post.json(&Form::valid()).send().await;
        assert!(statuses.contains(&answer.status.as_u16()), "{prefer}: {}", answer.text());
        assert_eq!(answer.header("preference-applied"), applied, "{prefer}");
        assert_eq!(answer.header("vary"), Some("Prefer"), "{prefer}");
    }
}

async fn what_is_queued_becomes_a_ticket_under_its_id(api: Api) {
    for prefer in ["respond-async", "wait=0"] {
        let form = Form::valid();
        let answer = api.client.post(TICKETS).header("prefer", prefer).json(&form).send().await;
        let location = answer.header("location").unwrap().to_owned();
        let id = answer.json()["data"]["id"].clone();
        let ticket = eventually(DONE, "what is queued becomes a ticket", async || {
            let seen = api.get(&location).await;
            assert_eq!(seen.status, 200, "{}", seen.text());
            let data = seen.json()["data"].clone();
            if data["status"] == "open" {
                return Ok(data);
            }
            assert_eq!(data, json!({"id": id, "status": "queued"}));
            Err("it is queued")
        })
        .await;
        assert_eq!((&ticket["id"], &ticket["message"]), (&id, &form.json()["message"]));
        assert!(super::shown::is_number(ticket["ticketNumber"].as_str().unwrap()));
    }
}
