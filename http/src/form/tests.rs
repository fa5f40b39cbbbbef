//! Every rule of the wire form, and what is told when it is broken.

use super::*;

const FORM: &str = r#"{"name":"Ada","email":"ada@example.org","subject":"technical","message":"It is stuck","timestamp":"2026-11-22T10:29:59Z"}"#;

/// What becomes of a body: `ok`, or its problem's code with the pointer and code of each error.
fn outcome(body: impl AsRef<[u8]>) -> String {
    match parse(body.as_ref()) {
        Ok(_) => "ok".to_owned(),
        Err(Problem::ValidationFailed(errors)) => {
            let told: Vec<_> =
                errors.iter().map(|error| format!("{} {}", error.pointer, error.code)).collect();
            told.join(", ")
        }
        Err(problem) => problem.code().to_owned(),
    }
}

/// The form with this instead of a field's value, or with the field added.
fn with(field: &str, value: &str) -> String {
    let key = format!("\"{field}\":");
    match FORM.split_once(&key) {
        Some((before, after)) => {
            let rest = &after[after[1..].find('"').unwrap() + 2..];
            format!("{before}{key}{value}{rest}")
        }
        None => FORM.replace('}', &format!(",{key}{value}}}")),
    }
}

#[test]
fn a_form_is_taken_to_the_letter() {
    let body = FORM.replace("Ada", " \\u0041da \\ud83d\\udc69\\u200d👧 ").replace(
        '}',
        r#", "userId": null, "userAgent": "Mozilla/5.0", "url": "https://x.io/?a=b"}"#,
    );
    let form = parse(format!(" \r\n{body}\t ").as_bytes()).unwrap();
    assert_eq!(form.name.as_str(), "Ada 👩\u{200d}👧");
    assert_eq!(form.email.as_str(), "ada@example.org");
    assert_eq!(form.subject, Subject::Technical);
    assert_eq!(form.message.as_str(), "It is stuck");
    assert_eq!(form.timestamp.as_str(), "2026-11-22T10:29:59Z");
    assert_eq!(form.user_id, None);
    assert_eq!(form.user_agent.unwrap().as_str(), "Mozilla/5.0");
    assert_eq!(form.url.unwrap().as_str(), "https://x.io/?a=b");
}

#[test]
fn what_is_not_one_json_document_in_utf_8_is_not_json() {
    let two = format!("{FORM}{FORM}");
    let brace = format!("{FORM}}}");
    let bom = format!("\u{feff}{FORM}");
    let cut = &FORM[..FORM.len() - 1];
    let broken = [
        "",
        " ",
        "{",
        "nul",
        "tru",
        "[",
        "[1,",
        "{]",
        "'a'",
        "{'name':'a'}",
        "{name:1}",
        "{,}",
        "\"a",
        "01",
        "NaN",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\"}",
        "\0",
        &two,
        &brace,
        &bom,
        cut,
    ];
    for body in broken {
        assert_eq!(outcome(body), "invalid_json", "{body}");
    }
    for value in [r#""\ud800""#, r#""\udc00\ud800""#, "\"a\nb\"", r#""\x""#, "\"\u{1}\""] {
        assert_eq!(outcome(with("name", value)), "invalid_json", "{value}");
    }
    for bytes in [b"\xc0\xaf".as_slice(), b"\xff", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80"] {
        for field in ["Ada", "technical"] {
            let body = FORM.replace(field, "\u{1}").into_bytes();
            let body = body.split(|byte| *byte == 1).collect::<Vec<_>>().join(bytes);
            assert_eq!(outcome(body), "invalid_json", "{bytes:x?} for {field}");
        }
    }
    let utf_16: Vec<_> = FORM.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(outcome(utf_16), "invalid_json");
}

#[test]
fn what_is_no_object_is_of_the_wrong_type() {
    let array = r#"["Ada","ada@example.org","technical","hi","2026-11-22T10:29:59Z"]"#;
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    for body in [array, "[]", "\"a\"", "1", "-1.5e3", "null", "true", &deep] {
        assert_eq!(outcome(body), " wrong_type", "{body}");
    }
}

#[test]
fn every_violation_is_told_in_the_order_of_the_form() {
    let missing = "/name required, /email required, /subject required, /message required, \
                   /timestamp required";
    assert_eq!(outcome("{}"), missing);
    let body = r#"{"url":"javascript:alert(1)","timestamp":1763807400,"userId":[],
        "message":" ","subject":"Technical","email":null,"name":"a","name":"b",
        "userAgent":"\u001b[2J"}"#;
    let told = "/name duplicate_field, /email required, /subject invalid_choice, \
                /message blank, /timestamp wrong_type, /userId wrong_type, \
                /userAgent control_character, /url invalid_url";
    assert_eq!(outcome(body), told);
}

