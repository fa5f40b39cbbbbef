use std::sync::atomic::Ordering;

use common::domain::{Email, Message, Name as PersonName, Priority, Status};
use serde_json::json;

use super::*;
use crate::doubles::{FORM, Heard, Mood, Stage};

const KEY: (&str, &str) = ("idempotency-key", "\"order-66\"");
const ASYNC: (&str, &str) = ("prefer", "respond-async");

fn stage() -> Stage {
    let stage = Stage::new();
    stage.claims.remembers.store(true, Ordering::Relaxed);
    stage
}

fn other_form() -> String {
    FORM.replace("29:59Z", "29:58Z")
}

/// The ids under which something was published, in order.
fn published(stage: &Stage) -> Vec<String> {
    let envelopes = stage.publisher.envelopes.lock().unwrap();
    envelopes.iter().flatten().map(|submission| submission.id.to_string()).collect()
}

/// Stores what was published first, which has been taken up since.
fn store_first(stage: &Stage) {
    let first = stage.publisher.envelopes.lock().unwrap()[0][0].clone();
    let (id, at) = (first.id, first.submitted_at);
    stage.store.keys.lock().unwrap().extend(first.key.map(|key| (key, id)));
    stage.store.tickets.lock().unwrap().push(Ticket {
        replies: vec![],
        id,
        number: "SUP-2026-483920".parse().unwrap(),
        form: first.form,
        status: Status::Resolved,
        priority: Priority::High,
        submitted_at: at,
        updated_at: at,
        resolved_at: None,
        history: vec![],
    });
}

fn told(heard: &Heard) -> (u16, &str, &str) {
    let id = heard.json["data"]["id"].as_str().unwrap();
    (heard.status, id, heard.header("idempotency-replayed"))
}

