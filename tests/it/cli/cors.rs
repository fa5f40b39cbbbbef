//! Pages of other sites: what an operator sets, and what a browser is told.

use super::running::Running;
use super::{invoke, only_line, settings};
use crate::bed::client::{Answer, Client};
use crate::bed::folder::Folder;
use crate::bed::form::Form;
use crate::bed::system::TICKETS;
use hyper::Method;

const SITE: &str = "https://www.example.org";

async fn preflight(client: &Client, path: &str, origin: &str) -> Answer {
    let request = client.request(Method::OPTIONS, path).header("origin", origin);
    request.header("access-control-request-method", "POST").send().await
}

#[tokio::test]
async fn pages_of_the_origins_that_are_set_may_use_the_public_routes() {
    let folder = Folder::new("cors");
    let origins = format!("http://localhost:3000,{SITE}");
    let told = settings(&[("SUPPORT_CORS_ORIGINS", &origins)]);
    let serve = Running::start("serve", folder.path(), &told).await;
    let client = serve.client();

    let asked = preflight(&client, TICKETS, SITE).await;
    assert_eq!(asked.status, 204);
    assert_eq!(asked.header("access-control-allow-origin"), Some(SITE));
    assert!(asked.header("access-control-allow-headers").unwrap().contains("idempotency-key"));
    let posted = client.post(TICKETS).header("origin", SITE).json(&Form::valid()).send().await;
    assert_eq!(posted.status, 201);
    assert_eq!(posted.header("access-control-allow-origin"), Some(SITE));
    let exposed = posted.header("access-control-expose-headers").unwrap();
    assert!(exposed.contains("location") && exposed.contains("retry-after"), "{exposed}");

    let foreign = preflight(&client, TICKETS, "https://evil.net").await;
    let private = preflight(&client, "/api/support/stats", SITE).await;
    for refused in [foreign, private] {
        // As any `OPTIONS`: a browser goes by the headers alone.
        assert_eq!(refused.status, 204);
        assert_eq!(refused.header("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn an_origin_that_no_browser_sends_is_a_bad_setting() {
    let folder = Folder::new("cors");
    for origins in ["https://example.org/", "example.org", "https://example.org/form", "*,null"] {
        let output = invoke(folder.path(), &[("SUPPORT_CORS_ORIGINS", origins)], &["serve"]).await;
        let line = only_line(&output, 2);
        for part in ["SUPPORT_CORS_ORIGINS", origins, "https://www.example.org"] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
    }
}
