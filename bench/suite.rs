//! What is measured, in which order, and what it is held against.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;

use crate::Arguments;
use crate::bed::client::Client;
use crate::bed::instance::Instance;
use crate::bed::servers::Backing;
use crate::bed::system::TICKETS;
use crate::bed::wait::eventually;
use crate::latencies::{self, Latencies, Make};
use crate::many;
use crate::raw::{self, Queue};
use crate::report::{Latency, Overload, Report, Sample, Times};
use crate::stage::{Stage, metric, token};
use crate::usage::{Part, peak_bytes, processor};
use crate::wrk::Wrk;

const NOTHING_POST: &str = "POST → 201, axum alone";
const NOTHING_GET: &str = "GET → 200, axum alone";
const ROW_POST: &str = "POST → 201, axum + sqlx, a row a request";
const ROW_GET: &str = "GET by number, axum + sqlx, a SELECT a request";
const RAW_INSERT: &str = "rows inserted, 500 a statement";
const RAW_PUBLISH: &str = "messages of one submission published and confirmed";
const RAW_PUBLISH_MANY: &str = "submissions published, 100 a message";
const RAW_CONSUME: &str = "messages consumed and acknowledged";
const CREATED: &str = "POST → 201, distributed";
const CREATED_EMBEDDED: &str = "POST → 201, embedded";
const QUEUED: &str = "POST → 202 (respond-async), distributed";
const BY_NUMBER: &str = "look-up by number, distributed";
const BY_ID: &str = "look-up by id, distributed";
const STATISTICS: &str = "statistics, distributed";
const HEALTH: &str = "health, distributed";
const DRAIN: &str = "submissions that a worker drains from the queue";

/// Submissions an envelope holds in the backlog that a worker drains.
const ENVELOPE: usize = 100;
/// Messages of the broker's floors.
const MESSAGES: usize = 50_000;
/// Different tickets that are looked up.
const LOOKED_UP: usize = 100_000;
const ONE_PUBLISH: &str = "one message published and confirmed";
const ONE_INSERT: &str = "one row inserted and committed";

/// Connections of an overload: more than an edge lets wait for an envelope.
const CROWD: usize = 6_000;
/// How many seconds it may take to get over an overload.
const RECOVERY: u64 = 10;
/// Connections over which latencies are measured.
const CALM: usize = 64;

/// Measures everything.
pub async fn run(arguments: &Arguments) {
    let Arguments { seconds, repetitions, connections, .. } = arguments;
    let how = format!(
        "{connections} connections, {seconds} s each, {repetitions} repetitions, one after the other; load \
         generator, servers and processes on the same processors"
    );
    let (report, stage) = (Report::new(how), Stage::set().await);
    let mut suite = Suite { arguments, report, stage, peaks: BTreeMap::new() };
    if arguments.tickets > 0 {
        let began = Instant::now();
        many::store(&suite.stage.distributed.backing().database_url, arguments.tickets).await;
        println!("{} tickets stored beforehand in {:.0?}\n", arguments.tickets, began.elapsed());
        suite.stage.settle().await;
    }
    for _ in 0..*repetitions {
        suite.submissions().await;
        suite.look_ups().await;
        suite.servers_alone().await;
        suite.drain().await;
    }
    suite.latencies().await;
    suite.overload().await;
    suite.ready().await;
    suite.note_peaks();
    suite.report.add_peaks(&suite.peaks);
    suite.report.finish(&arguments.to);
}

struct Suite<'a> {
    arguments: &'a Arguments,
    report: Report,
    stage: Stage,
    /// Bytes, by part.
    peaks: BTreeMap<&'static str, u64>,
}

