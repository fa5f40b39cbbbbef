//! Queries: what is asked for that is not there to be asked for.

use super::super::table::problem;
use super::super::{ADMIN_TOKEN, Api, on_both_systems};

on_both_systems! {
    pages_of_events_are_asked_for_by_a_limit_and_a_cursor_of_ours,
}

const EVENTS: &str = "/api/support/events";

async fn pages_of_events_are_asked_for_by_a_limit_and_a_cursor_of_ours(api: Api) {
    let first = api.client.get(EVENTS).bearer(ADMIN_TOKEN).send().await.json();
    let next = first["data"]["next"].as_str().unwrap();
    let tampered = format!("after={}", next.replace(char::is_alphanumeric, "z"));
    let twice = format!("after={next}&after={next}");
    let queries = [
        "limit=-1",
        "limit=0",
        "limit=1e9",
        "limit=1001",
        "limit=99999999999999999999",
        "limit=ten",
        "limit=",
        "limit=1&limit=2",
        "limit=1%00",
        "after=",
        "after=0",
        "after=%27%20OR%201=1--",
        "after=%ff",
        &tampered,
        &twice,
    ];
    for query in queries {
        let answer = api.client.get(&format!("{EVENTS}?{query}")).bearer(ADMIN_TOKEN).send().await;
        problem(&answer, 422, "invalid_query");
    }
    let again = format!("{EVENTS}?after={next}&limit=1&unknown=1");
    assert_eq!(api.client.get(&again).bearer(ADMIN_TOKEN).send().await.status, 200);
}
