//! Bodies that are no form: their syntax, their type, their size.

use super::table::{assert_violations, problem};
use super::{Api, on_both_systems};
use crate::bed::form::Form;
use crate::bed::system::TICKETS;

on_both_systems! {
    what_is_not_one_json_document_is_a_400,
    what_is_json_and_no_object_is_a_422,
    a_field_given_twice_is_a_422,
    unknown_fields_are_ignored_however_deep,
    only_json_in_utf_8_is_taken,
    a_body_of_64_kib_is_taken_and_a_byte_more_is_not,
}

fn valid() -> String {
    serde_json::to_string(&Form::valid()).unwrap()
}

/// The valid form with this JSON instead of the value of `name`.
fn with_name(value: &[u8]) -> Vec<u8> {
    let valid = valid();
    let (before, after) = valid.split_once("\"Ada Lovelace\"").unwrap();
    [before.as_bytes(), value, after.as_bytes()].concat()
}

/// The valid form with a field more.
fn with_field(name: &str, value: &str) -> String {
    format!("{{\"{name}\":{value},{}", &valid()[1..])
}

async fn what_is_not_one_json_document_is_a_400(api: Api) {
    let form = valid();
    let utf_16: Vec<u8> = form.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", b"".into()),
        ("blanks", b" \r\n".into()),
        ("a brace", b"{".into()),
        ("cut off", form[..form.len() - 1].into()),
        ("two documents", format!("{form}{form}").into()),
        ("a brace too many", format!("{form}}}").into()),
        ("rubbish behind", format!("{form} x").into()),
        ("a byte-order mark", format!("\u{feff}{form}").into()),
        ("UTF-16", utf_16),
        ("single quotes", b"{'name':'Ada'}".into()),
        ("no quotes", b"{name:1}".into()),
        ("a trailing comma", b"{\"name\":\"Ada\",}".into()),
        ("a comment", b"{/* Ada */}".into()),
        ("NaN", b"{\"name\":NaN}".into()),
        ("a form's encoding", b"name=Ada&email=ada%40example.org".into()),
        ("a lone surrogate", with_name(br#""\ud800""#)),
        ("surrogates the wrong way round", with_name(br#""\udc00\ud800""#)),
        ("a line break in a string", with_name(b"\"a\nb\"")),
        ("NUL in a string", with_name(b"\"a\0b\"")),
        ("invalid UTF-8", with_name(b"\"\xff\"")),
        ("an overlong slash", with_name(b"\"\xc0\xaf\"")),
        ("a surrogate in UTF-8", with_name(b"\"\xed\xa0\x80\"")),
        ("only an opening bracket, often", vec![b'['; 60_000]),
    ];
    for (name, body) in table {
        let answer = api.submit_bytes(body).await;
        assert_eq!(answer.status, 400, "{name}: {}", answer.text());
        problem(&answer, 400, "invalid_json");
    }
}

async fn what_is_json_and_no_object_is_a_422(api: Api) {
    let array = r#"["Ada","ada@example.org","technical","hi","2026-11-22T10:30:00Z"]"#;
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    for body in [array, "[]", "[{}]", "\"Ada\"", "1", "-1.5e300", "null", "true", &deep] {
        let answer = api.submit_bytes(body.to_owned()).await;
        assert_violations(&body[..body.len().min(40)], &answer, &[("", "wrong_type")]);
    }
}

async fn a_field_given_twice_is_a_422(api: Api) {
    for name in ["name", "n\\u0061me"] {
        let answer = api.submit_bytes(with_field(name, "\"b\"")).await;
        assert_violations(name, &answer, &[("/name", "duplicate_field")]);
    }
}

async fn unknown_fields_are_ignored_however_deep(api: Api) {
    let lists = |depth| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let objects = format!("{}1{}", "{\"a\":".repeat(9_000), "}".repeat(9_000));
    for (name, value) in [
        ("x", lists(200)),
        ("x", lists(15_000)),
        ("x", objects),
        ("x", "1e999".to_owned()),
        ("Name", "7".to_owned()),
        ("name\\u0000", "[]".to_owned()),
        ("", "{}".to_owned()),
        ("__proto__", "{\"email\":7}".to_owned()),
    ] {
        let answer = api.submit_bytes(with_field(name, &value)).await;
        assert_eq!(answer.status, 201, "{name}: {}", answer.text());
    }
    // The same depth where a text belongs is just the wrong type.
    let answer = api.submit_bytes(with_name(lists(15_000).as_bytes())).await;
    assert_violations("a deep name", &answer, &[("/name", "wrong_type")]);
}

async fn only_json_in_utf_8_is_taken(api: Api) {
    let post = || api.client.post(TICKETS).body(valid());
    for content_type in [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=\"UTF-8\"",
    ] {
        let answer = post().header("content-type", content_type).send().await;
        assert_eq!(answer.status, 201, "{content_type}: {}", answer.text());
    }
    for content_type in [
        "",
        "text/plain",
        "text/json",
        "application/problem+json",
        "application/jsonx",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/json, text/plain",
    ] {
        let answer = post().header("content-type", content_type).send().await;
        problem(&answer, 415, "unsupported_media_type");
    }
    problem(&post().send().await, 415, "unsupported_media_type");
    let json = || post().header("content-type", "application/json");
    let twice = json().header("content-type", "text/plain").send().await;
    problem(&twice, 415, "unsupported_media_type");
    for encoding in ["gzip", "br", "identity, gzip"] {
        let answer = json().header("content-encoding", encoding).send().await;
        problem(&answer, 415, "unsupported_encoding");
    }
}

async fn a_body_of_64_kib_is_taken_and_a_byte_more_is_not(api: Api) {
    let padded = |bytes: usize| {
        let form = valid();
        format!("{}{form}", " ".repeat(bytes - form.len()))
    };
    let answer = api.submit_bytes(padded(65_536)).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let escaped = valid().replace("Ada Lovelace", &"\\ud83d\\udc69".repeat(10_000));
    for body in [padded(65_537), escaped, "A".repeat(1_000_000)] {
        let answer = api.submit_bytes(body).await;
        problem(&answer, 413, "body_too_large");
        assert_eq!(answer.header("connection"), Some("close"));
    }
}
