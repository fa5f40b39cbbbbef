//! Bodies that are no form: their syntax and their type.

use super::super::table::{assert_violations, problem};
use super::super::{Api, on_both_systems};
use super::{with_field, with_name};
use crate::bed::system::TICKETS;

on_both_systems! {
    what_is_not_one_json_document_is_a_400,
    what_is_json_and_no_object_is_a_422,
    a_field_given_twice_is_a_422,
    unknown_fields_are_ignored_however_deep,
    only_json_in_utf_8_is_taken,
}

async fn what_is_not_one_json_document_is_a_400(api: Api) {
    let form = super::valid();
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
        ("NUL behind it", format!("{form}\0").into()),
        ("NUL before it", format!("\0{form}").into()),
        ("UTF-32", form.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect()),
        ("a marked UTF-16", [&[0xfe, 0xff], form.as_bytes()].concat()),
        ("lines of JSON", format!("{form}\n{form}").into()),
        ("an Infinity", with_name(b"Infinity")),
        ("a hexadecimal number", with_name(b"0x10")),
        ("a leading zero", with_name(b"007")),
        ("a number that begins with a dot", with_name(b".5")),
        ("an escape that is none", with_name(br#""\x41""#)),
        ("an escape cut short", with_name(br#""\u00""#)),
        ("a tab in a string", with_name(b"\"a\tb\"")),
        ("a quote too many", with_name(b"\"a\"\"")),
        ("no value", with_name(b"")),
        ("XML", b"<form><name>Ada</name></form>".into()),
        ("a call", format!("callback({form})").into()),
        ("a prefix against inclusion", format!(")]}}',\n{form}").into()),
        ("a gzip header", b"\x1f\x8b\x08\x00".into()),
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
        ("x", "9".repeat(10_000)),
        ("x", "\"\u{feff}\"".to_owned()),
        ("website", "\"http://honeypot\"".to_owned()),
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
    let post = || api.client.post(TICKETS).body(super::valid());
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
