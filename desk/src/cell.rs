//! Cells of a CSV file (RFC 4180), which people open in spreadsheets.
//!
//! A spreadsheet takes a cell for a formula that begins with `=`, `+`, `-` or `@`, some also behind
//! white space or a line break, and some their full-width forms. Such a text gets an apostrophe before
//! it. So that it can be taken off again without a doubt, a text gets one more that is apostrophes and
//! then such a text: off comes exactly what was put on, and nothing else ever.

use std::borrow::Cow;

/// What makes a formula of a text.
const DANGEROUS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// Whether an apostrophe goes before it.
fn is_guarded(text: &str) -> bool {
    let text = text.trim_start_matches('\'');
    let begins = text.trim_start_matches(is_passed_over);
    begins.starts_with(DANGEROUS) || text.starts_with(['\t', '\r', '\n'])
}

/// What a spreadsheet may pass over before a formula.
fn is_passed_over(character: char) -> bool {
    character.is_whitespace()
        || ('\u{200b}'..='\u{200f}').contains(&character)
        || character == '\u{feff}'
}

/// A text as a cell that no spreadsheet computes.
pub fn guarded(text: &str) -> Cow<'_, str> {
    if is_guarded(text) { format!("'{text}").into() } else { text.into() }
}

/// What [`guarded`] made such a cell of.
pub fn unguarded(cell: String) -> String {
    match cell.strip_prefix('\'') {
        Some(text) if is_guarded(text) => text.to_owned(),
        _ => cell,
    }
}

/// Writes a row. What holds a separator, a quote or the end of a line, and what begins or ends with
/// white space, stands in quotes.
pub fn write_row<'a>(cells: impl IntoIterator<Item = Cow<'a, str>>, row: &mut Vec<u8>) {
    for (place, cell) in cells.into_iter().enumerate() {
        if place > 0 {
            row.push(b',');
        }
        if cell.contains([',', ';', '"', '\r', '\n', '\t']) || cell.trim() != cell {
            row.push(b'"');
            row.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
            row.push(b'"');
        } else {
            row.extend_from_slice(cell.as_bytes());
        }
    }
    row.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_begins_like_a_formula() {
        for text in [
            "=1+1",
            "+1",
            "-1",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "\n=1",
            " =1",
            "\u{a0}=1",
            "\u{200b}=1",
            "\u{feff}=1",
            "＝1",
            "＋1",
            "－1",
            "＠1",
            "\tx",
            "'=1",
            "''-1",
            "' =1",
            "=HYPERLINK(\"x\")",
        ] {
            let cell = guarded(text);
            assert_eq!(cell, format!("'{text}"));
            assert_eq!(unguarded(cell.into_owned()), text);
        }
        for text in ["", "a", "a=1", "'", "''", "'a", "1-1", "O'Hara", "“=1”", "'' a", " a", "()=1"]
        {
            assert_eq!(guarded(text), text);
            assert_eq!(unguarded(text.to_owned()), text);
        }
    }

    /// All texts of up to five of the characters that matter.
    #[test]
    fn what_is_put_on_is_taken_off_and_nothing_else() {
        let mut texts = vec![String::new()];
        let mut shorter = texts.clone();
        for _ in 0..5 {
            let longer = shorter.iter().flat_map(|text| {
                ['\'', '=', '-', ' ', '\t', '\n', 'a'].map(|next| format!("{text}{next}"))
            });
            shorter = longer.collect();
            texts.extend_from_slice(&shorter);
        }
        assert_eq!(texts.len(), 19_608);
        for text in texts {
            let cell = guarded(&text).into_owned();
            let begins = cell.trim_start_matches([' ', '\t', '\n']);
            assert!(!begins.starts_with(['=', '-']), "{cell:?}");
            assert_eq!(unguarded(cell), text);
        }
    }

    #[test]
    fn what_a_reader_would_take_apart_stands_in_quotes() {
        let mut row = Vec::new();
        write_row(["a", "", "b,c", "d\"e", "f\r\ng", " h", "i;j", "k l"].map(Cow::from), &mut row);
        let told = String::from_utf8(row).unwrap();
        assert_eq!(told, "a,,\"b,c\",\"d\"\"e\",\"f\r\ng\",\" h\",\"i;j\",k l\r\n");
    }
}
