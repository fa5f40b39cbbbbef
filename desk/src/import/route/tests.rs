//! Uploads of every kind.

use axum::http::Request as HttpRequest;
use common::domain::Role;
use http::client::Peer;

use super::*;
use crate::doubles::{ADMIN_TOKEN, Heard, Stage};

const IMPORT: &str = "/api/support/admin/tickets/import";
const LINE: &str =
    r#"{"name":"Ada","email":"ada@example.org","subject":"billing","message":"Hello"}"#;

/// Sends a file with these headers; its length is told.
async fn sent(stage: &Stage, query: &str, content_type: &str, body: impl Into<String>) -> Heard {
    let body = body.into();
    let (bearer, length) = (format!("Bearer {ADMIN_TOKEN}"), body.len().to_string());
    let lines = [
        ("authorization", bearer.as_str()),
        ("content-type", content_type),
        ("content-length", &length),
    ];
    stage.ask_with_headers(("POST", &format!("{IMPORT}{query}")), &lines, &body).await
}

#[tokio::test(start_paused = true)]
async fn a_file_is_imported_and_what_became_of_it_is_told() {
    let stage = Stage::new();
    let bad = LINE.replace('@', "");
    let text = format!("{LINE}\n{bad}\n{LINE}\n");
    let heard = sent(&stage, "", "application/x-ndjson", &text).await;
    let detail = "must be a mail address such as ada@example.org";
    let expected = json!({
        "lines": 3, "accepted": 1, "duplicates": 1, "rejected": 1, "isComplete": true,
        "errors": [{
            "line": 2,
            "errors": [{"pointer": "/email", "code": "invalid_email", "detail": detail}],
        }],
    });
    assert_eq!(heard.json["data"], expected, "{heard:?}");
    let again = sent(&stage, "?rate=10000", "application/ndjson; charset=UTF-8", &text).await;
    assert_eq!(again.json["data"]["duplicates"], 2);
    let other = sent(&stage, "?source=other", "application/x-ndjson", &text).await;
    assert_eq!(other.json["data"]["accepted"], 1);
    let table = "name,email,subject,message\nAda,ada@example.org,billing,Hello\n";
    let table = sent(&stage, "", "text/csv; header=present", table).await;
    assert_eq!(table.json["data"]["duplicates"], 1, "the same, however it is written");
    assert_eq!(stage.intake.stored.lock().unwrap().len(), 2);
    assert_eq!(stage.store.on_record(), ["admin-key ticket.import tickets"; 4]);
    let details = stage.store.actions.lock().unwrap()[2].details.clone();
    assert_eq!(details, json!({"format": "ndjson", "source": "other"}));
    let submission = stage.intake.stored.lock().unwrap().values().next().cloned().unwrap();
    assert!(!submission.trace.request_id.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_a_problem_and_nothing_is_done() {
    let stage = Stage::new();
    let ndjson = "application/x-ndjson";
    for (query, content_type, body, code) in [
        ("", "application/json", LINE, (415, "unsupported_media_type")),
        ("", "text/csv; charset=latin1", LINE, (415, "unsupported_media_type")),
        ("", "text/csv; header=absent", LINE, (415, "unsupported_media_type")),
        ("", "text/csv", LINE, (422, "validation_failed")),
        ("", "text/csv", " ", (422, "validation_failed")),
        ("?rate=9", ndjson, LINE, (422, "invalid_query")),
        ("?rate=10001", ndjson, LINE, (422, "invalid_query")),
        ("?rate=+1", ndjson, LINE, (422, "invalid_query")),
        ("?source=%0A&dry=true", ndjson, LINE, (422, "invalid_query")),
    ] {
        let heard = sent(&stage, query, content_type, body).await;
        assert_eq!(heard.code(), code, "{query} {content_type}");
    }
    let bearer = format!("Bearer {ADMIN_TOKEN}");
    let large = (UPLOAD_BYTES_MAX + 1).to_string();
    for (header, value, code) in [
        ("content-length", large.as_str(), (413, "upload_too_large")),
        ("transfer-encoding", "chunked", (411, "length_required")),
    ] {
        let lines = [("authorization", bearer.as_str()), ("content-type", ndjson), (header, value)];
        let heard = stage.ask_with_headers(("POST", IMPORT), &lines, LINE).await;
        assert_eq!(heard.code(), code, "{header}");
    }
    assert_eq!(stage.intake.stored.lock().unwrap().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn only_the_first_thousand_bad_lines_are_told_and_none_of_what_they_say() {
    let stage = Stage::new();
    let secret = LINE.replace("ada@", "secret");
    let text = format!("{secret}\n").repeat(3_000);
    let heard = sent(&stage, "", "application/x-ndjson", text).await;
    assert_eq!(heard.json["data"]["rejected"], 3_000);
    let errors = heard.json["data"]["errors"].as_array().unwrap();
    assert_eq!((errors.len(), &errors[999]["line"]), (1_000, &json!(1_000)));
    assert!(!heard.json.to_string().contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_takes_nothing_is_a_problem_and_one_that_took_some_is_told() {
    let stage = Stage::new();
    *stage.intake.refusals.lock().unwrap() = usize::MAX;
    let heard = sent(&stage, "", "application/x-ndjson", LINE).await;
    assert_eq!(heard.code(), (503, "unavailable"));
    *stage.intake.refusals.lock().unwrap() = 0;
    sent(&stage, "", "application/x-ndjson", LINE).await;
    *stage.intake.refusals.lock().unwrap() = usize::MAX;
    let other = LINE.replace("Hello", "Goodbye");
    let heard = sent(&stage, "", "application/x-ndjson", format!("{LINE}\n{other}\n")).await;
    let data = &heard.json["data"];
    assert_eq!((&data["duplicates"], &data["isComplete"]), (&json!(1), &json!(false)));
}

/// A file of which so much comes, and then nothing, or the end of the connection.
async fn broken_off(stage: &Stage, text: &str, is_hung_up: bool) -> Heard {
    use futures_util::{StreamExt, stream};

    let text = bytes::Bytes::from(text.to_owned());
    let end = stream::once(async move {
        if !is_hung_up {
            std::future::pending::<()>().await;
        }
        Err(std::io::Error::other("gone"))
    });
    let body = Body::from_stream(stream::iter([Ok(text)]).chain(end));
    let request = HttpRequest::builder().method("POST").uri(IMPORT);
    let request = request
        .header("authorization", format!("Bearer {ADMIN_TOKEN}"))
        .header("content-type", "application/x-ndjson")
        .header("content-length", "100000")
        .extension(Peer("192.0.2.1:50000".parse().unwrap()));
    let heard = Heard::of(stage.sent(request.body(body).unwrap()).await).await;
    heard.assert_is_described("POST", IMPORT);
    heard
}

#[tokio::test(start_paused = true)]
async fn a_file_that_breaks_off_ends_with_its_last_whole_line() {
    for (is_hung_up, code) in [(true, (400, "incomplete_body")), (false, (408, "body_timeout"))] {
        let stage = Stage::new();
        let first = (0..200).map(|number| LINE.replace("Hello", &format!("Hello {number}")));
        let first = first.collect::<Vec<_>>().join("\n");
        let heard = broken_off(&stage, &format!("{first}\n{LINE}"), is_hung_up).await;
        assert_eq!(heard.code(), code);
        assert_eq!(heard.header("connection"), "close");
        assert_eq!(stage.intake.stored.lock().unwrap().len(), 200, "and not half a line");
    }
}

#[tokio::test(start_paused = true)]
async fn only_an_admin_imports() {
    let stage = Stage::new();
    let (agent, _) = stage.store.add(Role::Agent, |_| {});
    assert_eq!(stage.ask_as(&agent, "POST", IMPORT, LINE).await.code(), (403, "forbidden"));
}