#[test]
fn each_field_has_its_type_and_its_rule() {
    let long = |unit: &str, count| format!("\"{}\"", unit.repeat(count));
    let table = [
        ("name", "null", "/name required"),
        ("name", "7", "/name wrong_type"),
        ("name", "1e999", "/name wrong_type"),
        ("name", "{\"$ne\":null}", "/name wrong_type"),
        ("name", "[\"a\"]", "/name wrong_type"),
        ("name", "false", "/name wrong_type"),
        ("name", r#""a\u0000b""#, "/name control_character"),
        ("name", r#""a\u001b[2J""#, "/name control_character"),
        ("name", r#""a\r\nBcc: x@y.io""#, "/name line_break"),
        ("name", r#""\u00a0 \u200b\u2060\ufeff""#, "/name blank"),
        ("name", r#""<script>{{constructor}}</script>""#, "ok"),
        ("name", r#""=HYPERLINK(1)""#, "ok"),
        ("name", &long("é", 100), "ok"),
        ("name", &long("é", 101), "/name too_long"),
        ("email", r#""a@x.io,b@y.io""#, "/email invalid_email"),
        ("email", r#""a@x.io\u0000""#, "/email control_character"),
        ("email", r#"{"$ne":null}"#, "/email wrong_type"),
        ("subject", r#""technical ""#, "/subject invalid_choice"),
        ("subject", r#""technical\u0000""#, "/subject invalid_choice"),
        ("subject", "0", "/subject wrong_type"),
        ("message", &long("x", 10_000), "ok"),
        ("message", &long("x", 10_001), "/message too_long"),
        ("message", &long("👩", 10_000), "ok"),
        ("message", r#""a\u0000b""#, "/message control_character"),
        ("message", r#""a\r\n\tb""#, "ok"),
        ("timestamp", r#""2026-02-30T10:30:00Z""#, "/timestamp invalid_timestamp"),
        ("timestamp", r#""+262142-01-01T00:00:00Z""#, "/timestamp invalid_timestamp"),
        ("timestamp", "1763807400", "/timestamp wrong_type"),
        ("userId", "null", "ok"),
        ("userId", "7", "/userId wrong_type"),
        ("userId", r#""\u0000""#, "/userId control_character"),
        ("userAgent", &long("x", 512), "ok"),
        ("userAgent", &long("x", 513), "/userAgent too_long"),
        ("url", r#""http://169.254.169.254/""#, "ok"),
        ("url", r#""file:///etc/passwd""#, "/url invalid_url"),
        ("url", r#""https://x.io/\u0000""#, "/url control_character"),
    ];
    for (field, value, told) in table {
        assert_eq!(outcome(with(field, value)), told, "{field}: {value:.60}");
    }
}

#[test]
fn unknown_fields_are_ignored_whatever_they_hold() {
    let deep = format!("{}1{}", "[".repeat(15_000), "]".repeat(15_000));
    let objects = format!("{}1{}", "{\"a\":".repeat(9_000), "}".repeat(9_000));
    for (field, value) in [
        ("status", "\"closed\""),
        ("priority", "{}"),
        ("ticketNumber", "\"SUP-2026-000001\""),
        ("id", "null"),
        ("__proto__", "{\"name\":1}"),
        ("constructor", "1e999"),
        ("Name", "7"),
        ("", "[]"),
        ("x", &deep),
        ("x", &objects),
        ("name\\u0000", "1"),
    ] {
        assert_eq!(outcome(with(field, value)), "ok", "{field}");
    }
    let twice = with("x", "1").replace('}', ",\"x\":2}");
    assert_eq!(outcome(twice), "ok");
}

#[test]
fn a_key_is_the_same_however_it_is_spelt() {
    let body = FORM.replace("\"name\"", "\"n\\u0061me\"");
    assert_eq!(outcome(&body), "ok");
    assert_eq!(outcome(body.replace('}', ",\"name\":\"b\"}")), "/name duplicate_field");
}

#[test]
fn no_detail_repeats_a_value() {
    let body = r#"{"name":"Q\u0000","email":"Q","subject":"Q","message":"Q\u0000","timestamp":"Q",
        "userId":"Q\n","userAgent":"Q\u0000","url":"Q"}"#;
    let Err(Problem::ValidationFailed(errors)) = parse(body.as_bytes()) else { panic!() };
    assert_eq!(errors.len(), 8);
    assert!(errors.iter().all(|error| !error.detail.contains('Q')), "{errors:?}");
}

/// A form's fields, and one more.
const MORE: [&str; 9] =
    ["name", "email", "subject", "message", "timestamp", "userId", "userAgent", "url", "more"];

#[test]
fn fields_beside_the_forms_are_told_in_their_place_and_a_time_may_be_stood_in_for() {
    let body = with("more", "7").replace("Ada", " ");
    let mut check = Check::read(body.as_bytes(), &MORE).unwrap();
    let more = check.optional(8, |text| Ok(text.to_owned())).unwrap();
    assert_eq!(more, None);
    assert_eq!(check.form(None).unwrap(), None);
    let Err(Problem::ValidationFailed(errors)) = check.finish() else { panic!() };
    let told: Vec<_> = errors.iter().map(|it| (&*it.pointer, it.code)).collect();
    assert_eq!(told, [("/name", "blank"), ("/more", "wrong_type")]);

    let stand_in = ClientTimestamp::parse("2020-01-01T00:00:00Z").unwrap();
    let without = FORM.replace(",\"timestamp\":\"2026-11-22T10:29:59Z\"", "");
    for (body, time) in [(&*without, "2020-01-01T00:00:00Z"), (FORM, "2026-11-22T10:29:59Z")] {
        let mut check = Check::read(body.as_bytes(), &FIELDS).unwrap();
        let form = check.form(Some(&stand_in)).unwrap().unwrap();
        assert_eq!(form.timestamp.as_str(), time);
    }
    assert_eq!(outcome(&without), "/timestamp required");
}
