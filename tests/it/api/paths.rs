//! Addresses and methods.

use hyper::Method;

use super::table::problem;
use super::{Api, STATISTICS, on_both_systems};
use crate::bed::system::TICKETS;

on_both_systems! {
    an_address_has_its_methods_and_names_them,
    options_names_the_methods_of_every_address,
    head_is_get_without_the_body,
    what_has_no_route_is_a_404,
}

async fn an_address_has_its_methods_and_names_them(api: Api) {
    let ticket = format!("{TICKETS}/SUP-2026-123456");
    let reading = ["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"];
    let table: [(&str, &[&str], &str); 6] = [
        (TICKETS, &["GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE"], "POST,OPTIONS"),
        (&ticket, &reading, "GET,HEAD,OPTIONS"),
        (STATISTICS, &reading, "GET,HEAD,OPTIONS"),
        ("/api/support/health", &reading, "GET,HEAD,OPTIONS"),
        ("/livez", &reading, "GET,HEAD,OPTIONS"),
        ("/readyz", &reading, "GET,HEAD,OPTIONS"),
    ];
    for (path, methods, allowed) in table {
        for method in methods {
            let answer = api.client.request(method.parse().unwrap(), path).send().await;
            if *method == "HEAD" {
                assert_eq!((answer.status.as_u16(), answer.body.len()), (405, 0));
            } else {
                problem(&answer, 405, "method_not_allowed");
            }
            assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
        }
    }
}

/// Every path of the document, so that a new one is asked as well. Not staff's: they ask for a token
/// first, and are not this role's.
async fn options_names_the_methods_of_every_address(api: Api) {
    let document = api.get("/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    let public = paths.iter().filter(|(path, _)| !path.starts_with("/api/support/admin"));
    assert!(public.clone().count() >= 9);
    for (path, item) in public {
        let path = path.replace("{reference}", "SUP-2026-123456").replace("{id}", "0");
        let answer = api.client.request(Method::OPTIONS, &path).send().await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0), "{path}");
        let there = [("get", "GET,HEAD"), ("post", "POST")];
        let there = there.into_iter().filter(|(method, _)| item.get(method).is_some());
        let methods: Vec<_> = there.map(|(_, methods)| methods).chain(["OPTIONS"]).collect();
        assert_eq!(answer.header("allow"), Some(methods.join(",").as_str()), "{path}");
    }
    let answer = api.client.request(Method::OPTIONS, "/nowhere").send().await;
    problem(&answer, 404, "not_found");
}

async fn head_is_get_without_the_body(api: Api) {
    for path in ["/livez", "/readyz", "/api/support/health", STATISTICS, "/nowhere"] {
        let get = api.get(path).await;
        let head = api.client.request(Method::HEAD, path).send().await;
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        let names = |answer: &crate::bed::client::Answer| {
            let mut names: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
            names.sort();
            names
        };
        assert_eq!(names(&head), names(&get), "{path}");
    }
}

async fn what_has_no_route_is_a_404(api: Api) {
    for path in [
        "/",
        "/api",
        "/api/support",
        "/api/support/tickets",
        "/api/support/ticket/",
        "/api/support/ticket/x/y",
        "/api/support//ticket",
        "/API/SUPPORT/TICKET",
        "/api/support/stats/",
        "/api/support/../support/stats",
        "/api/support/%2e%2e/support/stats",
        "/%00",
        "/.env",
        "/.git/config",
    ] {
        problem(&api.get(path).await, 404, "not_found");
    }
}
