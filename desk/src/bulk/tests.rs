use chrono::DateTime;
use serde_json::{Value, json};

use crate::doubles::{Heard, Stage};

const BULK: &str = "/api/support/admin/tickets/bulk";

/// A stage with tickets of these numbers.
fn stage(numbers: &[&str]) -> Stage {
    let stage = Stage::new();
    for number in numbers {
        stage.cases.add(number, DateTime::UNIX_EPOCH);
    }
    stage
}

async fn ask(stage: &Stage, tickets: &[&str], change: Value, together: bool) -> Heard {
    let body = json!({"tickets": tickets, "change": change, "allOrNothing": together});
    stage.ask("POST", BULK, &body.to_string()).await
}

/// What became of each, and its version or why not.
fn results(heard: &Heard) -> Vec<String> {
    assert_eq!(heard.status, 200, "{heard:?}");
    let results = heard.json["data"]["tickets"].as_array().unwrap().iter();
    let told = results.map(|it| {
        let why = if it["code"].is_null() { it["version"].to_string() } else { word(&it["code"]) };
        format!("{} {why}", word(&it["outcome"]))
    });
    told.collect()
}

fn word(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn take() -> Value {
    json!({"status": "in-progress"})
}

const ONE: &str = "SUP-2026-000001";
const TWO: &str = "SUP-2026-000002";

#[tokio::test(start_paused = true)]
async fn many_are_changed_each_for_itself_with_a_result_each() {
    let stage = stage(&[ONE, TWO]);
    let change = json!({"addTags": ["a"]});
    assert_eq!(results(&ask(&stage, &[ONE], change.clone(), false).await), ["changed 2"]);
    let heard = ask(&stage, &[ONE, TWO, "x", "SUP-2026-000003"], change, false).await;
    let none = "failed ticket_not_found";
    assert_eq!(results(&heard), ["unchanged 2", "changed 2", none, none]);
}

#[tokio::test(start_paused = true)]
async fn a_ticket_is_changed_once_however_often_it_is_named() {
    for together in [false, true] {
        let stage = stage(&[ONE, TWO]);
        let lower = ONE.to_lowercase();
        let heard = ask(&stage, &[ONE, &lower, TWO, ONE], take(), together).await;
        assert_eq!(results(&heard), ["changed 2", "unchanged 2", "changed 2", "unchanged 2"]);
        assert_eq!(*stage.cases.commits.lock().unwrap(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn all_or_nothing_is_what_was_asked_for() {
    let stage = stage(&[ONE, TWO]);
    let heard = ask(&stage, &[ONE, "SUP-2026-000009", "x"], take(), true).await;
    assert_eq!(heard.code(), (409, "not_together"));
    let pointers = heard.json["errors"].as_array().unwrap().iter().map(|it| word(&it["pointer"]));
    assert_eq!(pointers.collect::<Vec<_>>(), ["/tickets/1", "/tickets/2"]);
    assert_eq!(*stage.cases.commits.lock().unwrap(), 0);
    *stage.cases.rivals.lock().unwrap() = 3;
    let heard = ask(&stage, &[ONE, TWO], take(), true).await;
    assert_eq!(results(&heard), ["changed 2", "changed 2"]);
}

#[tokio::test(start_paused = true)]
async fn where_others_are_always_first_that_ticket_alone_is_told_as_unavailable() {
    let stage = stage(&[ONE, TWO]);
    *stage.cases.contested.lock().unwrap() =
        Some(stage.cases.files.lock().unwrap()[1].case.ticket.id);
    let heard = ask(&stage, &[ONE, TWO, TWO], take(), true).await;
    assert_eq!(heard.code(), (503, "unavailable"));
    let heard = ask(&stage, &[ONE, TWO, TWO], take(), false).await;
    assert_eq!(results(&heard), ["changed 2", "failed unavailable", "failed unavailable"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_changed_before_the_store_went_away_is_told() {
    // Of the calls: two go to the first round, and the next would be the second round's.
    for (answers, is_changed) in [(0, false), (1, false), (2, true), (3, true)] {
        let stage = stage(&[ONE, TWO]);
        let second = stage.cases.files.lock().unwrap()[1].case.ticket.id;
        *stage.cases.contested.lock().unwrap() = Some(second);
        *stage.cases.answers.lock().unwrap() = Some(answers);
        let heard = ask(&stage, &[ONE, TWO, "x"], take(), false).await;
        if is_changed {
            let expected = ["changed 2", "failed unavailable", "failed ticket_not_found"];
            assert_eq!(results(&heard), expected);
        } else {
            assert_eq!(heard.code(), (503, "unavailable"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_change_of_many_is_told_all_at_once() {
    let stage = stage(&[ONE]);
    let many = vec!["x"; 1_001];
    for (body, told) in [
        (json!({}), vec!["/tickets required", "/change required"]),
        (json!({"tickets": [], "change": {}}), vec!["/tickets out_of_range", "/change too_few"]),
        (
            json!({"tickets": many, "change": 7}),
            vec!["/tickets out_of_range", "/change wrong_type"],
        ),
        (
            json!({
                "tickets": [ONE, 7, null],
                "change": {"assignee": "Nobody", "addTags": ["a", "B"], "post": "x"},
                "allOrNothing": "yes",
                "if": 1,
            }),
            vec![
                "/tickets/1 wrong_type",
                "/tickets/2 wrong_type",
                "/change/addTags/1 invalid_tag",
                "/change/post unknown_field",
                "/change/assignee unknown_member",
                "/allOrNothing wrong_type",
                "/if unknown_field",
            ],
        ),
        (json!({"tickets": null, "change": null}), vec!["/tickets required", "/change required"]),
    ] {
        let heard = stage.ask("POST", BULK, &body.to_string()).await;
        assert_eq!(heard.violations(), told);
    }
    let heard = stage.ask("POST", BULK, r#"{"tickets":["x"],"change":{},"change":{}}"#).await;
    assert_eq!(heard.violations(), ["/change duplicate_field"]);
    let twice = r#"{"tickets":["x"],"change":{"addTags":["a"],"addTags":["b"]}}"#;
    let heard = stage.ask("POST", BULK, twice).await;
    assert_eq!(heard.violations(), ["/change/addTags duplicate_field"]);
    assert_eq!(*stage.cases.commits.lock().unwrap(), 0);
}
