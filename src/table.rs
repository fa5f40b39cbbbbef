//! Lists as people read them: columns that stand under each other.

/// Lines of cells, the heading first. The last column is as wide as it likes.
pub fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let heading: Vec<String> = heading.iter().map(|title| (*title).to_owned()).collect();
    let lines: Vec<&Vec<String>> = std::iter::once(&heading).chain(rows).collect();
    let width = |column: usize| {
        let widths = lines.iter().filter_map(|cells| cells.get(column));
        widths.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let line = |cells: &&Vec<String>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The text on one line, with nothing in it that a terminal would act on.
pub fn harmless(text: &str) -> String {
    let shown = |character: char| match character {
        character if character.is_control() => character.escape_default().collect(),
        character => String::from(character),
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [row(["1", "über", "x"]), row(["22", "b", ""])];
        assert_eq!(table(&["ID", "B", "C"], &rows), "ID  B     C\n1   über  x\n22  b");
        assert_eq!(table(&["ID", "B"], &[]), "ID  B");
    }

    #[test]
    fn nothing_shown_moves_the_cursor() {
        assert_eq!(harmless("a\u{1b}[2J\r\n\u{9b}é👩"), "a\\u{1b}[2J\\r\\n\\u{9b}é👩");
    }
}
