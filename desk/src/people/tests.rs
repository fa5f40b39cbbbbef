use std::{sync::atomic::Ordering, time::Duration};

use chrono::{DateTime, Utc};
use common::{
    domain::{Message, Post, PostKind},
    ports::cases::TrailEntry,
};
use serde_json::json;
use tokio::time::Instant;

use super::{ALL, BUT_FOR_LETTERS, NOT_ALL};
use crate::doubles::{NOW, Stage};

const EXPORT: &str = "/api/support/admin/people/export";
const ERASE: &str = "/api/support/admin/people/erase";
/// Keyed, so that it says nothing to whoever has no key.
const ADA: &str = "bead9adc537ddeae1dbd259336ee5937";

fn now() -> DateTime<Utc> {
    NOW.parse().unwrap()
}

fn stage() -> Stage {
    let stage = Stage::new();
    for number in ["SUP-2026-000001", "SUP-2026-000002", "SUP-2026-000003"] {
        stage.cases.add(number, now());
    }
    let mut files = stage.cases.files.lock().unwrap();
    let body = Message::stored("It is on its way.".to_owned());
    files[0].thread.push(Post { version: 2, kind: PostKind::Note, author: None, body, at: now() });
    files[0].trail.push(TrailEntry {
        version: 1,
        kind: "ticket.created".to_owned(),
        at: now(),
        actor: "submitter".to_owned(),
        address: Some("192.0.2.9".to_owned()),
        request_id: "r".to_owned(),
        changes: None,
    });
    drop(files);
    stage.letters.add(r#"{"v":1,"submissions":[{"email":"ada@example.org","message":"canary"}]}"#);
    stage.letters.add("From: ADA@example.org");
    stage
}

fn body(rest: &str) -> String {
    format!(r#"{{"email":"Ada@Example.org"{rest}}}"#)
}

#[tokio::test(start_paused = true)]
async fn all_that_is_stored_about_an_address_is_told_page_by_page_and_on_record() {
    let stage = stage();
    let heard = stage.ask("POST", EXPORT, &body(r#","limit":2,"because":"asked for it""#)).await;
    assert_eq!(heard.status, 200, "{heard:?}");
    let data = &heard.json["data"];
    let numbers = |data: &serde_json::Value| {
        let tickets = data["tickets"].as_array().unwrap();
        tickets.iter().map(|it| it["ticketNumber"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(numbers(data), ["SUP-2026-000001", "SUP-2026-000002"]);
    assert_eq!(data["tickets"][0]["thread"][0]["body"], "It is on its way.");
    assert_eq!(data["tickets"][0]["history"][0]["kind"], "ticket.created");
    assert!(!heard.json.to_string().contains("192.0.2.9"), "nothing of staff's");
    assert_eq!(data["deadLetters"][0]["submissions"][0]["message"], "canary");
    assert_eq!(data["undecidedDeadLetters"].as_array().unwrap().len(), 1);
    assert_eq!(data.get("erasedAt"), None);
    let next = data["next"].as_str().unwrap();
    let rest = format!(r#","limit":2,"after":"{next}""#);
    let heard = stage.ask("POST", EXPORT, &body(&rest)).await;
    let data = &heard.json["data"];
    assert_eq!((numbers(data).len(), &data["deadLetters"]), (1, &json!([])));
    assert_eq!(data.get("next"), None);
    let on_record = format!("admin-key person.export {ADA}");
    assert_eq!(stage.store.on_record(), [on_record.as_str(); 2]);
    assert_eq!(stage.store.actions.lock().unwrap()[0].details["because"], "asked for it");
}

#[tokio::test(start_paused = true)]
async fn an_address_is_erased_and_what_it_was_is_on_no_record() {
    let stage = stage();
    let heard = stage.ask("POST", ERASE, &body(r#","because":"asked for it""#)).await;
    assert_eq!(heard.status, 200, "{heard:?}");
    let addresses: Vec<_> =
        stage.people.erasures.lock().unwrap().iter().map(|it| it.address.clone()).collect();
    assert_eq!(addresses, [Some("192.0.2.1".to_owned())]);
    let left = heard.json["data"]["undecidedDeadLetters"].as_array().unwrap().len();
    let expected = json!({
        "tickets": 3, "deadLetters": 1, "areSomeHeld": false, "isComplete": true,
        "undecidedDeadLetters": heard.json["data"]["undecidedDeadLetters"],
    });
    assert_eq!((&heard.json["data"], left), (&expected, 1));
    assert_eq!(heard.json["message"], BUT_FOR_LETTERS);
    assert_eq!(stage.people.searches.load(Ordering::Relaxed), 1, "nobody looks twice");
    assert_eq!(stage.people.forgotten.lock().unwrap().len(), 1);
    let on_record = format!("admin-key person.erase {ADA}");
    assert_eq!(stage.store.on_record(), [on_record.as_str(); 2]);
    let actions = stage.store.actions.lock().unwrap().clone();
    let told = format!("{actions:?}").to_lowercase();
    assert!(!told.contains("example.org") && !told.contains("canary"), "{told}");
    assert!(actions.iter().all(|it| it.details["because"] == "asked for it"), "{actions:?}");
    let heard = stage.ask("POST", EXPORT, &body("")).await;
    assert_eq!(heard.json["data"]["tickets"], json!([]));
    assert_eq!(heard.json["data"]["erasedAt"], NOW);
}

#[tokio::test(start_paused = true)]
async fn an_erasure_that_takes_too_long_says_so_in_time_and_the_next_goes_on() {
    let stage = Stage::new();
    stage.cases.add("SUP-2026-000001", now());
    *stage.people.takes.lock().unwrap() = Duration::from_mins(1);
    let (begun, erase) = (Instant::now(), body(r#","because":"asked for it""#));
    let heard = stage.ask("POST", ERASE, &erase).await;
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    let data = &heard.json["data"];
    assert_eq!((heard.status, &data["tickets"]), (200, &json!(0)), "{heard:?}");
    assert_eq!((&data["isComplete"], &heard.json["message"]), (&json!(false), &json!(NOT_ALL)));
    *stage.people.takes.lock().unwrap() = Duration::ZERO;
    let heard = stage.ask("POST", ERASE, &erase).await;
    let data = &heard.json["data"];
    assert_eq!((&data["tickets"], &data["isComplete"]), (&json!(1), &json!(true)));
    assert_eq!(heard.json["message"], ALL);
}

#[tokio::test(start_paused = true)]
async fn the_dead_letters_of_an_erasure_that_takes_too_long_count_once_each() {
    let stage = Stage::new();
    for _ in 0..3 {
        stage.letters.add(r#"{"v":1,"submissions":[{"email":"ada@example.org"}]}"#);
    }
    *stage.letters.takes.lock().unwrap() = Duration::from_secs(8);
    for (letters, is_complete) in [(2, false), (1, true), (0, true)] {
        let heard = stage.ask("POST", ERASE, &body(r#","because":"asked for it""#)).await;
        let data = &heard.json["data"];
        let told = (&data["deadLetters"], &data["isComplete"]);
        assert_eq!(told, (&json!(letters), &json!(is_complete)), "{heard:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_erasure_is_not_complete_while_somebody_else_has_dead_letters_in_hand() {
    let stage = stage();
    *stage.letters.are_some_held.lock().unwrap() = true;
    let heard = stage.ask("POST", ERASE, &body(r#","because":"asked for it""#)).await;
    let data = &heard.json["data"];
    assert_eq!((&data["tickets"], &data["deadLetters"]), (&json!(3), &json!(1)), "{heard:?}");
    assert_eq!((&data["areSomeHeld"], &data["isComplete"]), (&json!(true), &json!(false)));
    assert_eq!(heard.json["message"], NOT_ALL);
}

#[tokio::test(start_paused = true)]
async fn few_people_are_told_and_erased_at_a_time() {
    let stage = stage();
    *stage.people.takes.lock().unwrap() = Duration::from_secs(1);
    let (erase, export) = (body(r#","because":"asked for it""#), body(""));
    let all = [(ERASE, &erase), (EXPORT, &export), (EXPORT, &export), (EXPORT, &export)];
    let all = all.into_iter().chain([(ERASE, &erase), (EXPORT, &export)]);
    let asked = all.map(|(path, body)| stage.ask("POST", path, body));
    let heard = futures_util::future::join_all(asked).await;
    let codes: Vec<_> = heard.iter().map(|it| it.status).collect();
    assert_eq!(codes, [200, 200, 200, 200, 503, 503]);
    assert_eq!(heard[4].code(), (503, "too_many_transfers"));
    assert_eq!(stage.store.on_record().len(), 5, "and what is not done is on no record");
    assert_eq!(stage.ask("POST", ERASE, &erase).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_request_is_told_at_once_and_nothing_is_done() {
    let stage = stage();
    for (path, body, told) in [
        (EXPORT, "{}", "/email required"),
        (EXPORT, r#"{"email":"ada"}"#, "/email invalid_email"),
        (
            EXPORT,
            r#"{"email":"a@b.org","limit":501,"after":"7","x":1}"#,
            "/after invalid_id, /limit out_of_range, /x unknown_field",
        ),
        (ERASE, r#"{"email":"a@b.org"}"#, "/because required"),
        (ERASE, r#"{"because":" "}"#, "/email required, /because invalid_reason"),
    ] {
        let heard = stage.ask("POST", path, body).await;
        assert_eq!(heard.violations().join(", "), told, "{body}");
    }
    assert_eq!(stage.store.on_record(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_or_erased_that_is_not_on_record_or_out_of_reach() {
    let stage = stage();
    let erase = body(r#","because":"asked for it""#);
    *stage.store.has_no_room_for_actions.lock().unwrap() = true;
    for (path, body) in [(EXPORT, body("")), (ERASE, erase.clone())] {
        assert_eq!(stage.ask("POST", path, &body).await.code(), (503, "unavailable"));
    }
    assert_eq!(stage.people.forgotten.lock().unwrap().len(), 0);
    *stage.store.has_no_room_for_actions.lock().unwrap() = false;
    stage.people.is_away.store(true, Ordering::Relaxed);
    assert_eq!(stage.ask("POST", ERASE, &erase).await.code(), (503, "unavailable"));
    stage.people.is_away.store(false, Ordering::Relaxed);
    stage.people.goes_away.store(true, Ordering::Relaxed);
    assert_eq!(stage.ask("POST", ERASE, &erase).await.code(), (503, "interrupted"));
}
