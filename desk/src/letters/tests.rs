use serde_json::json;

use crate::doubles::Stage;

const LETTERS: &str = "/api/support/admin/dead-letters";

fn path(number: u8) -> String {
    format!("{LETTERS}/000000000000000{number}")
}

/// The numbers of the letters that are listed.
async fn listed(stage: &Stage, query: &str) -> String {
    let heard = stage.ask("GET", &format!("{LETTERS}{query}"), "").await;
    assert_eq!(heard.status, 200, "{heard:?}");
    let letters = heard.json["data"]["letters"].as_array().unwrap();
    letters.iter().map(|letter| letter["id"].as_str().unwrap().chars().last().unwrap()).collect()
}

fn done(stage: &Stage) -> Vec<String> {
    stage.letters.done.lock().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn letters_are_listed_by_what_they_have_in_common() {
    let stage = Stage::new();
    for (query, letters) in [
        ("", "12345"),
        ("?limit=2", "12"),
        ("?reason=rejected", "12"),
        ("?reason=rejected,conflict", "12345"),
        ("?olderThan=3h", "12"),
        ("?newerThan=3h", "345"),
        ("?reason=conflict&olderThan=90m", "34"),
        ("?reason=crashed", ""),
    ] {
        assert_eq!(listed(&stage, query).await, letters, "{query}");
    }
    let heard = stage.ask("GET", &format!("{LETTERS}?limit=1"), "").await;
    assert_eq!(heard.json["data"]["counts"], json!({"rejected": 2, "conflict": 3}));
    assert!(!heard.json.to_string().contains("canary"));
}

#[tokio::test(start_paused = true)]
async fn filters_that_are_not_known_or_break_their_rules_are_refused_all_at_once() {
    let stage = Stage::new();
    for (query, told) in [
        ("?reasn=rejected", "/reasn unknown_field"),
        ("?reason=spam", "/reason invalid_choice"),
        ("?reason=", "/reason invalid_choice"),
        ("?limit=0", "/limit out_of_range"),
        ("?limit=1001", "/limit out_of_range"),
        ("?limit=+1", "/limit out_of_range"),
        ("?limit=1&limit=2", "/limit duplicate_field"),
        ("?olderThan=1d&newerThan=1h", "/newerThan impossible_range"),
        ("?olderThan=2", "/olderThan invalid_duration"),
        (
            "?limit=x&newerThan=-1d&olderThan=soon&a%2Fb=1",
            "/olderThan invalid_duration, /newerThan invalid_duration, /limit out_of_range, \
             /a~1b unknown_field",
        ),
    ] {
        let heard = stage.ask("GET", &format!("{LETTERS}{query}"), "").await;
        assert_eq!(heard.code().1, "invalid_query", "{query}");
        assert_eq!(heard.violations().join(", "), told, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_letter_is_masked_unless_it_is_revealed_which_is_on_record() {
    let stage = Stage::new();
    let masked = stage.ask("GET", &path(1), "").await;
    assert_eq!(masked.json["data"]["isMasked"], true);
    assert_eq!(masked.json["data"]["body"]["name"], "*** (8 characters)");
    assert_eq!(stage.store.on_record(), [""; 0]);
    let revealed =
        stage.ask("GET", &format!("{}?reveal=true&because=case+4711", path(1)), "").await;
    assert_eq!(revealed.json["data"]["isMasked"], false);
    assert_eq!(revealed.json["data"]["body"], "{\"name\":\"canary 1\"}");
    let on_record = "admin-key dead-letter.reveal 0000000000000001";
    assert_eq!(stage.store.on_record(), [on_record]);
    assert_eq!(stage.store.actions.lock().unwrap()[0].details["because"], "case 4711");
    let heard = stage.ask("GET", &format!("{}?reveal=yes&show=1", path(1)), "").await;
    assert_eq!(heard.violations(), ["/reveal invalid_choice", "/show unknown_field"]);
    *stage.store.has_no_room_for_actions.lock().unwrap() = true;
    let heard = stage.ask("GET", &format!("{}?reveal=true", path(1)), "").await;
    assert_eq!(heard.code(), (503, "unavailable"));
    assert!(!heard.json.to_string().contains("canary"));
}

#[tokio::test(start_paused = true)]
async fn one_letter_is_tried_again_or_deleted_by_whoever_is_on_record() {
    let stage = Stage::new();
    let (agent, id) = stage.store.add(common::domain::Role::Agent, |_| {});
    let heard = stage.ask_as(&agent, "POST", &format!("{}/requeue", path(1)), "").await;
    let handled = json!({"handled": ["0000000000000001"], "missing": [], "isComplete": true});
    assert_eq!((heard.status, &heard.json["data"]), (200, &handled));
    let gone = stage.ask_as(&agent, "POST", &format!("{}/requeue", path(1)), "").await;
    assert_eq!(gone.code(), (404, "dead_letter_not_found"));
    let because = format!("{}?because=sent%20by%20a%20scanner", path(2));
    assert_eq!(stage.ask("DELETE", &because, "").await.status, 200);
    assert_eq!(stage.ask("DELETE", &because, "").await.code().0, 404);
    assert_eq!(done(&stage), ["requeued 0000000000000001", "discarded 0000000000000002"]);
    let by = [
        format!("token:{id}:agent dead-letter.requeue 0000000000000001"),
        "admin-key dead-letter.discard 0000000000000002".to_owned(),
    ];
    assert_eq!(stage.store.on_record(), by);
    let why = stage.store.actions.lock().unwrap()[1].details["because"].clone();
    assert_eq!(why, "sent by a scanner");
    for id in ["x", "%ff", "%00", "..%2f"] {
        let heard = stage.ask("GET", &format!("{LETTERS}/{id}"), "").await;
        assert_eq!(heard.code(), (404, "dead_letter_not_found"), "{id}");
    }
    for query in ["", "?because=", "?because=%0A", "?because=a&because=b"] {
        let heard = stage.ask("DELETE", &format!("{}{query}", path(3)), "").await;
        assert_eq!(heard.code().1, "invalid_query", "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn several_letters_are_named_or_alike_or_all() {
    for (body, handled, missing) in [
        (r#"{"ids":["0000000000000002","0000000000000005","x"]}"#, "25", json!(["x"])),
        (r#"{"filter":{"reason":"conflict","olderThan":"90m"}}"#, "34", json!([])),
        (r#"{"all":true,"rate":"off"}"#, "12345", json!([])),
        (r#"{"all":true,"ids":null,"filter":null,"rate":1}"#, "12345", json!([])),
    ] {
        let stage = Stage::new();
        let heard = stage.ask("POST", &format!("{LETTERS}/requeue"), body).await;
        let data = &heard.json["data"];
        let ids = data["handled"].as_array().unwrap().iter();
        let told: String = ids.map(|id| id.as_str().unwrap().chars().last().unwrap()).collect();
        assert_eq!((told.as_str(), &data["missing"]), (handled, &missing), "{body}: {heard:?}");
        assert_eq!(data["isComplete"], true);
        assert_eq!(stage.store.on_record().len(), handled.len());
    }
    let stage = Stage::new();
    let body = r#"{"filter":{"newerThan":"150m"},"because":"spam"}"#;
    let heard = stage.ask("POST", &format!("{LETTERS}/discard"), body).await;
    assert_eq!(heard.json["data"]["handled"].as_array().unwrap().len(), 2);
    assert_eq!(listed(&stage, "").await, "123");
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_several_is_told_and_nothing_is_done() {
    let stage = Stage::new();
    for (body, told) in [
        ("{}", " ambiguous"),
        (r#"{"ids":["x"],"all":true}"#, " ambiguous"),
        (r#"{"all":false}"#, "/all invalid_choice"),
        (r#"{"ids":[]}"#, "/ids too_few"),
        (r#"{"ids":"x"}"#, "/ids wrong_type"),
        (
            r#"{"filter":{"reason":"crashed","reason":"conflict"}}"#,
            "/filter/reason duplicate_field",
        ),
        (r#"{"filter":{"olderThan":"1h","newerThan":"1h"}}"#, "/filter/newerThan impossible_range"),
        (r#"{"ids":[1]}"#, "/ids wrong_type"),
        (r#"{"filter":{}}"#, "/filter too_few"),
        (r#"{"filter":"rejected"}"#, "/filter wrong_type"),
        (r#"{"filter":{"reasn":"rejected"}}"#, "/filter too_few, /filter/reasn unknown_field"),
        (
            r#"{"filter":{"reason":"spam","olderThan":3}}"#,
            "/filter/reason invalid_choice, /filter/olderThan wrong_type",
        ),
        (r#"{"all":true,"rate":0}"#, "/rate out_of_range"),
        (r#"{"all":true,"rate":"50/s"}"#, "/rate out_of_range"),
        (r#"{"all":true,"because":" "}"#, "/because invalid_reason"),
        (r#"{"all":true,"limit":3}"#, "/limit unknown_field"),
    ] {
        let heard = stage.ask("POST", &format!("{LETTERS}/requeue"), body).await;
        assert_eq!(heard.violations().join(", "), told, "{body}");
    }
    let heard = stage.ask("POST", &format!("{LETTERS}/discard"), r#"{"all":true}"#).await;
    assert_eq!(heard.violations(), ["/because required"]);
    let heard = stage.ask("POST", &format!("{LETTERS}/requeue"), "{").await;
    assert_eq!(heard.code(), (400, "invalid_json"));
    assert_eq!((done(&stage).len(), stage.store.on_record().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_has_used_up_its_time_says_that_there_is_more() {
    let stage = Stage::new();
    let begun_at = tokio::time::Instant::now();
    // One in a second, of five: that fits. The clock of a request goes on while it waits.
    let body = r#"{"all":true,"rate":1}"#;
    let heard = stage.ask("POST", &format!("{LETTERS}/requeue"), body).await;
    assert_eq!(heard.json["data"]["isComplete"], true);
    assert_eq!(begun_at.elapsed(), std::time::Duration::from_secs(4), "the first one at once");
}

#[tokio::test(start_paused = true)]
async fn letters_out_of_reach_are_a_503_and_what_was_done_before_is_told() {
    let stage = Stage::new();
    *stage.letters.is_away.lock().unwrap() = true;
    for (method, path, body) in [
        ("GET", LETTERS.to_owned(), ""),
        ("GET", path(1), ""),
        ("POST", format!("{}/requeue", path(1)), ""),
        ("POST", format!("{LETTERS}/requeue"), r#"{"all":true}"#),
        ("POST", format!("{LETTERS}/discard"), r#"{"all":true,"because":"x"}"#),
        ("DELETE", format!("{}?because=x", path(1)), ""),
    ] {
        let heard = stage.ask(method, &path, body).await;
        assert_eq!(heard.code(), (503, "unavailable"), "{method} {path}");
        assert_eq!(heard.header("retry-after"), "2");
    }
    *stage.letters.is_away.lock().unwrap() = false;
    *stage.store.is_away.lock().unwrap() = true;
    let heard = stage.ask("POST", &format!("{LETTERS}/requeue"), r#"{"all":true}"#).await;
    assert_eq!(heard.code(), (503, "unavailable"), "nothing is done that is not on record");
    assert_eq!(done(&stage).len(), 0);
}
