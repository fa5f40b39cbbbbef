use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use chrono::TimeDelta;
use common::domain::{StatusChange, SubmissionId};
use http_body_util::BodyExt;
use tokio::time::{timeout, timeout_at};
use tower::ServiceExt;

use http::sse::HEARTBEAT;

use super::*;
use crate::{
    doubles::{FORM, Mood, Stage, feed::change},
    form,
    routes::TICKETS,
};

/// Long enough for whatever goes on without a client, and shorter than a heartbeat.
const MOMENT: Duration = Duration::from_secs(5);

/// What the stream says of the first three changes, and of a submission before them.
const QUEUED: &str = "id: 0\nevent: progress\ndata: {\"status\":\"queued\"}\n\n";
const STEPS: [&str; 3] = [
    "id: 1\nevent: progress\ndata: {\"ticketNumber\":\"SUP-2026-483920\",\"subject\":\"technical\",\
     \"status\":\"open\",\"priority\":\"high\",\"at\":\"2026-11-22T10:01:00.000Z\"}\n\n",
    "id: 2\nevent: progress\ndata: {\"ticketNumber\":\"SUP-2026-483920\",\"subject\":\"technical\",\
     \"status\":\"in-progress\",\"priority\":\"high\",\"at\":\"2026-11-22T10:02:00.000Z\"}\n\n",
    "id: 3\nevent: progress\ndata: {\"ticketNumber\":\"SUP-2026-483920\",\"subject\":\"technical\",\
     \"status\":\"resolved\",\"priority\":\"high\",\"at\":\"2026-11-22T10:03:00.000Z\"}\n\n",
];

fn issued(stage: &Stage) -> SubmissionId {
    stage.edge.ids.issue(stage.edge.clock.now(), &*stage.edge.entropy)
}

/// The ticket after so many changes.
fn ticket(id: SubmissionId, changes: u32) -> Ticket {
    let steps: Vec<_> = (1..=changes).map(|version| change(id, version)).collect();
    let (first, last) = (steps.first().unwrap(), steps.last().unwrap());
    Ticket {
        replies: vec![],
        id,
        number: first.number.clone(),
        form: form::parse(FORM.as_bytes()).unwrap(),
        status: last.status,
        priority: last.priority,
        submitted_at: first.at,
        updated_at: last.at,
        resolved_at: None,
        history: steps
            .iter()
            .map(|step| StatusChange { version: step.version, status: step.status, at: step.at })
            .collect(),
    }
}

fn store(stage: &Stage, ticket: Ticket) {
    let mut tickets = stage.store.tickets.lock().unwrap();
    tickets.retain(|it| it.id != ticket.id);
    tickets.push(ticket);
}

/// A client of one stream.
struct Listener(Response);

impl Listener {
    async fn open(stage: &Stage, id: SubmissionId, headers: &[(&str, &str)]) -> Self {
        let answer = Self::ask(stage, &id.to_string(), headers).await;
        assert_eq!(answer.0.status(), StatusCode::OK);
        answer
    }

