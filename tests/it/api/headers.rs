//! Headers that every answer carries, and what becomes of those that a caller sends.

use super::table::problem;
use super::{ADMIN_TOKEN, Api, STATISTICS, on_both_systems};
use crate::bed::client::Answer;
use crate::bed::form::Form;
use crate::bed::system::TICKETS;

on_both_systems! {
    every_answer_is_nobody_elses_and_what_it_says_it_is,
    a_sane_request_id_comes_back_and_any_other_is_replaced,
    a_trace_is_continued_or_begun,
    statistics_are_for_one_bearer_token_and_for_nothing_else,
}

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Every address, found or not.
const PATHS: [&str; 7] = [
    "/livez",
    "/readyz",
    "/nowhere",
    TICKETS,
    "/api/support/ticket/x",
    STATISTICS,
    "/api/support/health",
];

async fn every_answer_is_nobody_elses_and_what_it_says_it_is(api: Api) {
    for path in PATHS {
        let answer = api.get(path).await;
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        let kind = if answer.status.is_success() { "json" } else { "problem+json" };
        assert_eq!(answer.header("content-type"), Some(&*format!("application/{kind}")), "{path}");
        assert_eq!(answer.header("server"), None, "{path}");
    }
}

async fn a_sane_request_id_comes_back_and_any_other_is_replaced(api: Api) {
    let id_of = async |path: &str, sent: &str| -> String {
        let answer = api.client.get(path).header("x-request-id", sent).send().await;
        let id = answer.header("x-request-id").unwrap().to_owned();
        if !answer.status.is_success() {
            assert_eq!(answer.json()["requestId"], id.as_str(), "{path}");
        }
        id
    };
    let longest = "x".repeat(64);
    for path in PATHS {
        for sane in ["order-66", "a.b_c-D", &longest] {
            assert_eq!(id_of(path, sane).await, sane, "{path}");
        }
        let too_long = "x".repeat(65);
        let endless = "x".repeat(10_000);
        for other in ["", "\"><script>", "a b", "a\tb", "a,b", &too_long, &endless] {
            let id = id_of(path, other).await;
            let is_ours = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(is_ours, "{path}: {id} for {other:.70}");
        }
    }
    assert_ne!(id_of("/livez", "").await, id_of("/livez", "").await);
    let post = api.client.post(TICKETS).header("x-request-id", "order-67");
    assert_eq!(post.json(&Form::valid()).send().await.header("x-request-id"), Some("order-67"));
}

async fn a_trace_is_continued_or_begun(api: Api) {
    let trace_of = |answer: &Answer| answer.header("traceparent").unwrap().to_owned();
    for path in PATHS {
        let told = trace_of(&api.client.get(path).header("traceparent", PARENT).send().await);
        assert!(common::trace::is_traceparent(&told), "{told}");
        // The trace and its flags are the caller's, the span is ours.
        assert_eq!((&told[..36], &told[52..]), (&PARENT[..36], &PARENT[52..]));
        assert_ne!(told[36..52], PARENT[36..52]);
        for other in ["", "00", "rubbish", &PARENT.to_uppercase(), &PARENT.replace("00-", "ff-")] {
            let told = trace_of(&api.client.get(path).header("traceparent", other).send().await);
            assert!(common::trace::is_traceparent(&told), "{told}");
            assert_ne!(told[..36], PARENT[..36], "{other}");
        }
    }
}

async fn statistics_are_for_one_bearer_token_and_for_nothing_else(api: Api) {
    let ask = |lines: &[&str]| {
        let request = api.client.get(STATISTICS);
        lines.iter().fold(request, |request, line| request.header("authorization", line))
    };
    let token = ADMIN_TOKEN;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        assert_eq!(ask(&[&format!("{scheme} {token}")]).send().await.status, 200);
    }
    let good = format!("Bearer {token}");
    let refused: [&[&str]; 13] = [
        &[],
        &[""],
        &["Bearer"],
        &["Bearer "],
        &["bearer x"],
        &["Bearer a b"],
        &[token],
        &[&format!("Basic {token}")],
        &[&format!("Bearer {}", &token[1..])],
        &[&format!("Bearer {token}x")],
        &[&format!("Bearer {}", token.to_uppercase())],
        &[&good, &good],
        &[&good, "Bearer x"],
    ];
    for lines in refused {
        let answer = ask(lines).send().await;
        problem(&answer, 401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{lines:?}");
        assert!(!answer.text().contains(token), "{lines:?}");
    }
    // A token belongs in its header, and nowhere else.
    let in_query = format!("{STATISTICS}?access_token={token}&token={token}");
    problem(&api.get(&in_query).await, 401, "unauthorized");
}
