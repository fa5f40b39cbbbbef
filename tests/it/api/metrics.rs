//! What a monitor reads: well formed, of every part, and of nobody in particular.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Api, on_both_systems};
use crate::bed::client::Client;
use crate::bed::form::Form;
use crate::bed::system::TICKETS;
use crate::bed::wait::until;

on_both_systems! {
    promtool_has_nothing_to_say_about_the_metrics,
    a_submission_is_counted_on_its_whole_way,
    what_a_client_makes_up_is_no_label,
    the_metrics_show_what_is_up,
}

const COUNTED: Duration = Duration::from_secs(20);

/// The series of one process, by name and labels as they are written.
pub struct Metrics {
    text: String,
    series: BTreeMap<String, f64>,
}

impl Metrics {
    /// Asks the process for them.
    pub async fn of(client: &Client) -> Self {
        Self::try_of(client).await.expect("metrics")
    }

    /// The same of a process that may be dead.
    pub async fn try_of(client: &Client) -> Option<Self> {
        let answer = client.get("/metrics").try_send().await.ok()?;
        assert_eq!(answer.status, 200);
        let kind = Some("text/plain; version=0.0.4; charset=utf-8");
        assert_eq!(answer.header("content-type"), kind);
        let text = answer.text().to_owned();
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let series = lines.map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            (name.to_owned(), value.parse().expect("a number"))
        });
        Some(Self { series: series.collect(), text })
    }

    /// The smallest value of any series.
    pub fn least(&self) -> f64 {
        self.series.values().copied().fold(f64::INFINITY, f64::min)
    }

    /// The sum of the series of this name that have all these labels.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let name = format!("supportline_{name}");
        let of_name = self.series.iter().filter(|(series, _)| {
            series.split('{').next() == Some(&name)
                && labels.iter().all(|label| series.contains(label))
        });
        of_name.map(|(_, value)| value).sum()
    }
}

/// Clients of every process of the installation: of the edge, and where it has one of its own, of
/// the worker.
fn processes(api: &Api) -> Vec<Client> {
    let mut clients = vec![api.client.clone()];
    clients.extend(api.system.workers().map(|worker| Client::new(worker.address())));
    clients
}

/// All processes' metrics, those of the worker last.
async fn all(api: &Api) -> Vec<Metrics> {
    let mut all = Vec::new();
    for client in processes(api) {
        all.push(Metrics::of(&client).await);
    }
    all
}

async fn promtool_has_nothing_to_say_about_the_metrics(api: Api) {
    for prefer in ["wait=2", "respond-async"] {
        let post = api.client.post(TICKETS).header("prefer", prefer).json(&Form::valid());
        assert!(post.send().await.status.is_success());
    }
    api.submit_bytes("{}").await;
    api.get("/nowhere").await;
    for metrics in all(&api).await {
        let mut promtool = Command::new("promtool");
        promtool.args(["check", "metrics"]).stdin(Stdio::piped());
        promtool.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut promtool = promtool.spawn().expect("promtool is installed: make deps");
        promtool.stdin.take().unwrap().write_all(metrics.text.as_bytes()).unwrap();
        let told = promtool.wait_with_output().unwrap();
        let said = [told.stdout, told.stderr].concat();
        assert!(told.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
    }
}

async fn a_submission_is_counted_on_its_whole_way(api: Api) {
    let before = all(&api).await;
    for _ in 0..3 {
        assert_eq!(api.submit(&Form::valid()).await.status, 201);
    }
    assert_eq!(api.submit_bytes("{}").await.status, 422);
    // Other tests of the installation count as well: at least so many, and not exactly.
    let counted: [(&str, &[&str], f64); 13] = [
        ("submissions_total", &["outcome=\"created\""], 3.0),
        ("submissions_total", &["outcome=\"validation_failed\""], 1.0),
        ("http_problems_total", &["code=\"validation_failed\""], 1.0),
        ("http_request_duration_seconds_count", &["status=\"2xx\"", "method=\"POST\""], 3.0),
        ("http_request_duration_seconds_count", &["route=\"/api/support/ticket\"", "4xx"], 1.0),
        ("reply_wait_seconds_count", &["outcome=\"numbered\""], 3.0),
        ("envelope_submissions_sum", &[], 3.0),
        ("publish_duration_seconds_count", &["outcome=\"confirmed\""], 1.0),
        ("deliveries_total", &["attempt=\"first\""], 1.0),
        ("submission_age_seconds_count", &[], 3.0),
        ("worker_batch_submissions_sum", &[], 3.0),
        ("worker_tickets_total", &["result=\"stored\""], 3.0),
        ("events_published_total", &["kind=\"ticket.created\""], 3.0),
    ];
    until(COUNTED, "everything is counted", async || {
        let after = all(&api).await;
        counted.iter().all(|(name, labels, least)| {
            let grown = |of: &[Metrics]| of.iter().map(|it| it.sum(name, labels)).sum::<f64>();
            grown(&after) - grown(&before) >= *least
        })
    })
    .await;
}

async fn what_a_client_makes_up_is_no_label(api: Api) {
    let invented = "Invented7f40";
    for path in ["", "/api/support/ticket/", "/api/support/", "/api/support/ticket/x/"] {
        api.get(&format!("{path}/{invented}")).await;
    }
    api.get(&format!("{TICKETS}?{invented}={invented}")).await;
    let request = api.client.request(invented.parse().unwrap(), TICKETS);
    request.header("x-request-id", invented).header("origin", invented).send().await;
    let form = Form::valid().with("name", invented).with("message", invented);
    let answer = api.submit(&form).await;
    let id = answer.json()["data"]["id"].as_str().unwrap().to_owned();
    let number = answer.json()["data"]["ticketNumber"].as_str().unwrap().to_owned();
    api.look_up(&id).await;
    for metrics in all(&api).await {
        for secret in [invented, &id, &number, "ada@", "127.0.0.1"] {
            let told = metrics.text.lines().find(|line| line.contains(secret));
            assert_eq!(told, None, "{secret}");
        }
        // Few enough for a monitor, however long the process runs.
        assert!(metrics.series.len() < 2_000, "{} series", metrics.series.len());
    }
    let edge = &all(&api).await[0];
    assert!(edge.sum("http_request_duration_seconds_count", &["unmatched"]) >= 3.0);
    assert!(edge.sum("http_request_duration_seconds_count", &["method=\"other\""]) >= 1.0);
}

async fn the_metrics_show_what_is_up(api: Api) {
    // Each is probed every second, and may have started after the edge.
    until(COUNTED, "every component is up", async || {
        let edge = &all(&api).await[0];
        ["broker", "store", "cache", "workers"].iter().all(|component| {
            edge.sum("component_up", &[&format!("component=\"{component}\"")]) > 0.5
        })
    })
    .await;
    let all = all(&api).await;
    let (edge, worker) = (&all[0], &all[all.len() - 1]);
    assert!(edge.sum("queue_envelopes", &[]).is_finite());
    assert!(edge.sum("http_connections", &[]) >= 1.0);
    assert!(edge.sum("http_requests_in_flight", &[]) >= 1.0, "this one");
    assert!(worker.sum("worker_consuming_lanes", &[]) > 1.5);
    for metrics in &all {
        assert!(metrics.sum("build_info", &[env!("CARGO_PKG_VERSION")]) > 0.5);
        assert!(metrics.series["process_resident_memory_bytes"] > 1_000_000.0);
        assert!(metrics.series["process_open_fds"] > 5.0);
    }
}
