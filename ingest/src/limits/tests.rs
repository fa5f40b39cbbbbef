use std::{sync::atomic::Ordering, time::Duration};

use serde_json::json;

use super::*;
use crate::{
    doubles::{ADMIN_TOKEN, FORM, Heard, Mood, Stage},
    routes::TICKETS,
};

const KEY: (&str, &str) = ("idempotency-key", "\"order-66\"");

/// What the limiter was asked: the verb and the first rule's policy and cost.
fn asked(stage: &Stage) -> Vec<(&'static str, &'static str, u32)> {
    let mut asked = stage.limiter.asked.lock().unwrap();
    let told = |(verb, rules, _): (&'static str, Vec<Rule>, Slot)| {
        (verb, rules[0].policy.as_str(), rules[0].cost)
    };
    asked.drain(..).map(told).collect()
}

fn slots(stage: &Stage) -> Vec<Slot> {
    stage.limiter.asked.lock().unwrap().iter().map(|it| it.2).collect()
}

fn refuse_for(stage: &Stage, milliseconds: u64) {
    *stage.limiter.refuses_for.lock().unwrap() = Some(Duration::from_millis(milliseconds));
}

fn assert_told(heard: &Heard, policy: &str, state: &str) {
    assert_eq!(heard.header("ratelimit-policy"), policy, "{heard:?}");
    assert_eq!(heard.header("ratelimit"), state);
}

