//! Health, from what a monitor found out within the last seconds: asking costs no round trip and
//! cannot hang.

use std::{
    array,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{extract::State, response::Response};
use common::ports::health::{Component, Figures, HealthProbe, Unhealthy};
use futures_util::future::join_all;
use serde::{Serialize, Serializer, ser::SerializeMap};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use utoipa::{
    ToSchema,
    openapi::{Object, ObjectBuilder, Schema, schema::Type},
};

use crate::{
    answer::plain,
    condition::{Condition, NoAnswer},
    edge::Edge,
    measure,
    openapi::schemas,
    outlet::Outlet,
    problem::{Problem, Success},
};

const PROBE_PERIOD: Duration = Duration::from_secs(1);
/// How long a component may take to answer.
const PROBE_WAIT: Duration = Duration::from_secs(1);
/// How long a good report holds. Should the monitor die or starve, health must not say that all is
/// well for ever.
const REPORT_AGE_MAX: Duration = Duration::from_secs(5);

/// What is known of the components, and whether a submission would be taken.
pub struct Health {
    version: &'static str,
    started_at: Instant,
    outlet: Arc<Outlet>,
    stop: CancellationToken,
    reports: Mutex<[Report; Component::ALL.len()]>,
}

/// What the probes of one component told. Before the first one it is down.
#[derive(Clone, Default)]
struct Report {
    up_until: Option<Instant>,
    /// The last probe failed, and may be an exception.
    is_doubtful: bool,
    latency: Duration,
    figures: Figures,
}

impl Report {
    fn measure(&self, component: Component) {
        measure::component(component, self.latency, self.is_up().then_some(&self.figures));
    }

    fn is_up(&self) -> bool {
        self.up_until.is_some_and(|until| Instant::now() < until)
    }

    /// Takes a probe into account. A component that was up is down after two failures in a row: a
    /// pause of a server's must not turn every edge away at the same moment.
    fn add(&mut self, probed: Result<Figures, Unhealthy>, latency: Duration, seen: &Condition) {
        if probed.is_err() && self.is_up() && !self.is_doubtful {
            self.is_doubtful = true;
            return;
        }
        let figures = seen.note(probed).ok();
        *self = Self {
            up_until: figures.as_ref().map(|_| Instant::now() + REPORT_AGE_MAX),
            is_doubtful: false,
            latency,
            figures: figures.unwrap_or_default(),
        };
    }
}

impl Health {
    pub fn new(version: &'static str, outlet: Arc<Outlet>, stop: CancellationToken) -> Self {
        let reports = Mutex::new(array::from_fn(|_| Report::default()));
        Self { version, started_at: Instant::now(), outlet, stop, reports }
    }

    /// Probes every component every second, all at the same time.
    pub async fn monitor(self: Arc<Self>, probe: Arc<dyn HealthProbe>) {
        let conditions = Component::ALL.map(|component| Condition::new(component.as_str()));
        let mut period = interval(PROBE_PERIOD);
        period.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            period.tick().await;
            join_all(Component::ALL.into_iter().zip(&conditions).enumerate().map(
                async |(index, (component, condition))| {
                    let asked_at = Instant::now();
                    let probed = timeout(PROBE_WAIT, probe.probe(component)).await;
                    let probed = probed.unwrap_or_else(|_| Err(Unhealthy(NoAnswer.into())));
                    // On a copy: what is logged must not be waited for under the lock.
                    let mut report = self.reports()[index].clone();
                    report.add(probed, asked_at.elapsed(), condition);
                    report.measure(component);
                    self.reports()[index] = report;
                },
            ))
            .await;
        }
    }

    /// Nothing that can panic runs under the lock.
    fn reports(&self) -> MutexGuard<'_, [Report; Component::ALL.len()]> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a submission would be taken now.
    fn accepts(&self, broker: &Report) -> bool {
        (self.has_queue(broker) || self.outlet.has_spool()) && !self.stop.is_cancelled()
    }

    /// Whether the queue would take it.
    fn has_queue(&self, broker: &Report) -> bool {
        broker.is_up() && self.outlet.has_queue()
    }

    fn is_ready(&self) -> bool {
        let [broker, ..] = &*self.reports();
        self.accepts(broker)
    }

    fn tell(&self, is_saturated: bool) -> (Success, Body) {
        let reports = self.reports().clone();
        let (success, status) = if is_saturated || !self.accepts(&reports[0]) {
            (Success::Unready, "unavailable")
        } else if reports.iter().all(Report::is_up) && self.has_queue(&reports[0]) {
            (Success::Found, "ok")
        } else {
            (Success::Found, "degraded")
        };
        let uptime_seconds = self.started_at.elapsed().as_secs();
        let components = Components(reports);
        (success, Body { status, version: self.version, uptime_seconds, components })
    }
}

