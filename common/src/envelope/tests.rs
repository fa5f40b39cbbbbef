use super::*;
use crate::domain::Subject;

fn submission() -> Submission {
    Submission {
        id: Uuid::from_u128(7).into(),
        key: Some(KeyHash([0xa7; 16])),
        submitted_at: "2026-11-22T10:30:00.123Z".parse().unwrap(),
        form: Form {
            name: Name::parse("Ada \"λ\" Lovelace").unwrap(),
            email: Email::parse("ada@example.org").unwrap(),
            subject: Subject::Technical,
            message: Message::parse("one\r\n\ttwo \\ 👩‍👩‍👧").unwrap(),
            timestamp: ClientTimestamp::parse("2026-11-22T10:30:00Z").unwrap(),
            user_id: Some(UserId::parse("").unwrap()),
            user_agent: None,
            url: Some(PageUrl::parse("https://example.org/").unwrap()),
        },
        trace: Trace {
            request_id: "r-1".to_owned(),
            traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
        },
    }
}

fn encoded_with(from: &str, to: &str) -> Bytes {
    let text = String::from_utf8(encode(&[submission(), submission()]).to_vec()).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    text.replacen(from, to, 1).into()
}

#[test]
fn what_is_encoded_decodes() {
    let items = decode(&encode(&[submission()])).unwrap();
    let decoded: Vec<_> = items.into_iter().map(Result::unwrap).collect();
    assert_eq!(decoded, [submission()]);
}

#[test]
fn fields_of_a_later_release_are_ignored() {
    let body = encoded_with("\"v\":1", "\"v\":1,\"flavour\":{\"a\":[1]}");
    assert!(decode(&body).unwrap()[0].is_ok());
    let body = encoded_with("\"name\"", "\"mood\":3,\"name\"");
    assert!(decode(&body).unwrap()[0].is_ok());
}

#[test]
fn another_version_is_told_from_rubbish() {
    let body = encoded_with("\"v\":1", "\"v\":2");
    assert_eq!(decode(&body).unwrap_err(), Unreadable::UnknownVersion(2));
    let large = Bytes::from(vec![b'{'; BODY_BYTES_MAX + 1]);
    assert_eq!(decode(&large).unwrap_err(), Unreadable::TooLarge(large.len()));
    for body in [
        "",
        "{",
        "[1,[]]",
        "null",
        "{\"v\":1}",
        "{\"v\":1,\"submissions\":[]}",
        "{\"v\":\"1\",\"submissions\":[{}]}",
        "{\"v\":1,\"submissions\":{}}",
        "\u{feff}{}",
    ] {
        let error = decode(&Bytes::copy_from_slice(body.as_bytes())).unwrap_err();
        assert!(matches!(error, Unreadable::Malformed(_)), "{body}: {error}");
    }
}

#[test]
fn one_bad_submission_stands_alone_with_its_bytes() {
    let breaks = [
        ("\"technical\"", "\"other\""),
        ("ada@example.org", "ada"),
        ("\"name\":\"Ada", "\"name\":\"\\u0000"),
        ("\"submittedAt\":\"2026", "\"submittedAt\":\"+12026"),
        ("\"submittedAt\":\"2026", "\"submittedAt\":\"0026"),
        ("\"requestId\":\"r-1\"", "\"requestId\":\"\u{1f}\""),
        ("00-4bf9", "00-XXXX"),
        ("\"timestamp\"", "\"timestump\""),
        ("\"id\":\"0", "\"id\":\"x"),
        ("\"keyHash\":\"a7", "\"keyHash\":\"x7"),
        ("\"keyHash\":\"a7", "\"keyHash\":\"a7a7"),
        ("\"keyHash\":\"a7", "\"keyHash\":\"A7"),
    ];
    for (from, to) in breaks {
        let to = to.replace('\u{1f}', "<script>");
        let body = encoded_with(from, &to);
        let items = decode(&body).unwrap();
        let bad = items[0].as_ref().unwrap_err();
        assert!(body.windows(bad.body.len()).any(|window| window == bad.body), "{}", bad.reason);
        assert_eq!(items[1].as_ref().unwrap(), &submission(), "{from}");
    }
}

/// serde reads an array as a struct, its fields in their order.
#[test]
fn a_submission_that_is_written_as_an_array_is_none() {
    let body = encode(&[submission()]);
    let whole: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let fields = whole["submissions"][0].as_object().unwrap();
    let names = [
        "id",
        "keyHash",
        "submittedAt",
        "name",
        "email",
        "subject",
        "message",
        "timestamp",
        "userId",
        "userAgent",
        "url",
        "requestId",
        "traceparent",
    ];
    let array: Vec<_> =
        names.iter().map(|name| fields.get(*name).cloned().unwrap_or_default()).collect();
    let body = serde_json::json!({ "v": 1, "submissions": [array, fields] }).to_string();
    let items = decode(&Bytes::from(body)).unwrap();
    assert_eq!(items[0].as_ref().unwrap_err().reason, "not a JSON object");
    assert_eq!(items[1].as_ref().unwrap(), &submission());
}

#[test]
fn a_reason_does_not_quote_the_value() {
    let body =
        encoded_with("\"name\":\"Ada \\\"λ\\\" Lovelace\"", "\"name\":{\"Ada\":\"Lovelace\"}");
    let items = decode(&body).unwrap();
    let reason = &items[0].as_ref().unwrap_err().reason;
    assert!(!reason.contains("Ada") && !reason.contains("Lovelace"), "{reason}");
}

#[test]
fn a_part_of_an_envelope_is_tried_again_in_one_of_its_own() {
    let whole = encode(&[submission()]);
    let start = whole.iter().skip(1).position(|byte| *byte == b'{').unwrap() + 1;
    let part = whole.slice(start..whole.len() - 2);
    assert_eq!(of_letter(part.clone(), "invalid"), whole);
    let later: Bytes = encoded_with("\"v\":1", "\"v\":2");
    for (body, code) in [
        (whole.clone(), "invalid"),
        (later, "invalid"),
        (whole, "rejected"),
        (part, "unreadable"),
        (Bytes::new(), "unreadable"),
    ] {
        assert_eq!(of_letter(body.clone(), code), body, "{code}");
    }
}