#[tokio::test(start_paused = true)]
async fn every_limited_route_tells_its_limit_admitted_or_not() {
    let stage = Stage::new();
    let created = stage.post(FORM, &[]).await;
    assert_eq!(created.status, 201);
    assert_told(&created, "\"create\";q=3;w=600", "\"create\";r=2;t=431");
    let invalid = stage.post("{", &[]).await;
    assert_eq!(invalid.status, 400);
    assert_told(&invalid, "\"create\";q=3;w=600", "\"create\";r=3;t=431");
    let id = created.json["data"]["id"].as_str().unwrap();
    for path in [format!("{TICKETS}/{id}"), format!("{TICKETS}/{id}/events")] {
        stage.limiter.asked.lock().unwrap().clear();
        let request = Request::get(path).body(axum::body::Body::empty()).unwrap();
        let answer = tower::ServiceExt::oneshot(stage.router.clone(), request).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["ratelimit-policy"], "\"lookup\";q=20;w=300");
        assert_eq!(asked(&stage), [("take", "lookup", 1)]);
    }
    let statistics = stage.get("/api/support/stats").await;
    assert_eq!(statistics.code(), (401, "unauthorized"));
    assert_told(&statistics, "\"stats\";q=30;w=60", "\"stats\";r=29;t=431");
    for path in ["/livez", "/api/support/health", "/api/support/whoami", "/nowhere"] {
        assert!(!stage.get(path).await.headers.contains_key("ratelimit"), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_names_the_policy_and_comes_no_earlier_than_it_says() {
    let stage = Stage::new();
    refuse_for(&stage, 500_001);
    let refused = [
        (stage.post(FORM, &[]).await, "create"),
        (stage.get(&format!("{TICKETS}/x")).await, "lookup"),
        (stage.get(&format!("{TICKETS}/x/events")).await, "lookup"),
        (stage.get("/api/support/stats").await, "stats"),
    ];
    for (heard, policy) in refused {
        assert_eq!(heard.code(), (429, "rate_limited"));
        assert_eq!(heard.json["violated-policies"], json!([policy]));
        assert_eq!(heard.header("retry-after"), "501");
        assert!(heard.header("ratelimit").ends_with(";r=0;t=431"));
        for name in ["ratelimit", "ratelimit-policy"] {
            assert_eq!(heard.headers.get_all(name).iter().count(), 1, "{policy}: {name}");
        }
    }
    assert_eq!(stage.publisher.sizes(), [0; 0]);
    assert_eq!(stage.store.asked(), 0, "what is refused costs no more than that");
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_taken_by_a_valid_form_and_given_back_when_it_is_not_accepted() {
    let stage = Stage::new();
    for body in ["", "[]", "{}", &FORM.replace("technical", "other")] {
        assert!([400, 422].contains(&stage.post(body.to_owned(), &[]).await.status));
        assert_eq!(asked(&stage), [("take", "create", 0)], "{body}");
    }
    assert_eq!(stage.post(FORM, &[]).await.status, 201);
    assert_eq!(asked(&stage), [("take", "create", 1)]);
    for mood in [Mood::Failing, Mood::Silent] {
        *stage.publisher.mood.lock().unwrap() = mood;
        *stage.publisher.receipts_after.lock().unwrap() = None;
        let form = FORM.replace("stuck", &format!("{mood:?}"));
        assert_eq!(stage.post(form, &[]).await.status, 503);
        let slots = slots(&stage);
        assert_eq!(slots[0], slots[1]);
        assert_eq!(asked(&stage), [("take", "create", 1), ("give back", "create", 1)]);
    }
}

/// A stage that remembers claims, whose worker does not get on.
fn remembering_stage(mood: Mood) -> Stage {
    let stage = Stage::new();
    stage.claims.remembers.store(true, Ordering::Relaxed);
    *stage.publisher.mood.lock().unwrap() = mood;
    *stage.publisher.receipts_after.lock().unwrap() = None;
    stage
}

#[tokio::test(start_paused = true)]
async fn a_submission_sent_again_is_counted_once_however_often_it_fails() {
    for headers in [&[][..], &[KEY]] {
        let stage = remembering_stage(Mood::Silent);
        let in_vain = [("take", "create", 1), ("give back", "create", 1)];
        // Without a key a repeat is known as one only when a slot was taken for it, under another name.
        let before = if headers.is_empty() { &in_vain[..] } else { &[] };
        for before in [&[], before, before] {
            assert_eq!(stage.post(FORM, headers).await.status, 503);
            assert!(slots(&stage).chunks(2).all(|it| it[0] == it[1]));
            assert_eq!(asked(&stage), [before, &in_vain].concat());
        }
        *stage.publisher.mood.lock().unwrap() = Mood::Willing;
        assert_eq!(stage.post(FORM, headers).await.status, 202);
        let id = stage.publisher.envelopes.lock().unwrap()[0][0].id;
        assert_eq!(slots(&stage).last(), Some(&Slot(id.as_uuid())));
        assert_eq!(asked(&stage), [before, &in_vain[..1]].concat());
    }
}

#[tokio::test(start_paused = true)]
async fn a_replay_of_what_was_accepted_is_not_counted_before_it_is_stored_either() {
    let stage = remembering_stage(Mood::Willing);
    assert_eq!(stage.post(FORM, &[KEY]).await.status, 202);
    asked(&stage);
    refuse_for(&stage, 500_001);
    let again = stage.post(FORM, &[KEY]).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (202, "true"));
    assert_eq!(asked(&stage), [("take", "create", 0)]);
    let another = FORM.replace("stuck", "stuck again");
    assert_eq!(stage.post(another, &[]).await.status, 429);
}

#[tokio::test(start_paused = true)]
async fn what_was_claimed_and_never_answered_is_counted_when_it_is_sent_again() {
    let stage = remembering_stage(Mood::Silent);
    let mut post = Box::pin(stage.post(FORM, &[KEY]));
    assert!(tokio::time::timeout(Duration::from_secs(1), &mut post).await.is_err());
    drop(post);
    refuse_for(&stage, 500_001);
    assert_eq!(stage.post(FORM, &[KEY]).await.status, 429);
}

#[tokio::test(start_paused = true)]
async fn a_sender_who_hangs_up_keeps_a_place_only_for_a_ticket() {
    let in_a_second = Duration::from_secs(1);
    for (mood, expected) in [
        (Mood::Doomed(in_a_second), &[("take", "create", 1), ("give back", "create", 1)][..]),
        (Mood::Slow(in_a_second), &[("take", "create", 1)]),
    ] {
        let stage = remembering_stage(mood);
        let post = stage.post(FORM, &[]);
        assert!(tokio::time::timeout(Duration::from_millis(500), post).await.is_err());
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(asked(&stage), expected, "{mood:?}");
        assert_eq!(stage.publisher.sizes(), [1]);
    }
}

/// The first one's confirm never comes; the second one, a second later, has it at once, and is
/// answered before the first or after it.
#[tokio::test(start_paused = true)]
async fn a_first_that_fails_does_not_free_the_slot_of_a_repeat_that_was_accepted() {
    for headers in [&[][..], &[KEY]] {
        for wait in ["wait=0", "wait=2"] {
            let stage = remembering_stage(Mood::Silent);
            let repeat = async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                *stage.publisher.mood.lock().unwrap() = Mood::Willing;
                stage.post(FORM, &[headers, &[("prefer", wait)]].concat()).await.status
            };
            let (first, repeat) = tokio::join!(stage.post(FORM, headers), repeat);
            assert_eq!((first.status, repeat), (503, 202));
            let id = stage.publisher.envelopes.lock().unwrap()[0][0].id;
            assert!(stage.limiter.taken.lock().unwrap().contains(&Slot(id.as_uuid())), "{wait}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_finds_nothing_costs_four() {
    let stage = Stage::new();
    for reference in ["SUP-2026-000001", "x", "01a202c3-c662-7aeb-85b5-ac7a63952b19"] {
        let heard = stage.get(&format!("{TICKETS}/{reference}")).await;
        assert_eq!(heard.status, 404);
        assert_told(&heard, "\"lookup\";q=20;w=300", "\"lookup\";r=16;t=431");
        assert_eq!(asked(&stage), [("take", "lookup", 1), ("charge", "lookup", 4)]);
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_are_refused_before_the_body_is_read() {
    let stage = Stage::new();
    for _ in 0..300 {
        assert_eq!(stage.post("", &[]).await.status, 400);
    }
    asked(&stage);
    let never = axum::body::Body::from_stream(futures_util::stream::pending::<
        Result<bytes::Bytes, std::io::Error>,
    >());
    let heard = stage.post(never, &[]).await;
    assert_eq!(heard.code(), (429, "rate_limited"));
    assert!(heard.after <= Duration::from_millis(50), "{:?}", heard.after);
    assert_eq!((heard.header("connection"), heard.header("vary")), ("close", "Prefer"));
    assert_eq!(heard.json["violated-policies"], json!(["attempts"]));
    assert_eq!(heard.header("retry-after"), "2");
    assert_told(&heard, "\"attempts\";q=300;w=600", "\"attempts\";r=0;t=2");
    assert_eq!(asked(&stage), [], "nobody else is asked");
}

#[tokio::test(start_paused = true)]
async fn whoami_shows_the_address_that_is_counted_and_why() {
    let stage = Stage::new();
    assert_eq!(stage.get("/api/support/whoami").await.code(), (401, "unauthorized"));
    let bearer = format!("Bearer {ADMIN_TOKEN}");
    let headers = vec![("authorization", &*bearer), ("x-forwarded-for", "6.6.6.6")];
    let heard = stage.ask("GET", "/api/support/whoami", "", headers).await;
    let data = &heard.json["data"];
    assert_eq!([&data["address"], &data["countedAs"], &data["peer"]], [&json!("192.0.2.1"); 3]);
    assert_eq!(data["header"], "x-forwarded-for");
    assert_eq!(data["trustedProxies"], json!(["10.0.0.0/8"]));
    assert_eq!(data["countedBy"], "all instances");
    let chain = data["chain"].as_array().unwrap();
    assert_eq!((&chain[1]["said"], &chain[1]["trusted"]), (&json!("6.6.6.6"), &json!(false)));
    let limits: Vec<_> = data["limits"].as_array().unwrap().iter().collect();
    let policies: Vec<_> = limits.iter().map(|it| it["policy"].as_str().unwrap()).collect();
    assert_eq!(policies, ["create", "lookup", "stats", "attempts", "guesses"]);
    let create = json!({
        "policy": "create", "quota": 3, "windowSeconds": 600, "remaining": 3, "resetSeconds": 431
    });
    assert_eq!(*limits[0], create);
    let looks = ["guesses", "create", "guesses"].map(|policy| ("take", policy, 0));
    assert_eq!(asked(&stage), looks, "it is counted nowhere");
}

#[tokio::test(start_paused = true)]
async fn one_call_counts_a_request_for_statistics_and_looks_at_its_guesses() {
    let stage = Stage::new();
    let heard = async |token: &str| {
        let bearer = format!("Bearer {token}");
        stage.ask("GET", "/api/support/stats", "", vec![("authorization", &*bearer)]).await
    };
    let asked = || {
        let mut asked = stage.limiter.asked.lock().unwrap();
        let told = |rule: &Rule| (rule.policy.as_str(), rule.cost);
        asked.drain(..).map(|it| it.1.iter().map(told).collect()).collect::<Vec<Vec<_>>>()
    };
    let both = || vec![("stats", 1), ("guesses", 0)];
    assert_eq!(heard(ADMIN_TOKEN).await.status, 200);
    assert_eq!(asked(), [both()]);
    assert_eq!(heard("wrong").await.code(), (401, "unauthorized"));
    assert_eq!(asked(), [both(), vec![("guesses", 1)]]);
    stage.limiter.is_used_up.store(true, Ordering::Relaxed);
    let refused = heard(ADMIN_TOKEN).await;
    assert_eq!(refused.code(), (429, "rate_limited"));
    assert_eq!(refused.json["violated-policies"], json!(["guesses"]));
    assert_eq!(asked(), [both()]);
    // Who presents nothing has guessed at nothing.
    assert_eq!(stage.get("/api/support/stats").await.code(), (401, "unauthorized"));
    assert_eq!(asked(), [vec![("stats", 1)]]);
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_given_back_when_a_handler_breaks_off() {
    let stage = Stage::new();
    stage.publisher.panics.store(true, Ordering::Relaxed);
    let heard = stage.post(FORM, &[]).await;
    assert_eq!(heard.code(), (500, "internal"));
    assert!(!heard.header("ratelimit").is_empty() && heard.header("vary") == "Prefer");
    assert_eq!(asked(&stage), [("take", "create", 1), ("give back", "create", 1)]);
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_as_told_finds_room() {
    let stage = Stage::new();
    *stage.store.mood.lock().unwrap() = Mood::Failing;
    for (is_used_up, after) in [(false, "2"), (true, "431")] {
        stage.limiter.is_used_up.store(is_used_up, Ordering::Relaxed);
        let heard = stage.get(&format!("{TICKETS}/SUP-2026-000001")).await;
        assert_eq!((heard.code(), heard.header("retry-after")), ((503, "unavailable"), after));
    }
}
