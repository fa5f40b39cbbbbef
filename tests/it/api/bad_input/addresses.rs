//! Mail addresses, and addresses of pages.

use serde_json::{Value, json};

use super::super::table::{ACCEPTED, FieldRow, check_fields};
use super::super::{Api, on_both_systems};

on_both_systems! {
    addresses_are_one_mail_address_and_nothing_else,
    urls_are_web_addresses,
}

async fn addresses_are_one_mail_address_and_nothing_else(api: Api) {
    let mut rows: Vec<FieldRow> = vec![
        ("plus and dots", "email", json!("a.b+c@x-y.co.uk"), ACCEPTED),
        ("not ASCII", "email", json!("münchen@exämple.de"), ACCEPTED),
        ("somebody's robot", "email", json!("noreply@github.com"), ACCEPTED),
        ("null", "email", Value::Null, "required"),
        ("an operator", "email", json!({"$ne": null}), "wrong_type"),
        ("NUL", "email", json!("a@x.io\0"), "control_character"),
    ];
    for text in [
        "",
        "a",
        "a@b",
        "@x.io",
        "a@",
        "a@@b.io",
        "a b@x.io",
        " a@x.io",
        "a@x.io ",
        "a@x..io",
        ".a@x.io",
        "a@x.io.",
        "a@-x.io",
        "a@[127.0.0.1]",
        "\"a\"@x.io",
        "<a@x.io>",
        "Ada <a@x.io>",
        "a@x.io,b@y.io",
        "a@x.io;b@y.io",
        "a@x.io\nBcc: b@y.io",
        "a@x.io\r\nBcc: b@y.io",
        "a@x.io%0aCc: b@y.io",
        "mailto:a@x.io?cc=b@y.io",
        "a@localhost",
        "a@x.io, ",
        "a@x.io\tb@y.io",
        "a@x_y.io",
        "a@x.io-",
        "a@.io",
        "a@@",
        "@",
        "a@x.io/",
        "a@x.io?subject=x",
        "a\\@x.io",
        "a(comment)@x.io",
        "a@x.io (Ada)",
        "undisclosed-recipients:;",
        "|/bin/sh@x.io ",
        "a@\u{200b}x.io",
    ] {
        rows.push(("no address", "email", json!(text), "invalid_email"));
    }
    check_fields(&api, rows).await;
}

async fn urls_are_web_addresses(api: Api) {
    let rows: Vec<FieldRow> = vec![
        ("all parts", "url", json!("https://u@example.org:8443/ä?b=c&d#e"), ACCEPTED),
        ("upper case", "url", json!("HTTP://localhost:3000/"), ACCEPTED),
        // Stored as a text; nobody ever fetches it.
        ("a cloud's secrets", "url", json!("http://169.254.169.254/latest/"), ACCEPTED),
        ("a number", "url", json!(1), "wrong_type"),
    ];
    check_fields(&api, rows).await;
    for text in [
        "",
        "x.io",
        "//evil",
        "/path",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "ftp://x.io",
        "https://",
        "https:evil",
        "http:/evil",
        "http:\\\\evil",
        " https://x.io",
        "https://x.io/a b",
        "https://x.io:99999/",
        "vbscript:x",
        "view-source:https://x.io",
        "blob:https://x.io/1",
        "about:blank",
        "gopher://x.io",
        "jar:https://x.io!/",
        "ws://x.io",
        "mailto:a@x.io",
        "https//x.io",
        "https:///",
        "https://?q",
        "https://\u{a0}x.io",
        "java\u{200b}script:alert(1)",
        "https://x.io/\u{3000}b",
    ] {
        check_fields(&api, [("no web address", "url", json!(text), "invalid_url")]).await;
    }
}