    async fn ask(stage: &Stage, reference: &str, headers: &[(&str, &str)]) -> Self {
        let mut request = Request::get(format!("{TICKETS}/{reference}/events"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        Self(stage.router.clone().oneshot(request).await.unwrap())
    }

    /// All that comes until nothing has come for a moment, without the `retry` at the beginning.
    async fn hears(&mut self) -> String {
        let mut heard = String::new();
        while let Ok(Some(frame)) = timeout(MOMENT, self.0.body_mut().frame()).await {
            let frame = frame.unwrap().into_data().unwrap();
            // A heartbeat says nothing.
            heard += str::from_utf8(&frame).unwrap().trim_start_matches(":\n\n");
        }
        match heard.strip_prefix("retry: ").and_then(|rest| rest.split_once("\n\n")) {
            Some((_, rest)) => rest.to_owned(),
            None => heard,
        }
    }

    /// All that comes within so long.
    async fn hears_for(&mut self, time: Duration) -> String {
        let until = Instant::now() + time;
        let mut heard = String::new();
        while let Ok(Some(frame)) = timeout_at(until, self.0.body_mut().frame()).await {
            heard += str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap();
        }
        heard
    }

    /// Whether the stream is over.
    async fn has_ended(&mut self) -> bool {
        matches!(timeout(MOMENT, self.0.body_mut().frame()).await, Ok(None))
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_tells_the_history_and_then_each_change() {
    let stage = Stage::new();
    let id = issued(&stage);
    store(&stage, ticket(id, 1));
    let mut listener = Listener::open(&stage, id, &[]).await;
    let header = |name: &str| listener.0.headers()[name].to_str().unwrap();
    assert_eq!(header("content-type"), "text/event-stream");
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("x-accel-buffering"), "no");
    assert_eq!(listener.hears().await, STEPS[0]);
    stage.feed.tell(change(id, 2));
    assert_eq!(listener.hears().await, STEPS[1]);
    stage.feed.tell(change(id, 2));
    stage.feed.tell(change(id, 1));
    stage.feed.tell(change(id, 3));
    assert_eq!(listener.hears().await, STEPS[2], "what was told is not told again");
    assert_eq!(stage.store.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_begins_with_when_to_come_back_and_beats_while_nothing_happens() {
    let stage = Stage::new();
    let id = issued(&stage);
    let mut listener = Listener::open(&stage, id, &[("last-event-id", "0")]).await;
    let frame = async |listener: &mut Listener, within| {
        let frame = timeout(within, listener.0.body_mut().frame()).await.unwrap();
        String::from_utf8(frame.unwrap().unwrap().into_data().unwrap().into()).unwrap()
    };
    let first = frame(&mut listener, Duration::ZERO).await;
    let retry_ms: u64 = first.trim_end().strip_prefix("retry: ").unwrap().parse().unwrap();
    assert!((1_000..5_000).contains(&retry_ms), "{first}");
    for _ in 0..3 {
        let beaten_at = Instant::now();
        assert_eq!(frame(&mut listener, HEARTBEAT).await, ":\n\n");
        assert_eq!(beaten_at.elapsed(), HEARTBEAT);
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_is_told_what_came_since() {
    let stage = Stage::new();
    let id = issued(&stage);
    store(&stage, ticket(id, 3));
    let all = STEPS.concat();
    for (seen, expected) in [
        ("0", &*all),
        ("1", &STEPS[1..].concat()),
        ("2", STEPS[2]),
        ("3", ""),
        // None of ours.
        ("4", &*all),
        ("4294967296", &*all),
        ("-1", &*all),
        ("+1", &*all),
        ("01", &*all),
        ("1 ", &*all),
        ("1.0", &*all),
        ("", &*all),
        ("x", &*all),
    ] {
        let mut listener = Listener::open(&stage, id, &[("last-event-id", seen)]).await;
        assert_eq!(listener.hears().await, expected, "{seen}");
    }
    let twice = [("last-event-id", "1"), ("last-event-id", "2")];
    assert_eq!(Listener::open(&stage, id, &twice).await.hears().await, all);
}

#[tokio::test(start_paused = true)]
async fn a_queued_submission_is_told_to_be_and_then_to_be_open() {
    let stage = Stage::new();
    let id = issued(&stage);
    let mut listener = Listener::open(&stage, id, &[]).await;
    assert_eq!(listener.hears().await, QUEUED);
    // Who knows that it is queued is not told again.
    let mut knows = Listener::open(&stage, id, &[("last-event-id", "0")]).await;
    assert_eq!(knows.hears().await, "");
    // Nothing of it can have been seen before, as after a backup was restored.
    let mut knows_more = Listener::open(&stage, id, &[("last-event-id", "7")]).await;
    assert_eq!(knows_more.hears().await, QUEUED);
    stage.feed.tell(change(id, 1));
    for listener in [&mut listener, &mut knows, &mut knows_more] {
        assert_eq!(listener.hears().await, STEPS[0]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_happens_while_the_store_is_read_is_told_once() {
    for stored in [0, 1, 2] {
        let stage = Stage::new();
        let id = issued(&stage);
        if stored > 0 {
            store(&stage, ticket(id, stored));
        }
        // The feed is open already, so that only this one's place decides what it hears.
        let bystander = Listener::open(&stage, issued(&stage), &[]).await;
        stage.feed.opened(1).await;
        let slow = Duration::from_secs(1);
        *stage.store.mood.lock().unwrap() = Mood::Slow(slow);
        let changing = async {
            sleep(slow / 2).await;
            stage.feed.tell(change(id, 1));
            stage.feed.tell(change(id, 2));
        };
        let (mut listener, ()) = tokio::join!(Listener::open(&stage, id, &[]), changing);
        let queued = if stored == 0 { QUEUED } else { "" };
        let expected = format!("{queued}{}", STEPS[..2].concat());
        assert_eq!(listener.hears().await, expected, "{stored} stored when it was read");
        drop(bystander);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_gap_each_subscriber_reads_the_store_once_and_a_few_at_a_time() {
    let stage = Stage::new();
    let mut listeners = Vec::new();
    for _ in 0..20 {
        let id = issued(&stage);
        store(&stage, ticket(id, 1));
        let mut listener = Listener::open(&stage, id, &[("last-event-id", "1")]).await;
        assert!(listener.hears_for(Duration::ZERO).await.starts_with("retry"));
        store(&stage, ticket(id, 2));
        listeners.push(listener);
    }
    stage.feed.opened(1).await;
    let read = Duration::from_secs(1);
    *stage.store.mood.lock().unwrap() = Mood::Slow(read);
    stage.feed.tell_gap();
    let told_at = Instant::now();
    let hearing = listeners.iter_mut().map(async |listener| {
        let frame = listener.0.body_mut().frame().await.unwrap().unwrap();
        (frame.into_data().unwrap(), told_at.elapsed())
    });
    let mut heard = futures_util::future::join_all(hearing).await;
    heard.sort_by_key(|(_, after)| *after);
    assert!(heard.iter().all(|(text, _)| text == STEPS[1].as_bytes()), "{heard:?}");
    let rounds = u32::try_from(20_usize.div_ceil(CATCH_UPS_MAX)).unwrap();
    let last = heard.last().unwrap().1;
    assert!(last >= read * rounds, "{last:?}");
    assert!(last <= read * rounds + CATCH_UP_SPREAD, "{last:?}");
    for listener in &mut listeners {
        assert_eq!(listener.hears().await, "");
    }
    assert_eq!(stage.store.asked(), 40);
}

#[tokio::test(start_paused = true)]
async fn a_change_before_which_one_is_missing_is_read_from_the_store() {
    let stage = Stage::new();
    let id = issued(&stage);
    store(&stage, ticket(id, 1));
    let mut listener = Listener::open(&stage, id, &[]).await;
    assert_eq!(listener.hears().await, STEPS[0]);
    store(&stage, ticket(id, 3));
    stage.feed.tell(change(id, 3));
    assert_eq!(listener.hears().await, STEPS[1..].concat());
    assert_eq!(stage.store.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_at_a_gap_is_read_when_it_is_back() {
    let stage = Stage::new();
    let id = issued(&stage);
    store(&stage, ticket(id, 1));
    let mut listener = Listener::open(&stage, id, &[("last-event-id", "1")]).await;
    *stage.store.mood.lock().unwrap() = Mood::Failing;
    stage.feed.opened(1).await;
    stage.feed.tell_gap();
    assert!(!listener.hears_for(Duration::from_mins(10)).await.contains("id:"));
    let tries = stage.store.asked();
    assert!((20..120).contains(&tries), "{tries} in ten minutes");
    store(&stage, ticket(id, 2));
    *stage.store.mood.lock().unwrap() = Mood::Willing;
    assert!(listener.hears_for(CATCH_UP_DELAY_MAX * 2).await.contains(STEPS[1]));
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_its_time_and_with_the_instance() {
    let stage = Stage::new();
    let id = issued(&stage);
    let mut listener = Listener::open(&stage, id, &[]).await;
    let opened_at = Instant::now();
    while !listener.has_ended().await {
        assert!(opened_at.elapsed() < LIFETIME_MIN * 2, "it does not end");
    }
    let lived = opened_at.elapsed();
    assert!((LIFETIME_MIN..LIFETIME_MIN + LIFETIME_SPREAD).contains(&lived), "{lived:?}");

    let mut listener = Listener::open(&stage, id, &[]).await;
    listener.hears().await;
    let stopped_at = Instant::now();
    stage.stop.cancel();
    assert!(listener.has_ended().await);
    assert_eq!(stopped_at.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_issued_id_is_the_same_404_as_anywhere() {
    let stage = Stage::new();
    let id = issued(&stage);
    store(&stage, ticket(id, 1));
    let forged = format!(
        "{}{}",
        &id.to_string()[..35],
        if id.to_string().ends_with('0') { "1" } else { "0" }
    );
    let later =
        stage.edge.ids.issue(stage.edge.clock.now() + TimeDelta::minutes(1), &*stage.edge.entropy);
    let references = [
        "SUP-2026-483920",
        &forged,
        &later.to_string(),
        "x",
        "%00",
        "..%2f",
        &id.as_uuid().simple().to_string(),
    ];
    for (asked_before, reference) in references.iter().enumerate() {
        let heard = stage.get(&format!("{TICKETS}/{reference}/events")).await;
        assert_eq!(heard.code(), (404, "ticket_not_found"), "{reference}");
        assert_eq!(stage.store.asked(), asked_before + 1, "{reference}");
    }
    assert_eq!(stage.edge.hub.subscribers(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_a_503_and_takes_no_place() {
    let stage = Stage::new();
    let id = issued(&stage);
    for mood in [Mood::Failing, Mood::Silent] {
        *stage.store.mood.lock().unwrap() = mood;
        for reference in [&*id.to_string(), "x"] {
            let heard = stage.get(&format!("{TICKETS}/{reference}/events")).await;
            assert_eq!(heard.code(), (503, "unavailable"));
            assert_eq!(heard.header("retry-after"), "2");
        }
    }
    assert_eq!(stage.edge.hub.subscribers(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_finds_no_place_is_told_to_come_back_later() {
    let stage = Stage::new();
    let id = issued(&stage);
    let mut listeners = Vec::new();
    for _ in 0..20 {
        listeners.push(Listener::open(&stage, id, &[]).await);
    }
    let refused = stage.get(&format!("{TICKETS}/{id}/events")).await;
    assert_eq!(refused.code(), (503, "too_many_subscribers"));
    assert_eq!(refused.header("retry-after"), "2");
    // A connection that ends takes its answer with it.
    drop(listeners.pop());
    Listener::open(&stage, id, &[]).await;
    let head = stage.ask("HEAD", &format!("{TICKETS}/{id}/events"), "", vec![]).await;
    assert_eq!((head.status, head.header("content-type")), (200, "text/event-stream"));
    assert_eq!(stage.edge.hub.subscribers(), 19, "HEAD holds none");
}

#[tokio::test(start_paused = true)]
async fn an_event_stream_is_for_who_takes_one() {
    let stage = Stage::new();
    let id = issued(&stage).to_string();
    for (accept, status) in [
        ("text/event-stream", 200),
        ("text/event-stream;q=0.5, application/json", 200),
        ("application/json, TEXT/*", 200),
        ("application/json,*/*;q=0.1", 200),
        ("", 200),
        (" , ", 200),
        ("application/json", 406),
        ("text/html,application/xhtml+xml", 406),
        ("text/event-streams", 406),
        ("text/event-stream;q=0", 406),
        ("text/event-stream; Q=0.000, */json", 406),
        ("\u{e4}", 406),
    ] {
        let answer = Listener::ask(&stage, &id, &[("accept", accept)]).await;
        assert_eq!(answer.0.status(), status, "{accept}");
    }
}
