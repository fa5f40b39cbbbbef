use std::{convert::Infallible, sync::atomic::Ordering};

use axum::body::Body;
use serde_json::json;
use tokio::time::timeout;

use super::*;
use crate::doubles::{FORM, Mood, Stage};

const fn seconds(tenths: u64) -> Duration {
    Duration::from_millis(tenths * 100)
}

/// An edge whose queue confirms in this mood, and whose worker answers so many tenths of a
/// second later, if at all.
fn stage(mood: Mood, receipts_after: Option<u64>) -> Stage {
    let stage = Stage::new();
    *stage.publisher.mood.lock().unwrap() = mood;
    *stage.publisher.receipts_after.lock().unwrap() = receipts_after.map(seconds);
    stage
}

#[tokio::test(start_paused = true)]
async fn a_submission_is_answered_with_its_ticket() {
    let stage = stage(Mood::Willing, Some(5));
    let form = FORM.replace('}', ",\"userId\":\"u1\",\"url\":\"https://x.io\"}");
    let heard = stage.post(form, &[]).await;
    assert_eq!((heard.status, heard.after), (201, seconds(5)));
    let id = heard.json["data"]["id"].as_str().unwrap();
    let expected = json!({
        "success": true,
        "data": {
            "id": id, "ticketNumber": "SUP-2026-483920", "name": "Ada",
            "email": "ada@example.org", "subject": "technical", "message": "It is stuck",
            "status": "open", "priority": "high", "submittedAt": "2026-11-22T10:30:00.000Z",
            "userId": "u1",
        },
        "message": "Support ticket created successfully",
        "timestamp": "2026-11-22T10:30:00.500Z",
    });
    assert_eq!(heard.json, expected);
    assert_eq!(heard.header("location"), format!("/api/support/ticket/{id}"));
    assert_eq!(heard.header("vary"), "Prefer");
    assert_eq!(heard.header("cache-control"), "no-store");
    assert_eq!(heard.header("content-type"), "application/json");
    assert!(!heard.headers.contains_key("preference-applied"));
}

#[tokio::test(start_paused = true)]
async fn a_durable_submission_without_a_number_is_queued_when_the_reply_wait_is_over() {
    let stage = stage(Mood::Slow(seconds(15)), None);
    let heard = stage.post(FORM, &[]).await;
    assert_eq!((heard.status, heard.after), (202, seconds(20)));
    let id = heard.json["data"]["id"].as_str().unwrap();
    assert_eq!(heard.json["data"], json!({"id": id, "status": "queued"}));
    assert_eq!(heard.header("location"), format!("/api/support/ticket/{id}"));
}

