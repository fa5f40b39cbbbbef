use chrono::DateTime;
use common::domain::Role;
use serde_json::json;

use crate::doubles::{Heard, NOW, Stage};

const NUMBER: &str = "SUP-2026-000001";
const PATH: &str = "/api/support/admin/tickets/SUP-2026-000001";

fn stage() -> Stage {
    let stage = Stage::new();
    stage.cases.add(NUMBER, DateTime::UNIX_EPOCH);
    stage
}

async fn patch(stage: &Stage, body: &str) -> Heard {
    stage.ask("PATCH", PATH, body).await
}

#[tokio::test(start_paused = true)]
async fn a_ticket_is_found_by_number_and_by_id_and_who_saw_it_is_on_record() {
    let stage = Stage::new();
    let id = stage.cases.add(NUMBER, DateTime::UNIX_EPOCH);
    for name in [NUMBER.to_owned(), NUMBER.to_lowercase(), id.to_string()] {
        let heard = stage.ask("GET", &format!("/api/support/admin/tickets/{name}"), "").await;
        assert_eq!((heard.status, heard.header("etag")), (200, "\"1\""), "{name}");
        assert_eq!(heard.json["data"]["email"], "ada@example.org");
    }
    assert_eq!(stage.store.on_record(), ["admin-key ticket.view SUP-2026-000001"; 3]);
    *stage.store.has_no_room_for_actions.lock().unwrap() = true;
    assert_eq!(stage.ask("GET", PATH, "").await.code(), (503, "unavailable"));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_ticket_is_not_found() {
    let stage = stage();
    for name in ["SUP-2026-999999", "x", "00000000-0000-0000-0000-000000000009", "%00"] {
        let path = format!("/api/support/admin/tickets/{name}");
        for (method, path, body) in [
            ("GET", path.clone(), ""),
            ("PATCH", path.clone(), r#"{"status":"in-progress"}"#),
            ("POST", format!("{path}/notes"), r#"{"message":"x"}"#),
        ] {
            assert_eq!(stage.ask(method, &path, body).await.code(), (404, "ticket_not_found"));
        }
    }
    assert_eq!(stage.store.on_record(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_change_is_answered_with_what_the_ticket_is_since() {
    let stage = stage();
    let (token, id) = stage.store.add(Role::Agent, |token| token.name = Some("Grace".to_owned()));
    let body = r#"{"status":"in-progress","assignee":"Grace","addTags":["engine"]}"#;
    let heard = stage.ask_as(&token, "PATCH", PATH, body).await;
    assert_eq!((heard.status, heard.header("etag")), (200, "\"4\""));
    let data = &heard.json["data"];
    assert_eq!(data["allowedStatuses"], json!(["resolved"]));
    assert_eq!((&data["assignee"], &data["tags"]), (&json!("Grace"), &json!(["engine"])));
    assert!(data.get("email").is_none(), "nothing personal: {data}");
    let shown = stage.ask("GET", PATH, "").await;
    let trail = &shown.json["data"]["trail"];
    assert_eq!(trail.as_array().unwrap().len(), 3);
    assert_eq!(trail[2]["actor"], format!("token:{id}:agent"));
    assert_eq!((&trail[2]["address"], &trail[2]["at"]), (&json!("192.0.2.1"), &json!(NOW)));
    let released = patch(&stage, r#"{"assignee":null}"#).await;
    assert!(released.json["data"].get("assignee").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_status_that_leads_elsewhere_is_told_with_where_it_does() {
    let stage = stage();
    let heard = patch(&stage, r#"{"status":"closed"}"#).await;
    assert_eq!(heard.code(), (409, "transition_not_allowed"));
    assert_eq!(heard.json["allowed"], json!(["in-progress"]));
}

#[tokio::test(start_paused = true)]
async fn who_names_the_version_they_saw_changes_that_one_or_nothing() {
    let stage = stage();
    let ask = async |tags: &[&'static str], status: &str| {
        let body = format!(r#"{{"status":"{status}"}}"#);
        stage.ask_if_match(PATH, tags, &body).await
    };
    for stale in ["\"2\"", "W/\"1\"", "\"x\"", "\"\""] {
        assert_eq!(ask(&[stale], "in-progress").await.code(), (412, "stale"), "{stale}");
    }
    for wrong in ["1", "\"1", "x", "\"1\" \"2\""] {
        assert_eq!(ask(&[wrong], "in-progress").await.code(), (400, "invalid_if_match"), "{wrong}");
    }
    assert_eq!(ask(&["\"7\", \"1\""], "in-progress").await.status, 200);
    assert_eq!(ask(&["\"7\"", "\"2\""], "resolved").await.status, 200);
    assert_eq!(ask(&["*"], "closed").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_is_tried_again_when_others_come_first() {
    let stage = stage();
    *stage.cases.rivals.lock().unwrap() = 5;
    assert_eq!(patch(&stage, r#"{"status":"in-progress"}"#).await.status, 200);
    *stage.cases.rivals.lock().unwrap() = 1_000;
    assert_eq!(patch(&stage, r#"{"status":"resolved"}"#).await.code(), (503, "unavailable"));
}

#[tokio::test(start_paused = true)]
async fn wishes_that_break_a_rule_are_all_told() {
    let stage = stage();
    stage.store.add(Role::Stats, |token| token.name = Some("grafana".to_owned()));
    for (body, expected) in [
        ("{}", "[/ too_few]"),
        (
            r#"{"status":"lost","addTags":["A"],"x":1}"#,
            "[/status invalid_choice, /addTags/0 invalid_tag, /x unknown_field]",
        ),
        (r#"{"addTags":["a"],"removeTags":["a"]}"#, "[/removeTags ambiguous]"),
        (r#"{"addTags":"a","assignee":7}"#, "[/assignee wrong_type, /addTags wrong_type]"),
        (
            r#"{"assignee":"Nobody","addTags":["a","B",7],"y":0}"#,
            "[/addTags/1 invalid_tag, /addTags/2 wrong_type, /assignee unknown_member, /y unknown_field]",
        ),
        (r#"{"assignee":"grafana"}"#, "[/assignee unknown_member]"),
    ] {
        let heard = patch(&stage, body).await;
        assert_eq!(heard.code(), (422, "validation_failed"), "{body}");
        let told = heard.json["errors"].as_array().unwrap().iter().map(|error| {
            let pointer = error["pointer"].as_str().unwrap();
            format!(
                "{} {}",
                if pointer.is_empty() { "/" } else { pointer },
                error["code"].as_str().unwrap()
            )
        });
        assert_eq!(format!("[{}]", told.collect::<Vec<_>>().join(", ")), expected, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_and_a_note_stand_in_the_thread() {
    let stage = stage();
    let reply = stage.ask("POST", &format!("{PATH}/replies"), r#"{"message":" Oil? "}"#).await;
    assert_eq!((reply.status, reply.header("etag")), (201, "\"3\""));
    assert_eq!(reply.json["data"]["ticket"]["status"], "in-progress");
    let note = stage.ask("POST", &format!("{PATH}/notes"), r#"{"message":"No oil."}"#).await;
    assert_eq!((note.status, note.header("etag")), (201, "\"4\""));
    let thread = stage.cases.thread(NUMBER);
    let said: Vec<_> = thread.iter().map(|it| (it.kind.as_str(), it.body.as_str())).collect();
    assert_eq!(said, [("reply", "Oil?"), ("note", "No oil.")]);
    for body in ["{}", r#"{"message":""}"#, r#"{"message":"a\u0000"}"#, r#"{"message":"x","x":1}"#]
    {
        let heard = stage.ask("POST", &format!("{PATH}/notes"), body).await;
        assert_eq!(heard.code(), (422, "validation_failed"), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_change_does_not_know_is_refused_and_not_passed_over() {
    let stage = stage();
    for (method, path, body) in [
        ("PATCH", format!("{PATH}?x=1"), r#"{"addTags":["a"]}"#),
        ("POST", format!("{PATH}/notes?x=1"), r#"{"message":"x"}"#),
        (
            "POST",
            "/api/support/admin/tickets/bulk?allOrNothing=true".to_owned(),
            r#"{"tickets":["SUP-2026-000001"],"change":{"addTags":["a"]}}"#,
        ),
    ] {
        assert_eq!(stage.ask(method, &path, body).await.code(), (422, "invalid_query"), "{path}");
    }
    assert_eq!(stage.ask("GET", PATH, "").await.header("etag"), "\"1\"");
}
