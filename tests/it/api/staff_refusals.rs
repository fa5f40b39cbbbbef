//! What staff routes refuse, and in which words, by real requests to real processes.

use std::collections::BTreeSet;
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use super::ADMIN_TOKEN;
use super::admin::{STAFF_TICKETS, Staff, on_both};
use super::shown::shown;
use super::table::problem;
use super::tickets::ticket;
use crate::bed::client::{Answer, Client};
use crate::bed::form::Form;
use crate::bed::system::{TICKETS, TestSystem};
use crate::bed::wait::until;

const DEADLINE: Duration = Duration::from_secs(30);
const ADMIN: &str = "/api/support/admin";
const TOKENS: &str = "/api/support/admin/tokens";
const ERASE: &str = "/api/support/admin/people/erase";

on_both! {
    whoever_has_no_token_hears_the_same_at_every_address:
        whoever_has_no_token_hears_the_same_at_every_address_embedded,
        whoever_has_no_token_hears_the_same_at_every_address_distributed;
    nothing_that_is_asked_for_is_passed_over:
        nothing_that_is_asked_for_is_passed_over_embedded,
        nothing_that_is_asked_for_is_passed_over_distributed;
    an_erased_ticket_is_said_to_be_erased:
        an_erased_ticket_is_said_to_be_erased_embedded,
        an_erased_ticket_is_said_to_be_erased_distributed;
}

/// To the letter: which address has which methods is nobody else's business.
async fn whoever_has_no_token_hears_the_same_at_every_address(system: &TestSystem) {
    let client = Client::new(system.desk().address());
    let mut told = BTreeSet::new();
    for path in ["", "/", "/nowhere", "/tokens", "/tokens/x/rotate", "/tickets/x", "/people/erase"]
    {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let answer = client.request(method, &format!("{ADMIN}{path}")).send().await;
            assert_eq!(answer.status, 401, "{path}");
            told.insert(shown(&answer));
        }
        let head = client.request(Method::HEAD, &format!("{ADMIN}{path}")).send().await;
        assert_eq!((head.status.as_u16(), head.header("allow")), (401, None), "{path}");
    }
    assert_eq!(told.len(), 1, "{told:#?}");
}

/// Code of the problem, and of each violation with its pointer.
fn refusal(answer: &Answer) -> String {
    assert_eq!(answer.status, 422, "{}", answer.text());
    let document = answer.json();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let errors = document["errors"].as_array().unwrap().iter();
    let told = errors.map(|it| format!("{} {}", word(&it["pointer"]), word(&it["code"])));
    format!("{}: {}", word(&document["code"]), told.collect::<Vec<_>>().join(", "))
}

async fn nothing_that_is_asked_for_is_passed_over(system: &TestSystem) {
    let (id, number) = ticket(system, &Form::valid()).await;
    let admin = Staff::of(system, ADMIN_TOKEN);

    let person = json!({"email": Form::valid().json()["email"], "because": "a test"});
    let erase = admin.post(&format!("{ERASE}?x=1"), &person).await;
    assert_eq!(refusal(&erase), "invalid_query: /x unknown_field");
    let (_, token) = admin.token("stats").await;
    let rotate = admin.post(&format!("{TOKENS}/{token}/rotate"), &json!({"overlap": "1s"})).await;
    assert_eq!(refusal(&rotate), "validation_failed: /overlap unknown_field");
    let tokens = admin.get(TOKENS).await.json();
    assert_eq!(tokens["data"]["tokens"].as_array().unwrap().len(), 1);

    let change = json!({"assignee": "Nobody", "addTags": ["a", "B"]});
    let body = json!({"tickets": [number, 7], "change": change, "x": 1});
    let bulk = admin.post(&format!("{STAFF_TICKETS}/bulk"), &body).await;
    assert_eq!(
        refusal(&bulk),
        "validation_failed: /tickets/1 wrong_type, /change/addTags/1 invalid_tag, \
         /change/assignee unknown_member, /x unknown_field"
    );
    times(&admin).await;
    let untouched = admin.get(&format!("{STAFF_TICKETS}/{id}")).await;
    assert_eq!(untouched.header("etag"), Some("\"1\""));
}

