//! Text of the whole world, and what only looks like text.

use serde_json::json;

use super::super::table::{ACCEPTED, FieldRow, check_fields};
use super::super::{Api, on_both_systems};

on_both_systems! {
    texts_of_any_script_read_back_to_the_letter,
    what_shows_nothing_is_blank,
    line_breaks_have_their_place,
    no_control_character_reaches_a_store,
}

async fn texts_of_any_script_read_back_to_the_letter(api: Api) {
    for (name, text) in [
        ("a family of emoji", "👩‍👩‍👧 Ada"),
        ("a flag of tags", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"),
        ("Arabic", "مرحبا بالعالم"),
        ("Hebrew between marks", "\u{200f}שלום\u{200e} a"),
        ("beyond the basic plane", "𠀀𠀁"),
        ("letters that change length in other cases", "İß"),
        ("not normalised", "e\u{301}"),
        ("many marks on one letter", "Z\u{351}\u{36b}\u{343}\u{36a}\u{302}"),
        ("a text turned around", "a\u{202e}gpj.exe"),
        ("no character", "a\u{ffff}\u{10ffff}"),
        ("private use", "\u{e000}\u{f8ff}"),
        ("a replacement", "a\u{fffd}"),
        ("a separator of lines that breaks none", "a\u{2028}b\u{2029}c"),
        ("a mark of byte order inside", "a\u{feff}b"),
        ("letters of another script that look alike", "раураl"),
        ("backslashes", "\\u0000 \\x00 \\\\ \\"),
        ("percent signs", "%00 %s %n %d 100%"),
    ] {
        check_fields(&api, ["name", "message"].map(|it| (name, it, json!(text), ACCEPTED))).await;
    }
}

async fn what_shows_nothing_is_blank(api: Api) {
    for (name, text) in [
        ("empty", ""),
        ("spaces", "   "),
        ("a no-break space", "\u{a0}"),
        ("an ideographic space", "\u{3000}"),
        ("blank lines", " \r\n\t "),
        ("zero-width characters", "\u{200b}\u{2060}\u{feff}"),
        ("a joiner between spaces", " \u{200d} "),
        ("marks of direction", "\u{200e}\u{200f}\u{202e}"),
        ("a soft hyphen", "\u{ad}"),
        ("tags", "\u{e0001}\u{e0020}"),
    ] {
        check_fields(&api, ["name", "message"].map(|it| (name, it, json!(text), "blank"))).await;
    }
    check_fields(&api, [("blanks around it", "name", json!("\u{a0} Ada \t"), ACCEPTED)]).await;
}

async fn line_breaks_have_their_place(api: Api) {
    let rows: Vec<FieldRow> = vec![
        ("lines and tabs", "message", json!("one\r\n\ttwo\nthree\rfour"), ACCEPTED),
        ("a header", "name", json!("a\r\nBcc: x@y.io"), "line_break"),
        ("a line", "name", json!("a\nb"), "line_break"),
        ("a return", "name", json!("a\rb"), "line_break"),
        ("a line", "userId", json!("a\nb"), "line_break"),
        ("a line of a log", "userAgent", json!("x\n{\"level\":\"ERROR\"}"), "line_break"),
        ("a header", "url", json!("https://x.io/\r\nSet-Cookie: a=b"), "line_break"),
        ("a header", "email", json!("a@x.io\r\nBcc: b@y.io"), "invalid_email"),
        ("a line", "subject", json!("technical\n"), "invalid_choice"),
        ("a line", "timestamp", json!("2026-11-22T10:30:00Z\n"), "invalid_timestamp"),
    ];
    check_fields(&api, rows).await;
}

async fn no_control_character_reaches_a_store(api: Api) {
    for field in ["name", "email", "message", "userId", "userAgent", "url"] {
        for character in [
            '\0', '\u{1}', '\u{7}', '\u{8}', '\u{b}', '\u{c}', '\u{1b}', '\u{1f}', '\u{7f}',
            '\u{85}', '\u{9b}',
        ] {
            let value = json!(format!("https://x.io/{character}"));
            check_fields(&api, [("a control character", field, value, "control_character")]).await;
        }
    }
    let escapes: Vec<FieldRow> = vec![
        ("a terminal's escape", "name", json!("\u{1b}[2J"), "control_character"),
        ("a colour", "userAgent", json!("\u{1b}[31mred"), "control_character"),
        ("NUL", "subject", json!("feature\0"), "invalid_choice"),
        ("NUL", "timestamp", json!("2026-11-22T10:30:00Z\0"), "invalid_timestamp"),
    ];
    check_fields(&api, escapes).await;
}
