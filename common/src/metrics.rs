//! Every metric of the program: its name, its unit, what it says, and how a role records it.
//!
//! Names follow Prometheus: base units, the unit last, `_total` on counters. Labels take few values,
//! all of them ours: a route's template and never a path, a problem's code and never a text. No
//! metric holds what somebody sent, an address, an id or a secret.

use std::{sync::Arc, time::Duration};

use ::metrics::{Key, KeyName, Label, Level, Metadata, Unit, with_recorder};

/// Writes all metrics as Prometheus text.
pub type Exposition = Arc<dyn Fn() -> String + Send + Sync>;

/// Names and values of a series' labels.
pub type Labels<'a> = &'a [(&'static str, &'static str)];

/// What a metric is.
#[derive(Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it says, and of whom, in one sentence or two.
    pub help: &'static str,
    /// How it counts.
    pub kind: Kind,
}

/// How a metric counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows, from 0 at the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Sorts what it observes by these upper bounds.
    Histogram(&'static [f64]),
}

/// Counts what happens.
pub struct Counter(Metric);

/// Shows how much there is.
pub struct Gauge(Metric);

/// Shows how large or how long something usually is.
pub struct Histogram(Metric);

/// Answers and waits: from what a look-up takes to beyond the longest reply wait.
const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// How long something lay in a queue, which may be days.
const AGES: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0,
    21_600.0, 86_400.0,
];
/// Submissions in an envelope or a batch.
const SIZES: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0];

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

fn key(metric: &Metric, labels: Labels<'_>) -> Key {
    let labels = labels.iter().map(|(name, value)| Label::from_static_parts(name, value));
    Key::from_parts(metric.name, labels.collect::<Vec<_>>())
}

impl Counter {
    /// Counts one.
    pub fn increment(&self, labels: Labels<'_>) {
        self.add(1, labels);
    }

    /// Counts so many. Adding none makes the series appear, so that it can be seen to grow.
    pub fn add(&self, count: usize, labels: Labels<'_>) {
        let key = key(&self.0, labels);
        // A machine's memory holds no more than that.
        with_recorder(|it| it.register_counter(&key, &METADATA).increment(count as u64));
    }
}

impl Gauge {
    /// Shows this from now on. Not a number: it is not known.
    pub fn set(&self, value: f64, labels: Labels<'_>) {
        let key = key(&self.0, labels);
        with_recorder(|it| it.register_gauge(&key, &METADATA).set(value));
    }

    /// Shows one more until the guard is dropped, by a panic too.
    #[must_use]
    pub fn one_more(&self) -> OneMore {
        let key = Key::from_static_name(self.0.name);
        let gauge = with_recorder(|it| it.register_gauge(&key, &METADATA));
        gauge.increment(1.0);
        OneMore(gauge)
    }
}

/// One of what a gauge shows.
pub struct OneMore(::metrics::Gauge);

impl Drop for OneMore {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl Histogram {
    /// Observes a duration, in seconds.
    pub fn record(&self, duration: Duration, labels: Labels<'_>) {
        self.observe(duration.as_secs_f64(), labels);
    }

    /// Observes a number of things.
    pub fn record_count(&self, count: usize, labels: Labels<'_>) {
        #[expect(clippy::cast_precision_loss, reason = "batches are of thousands at most")]
        self.observe(count as f64, labels);
    }