#[tokio::test(start_paused = true)]
async fn a_preference_shortens_the_wait_and_is_named() {
    let stage = stage(Mood::Slow(seconds(3)), Some(15));
    let table = [
        ("respond-async", 202, 3, "respond-async"),
        ("wait=1", 202, 10, "wait=1"),
        ("wait=0", 202, 3, "wait=0"),
        ("wait=2", 201, 15, "wait=2"),
        ("wait=3", 201, 15, ""),
        ("respond-async, wait=2", 201, 15, "wait=2"),
        ("respond-async, wait=1", 202, 10, "respond-async, wait=1"),
    ];
    for (prefer, status, tenths, applied) in table {
        let heard = stage.post(FORM, &[("prefer", prefer)]).await;
        assert_eq!((heard.status, heard.after), (status, seconds(tenths)), "{prefer}");
        assert_eq!(heard.header("preference-applied"), applied, "{prefer}");
        assert_eq!(heard.header("vary"), "Prefer");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_wait_is_answered_alike_however_fast_the_worker_is() {
    let stage = stage(Mood::Silent, Some(1));
    let heard = stage.post(FORM, &[("prefer", "respond-async")]).await;
    assert_eq!((heard.status, heard.after), (202, seconds(1)));
}

#[tokio::test(start_paused = true)]
async fn a_receipt_proves_durability_before_the_confirm() {
    let stage = stage(Mood::Silent, Some(7));
    let heard = stage.post(FORM, &[]).await;
    assert_eq!((heard.status, heard.after), (201, seconds(7)));
}

#[tokio::test(start_paused = true)]
async fn a_confirm_that_never_comes_is_a_503_after_two_seconds() {
    for reply_wait_s in [0, 2, 60] {
        let stage = Stage::with_reply_wait(Duration::from_secs(reply_wait_s));
        *stage.publisher.mood.lock().unwrap() = Mood::Silent;
        *stage.publisher.receipts_after.lock().unwrap() = None;
        let heard = stage.post(FORM, &[]).await;
        assert_eq!(heard.code(), (503, "not_accepted"));
        assert_eq!(heard.after, DURABLE_WAIT);
        assert_eq!(heard.header("retry-after"), "2");
        assert_eq!(heard.header("vary"), "Prefer");
        assert_eq!(stage.edge.waiting.len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_reply_wait_goes_on_after_the_confirm() {
    let stage = Stage::with_reply_wait(Duration::from_secs(10));
    *stage.publisher.receipts_after.lock().unwrap() = Some(seconds(60));
    let heard = stage.post(FORM, &[]).await;
    assert_eq!((heard.status, heard.after), (201, seconds(60)));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_queue_is_a_503_at_once() {
    let stage = stage(Mood::Failing, None);
    let heard = stage.post(FORM, &[]).await;
    assert_eq!((heard.code(), heard.after), ((503, "not_accepted"), Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn what_the_queue_cannot_tell_is_a_503_at_once_and_the_same_submission_when_sent_again() {
    let stage = stage(Mood::Unsure, None);
    stage.claims.remembers.store(true, Ordering::Relaxed);
    let heard = stage.post(FORM, &[]).await;
    assert_eq!((heard.code(), heard.after), ((503, "not_accepted"), Duration::ZERO));
    *stage.publisher.mood.lock().unwrap() = Mood::Willing;
    assert_eq!(stage.post(FORM, &[]).await.status, 202);
    let envelopes = stage.publisher.envelopes.lock().unwrap();
    assert_eq!(envelopes[0][0].id, envelopes[1][0].id);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_queued_while_the_publisher_is_not_ready() {
    let stage = stage(Mood::Willing, Some(0));
    stage.publisher.is_ready.store(false, Ordering::Relaxed);
    let heard = stage.post(FORM, &[]).await;
    assert_eq!((heard.code(), heard.after), ((503, "not_accepted"), Duration::ZERO));
    assert_eq!(stage.publisher.sizes(), [0; 0]);
    assert_eq!(stage.edge.waiting.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_answered_202_is_followed_until_its_number_is_heard() {
    let stage = stage(Mood::Willing, Some(5));
    for prefer in ["respond-async", "wait=0"] {
        assert_eq!(stage.post(FORM, &[("prefer", prefer)]).await.status, 202);
        assert_eq!(stage.edge.accounts.count(), 1, "{prefer}");
        tokio::time::sleep(seconds(6)).await;
        assert_eq!(stage.edge.accounts.count(), 0, "{prefer}");
    }
    assert_eq!(stage.post(FORM, &[]).await.status, 201);
    *stage.publisher.mood.lock().unwrap() = Mood::Failing;
    assert_eq!(stage.post(FORM, &[]).await.status, 503);
    assert_eq!(stage.edge.accounts.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_saturated_edge_sheds_submissions_unread_and_answers_the_rest() {
    // From everywhere at once: no client by itself gets so far.
    let mut settings = crate::doubles::settings(seconds(20));
    settings.limits.attempts = None;
    let stage = Stage::with(&settings);
    *stage.publisher.mood.lock().unwrap() = Mood::Silent;
    *stage.publisher.receipts_after.lock().unwrap() = None;
    // Not all at once: what the window takes leaves room for more.
    let one_of_many = async |index: u64| {
        tokio::time::sleep(Duration::from_millis(index / 1_000)).await;
        stage.post(FORM, &[]).await
    };
    let mut posts = futures_util::future::join_all((0..6_000).map(one_of_many));
    assert!(timeout(seconds(1), &mut posts).await.is_err());
    // A body that never comes: it is not waited for longer than a moment.
    let body = Body::from_stream(futures_util::stream::pending::<Result<&[u8], Infallible>>());
    let heard = stage.post(body, &[]).await;
    assert_eq!(heard.code(), (503, "saturated"));
    assert_eq!(heard.header("retry-after"), "2");
    assert!(heard.after <= Duration::from_millis(50), "{:?}", heard.after);
    assert_eq!(stage.get("/api/support/health").await.json["status"], "unavailable");
    assert_eq!(stage.get("/readyz").await.status, 200, "the others would have to take more");
    assert_eq!(stage.get("/livez").await.status, 200);
    let look_up = stage.get("/api/support/ticket/SUP-2026-000001").await;
    assert_eq!(look_up.code(), (404, "ticket_not_found"));
    let answers = posts.await;
    assert!(answers.iter().all(|heard| heard.status == 503 && heard.after <= DURABLE_WAIT));
}

#[tokio::test(start_paused = true)]
async fn a_sender_who_hangs_up_leaves_nothing_behind() {
    let stage = stage(Mood::Silent, None);
    let mut post = Box::pin(stage.post(FORM, &[]));
    assert!(timeout(seconds(1), &mut post).await.is_err());
    assert_eq!(stage.edge.waiting.len(), 1);
    drop(post);
    // It takes its way to the end all the same, which nobody hears of.
    tokio::time::sleep(DURABLE_WAIT).await;
    assert_eq!(stage.edge.waiting.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_stop_waits_for_what_was_offered_and_no_longer() {
    let stage = stage(Mood::Slow(seconds(3)), None);
    let heard = stage.post(FORM, &[("prefer", "respond-async")]).await;
    assert_eq!(heard.status, 202);
    *stage.publisher.mood.lock().unwrap() = Mood::Silent;
    let hangs = stage.post(FORM, &[("prefer", "respond-async")]).await;
    assert_eq!(hangs.status, 503);
    let drained_at = Instant::now();
    stage.background.finish().await.unwrap();
    assert!(drained_at.elapsed() < seconds(1), "{:?}", drained_at.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_the_sender_claims_of_its_ticket_has_no_effect() {
    let stage = stage(Mood::Willing, Some(0));
    let claims = r#","status":"closed","priority":"low","ticketNumber":"SUP-2026-000001","id":"x","__proto__":{}}"#;
    let heard = stage.post(FORM.replace('}', claims), &[]).await;
    let data = &heard.json["data"];
    assert_eq!(
        (heard.status, &data["status"], &data["priority"]),
        (201, &json!("open"), &json!("high"))
    );
    assert_eq!(data["ticketNumber"], "SUP-2026-483920");
}

#[tokio::test(start_paused = true)]
async fn the_trace_of_the_request_travels_with_the_submission() {
    let stage = stage(Mood::Willing, Some(0));
    let heard = stage.post(FORM, &[("x-request-id", "order-66")]).await;
    let envelopes = stage.publisher.envelopes.lock().unwrap();
    let trace = &envelopes[0][0].trace;
    assert_eq!(trace.request_id, "order-66");
    assert_eq!(heard.header("x-request-id"), "order-66");
    assert_eq!(heard.header("traceparent"), trace.traceparent);
}