/// `GET /api/support/health`
pub async fn health(State(edge): State<Arc<Edge>>) -> Result<Response, Problem> {
    let (success, body) = edge.health.tell(edge.intake.is_saturated());
    plain(success, &body)
}

/// `GET /livez`: the process answers. What it leans on is none of a supervisor's business, who can
/// only restart it.
pub async fn live() -> Result<Response, Problem> {
    plain(Success::Found, &Word { status: "ok" })
}

/// `GET /readyz`: whether to send submissions here. An edge that has too many of them for the moment
/// stays: turned away, they would be too many for the next one.
pub async fn ready(State(edge): State<Arc<Edge>>) -> Result<Response, Problem> {
    if edge.health.is_ready() {
        plain(Success::Found, &Word { status: "ok" })
    } else {
        plain(Success::Unready, &Word { status: "unavailable" })
    }
}

/// Yes or no.
#[derive(Serialize, ToSchema)]
#[schema(as = Probe)]
pub struct Word {
    #[schema(schema_with = yes_or_no)]
    status: &'static str,
}

fn yes_or_no() -> Object {
    schemas::one_of(["ok", "unavailable"])
}

/// How the service is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Health)]
pub struct Body {
    /// `ok`; `degraded`, when submissions are taken and something else is down, or the broker is
    /// and they are spooled; `unavailable`, when they are not taken.
    #[schema(schema_with = condition)]
    status: &'static str,
    version: &'static str,
    uptime_seconds: u64,
    #[schema(schema_with = components)]
    components: Components,
}

fn condition() -> Object {
    schemas::one_of(["ok", "degraded", "unavailable"])
}

/// A report each, with the figures that it tells along.
fn components() -> Object {
    let count = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).build();
    let report = ObjectBuilder::new()
        .property("status", schemas::one_of(["up", "down"]))
        .required("status")
        .property("latencyMs", ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0)))
        .required("latencyMs")
        .additional_properties(Some(Schema::from(count)))
        .build();
    Component::ALL
        .map(Component::as_str)
        .into_iter()
        .fold(ObjectBuilder::new(), |all, name| all.property(name, report.clone()).required(name))
        .build()
}

struct Components([Report; Component::ALL.len()]);

impl Serialize for Components {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names = Component::ALL.into_iter().map(Component::as_str);
        serializer.collect_map(names.zip(&self.0))
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Whole microseconds, written as milliseconds.
        #[expect(clippy::cast_precision_loss, reason = "a latency is at most a second or so")]
        let latency_ms = self.latency.as_micros() as f64 / 1_000.0;
        let mut report = serializer.serialize_map(None)?;
        report.serialize_entry("status", if self.is_up() { "up" } else { "down" })?;
        report.serialize_entry("latencyMs", &latency_ms)?;
        for (name, figure) in &self.figures {
            report.serialize_entry(name, figure)?;
        }
        report.end()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use serde_json::json;
    use tokio::time::sleep;

    use super::*;
    use crate::doubles::Stage;

    async fn states(stage: &Stage) -> (u16, String, u16) {
        let health = stage.get("/api/support/health").await;
        assert_eq!(health.after, Duration::ZERO);
        let status = health.json["status"].as_str().unwrap().to_owned();
        assert_eq!(stage.get("/livez").await.status, 200);
        (health.status, status, stage.get("/readyz").await.status)
    }