impl Suite<'_> {
    fn wants(&self, name: &str) -> bool {
        self.arguments.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }

    /// Puts a load on a server and notes what came of it.
    async fn load(
        &mut self,
        name: &'static str,
        against: &[(&'static str, f64)],
        load: Wrk,
        on: SocketAddr,
    ) {
        if !self.wants(name) {
            return;
        }
        let Arguments { connections, seconds, .. } = *self.arguments;
        let parts = self.stage.parts();
        let before = processor(&parts);
        let outcome = load.run(on, connections, seconds, self.stage.folder.path()).await;
        let sample = Sample {
            per_second: outcome.per_second(),
            times: Some(Times { mean: outcome.mean / 1e3, p99: outcome.p99 / 1e3 }),
            failed: outcome.not_answered + outcome.refused,
            micros: micros_each(&before, &parts, outcome.requests),
        };
        self.report.add(name, against, sample);
        self.stage.settle().await;
    }

    async fn submissions(&mut self) {
        let forms = || Wrk::forms(None);
        let [nothing, row] =
            [&self.stage.nothing, &self.stage.row_per_request].map(Instance::address);
        let edge = self.stage.distributed.edge(0).address();
        let embedded = self.stage.embedded.edge(0).address();
        self.load(NOTHING_POST, &[], forms(), nothing).await;
        self.load(CREATED, &[(NOTHING_POST, 0.25), (ROW_POST, 3.0)], forms(), edge).await;
        self.load(ROW_POST, &[], forms(), row).await;
        if self.wants(CREATED_EMBEDDED) {
            // Its limiter has a place for every client of the last ten minutes, up to a bound: no load is to
            // meet those of the one before.
            self.note_peaks();
            self.stage.embedded.edge(0).stop_gracefully().await;
            self.stage.embedded.edge(0).start_again().await;
        }
        self.load(CREATED_EMBEDDED, &[(NOTHING_POST, 0.30)], forms(), embedded).await;
        let at_once = Wrk::forms(Some("respond-async"));
        self.load(QUEUED, &[(NOTHING_POST, 0.30)], at_once, edge).await;
    }

    async fn look_ups(&mut self) {
        let (ids, numbers) = self.stage.tickets(LOOKED_UP).await;
        if ids.is_empty() {
            return;
        }
        let paths = |names: &[String]| {
            names.iter().map(|name| format!("{TICKETS}/{name}")).collect::<Vec<_>>()
        };
        let gets = |stage: &Stage, paths: &[String]| Wrk::gets(paths, None, &stage.folder);
        let [nothing, row] =
            [&self.stage.nothing, &self.stage.row_per_request].map(Instance::address);
        let edge = self.stage.distributed.edge(0).address();
        let (by_number, by_id) = (paths(&numbers), paths(&ids));
        let held = [(NOTHING_GET, 0.25), (ROW_GET, 2.5)];
        self.load(NOTHING_GET, &[], gets(&self.stage, &by_number), nothing).await;
        self.load(BY_NUMBER, &held, gets(&self.stage, &by_number), edge).await;
        self.load(ROW_GET, &[], gets(&self.stage, &by_number), row).await;
        self.load(BY_ID, &held, gets(&self.stage, &by_id), edge).await;
        let path = ["/api/support/stats".to_owned()];
        let statistics = Wrk::gets(&path, Some(token()), &self.stage.folder);
        self.load(STATISTICS, &[(NOTHING_GET, 0.5)], statistics, edge).await;
        let health = gets(&self.stage, &["/api/support/health".to_owned()]);
        self.load(HEALTH, &[(NOTHING_GET, 0.5)], health, edge).await;
    }

    /// What Postgres and RabbitMQ do when only their client libraries ask.
    async fn servers_alone(&mut self) {
        if self.wants(RAW_INSERT) || self.wants(DRAIN) {
            let backing = self.stage.distributed.backing();
            raw::prepare_table(&backing.database_url).await;
            let (url, rows) = (backing.database_url.clone(), self.arguments.backlog);
            self.count(RAW_INSERT, &[], rows, async || raw::insert(&url, rows).await).await;
        }
        if self.wants(RAW_PUBLISH) {
            let queue = Queue::on(&self.stage.distributed.backing().amqp_url).await;
            let single = raw::envelopes(MESSAGES, 1);
            self.count(RAW_PUBLISH, &[], MESSAGES, async || queue.publish("", &single).await).await;
            self.count(RAW_CONSUME, &[], MESSAGES, async || queue.consume(MESSAGES).await).await;
            let (many, each) = (raw::envelopes(MESSAGES * 10, ENVELOPE), 100.0);
            let publish = async || queue.publish("", &many).await * each;
            self.count(RAW_PUBLISH_MANY, &[], MESSAGES * 10, publish).await;
            queue.consume(many.len()).await;
        }
    }

    /// Notes the rate that something measures itself.
    async fn count(
        &mut self,
        name: &'static str,
        against: &[(&'static str, f64)],
        count: usize,
        measure: impl AsyncFnOnce() -> f64,
    ) {
        let parts = self.stage.parts();
        let before = processor(&parts);
        let per_second = measure().await;
        let micros = micros_each(&before, &parts, count as u64);
        self.report.add(name, against, Sample { per_second, times: None, failed: 0, micros });
    }

    /// A backlog, and a worker that comes to it.
    async fn drain(&mut self) {
        if !self.wants(DRAIN) {
            return;
        }
        let backlog = self.arguments.backlog;
        self.note_peaks();
        let worker = self.stage.distributed.worker(0);
        worker.stop_gracefully().await;
        let amqp_url = &self.stage.distributed.backing().amqp_url;
        let envelopes = raw::envelopes(backlog, ENVELOPE);
        Queue::on(amqp_url).await.publish("support.intake", &envelopes).await;
        worker.relaunch();
        worker.answers().await;
        let client = Client::new(worker.address());
        let begun = Instant::now();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let all = backlog as f64;
        eventually(Duration::from_mins(10), "the backlog is stored", async || {
            let stored = metric(&client, "supportline_worker_tickets_total").await;
            if stored == Some(all) { Ok(()) } else { Err(stored) }
        })
        .await;
        let per_second = all / begun.elapsed().as_secs_f64();
        let sample = Sample { per_second, times: None, failed: 0, micros: BTreeMap::new() };
        self.report.add(DRAIN, &[(RAW_INSERT, 0.6)], sample);
        self.stage.settle().await;
    }

    /// At half of what was measured, and with hardly anything to do, beside what the servers alone take
    /// for one.
    async fn latencies(&mut self) {
        if self.wants(CREATED) {
            let Backing { amqp_url, database_url, .. } = self.stage.distributed.backing();
            let times = [raw::one_publish(amqp_url).await, raw::one_insert(database_url).await];
            for (name, ms) in [ONE_PUBLISH, ONE_INSERT].into_iter().zip(times) {
                println!("{name:<48} {ms:.1} ms in the middle");
            }
            self.report.add_floors(times);
        }
        for (name, peak) in [
            (CREATED, self.report.median_of(CREATED)),
            (CREATED_EMBEDDED, self.report.median_of(CREATED_EMBEDDED)),
        ] {
            let Some(peak) = peak else { continue };
            self.note_peaks();
            let system =
                if name == CREATED { &self.stage.distributed } else { &self.stage.embedded };
            if name == CREATED_EMBEDDED {
                system.edge(0).stop_gracefully().await;
                system.edge(0).start_again().await;
            }
            let on = system.edge(0).address();
            for per_second in [peak / 2.0, 10.0] {
                self.latency(name, on, per_second).await;
            }
        }
    }

    /// Three times as much as it can do, and how it is afterwards.
    async fn overload(&mut self) {
        let Some(peak) = self.report.median_of(CREATED) else { return };
        let on = self.stage.distributed.edge(0).address();
        let seconds = self.arguments.seconds;
        let forms = form_of_a_new_client();
        let load = latencies::measure(on, CROWD, 3.0 * peak, seconds / 2, forms.clone()).await;
        let after = latencies::measure(on, CALM, peak / 2.0, RECOVERY, forms.clone()).await;
        let recovered = latencies::measure(on, CALM, peak / 2.0, seconds, forms).await;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let goodput = load.answered() as f64 / load.took.as_secs_f64();
        self.report.set_overload(Overload {
            per_second: 3.0 * peak,
            goodput,
            of_peak: goodput / peak,
            refused: load.refused(),
            refused_p99_ms: load.refused_permille(990).as_secs_f64() * 1e3,
            failed: load.failed,
            meanwhile_p99_ms: milliseconds(&after, 990),
            recovered_p99_ms: milliseconds(&recovered, 990),
        });
        self.stage.settle().await;
    }

    /// How long an embedded installation with tickets in it takes from its start to being ready.
    async fn ready(&mut self) {
        if !self.wants(CREATED_EMBEDDED) {
            return;
        }
        self.note_peaks();
        let edge = self.stage.embedded.edge(0);
        edge.stop_gracefully().await;
        let begun = Instant::now();
        edge.relaunch();
        let address = edge.address();
        while !is_ready(address) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.report.set_ready(begun.elapsed());
    }

    async fn latency(&mut self, name: &str, on: SocketAddr, per_second: f64) {
        let seconds = self.arguments.seconds;
        let times = latencies::measure(on, CALM, per_second, seconds, form_of_a_new_client()).await;
        let ms = |permille| milliseconds(&times, permille);
        self.report.add_latency(Latency {
            name: format!("{name}, {CALM} connections"),
            per_second,
            answered: times.answered(),
            failed: times.failed,
            p50_ms: ms(500),
            p99_ms: ms(990),
            p999_ms: ms(999),
        });
        self.stage.settle().await;
    }

    /// Notes the most memory that each part has held so far: a process that is started anew begins anew.
    fn note_peaks(&mut self) {
        for Part { name, pids } in self.stage.parts() {
            if ["edge", "worker", "embedded"].contains(&name) {
                let bytes: u64 = pids.iter().map(|pid| peak_bytes(*pid)).sum();
                let peak = self.peaks.entry(name).or_default();
                *peak = bytes.max(*peak);
            }
        }
    }
}

fn milliseconds(times: &Latencies, permille: usize) -> f64 {
    times.permille(permille).as_secs_f64() * 1e3
}

/// Asks once, over a connection of its own.
fn is_ready(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let request = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let mut answer = String::new();
    stream.write_all(request).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

/// A form that nobody has sent before, from a client that has sent none.
fn form_of_a_new_client() -> Make {
    let run = uuid::Uuid::now_v7().as_u64_pair().1 & 0xffff;
    Arc::new(move |number| {
        let client = format!("2002:{run:x}:{:x}:{:x}::1", number >> 16, number & 0xffff);
        let body = format!(
            r#"{{"name":"Ada Lovelace","email":"ada.{run}.{number}@example.org","subject":"technical","message":"The engine has stopped again, number {number}. It was at work on the numbers of Bernoulli when it did, and nobody had touched it.","timestamp":"2026-11-22T10:30:00.000Z"}}"#
        );
        Request::post(TICKETS)
            .header("host", "127.0.0.1")
            .header("content-type", "application/json")
            .header("x-forwarded-for", client)
            .body(Full::new(Bytes::from(body)))
            .expect("a request")
    })
}

/// Microseconds of processor time a request that each part used since then, of those that used any.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn micros_each(
    before: &BTreeMap<&'static str, Duration>,
    parts: &[Part],
    requests: u64,
) -> BTreeMap<&'static str, f64> {
    let after = processor(parts);
    let used = after.into_iter().filter_map(|(part, after)| {
        let used = after.saturating_sub(before.get(part).copied().unwrap_or_default());
        let each = used.as_secs_f64() * 1e6 / requests.max(1) as f64;
        (each >= 0.05).then_some((part, each))
    });
    used.collect()
}