#[tokio::test(start_paused = true)]
async fn a_replay_gets_the_first_answer_without_being_queued_again() {
    let stage = stage();
    let first = stage.post(FORM, &[KEY]).await;
    assert_eq!(first.header("idempotency-replayed"), "");
    let id = first.json["data"]["id"].as_str().unwrap();
    store_first(&stage);
    tokio::time::advance(Duration::from_hours(30)).await;
    for spelling in ["order-66", "\"order-66\"", " \"order-66\" "] {
        let again = stage.post(FORM, &[("idempotency-key", spelling)]).await;
        assert_eq!(told(&again), (201, id, "true"));
        assert_eq!(again.json["data"], first.json["data"]);
        assert_eq!(again.json["message"], first.json["message"]);
        assert_eq!(again.header("location"), first.header("location"));
    }
    let hasty = stage.post(FORM, &[KEY, ASYNC]).await;
    assert_eq!(told(&hasty), (202, id, "true"));
    assert_eq!(hasty.header("preference-applied"), "respond-async");
    assert_eq!(stage.publisher.sizes(), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_replay_of_what_is_on_its_way_goes_the_same_way_under_the_same_id() {
    let stage = stage();
    *stage.publisher.receipts_after.lock().unwrap() = Some(Duration::from_secs(1));
    let (first, second) = tokio::join!(stage.post(FORM, &[KEY]), stage.post(FORM, &[KEY]));
    let id = first.json["data"]["id"].as_str().unwrap();
    assert_eq!(told(&first), (201, id, ""));
    assert_eq!(told(&second), (201, id, "true"));
    assert_eq!(published(&stage), [id, id]);
    assert_eq!(stage.edge.waiting.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn another_form_under_the_key_is_refused_and_told_nothing() {
    let stage = stage();
    let first = stage.post(FORM, &[KEY]).await;
    let id = first.json["data"]["id"].as_str().unwrap();
    for is_stored in [false, true] {
        if is_stored {
            store_first(&stage);
            // The store alone knows now.
            stage.claims.remembers.store(false, Ordering::Relaxed);
        }
        let other = stage.post(other_form(), &[KEY]).await;
        assert_eq!(other.code(), (422, "idempotency_key_reused"));
        assert!(!other.json.to_string().contains(id) && !other.headers.contains_key("location"));
    }
    assert_eq!(stage.publisher.sizes(), [1]);
    let own_key = stage.post(other_form(), &[("idempotency-key", "order-67")]).await;
    assert_eq!(own_key.status, 201);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_key_is_refused_and_what_is_no_form_takes_none() {
    let stage = stage();
    let bad = stage.post(FORM, &[("idempotency-key", "")]).await;
    assert_eq!(bad.code(), (400, "invalid_idempotency_key"));
    assert_eq!(stage.post("{}", &[KEY]).await.status, 422);
    assert_eq!(told(&stage.post(FORM, &[KEY]).await).2, "");
}

#[tokio::test(start_paused = true)]
async fn the_same_again_without_a_key_is_told_of_the_first() {
    let stage = stage();
    let first = stage.post(FORM, &[]).await;
    store_first(&stage);
    // Another name, time and page make no other submission.
    let again = other_form().replace("Ada", "Bob").replace('}', ",\"url\":\"https://x.io\"}");
    for headers in [&[][..], &[ASYNC], &[("prefer", "wait=0")]] {
        let heard = stage.post(again.clone(), headers).await;
        let mut expected = first.json["data"].clone();
        expected["duplicate"] = json!(true);
        expected["status"] = json!("resolved");
        assert_eq!((heard.status, &heard.json["data"]), (200, &expected));
        assert_eq!(heard.header("location"), first.header("location"));
        assert_eq!(heard.header("preference-applied"), "");
        assert_eq!(heard.header("idempotency-replayed"), "");
    }
    assert_eq!(stage.publisher.sizes(), [1]);
    for (was, is) in [("ada@", "bob@"), ("technical", "billing"), ("stuck", "stuck!")] {
        assert_eq!(stage.post(FORM.replace(was, is), &[]).await.status, 201, "{is}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_of_what_is_on_its_way_goes_the_same_way() {
    let stage = stage();
    *stage.publisher.receipts_after.lock().unwrap() = None;
    let first = stage.post(FORM, &[]).await;
    let id = first.json["data"]["id"].as_str().unwrap();
    let expected = json!({"id": id, "status": "queued", "duplicate": true});
    for headers in [&[][..], &[ASYNC]] {
        let again = stage.post(FORM, headers).await;
        assert_eq!((again.status, &again.json["data"]), (202, &expected));
    }
    *stage.publisher.receipts_after.lock().unwrap() = Some(Duration::from_secs(1));
    let publish = stage.post(FORM, &[]);
    let store = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        store_first(&stage);
    };
    let (numbered, ()) = tokio::join!(publish, store);
    assert_eq!((numbered.status, &numbered.json["data"]["id"]), (200, &json!(id)));
    assert_eq!(published(&stage), [id; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_key_sets_a_submission_apart_from_those_without() {
    let stage = stage();
    let ids = [
        stage.post(FORM, &[]).await,
        stage.post(FORM, &[KEY]).await,
        stage.post(FORM, &[("idempotency-key", "order-67")]).await,
    ]
    .map(|heard| (heard.status, heard.json["data"]["id"].to_string()));
    assert!(ids.iter().all(|(status, _)| *status == 201));
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
}

#[tokio::test(start_paused = true)]
async fn the_same_without_its_key_is_a_duplicate_and_is_not_queued_again() {
    let stage = stage();
    *stage.publisher.receipts_after.lock().unwrap() = None;
    let first = stage.post(FORM, &[KEY]).await;
    let id = first.json["data"]["id"].as_str().unwrap();
    let queued = stage.post(FORM, &[]).await;
    let expected = json!({"id": id, "status": "queued", "duplicate": true});
    assert_eq!((queued.status, &queued.json["data"]), (202, &expected));
    assert_eq!(queued.header("idempotency-replayed"), "");
    store_first(&stage);
    let stored = stage.post(FORM, &[]).await;
    assert_eq!((stored.status, &stored.json["data"]["id"]), (200, &json!(id)));
    assert_eq!(published(&stage), [id], "the store knows another form under this id");
    // What came without a key first is not the key's.
    let stage = self::stage();
    let without = stage.post(FORM, &[]).await;
    let under = stage.post(FORM, &[KEY]).await;
    assert_ne!(without.json["data"]["id"], under.json["data"]["id"]);
    store_first(&stage);
    let again = stage.post(FORM, &[]).await;
    assert_eq!((again.status, &again.json["data"]["id"]), (200, &without.json["data"]["id"]));
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_leaves_its_name_free_and_what_is_open_does_not() {
    for headers in [&[][..], &[KEY]] {
        let stage = stage();
        *stage.publisher.receipts_after.lock().unwrap() = None;
        stage.publisher.is_ready.store(false, Ordering::Relaxed);
        assert_eq!(stage.post(FORM, headers).await.code(), (503, "not_accepted"));
        stage.publisher.is_ready.store(true, Ordering::Relaxed);
        *stage.publisher.mood.lock().unwrap() = Mood::Failing;
        assert_eq!(stage.post(FORM, headers).await.code(), (503, "not_accepted"));
        // A first one, both times.
        *stage.publisher.mood.lock().unwrap() = Mood::Silent;
        assert_eq!(stage.post(FORM, headers).await.code(), (503, "not_accepted"));
        *stage.publisher.mood.lock().unwrap() = Mood::Willing;
        let again = stage.post(FORM, headers).await;
        assert_eq!(again.status, 202);
        let is_marked = again.json["data"]["duplicate"] == json!(true)
            || again.header("idempotency-replayed") == "true";
        assert!(is_marked, "{again:?}");
        let ids = published(&stage);
        assert!(ids[1] == ids[2], "an open one may have landed: {ids:?}");
        assert_eq!(ids[0] == ids[1], !headers.is_empty(), "{ids:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_a_repeat_goes_by_is_not_withdrawn_with_its_first() {
    let stage = stage();
    *stage.publisher.receipts_after.lock().unwrap() = None;
    *stage.publisher.mood.lock().unwrap() = Mood::Doomed(Duration::from_secs(1));
    let repeat = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        *stage.publisher.mood.lock().unwrap() = Mood::Willing;
        stage.post(FORM, &[]).await
    };
    let (refused, accepted) = tokio::join!(stage.post(FORM, &[]), repeat);
    assert_eq!((refused.status, accepted.status), (503, 202));
    let third = stage.post(FORM, &[]).await;
    assert_eq!(third.json["data"]["id"], accepted.json["data"]["id"], "one ticket only");
    assert_eq!(third.json["data"]["duplicate"], json!(true));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_or_silent_costs_little_and_refuses_nobody() {
    for (mood, tenths) in [(Mood::Failing, 0), (Mood::Silent, 2)] {
        let stage = stage();
        *stage.store.mood.lock().unwrap() = mood;
        for again in ["", "true"] {
            let heard = stage.post(FORM, &[KEY]).await;
            assert_eq!((heard.status, heard.header("idempotency-replayed")), (201, again));
            assert!(heard.after <= Duration::from_millis(tenths * 100), "{:?}", heard.after);
        }
        let another = FORM.replace("stuck", "stuck again");
        assert_eq!(stage.post(another.clone(), &[]).await.status, 201);
        let duplicate = stage.post(another, &[]).await;
        assert_eq!((duplicate.status, &duplicate.json["data"]["duplicate"]), (202, &json!(true)));
    }
}

/// Takes every word out of what is stored.
fn erase(stage: &Stage) {
    for ticket in stage.store.tickets.lock().unwrap().iter_mut() {
        ticket.form.name = PersonName::stored(String::new());
        ticket.form.email = Email::stored(String::new());
        ticket.form.message = Message::stored(String::new());
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_erased_goes_the_whole_way_again_under_its_key_and_without_one_is_new() {
    for (headers, is_the_same) in [(&[KEY][..], true), (&[], false)] {
        let stage = stage();
        let first = stage.post(FORM, headers).await;
        store_first(&stage);
        erase(&stage);
        let again = stage.post(FORM, headers).await;
        assert_eq!(again.status, 201, "{again:?}");
        assert_eq!(again.json["data"]["email"], first.json["data"]["email"], "as it was just sent");
        let ids = published(&stage);
        assert_eq!((ids.len(), ids[0] == ids[1]), (2, is_the_same));
        let shown = stage.get(&format!("/api/support/ticket/{}", ids[0])).await;
        assert_eq!(shown.code(), (404, "ticket_not_found"));
        let events = stage.get(&format!("/api/support/ticket/{}/events", ids[0])).await;
        assert_eq!(events.code(), (404, "ticket_not_found"));
        let number = stage.get("/api/support/ticket/SUP-2026-483920").await;
        assert_eq!((number.status, &number.json["data"]["status"]), (200, &json!("resolved")));
    }
}