    fn observe(&self, value: f64, labels: Labels<'_>) {
        let key = key(&self.0, labels);
        with_recorder(|it| it.register_histogram(&key, &METADATA).record(value));
    }
}

/// Tells the installed recorder what all metrics are.
pub fn describe() {
    for Metric { name, help, kind } in ALL {
        let (name, help) = (KeyName::from_const_str(name), (*help).into());
        let unit = unit(name.as_str());
        with_recorder(|it| match kind {
            Kind::Counter => it.describe_counter(name, unit, help),
            Kind::Gauge => it.describe_gauge(name, unit, help),
            Kind::Histogram(_) => it.describe_histogram(name, unit, help),
        });
    }
}

fn unit(name: &str) -> Option<Unit> {
    name.ends_with("_seconds").then_some(Unit::Seconds)
}

macro_rules! metrics {
    ($($kind:ident $constant:ident $name:literal $(by $bounds:ident)? : $help:literal;)+) => {
        $(
            #[allow(clippy::doc_markdown, reason = "Prometheus shows the same words, as plain text")]
            #[doc = $help]
            pub const $constant: $kind = $kind(Metric {
                name: concat!("supportline_", $name),
                help: $help,
                kind: Kind::$kind $(($bounds))?,
            });
        )+

        /// Every metric of ours. Those of the process (`process_…`) are its exporter's.
        pub const ALL: &[&Metric] = &[$(&$constant.0),+];
    };
}

metrics! {
    Gauge BUILD_INFO "build_info":
        "Always 1; the labels say which release this process is and which role it has.";

    Histogram HTTP_REQUEST_DURATION "http_request_duration_seconds" by SECONDS:
        "Time from a request's head to its answer's, by route template, method and class of status; the count is that of requests.";
    Gauge HTTP_REQUESTS_IN_FLIGHT "http_requests_in_flight":
        "Requests whose answer has not begun.";
    Counter HTTP_PROBLEMS "http_problems_total":
        "Answers that were problem documents, by their code.";
    Gauge HTTP_CONNECTIONS "http_connections":
        "Open connections; from 10000 on the next ones wait unaccepted.";
    Counter HTTP_CUT_OFF "http_connections_cut_off_total":
        "Connections closed at a deadline: head, as the request head did not come in time, which keep-alive connections that idle do as well; write, as the answer was not read.";

    Counter LIMIT_DECISIONS "limit_decisions_total":
        "Times a limit was asked to admit something, by policy, by outcome (admitted or refused) and by who has counted: all (all instances together), stand_in (this one alone, while Redis is away) or guard (this one alone, as always).";

    Counter SUBMISSIONS "submissions_total":
        "Submissions that were posted, by outcome: created (201), queued (202), duplicate (200), replayed, or the code of the problem they were refused with.";
    Histogram REPLY_WAIT "reply_wait_seconds" by SECONDS:
        "Time from handing a submission to the batcher to the end of its wait, by what is known then: numbered, durable (no number within the reply wait), spooled, refused (not queued) or unknown (not confirmed in time).";
    Histogram ENVELOPE_SUBMISSIONS "envelope_submissions" by SIZES:
        "Submissions in a published envelope.";
    Histogram PUBLISH_DURATION "publish_duration_seconds" by SECONDS:
        "Time from offering an envelope to the queue to its word on it, by that word: confirmed, unavailable, rejected or unconfirmed.";
    Gauge INTAKE_WAITING "intake_waiting_submissions":
        "Submissions of this edge that wait for an envelope; at 4096 the next ones are refused.";

    Counter SPOOLED "spooled_submissions_total":
        "Submissions that this edge put onto its disk, as the queue did not take them.";
    Counter SPOOL_DRAINED "spool_drained_submissions_total":
        "Submissions out of the spool that the queue has confirmed. After a kill some are drained again.";
    Counter SPOOL_REFUSED "spool_refused_submissions_total":
        "Submissions that the spool did not take, by reason: full (as much lies there as may), or disk (which took nothing, or not in time).";
    Gauge SPOOL_SUBMISSIONS "spool_submissions":
        "Submissions that lie in the spool, those of the segment that is being drained included.";
    Gauge SPOOL_BYTES "spool_bytes":
        "Size of the spool, without what is set aside.";
    Gauge SPOOL_BYTES_MAX "spool_max_bytes":
        "Size from which on the spool takes nothing more.";
    Gauge SPOOL_AGE "spool_oldest_age_seconds":
        "Time since the oldest submission in the spool was put there; 0 when there is none.";
    Gauge SPOOL_SET_ASIDE "spool_set_aside_files":
        "Files in the spool's folder that are damaged, of a later release's format or gone: those that are there are kept, and somebody should look at them.";

    Counter ACCEPTED "accepted_submissions_total":
        "Times that this edge said yes to a submission that was not stored yet, with its number (201) or without (202). One that is sent again counts again.";
    Counter ACCOUNTED "accounted_submissions_total":
        "Accepted submissions whose fate this edge got to know, by fate: stored, or dead-lettered.";
    Gauge FOLLOWED "followed_submissions":
        "Submissions that this edge accepted a moment ago and has no number for; after some seconds they are entered in the ledger. At 100000 no further ones are followed.";
    Counter UNFOLLOWED "unfollowed_submissions_total":
        "Accepted submissions that this edge did not follow, having too many to follow. No figure tells what becomes of them.";
    Gauge IN_FLIGHT "in_flight_submissions":
        "Accepted submissions of the whole installation that are entered in the ledger and may be on their way; the same at every edge. NaN while the store or the broker does not answer.";
    Gauge UNACCOUNTED "unaccounted_submissions":
        "Accepted submissions of the whole installation that are neither tickets nor dead letters and cannot be on their way any more: lost, as far as can be told, or with a worker that cannot store them. The same at every edge. NaN while the store or the broker does not answer.";
    Gauge UNACCOUNTED_AGE "unaccounted_oldest_age_seconds":
        "Time since the oldest of those was accepted; 0 when there is none.";

    Gauge QUEUE_ENVELOPES "queue_envelopes":
        "Envelopes in the intake queue, those with a worker included, as this edge's last probe found; NaN while the queue does not answer.";
    Gauge COMPONENT_UP "component_up":
        "1 while a component counts as up, 0 while it is down, as health has it.";
    Gauge COMPONENT_PROBE "component_probe_duration_seconds":
        "Time the last probe of a component took.";

    Counter DELIVERIES "deliveries_total":
        "Envelopes that this worker received, by attempt: first, or again when they were given back or their worker died.";
    Histogram SUBMISSION_AGE "submission_age_seconds" by AGES:
        "Age of a submission when a worker receives it, by the edge's clock and the worker's: the time it spent in the queue.";
    Gauge UNSETTLED_AGE "worker_oldest_unsettled_age_seconds":
        "Age of the oldest submission that a lane of this worker works on; 0 when it works on none. The queue is first in, first out, so what still waits there is hardly older. Says nothing while no worker runs.";
    Gauge LANES_CONSUMING "worker_consuming_lanes":
        "Lanes of this worker that have a consumer.";
    Counter LANE_DEATHS "worker_lane_deaths_total":
        "Lanes that panicked and were started again.";
    Histogram BATCH_SUBMISSIONS "worker_batch_submissions" by SIZES:
        "Submissions that a lane stored together.";
    Histogram STORE_DURATION "worker_store_duration_seconds" by SECONDS:
        "Time a lane took to store a batch, all tries included.";
    Counter TICKETS "worker_tickets_total":
        "Submissions that this worker found to be tickets, by result: stored now, or existing from before.";
    Counter DEAD_LETTERS "worker_dead_letters_total":
        "Dead letters that this worker wrote, by reason. Those that the broker writes itself, after the last delivery, are not among them.";

    Counter EVENTS "events_published_total":
        "Events that this worker's relay published, by kind. One that was published again counts again.";
    Gauge OUTBOX_EVENTS "outbox_pending_events":
        "Events not published yet that this worker's relay found at its last look, 256 at most; 0 in a worker that does not relay.";
    Gauge OUTBOX_AGE "outbox_oldest_age_seconds":
        "Age, at that look, of the oldest event not published yet; 0 when there is none. While publishing fails the relay looks again every two seconds.";
    Gauge SEARCH_LAG "search_lag_seconds":
        "For how long this worker's indexer has not taken in all there was for the search, because there was more, the store was away or another worker was at it: no ticket is found later than that.";
    Gauge SUBSCRIBERS "progress_subscribers":
        "Streams of live progress that are open at this edge; from 5000 on further ones are refused.";

    Counter BROKER_CONNECTIONS "broker_connections_opened_total":
        "Connections opened to the broker, by what they are for; each beyond the first is a reconnect.";
    Counter BROKER_FAILURES "broker_connection_failures_total":
        "Tries to connect to the broker that failed, by what the connection is for.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_say_their_unit_and_whether_they_count() {
        for Metric { name, help, kind } in ALL {
            assert!(help.ends_with('.'), "{name}: {help}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert!(name.bytes().all(|it| it.is_ascii_lowercase() || it == b'_'), "{name}");
        }
        let names: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn bounds_grow() {
        for Metric { name, kind, .. } in ALL {
            let Kind::Histogram(bounds) = kind else { continue };
            assert!(bounds.is_sorted_by(|a, b| a < b), "{name}: {bounds:?}");
        }
    }

    #[test]
    fn recording_without_a_recorder_does_nothing() {
        SUBMISSIONS.increment(&[("outcome", "created")]);
        UNACCOUNTED.set(1.0, &[]);
        drop(HTTP_CONNECTIONS.one_more());
        REPLY_WAIT.record(Duration::from_secs(1), &[("outcome", "durable")]);
    }
}
