use std::{sync::Arc, time::Duration};

use chrono::DateTime;
use common::{
    domain::{
        Email, Event, EventId, EventKind, Name, Priority, Role, Status, Subject, SubmissionId,
    },
    ports::events::FeedItem,
    trace::Trace,
};
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::STANDING_CHECK;
use crate::doubles::{ADMIN_TOKEN, Stage};

const ALL: &str = "/api/support/admin/tickets/events";

fn event(ticket_id: SubmissionId) -> FeedItem {
    let at = DateTime::UNIX_EPOCH;
    FeedItem::Changed(Arc::new(Event {
        id: EventId::of(ticket_id, 2),
        ticket_id,
        number: "SUP-2026-000001".parse().unwrap(),
        version: 2,
        kind: EventKind::TicketNoted,
        name: Name::parse("Ada").unwrap(),
        email: Email::parse("ada@example.org").unwrap(),
        subject: Subject::Billing,
        status: Status::Open,
        priority: Priority::Medium,
        at,
        submitted_at: at,
        trace: Trace { request_id: "r".to_owned(), traceparent: "t".to_owned() },
        changes: None,
    }))
}

/// What a stream tells.
struct Stream(axum::body::Body);

impl Stream {
    async fn open(stage: &Stage, path: &str, token: &str) -> Self {
        Self(stage.open(path, token).await.into_body())
    }

    /// The next message; none at the end.
    async fn next(&mut self) -> Option<String> {
        let frame = self.0.frame().await?;
        Some(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_begins_with_a_gap_and_tells_changes_without_anything_personal() {
    let stage = Stage::new();
    let mut stream = Stream::open(&stage, ALL, ADMIN_TOKEN).await;
    assert!(stream.next().await.unwrap().contains("event: gap"));
    let id = stage.cases.add("SUP-2026-000001", DateTime::UNIX_EPOCH);
    stage.feed.0.send(event(id)).unwrap();
    let told = stream.next().await.unwrap();
    assert!(told.contains("event: change") && told.contains("\"kind\":\"ticket.noted\""), "{told}");
    assert!(!told.contains("Ada") && !told.contains("ada@"), "{told}");
    stage.feed.0.send(FeedItem::Gap).unwrap();
    assert!(stream.next().await.unwrap().contains("event: gap"));
}

#[tokio::test(start_paused = true)]
async fn who_follows_one_ticket_hears_of_no_other() {
    let stage = Stage::new();
    let id = stage.cases.add("SUP-2026-000001", DateTime::UNIX_EPOCH);
    let path = "/api/support/admin/tickets/SUP-2026-000001/events";
    let mut stream = Stream::open(&stage, path, ADMIN_TOKEN).await;
    stream.next().await.unwrap();
    stage.feed.0.send(event(uuid::Uuid::from_u128(99).into())).unwrap();
    stage.feed.0.send(event(id)).unwrap();
    assert!(stream.next().await.unwrap().contains(&id.to_string()));
}

#[tokio::test(start_paused = true)]
async fn who_holds_the_bootstrap_key_hears_for_as_long_as_they_like() {
    let stage = Stage::new();
    let mut stream = Stream::open(&stage, ALL, ADMIN_TOKEN).await;
    assert!(stream.next().await.unwrap().contains("event: gap"));
    for _ in 0..3 {
        // Somebody who asks in a loop whether they may stay would let no time pass.
        let silence = timeout(STANDING_CHECK + Duration::from_secs(1), stream.next()).await;
        assert!(silence.is_err(), "{silence:?}");
        let id = stage.cases.add("SUP-2026-000001", DateTime::UNIX_EPOCH);
        stage.feed.0.send(event(id)).unwrap();
        assert!(stream.next().await.unwrap().contains("event: change"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_the_token_that_opened_it() {
    let stage = Stage::new();
    let (token, _) = stage.store.add(Role::Agent, |_| {});
    let mut stream = Stream::open(&stage, ALL, &token).await;
    stream.next().await.unwrap();
    stage.store.tokens.lock().unwrap()[0].revoked_at = Some(DateTime::UNIX_EPOCH);
    while let Some(message) = stream.next().await {
        assert!(message.starts_with(':'), "only what keeps the connection open: {message}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_when_nobody_can_tell_for_long_whether_its_token_admits() {
    let stage = Stage::new();
    let (token, _) = stage.store.add(Role::Agent, |_| {});
    let mut stream = Stream::open(&stage, ALL, &token).await;
    stream.next().await.unwrap();
    *stage.store.is_away.lock().unwrap() = true;
    let since = tokio::time::Instant::now();
    while let Some(message) = stream.next().await {
        assert!(message.starts_with(':'), "only what keeps the connection open: {message}");
    }
    let minute = std::time::Duration::from_mins(1);
    assert!((minute..minute + 2 * STANDING_CHECK).contains(&since.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn who_is_too_far_behind_is_told_of_a_gap() {
    let stage = Stage::new();
    let mut stream = Stream::open(&stage, ALL, ADMIN_TOKEN).await;
    stream.next().await.unwrap();
    let id = stage.cases.add("SUP-2026-000001", DateTime::UNIX_EPOCH);
    for _ in 0..3_000 {
        stage.feed.0.send(event(id)).unwrap();
        tokio::task::yield_now().await;
    }
    assert!(stream.next().await.unwrap().contains("event: gap"));
    assert!(stream.next().await.unwrap().contains("event: change"));
}
