//! The list of tickets and their search, by real requests to real processes.

use std::time::Duration;

use serde_json::Value;

use super::ADMIN_TOKEN;
use super::admin::{STAFF_TICKETS, Staff, on_both};
use super::table::problem;
use crate::bed::form::Form;
use crate::bed::system::{TICKETS, TestSystem};
use crate::bed::wait::until;

const DEADLINE: Duration = Duration::from_secs(30);

on_both! {
    tickets_are_listed_page_by_page_and_found_by_their_words:
        tickets_are_listed_page_by_page_and_found_by_their_words_embedded,
        tickets_are_listed_page_by_page_and_found_by_their_words_distributed;
}

/// The names on a page, and where it goes on.
async fn page(staff: &Staff, query: &str) -> (Vec<String>, Option<String>) {
    let answer = staff.get(&format!("{STAFF_TICKETS}?{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    let data = answer.json()["data"].clone();
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    let tickets = data["tickets"].as_array().unwrap().iter();
    (tickets.map(|ticket| text(&ticket["name"]).unwrap()).collect(), text(&data["next"]))
}

async fn tickets_are_listed_page_by_page_and_found_by_their_words(system: &TestSystem) {
    let staff = Staff::of(system, ADMIN_TOKEN);
    for (name, message) in [("Ada", "engine one"), ("Grace", "engine two"), ("Mary", "loom")] {
        let form = Form::valid().name(name).message(message).json();
        assert!(system.client().post(TICKETS).json(&form).send().await.status.is_success());
        until(DEADLINE, "it is listed and found", async || {
            let listed = page(&staff, "limit=1").await.0;
            listed == [name]
                && page(&staff, &format!("q={message}").replace(' ', "+")).await.0 == [name]
        })
        .await;
    }
    let (mut names, mut next) = page(&staff, "sort=submittedAt&limit=2").await;
    while let Some(cursor) = next {
        let more = page(&staff, &format!("sort=submittedAt&limit=2&cursor={cursor}")).await;
        names.extend(more.0);
        next = more.1;
    }
    assert_eq!(names, ["Ada", "Grace", "Mary"]);
    assert_eq!(page(&staff, "q=ENG&sort=submittedAt").await.0, ["Ada", "Grace"]);

    let cursor = page(&staff, "q=engine&limit=1").await.1.unwrap();
    for (query, code) in [
        (format!("q=engines&cursor={cursor}"), "foreign_cursor"),
        (format!("q=engine&cursor={}", cursor.replace('0', "1")), "invalid_cursor"),
    ] {
        let answer = staff.get(&format!("{STAFF_TICKETS}?{query}")).await;
        let told = problem(&answer, 422, "invalid_query");
        assert_eq!(told["errors"][0]["code"], code);
        assert_eq!(told["errors"][0]["pointer"], "/cursor");
    }
}
