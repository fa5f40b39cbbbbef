//! What a line may say, what it is called, and rows that are read like it.

use super::*;

const LINE: &str =
    r#"{"name":"Ada","email":"ada@example.org","subject":"billing","message":"Hello"}"#;

fn now() -> DateTime<Utc> {
    "2026-11-22T10:30:00Z".parse().unwrap()
}

/// The line with more members.
fn with(members: &str) -> String {
    LINE.replace('}', &format!(",{members}}}"))
}

fn told(text: impl AsRef<[u8]>) -> String {
    spelled(Line::parse(text.as_ref(), now(), None))
}

fn spelled(line: Result<Line, Vec<FieldError>>) -> String {
    match line {
        Ok(_) => "ok".to_owned(),
        Err(errors) => {
            let told = errors.iter().map(|it| format!("{} {}", it.pointer, it.code));
            told.collect::<Vec<_>>().join(", ")
        }
    }
}

fn naming(source: &str) -> Naming {
    Naming::new(&NumberKey::from_hex(&"1".repeat(64)).unwrap(), source)
}

fn id(text: &str) -> SubmissionId {
    naming("import").id(&Line::parse(text.as_bytes(), now(), None).unwrap())
}

#[test]
fn a_line_is_a_form_whose_time_may_be_missing() {
    let line = Line::parse(LINE.as_bytes(), now(), None).unwrap();
    assert_eq!(line.form.timestamp.as_str(), "2026-11-22T10:30:00.000Z");
    assert_eq!(line.submitted_at, None);
    let line = with(r#""submittedAt":"2024-02-29T23:59:59.1234+01:00""#);
    let line = Line::parse(line.as_bytes(), now(), None).unwrap();
    assert_eq!(line.form.timestamp.as_str(), "2024-02-29T22:59:59.123Z");
    assert_eq!(line.submitted_at, "2024-02-29T22:59:59.123Z".parse().ok());
    let line = with(r#""timestamp":"2024-02-29T23:59:59+01:00","id":7,"status":{}"#);
    let line = Line::parse(line.as_bytes(), now(), None).unwrap();
    assert_eq!(line.form.timestamp.as_str(), "2024-02-29T23:59:59+01:00");
}

#[test]
fn everything_that_is_wrong_with_a_line_is_told() {
    for (text, expected) in [
        ("", "invalid_json"),
        ("nul", "invalid_json"),
        ("[]", "wrong_type"),
        (&format!("{LINE}{LINE}"), "invalid_json"),
    ] {
        assert_eq!(told(text), format!(" {expected}"), "{text}");
    }
    assert_eq!(told(b"{\"name\":\"\xff\"}"), " invalid_json");
    for (members, expected) in [
        (r#""submittedAt":"2026-11-22T10:30:00.001Z""#, "/submittedAt out_of_range"),
        (r#""submittedAt":"1999-12-31T23:59:59.999Z""#, "/submittedAt out_of_range"),
        (r#""submittedAt":"2000-01-01T00:00:00+01:00""#, "/submittedAt out_of_range"),
        (r#""submittedAt":"2000-01-01T00:00:00Z""#, "ok"),
        (r#""submittedAt":"2026-11-22T10:30:00Z""#, "ok"),
        (r#""submittedAt":"2025-02-29T10:30:00Z""#, "/submittedAt invalid_timestamp"),
        (r#""submittedAt":1763807400"#, "/submittedAt wrong_type"),
        (r#""submittedAt":null,"externalId":null"#, "ok"),
        (r#""externalId":"""#, "/externalId invalid_id"),
        (r#""externalId":"a\nb""#, "/externalId invalid_id"),
        (r#""externalId":7"#, "/externalId wrong_type"),
        (r#""externalId":"7","externalId":"8""#, "/externalId duplicate_field"),
    ] {
        assert_eq!(told(with(members)), expected, "{members}");
    }
    let all = r#"{"externalId":" ","submittedAt":"x","email":"ada","message":" "}"#;
    let expected = "/name required, /email invalid_email, /subject required, /message blank, \
                    /submittedAt invalid_timestamp, /externalId invalid_id";
    assert_eq!(told(all), expected);
}

#[test]
fn what_is_older_than_tickets_are_kept_is_told() {
    for (text, expected) in [
        (with(r#""submittedAt":"2024-02-29T10:29:59.999Z""#), "/submittedAt too_old"),
        (with(r#""submittedAt":"2024-02-29T10:30:00Z""#), "ok"),
        // The submitter's own word is no time of ours.
        (with(r#""timestamp":"2023-02-28T10:30:00Z""#), "ok"),
        (LINE.to_owned(), "ok"),
    ] {
        let oldest = "2024-02-29T10:30:00Z".parse().ok();
        assert_eq!(spelled(Line::parse(text.as_bytes(), now(), oldest)), expected, "{text}");
    }
}

#[test]
fn a_line_has_one_name_however_often_it_is_read() {
    let line = Line::parse(LINE.as_bytes(), now(), None).unwrap();
    let later = Line::parse(LINE.as_bytes(), now() + chrono::TimeDelta::days(1), None).unwrap();
    assert_ne!(line, later, "its time is the one it is read at");
    assert_eq!(naming("import").id(&line), naming("import").id(&later));
    assert_ne!(naming("import").id(&line), naming("impart").id(&line));
    let swapped =
        r#"{"message":"Hello","subject":"billing","email":"ada@example.org","name":" Ada"}"#;
    assert_eq!(id(LINE), id(swapped), "how it is written does not matter");
    for other in [
        with(r#""submittedAt":"2024-02-29T23:59:59Z""#),
        with(r#""timestamp":"2024-02-29T23:59:59Z""#),
        with(r#""userId":"7""#),
        with(r#""externalId":"7""#),
        LINE.replace("Ada", "Bob"),
    ] {
        assert_ne!(id(LINE), id(&other), "{other}");
    }
}

#[test]
fn what_has_a_name_elsewhere_is_the_same_whatever_else_is_said_of_it() {
    let seven = with(r#""externalId":"7""#);
    for same in [
        seven.replace("Hello", "Goodbye"),
        with(r#""externalId":"7","submittedAt":"2024-02-29T23:59:59Z""#),
    ] {
        assert_eq!(id(&seven), id(&same), "{same}");
    }
    assert_ne!(id(&seven), id(&with(r#""externalId":"8""#)));
}

#[test]
fn the_ids_of_imported_lines_are_derived_alike_for_ever() {
    let key = naming("import");
    assert!(key.ids.is_issued(id(LINE)));
    let ids = [LINE.to_owned(), with(r#""externalId":"7""#)].map(|line| id(&line).to_string());
    let derived = ["ce4576be-95c9-8275-8be3-18341bf99fe5", "79abce63-5f25-8bef-9873-443fd84ed19a"];
    assert_eq!(ids, derived);
}

fn cells(row: &str) -> Vec<Vec<u8>> {
    row.split('|').map(|cell| cell.as_bytes().to_vec()).collect()
}

fn head(row: &str) -> Result<Table, String> {
    let mut table = Table::default();
    let read = table.read_head(&cells(row));
    let told = |it: &FieldError| format!("{} {}", it.pointer, it.code);
    match read {
        Ok(()) => Ok(table),
        Err(errors) => Err(errors.iter().map(told).collect::<Vec<_>>().join(", ")),
    }
}

#[test]
fn the_first_row_names_the_columns() {
    let every = "number|message|subject|email|name|tags|tags|";
    assert!(head(every).is_ok(), "others are left out, however often");
    for (row, told) in [
        ("", "/name required, /email required, /subject required, /message required"),
        ("Name|email|subject|message", "/name required"),
        ("name|email|subject|message|email", "/email duplicate_field"),
        ("name |email|subject|message", "/name required"),
        (
            "Ada|ada@example.org|billing|Hello",
            "/name required, /email required, /subject required, /message required",
        ),
    ] {
        assert_eq!(head(row).err().as_deref(), Some(told), "{row}");
    }
}

#[test]
fn a_row_is_read_like_a_line() {
    let table = head("email|number|message|name|subject|userId").unwrap();
    let row = "ada@example.org|SUP-2026-000001|'=1+1|O'Hara|billing|";
    let object = table.object(cells(row)).unwrap();
    let line = Line::parse(&object, now(), None).unwrap();
    assert_eq!(line.form.message.as_str(), "=1+1");
    assert_eq!(line.form.name.as_str(), "O'Hara");
    assert_eq!(line.form.user_id, None, "an empty cell is nothing");
    for (row, code) in [
        ("a|b|c|d|e", "wrong_cell_count"),
        ("a|b|c|d|e|f|g", "wrong_cell_count"),
        ("", "wrong_cell_count"),
    ] {
        assert_eq!(table.object(cells(row)).unwrap_err().code, code, "{row}");
    }
    let broken = vec![b"\xff".to_vec(); 6];
    assert_eq!(table.object(broken).unwrap_err().code, "invalid_utf8");
}
