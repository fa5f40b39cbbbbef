//! Files of every kind, in pieces of every size.

use super::*;

/// What is found in a text, whichever way it comes; of a flaw its name.
fn found(make: fn() -> Splitter, text: &[u8]) -> Vec<String> {
    let mut answers = [1, 2, 3, 7, text.len().max(1)].map(|bytes| {
        let (mut splitter, mut records) = (make(), Vec::new());
        text.chunks(bytes).for_each(|piece| splitter.push(piece, &mut records));
        splitter.finish(&mut records);
        records.into_iter().map(told).collect::<Vec<_>>()
    });
    let last = answers[4].clone();
    assert!(answers.iter_mut().all(|answer| *answer == last), "{answers:?}");
    last
}

fn told(Record { line, content }: Record) -> String {
    let content = match content {
        Ok(cells) => {
            cells.iter().map(|cell| String::from_utf8_lossy(cell)).collect::<Vec<_>>().join("|")
        }
        Err(flaw) => format!("{flaw:?}"),
    };
    format!("{line}:{content}")
}

fn rows(text: impl AsRef<[u8]>) -> Vec<String> {
    found(|| Splitter::Rows(Rows::default()), text.as_ref())
}

fn lines(text: impl AsRef<[u8]>) -> Vec<String> {
    found(|| Splitter::Lines(Lines::default()), text.as_ref())
}

#[test]
fn lines_are_told_apart_however_they_end() {
    assert_eq!(lines("a\nb\r\n\n \t\r\nc"), ["1:a", "2:b", "5:c"]);
    assert_eq!(lines("\u{feff}a\n\u{feff}b\n"), ["1:a", "2:\u{feff}b"]);
    assert_eq!(lines(""), [""; 0]);
    assert_eq!(lines("\n\n"), [""; 0]);
    assert_eq!(lines("a\rb"), ["1:a\rb"]);
}

#[test]
fn a_line_that_is_too_long_is_told_and_the_next_one_is_read() {
    let most = "x".repeat(RECORD_BYTES_MAX);
    let told = lines(format!("{most}\r\n{most}y\n{most}{most}{most}\nz\n{most}yy"));
    assert_eq!(told[0], format!("1:{most}"));
    assert_eq!(told[1..], ["2:TooLong", "3:TooLong", "4:z", "5:TooLong"]);
}

#[test]
fn rows_have_every_kind_of_quoting() {
    for (text, told) in [
        ("a,b\r\nc,d\r\n", vec!["1:a|b", "2:c|d"]),
        ("a,b\nc,d", vec!["1:a|b", "2:c|d"]),
        ("\"a\",\"b\"\n", vec!["1:a|b"]),
        ("\"a,b\",c\n", vec!["1:a,b|c"]),
        ("\"a\"\"b\",c\n", vec!["1:a\"b|c"]),
        ("\"\"\"\",\"\"\n", vec!["1:\"|"]),
        ("\"a\r\nb\nc\",d\ne,f\n", vec!["1:a\r\nb\nc|d", "4:e|f"]),
        (",,\n", vec!["1:||"]),
        ("\"\"\n", vec!["1:"]),
        ("\n\r\n\na\n", vec!["4:a"]),
        (" \"a\n", vec!["1:StrayQuote"]),
        ("a\"b\",c\nd\n", vec!["1:StrayQuote", "2:d"]),
        ("\"a\"b\",c\nd,e\n", vec!["1:StrayQuote", "2:d|e"]),
        ("\"a\" ,b\nc\n", vec!["1:StrayQuote", "2:c"]),
        ("\"a\"\rb\nc\n", vec!["1:StrayQuote", "2:c"]),
        ("\"a\"\r\nb\n", vec!["1:a", "2:b"]),
        ("a\rb,c\n", vec!["1:a\rb|c"]),
        ("a\nb,\"c\nd\ne\n", vec!["1:a", "2:UnclosedQuote"]),
        ("\"", vec!["1:UnclosedQuote"]),
        ("\u{feff}\"a\",b\n", vec!["1:a|b"]),
        ("\u{feff}", vec![]),
        ("", vec![]),
        ("a,", vec!["1:a|"]),
        ("a;b\tc\n", vec!["1:a;b\tc"]),
        ("a\0b\n", vec!["1:a\0b"]),
    ] {
        assert_eq!(rows(text), told, "{text:?}");
    }
    assert_eq!(rows(b"\xef\xbb"), ["1:\u{fffd}"]);
    assert_eq!(rows(b"\xef\xbbx,y\n").len(), 1);
    assert_eq!(rows(b"\xff,\xc0\xaf\n").len(), 1);
}

#[test]
fn a_row_that_is_too_long_is_told_and_the_next_one_is_read() {
    let long = "x".repeat(RECORD_BYTES_MAX + 1);
    let inside = "q\n".repeat(RECORD_BYTES_MAX);
    let told = rows(format!("{long},a\nb,c\n\"{inside}\",d\ne,f\n"));
    let last = format!("{}:e|f", 4 + RECORD_BYTES_MAX);
    assert_eq!(told, ["1:TooLong", "2:b|c", "3:TooLong", &last]);
}

#[test]
fn an_unclosed_quote_before_two_million_lines_holds_no_memory() {
    let mut splitter = Rows::default();
    let mut records = Vec::new();
    splitter.push(b"a,b\n\"c,d\n", &mut records);
    for _ in 0..2_000_000 {
        splitter.push(b"Ada,ada@example.org\n", &mut records);
        assert!(splitter.cell.capacity() <= 2 * RECORD_BYTES_MAX);
    }
    splitter.finish(&mut records);
    let told: Vec<_> = records.into_iter().map(told).collect();
    assert_eq!(told, ["1:a|b", "2:UnclosedQuote"]);
}
