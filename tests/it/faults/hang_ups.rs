//! Clients that hang up, at any byte of their request.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{RECOVERY, passes_the_audit};
use crate::api::metrics::Metrics;
use crate::bed::form::Form;
use crate::bed::servers::Servers;
use crate::bed::system::{ADMIN_TOKEN, Plan, TICKETS, TestSystem};
use crate::bed::wait::until;

/// More than are sent here, and few enough to be counted exactly.
const LIMIT: u64 = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_anywhere_leaves_nothing_half_done_embedded() {
    hang_up_anywhere(TestSystem::embedded()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_anywhere_leaves_nothing_half_done_distributed() {
    let backing = Servers::shared().await.backing().await;
    hang_up_anywhere(TestSystem::distributed(backing)).await;
}

async fn hang_up_anywhere(plan: Plan) {
    let system = plan.with_env("SUPPORT_LIMIT_CREATE", &format!("{LIMIT}/1h")).await;
    let before = gauges(&system).await;
    let (head, body) = request(&system, &Form::valid());
    let whole = head.len() + body.len();
    let between = [head.len() - 1, head.len(), head.len() + 1, whole - 1];
    let mut forms = Vec::new();
    for cut in (0..whole).step_by(23).chain(between) {
        for end in [End::Close, End::Reset] {
            hang_up(&system, &Form::valid(), cut, end).await;
        }
    }
    assert_eq!(system.statistics().await["total"], 0, "what came in part was stored");

    // Of those that came whole some are tickets. Sent again, every one is, and none is two.
    for wait in [0, 1, 3, 10, 30] {
        for end in [End::Close, End::Reset] {
            let form = Form::valid();
            hang_up(&system, &form, whole + 1_000, end.after(wait)).await;
            forms.push(form);
        }
    }
    let mut numbers = BTreeSet::new();
    for form in &forms {
        let answer = system.submit(form).await;
        assert!(answer.status.is_success(), "{}", answer.text());
        numbers.insert(answer.json()["data"]["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(numbers.len(), forms.len());
    system.settled(forms.len() as u64).await;
    passes_the_audit(&system).await;
    assert_eq!(counted(&system).await, forms.len() as u64, "of the limit");
    until(RECOVERY, "every connection and request has ended", async || {
        gauges(&system).await == before
    })
    .await;
}

/// How a client goes, and when.
#[derive(Clone, Copy)]
enum End {
    Close,
    Reset,
    CloseAfter(Duration),
    ResetAfter(Duration),
}

impl End {
    fn after(self, milliseconds: u64) -> Self {
        let wait = Duration::from_millis(milliseconds);
        if matches!(self, Self::Close) { Self::CloseAfter(wait) } else { Self::ResetAfter(wait) }
    }
}

fn request(system: &TestSystem, form: &Form) -> (String, String) {
    let (body, host) = (serde_json::to_string(form).unwrap(), system.edge(0).address());
    let head = format!(
        "POST {TICKETS} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    (head, body)
}

/// Sends the request up to a byte, and goes without reading.
async fn hang_up(system: &TestSystem, form: &Form, cut: usize, end: End) {
    let (head, body) = request(system, form);
    let bytes = head + &body;
    let mut stream = TcpStream::connect(system.edge(0).address()).await.unwrap();
    stream.write_all(&bytes.as_bytes()[..cut.min(bytes.len())]).await.unwrap();
    if let End::CloseAfter(wait) | End::ResetAfter(wait) = end {
        // Long enough for some to be anywhere on their way.
        tokio::time::sleep(wait).await;
    }
    if matches!(end, End::Reset | End::ResetAfter(_)) {
        stream.set_zero_linger().unwrap();
    }
}

/// Connections and requests in flight, this one included.
async fn gauges(system: &TestSystem) -> [u64; 2] {
    let metrics = Metrics::of(system.client()).await;
    ["http_connections", "http_requests_in_flight"].map(|name| {
        let text = metrics.sum(name, &[]).to_string();
        text.parse().expect("a whole number")
    })
}

/// What has been taken of the limit.
async fn counted(system: &TestSystem) -> u64 {
    let told = system.client().get("/api/support/whoami").bearer(ADMIN_TOKEN).send().await.json();
    let limits = told["data"]["limits"].as_array().unwrap().clone();
    let create = limits.iter().find(|limit| limit["policy"] == "create").unwrap();
    LIMIT - create["remaining"].as_u64().unwrap()
}
