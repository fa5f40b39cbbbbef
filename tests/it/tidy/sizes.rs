//! Budgets of length.

use super::{File, assert_none, files};

/// A Rust file is read in a sitting.
const FILE_LINES_MAX: usize = 400;
/// A function fits on a screen.
const FUNCTION_LINES_MAX: usize = 70;
/// An architecture decision fits on a page.
const ADR_LINES_MAX: usize = 80;

#[test]
fn files_are_read_in_a_sitting() {
    let files = files();
    let long = files.iter().filter_map(|file| {
        let lines = file.text.lines().count();
        let max = match file {
            file if file.is_rust() => FILE_LINES_MAX,
            file if file.path.starts_with("docs/adr/") => ADR_LINES_MAX,
            _ => return None,
        };
        (lines > max).then(|| format!("{}: {lines} lines, at most {max}", file.path))
    });
    assert_none(&long.collect::<Vec<_>>());
}

#[test]
fn functions_fit_on_a_screen() {
    let files = files();
    let rust: Vec<_> = files.iter().filter(|file| file.is_rust()).collect();
    let all: Vec<_> = rust.iter().flat_map(|file| functions(file)).collect();
    assert!(all.len() > 500, "only {} functions found: the scan is broken", all.len());
    let long = all.iter().filter(|function| function.lines > FUNCTION_LINES_MAX);
    let told = long.map(|it| format!("{}:{}: {} lines", it.path, it.starts_at, it.lines));
    assert_none(&told.collect::<Vec<_>>());
}

struct Function<'a> {
    path: &'a str,
    /// Its first line, from 1.
    starts_at: usize,
    lines: usize,
}

/// The functions of a file as rustfmt lays them out: a body ends with the first closing brace that
/// is indented as the function is.
fn functions(file: &File) -> Vec<Function<'_>> {
    let lines: Vec<&str> = file.text.lines().collect();
    let starts = (0..lines.len()).filter(|line| is_function(lines[*line]));
    starts
        .map(|start| Function {
            path: &file.path,
            starts_at: start + 1,
            lines: lines_of(&lines[start..]),
        })
        .collect()
}

fn is_function(line: &str) -> bool {
    let mut words = line.split_whitespace().peekable();
    let qualifiers = ["async", "const", "unsafe", "extern", "\"C\""];
    let is_qualifier = |word: &str| word.starts_with("pub") || qualifiers.contains(&word);
    while words.next_if(|word| is_qualifier(word)).is_some() {}
    words.next() == Some("fn")
}

fn lines_of(lines: &[&str]) -> usize {
    let indent = lines[0].len() - lines[0].trim_start().len();
    let signature = lines.iter().position(|line| line.ends_with(['{', ';', '}'])).unwrap_or(0);
    if !lines[signature].ends_with('{') {
        return signature + 1;
    }
    let ends =
        |line: &&str| line.strip_prefix(&" ".repeat(indent)).is_some_and(|it| it.starts_with('}'));
    let body = lines[signature + 1..].iter().position(ends);
    body.map_or(lines.len(), |body| signature + body + 2)
}

#[test]
fn the_scan_finds_every_kind_of_function() {
    let text = "\
fn one() {}
pub(crate) const fn two() -> u8 {
    2
}
impl X {
    pub async fn four(
        self,
    ) -> u8 {
    }
    fn declared(&self) -> u8;
}
// fn no() {
";
    let file = File { path: "x.rs".to_owned(), text: text.to_owned() };
    let found: Vec<_> = functions(&file).iter().map(|it| (it.starts_at, it.lines)).collect();
    assert_eq!(found, [(1, 1), (2, 3), (6, 4), (10, 1)]);
}