/// Any time of RFC 3339 is one, and one that ends before it begins is told.
async fn times(admin: &Staff) {
    let (audit, export) = (format!("{ADMIN}/audit"), format!("{STAFF_TICKETS}/export"));
    for (path, from, to) in [
        (audit.as_str(), "from", "to"),
        (&export, "submittedFrom", "submittedTo"),
        (STAFF_TICKETS, "submittedFrom", "submittedTo"),
        (STAFF_TICKETS, "updatedFrom", "updatedTo"),
    ] {
        let ask = async |query: &str| admin.get(&format!("{path}?{query}")).await;
        let turned = format!("{from}=2026-11-22T00:00:00Z&{to}=2026-11-21T00:00:00Z");
        assert_eq!(
            refusal(&ask(&turned).await),
            format!("invalid_query: /{to} impossible_range"),
            "{path}"
        );
        for nothing in [
            format!("{to}=0000-01-01T00:00:00%2B23:59"),
            format!("{to}=0001-01-01T00:00:00Z"),
            format!("{from}=9999-01-01T00:00:00Z"),
            format!("{from}=9999-12-31T23:59:59-23:59"),
        ] {
            let answer = ask(&nothing).await;
            assert_eq!(answer.status, 200, "{path}?{nothing}: {}", answer.text());
            assert!(!answer.text().contains("SUP-"), "{path}?{nothing}: {}", answer.text());
        }
        let all = format!("{from}=0000-01-01T00:00:00%2B23:59&{to}=9999-12-31T23:59:59-23:59");
        let answer = ask(&all).await;
        assert!(answer.text().contains("SUP-") || path == audit, "{path}: {}", answer.text());
    }
    for order in ["sort=submittedAt", "sort=updatedAt", "sort=-updatedAt", "tag=a", "q=engine"] {
        for time in ["submittedFrom", "submittedTo", "updatedFrom", "updatedTo"] {
            let year = if time.ends_with("From") { "9999" } else { "0001" };
            let path = format!("{STAFF_TICKETS}?{order}&{time}={year}-01-01T00:00:00Z");
            let answer = admin.get(&path).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            assert_eq!(answer.json()["data"], json!({"tickets": []}), "{path}");
        }
    }
}

async fn an_erased_ticket_is_said_to_be_erased(system: &TestSystem) {
    let form = Form::valid();
    let (id, number) = ticket(system, &form).await;
    let admin = Staff::of(system, ADMIN_TOKEN);
    let person = json!({"email": form.json()["email"], "because": "asked for it"});
    until(DEADLINE, "it is erased", async || {
        let erased = admin.post(ERASE, &person).await;
        assert_eq!(erased.status, 200, "{}", erased.text());
        erased.json()["data"]["isComplete"] == true
    })
    .await;
    let path = format!("{STAFF_TICKETS}/{number}");
    let message = json!({"message": "Who was that?"});
    for kind in ["notes", "replies"] {
        problem(&admin.post(&format!("{path}/{kind}"), &message).await, 409, "ticket_erased");
    }
    let filed = json!({"addTags": ["a"]});
    problem(&admin.patch(&number, None, &filed).await, 409, "ticket_erased");
    let bulk = json!({"tickets": [number], "change": filed});
    let bulk = admin.post(&format!("{STAFF_TICKETS}/bulk"), &bulk).await.json();
    assert_eq!(bulk["data"]["tickets"][0]["code"], "ticket_erased");
    // To whoever has its id it is not there any more.
    let answer =
        system.client().post(&format!("{TICKETS}/{id}/replies")).json(&message).send().await;
    problem(&answer, 404, "ticket_not_found");
}