    async fn rounds(count: u32) {
        sleep(PROBE_PERIOD * count + Duration::from_millis(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn health_tells_of_every_component() {
        let stage = Stage::new();
        stage.probe.down.lock().unwrap().insert(Component::Workers);
        rounds(2).await;
        let heard = stage.get("/api/support/health").await;
        let up = json!({"status": "up", "latencyMs": 0.0, "figure": 7});
        let workers = json!({"status": "down", "latencyMs": 0.0});
        let expected = json!({
            "status": "degraded", "version": "0.0.0-test", "uptimeSeconds": 2,
            "components": {"broker": up, "store": up, "cache": up, "workers": workers},
        });
        assert_eq!((heard.status, heard.json), (200, expected));
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_keeps_submissions_out_makes_it_unready() {
        let stage = Stage::new();
        assert_eq!(states(&stage).await, (503, "unavailable".to_owned(), 503));
        rounds(1).await;
        assert_eq!(states(&stage).await, (200, "ok".to_owned(), 200));
        for component in [Component::Store, Component::Cache, Component::Workers] {
            stage.probe.down.lock().unwrap().insert(component);
            rounds(2).await;
            assert_eq!(states(&stage).await, (200, "degraded".to_owned(), 200));
            stage.probe.down.lock().unwrap().clear();
            rounds(1).await;
        }
        stage.probe.down.lock().unwrap().insert(Component::Broker);
        rounds(2).await;
        assert_eq!(states(&stage).await, (503, "unavailable".to_owned(), 503));
        stage.probe.down.lock().unwrap().clear();
        rounds(1).await;
        stage.publisher.is_ready.store(false, Ordering::Relaxed);
        assert_eq!(states(&stage).await, (503, "unavailable".to_owned(), 503));
        stage.publisher.is_ready.store(true, Ordering::Relaxed);
        assert_eq!(states(&stage).await, (200, "ok".to_owned(), 200));
        stage.stop.cancel();
        assert_eq!(states(&stage).await, (503, "unavailable".to_owned(), 503));
    }

    #[tokio::test(start_paused = true)]
    async fn a_component_that_does_not_answer_is_down_and_delays_no_other() {
        let stage = Stage::new();
        rounds(1).await;
        stage.probe.silent.lock().unwrap().insert(Component::Store);
        stage.probe.down.lock().unwrap().insert(Component::Broker);
        rounds(4).await;
        assert_eq!(states(&stage).await, (503, "unavailable".to_owned(), 503));
        stage.probe.down.lock().unwrap().clear();
        rounds(3).await;
        assert_eq!(states(&stage).await, (200, "degraded".to_owned(), 200));
    }

    #[tokio::test(start_paused = true)]
    async fn one_failed_probe_alone_turns_nobody_away() {
        let stage = Stage::new();
        rounds(1).await;
        for _ in 0..3 {
            stage.probe.down.lock().unwrap().extend(Component::ALL);
            rounds(1).await;
            assert_eq!(states(&stage).await, (200, "ok".to_owned(), 200));
            stage.probe.down.lock().unwrap().clear();
            rounds(1).await;
            assert_eq!(states(&stage).await, (200, "ok".to_owned(), 200));
        }
        stage.probe.down.lock().unwrap().extend(Component::ALL);
        rounds(2).await;
        assert_eq!(states(&stage).await, (503, "unavailable".to_owned(), 503));
    }

    #[tokio::test(start_paused = true)]
    async fn a_report_that_grows_old_counts_for_nothing() {
        let stage = Stage::new();
        rounds(1).await;
        let outlet = Arc::new(Outlet::new(stage.publisher.clone(), None));
        let health = Health::new("", outlet, stage.stop.clone());
        *health.reports() = stage.edge.health.reports().clone();
        assert!(health.is_ready());
        sleep(REPORT_AGE_MAX).await;
        assert!(!health.is_ready());
    }
}
