//! Counts the instructions that hot paths take, by callgrind, and holds them against those on record: a
//! slow-down shows on any machine, however busy it is, which no time would do.
//!
//! `make counts` compares, `make counts COUNTS=record` writes them down anew. A path is run so many times
//! and so many more in two processes, and what is counted is the difference, so that nothing of a start is
//! in it.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a measurement ends by panicking when a part of it fails, and prints its figures"
)]

mod paths;
mod pipeline;

use std::{collections::BTreeMap, env, fs, path::Path, process::Command};

use paths::{PATHS, Path as Measured};

/// What is on record: instructions by path.
type Record = BTreeMap<String, u64>;

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["run", name, times] => run(name, times.parse().expect("a number")),
        ["record"] => write(&counted()),
        [] | ["compare"] => compare(&read(), &counted()),
        _ => panic!("expected nothing, compare, record, or run PATH TIMES"),
    }
}

fn run(name: &str, times: u64) {
    let path = PATHS.iter().find(|path| path.name == name).expect("a path");
    (path.run)(times);
}

fn counted() -> Record {
    PATHS.iter().map(|path| (path.name.to_owned(), count(path))).collect()
}

/// Instructions that the path takes once.
fn count(Measured { name, times, .. }: &Measured) -> u64 {
    let more = 3 * times;
    let (all, some) = (instructions(name, more), instructions(name, *times));
    let each = all.saturating_sub(some) / (more - times);
    println!("{name:<60} {each:>12} instructions");
    each
}

/// Instructions of a whole process.
fn instructions(name: &str, times: u64) -> u64 {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    valgrind.arg(env::current_exe().expect("this program"));
    valgrind.args(["run", name, &times.to_string()]);
    let output = valgrind.output().expect("valgrind, which `make counts` installs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    // `==123== Collected : 4567`
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    collected.and_then(|(_, count)| count.trim().parse().ok()).expect("a count")
}

fn compare(recorded: &Record, counted: &Record) {
    let mut slower = Vec::new();
    for Measured { name, tolerance_percent, .. } in PATHS {
        let (was, is) = (recorded.get(*name).copied().unwrap_or_default(), counted[*name]);
        if is * 100 > was * (100 + tolerance_percent) {
            slower.push(format!("{name}: {is} instructions, {was} on record"));
        } else if was * 100 > is * (100 + tolerance_percent) {
            println!(
                "{name}: {was} on record; write the better ones down: make counts COUNTS=record"
            );
        }
    }
    assert!(slower.is_empty(), "slower than on record:\n{}", slower.join("\n"));
    println!("{} paths, none slower than on record", PATHS.len());
}

fn place() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.json")
}

fn read() -> Record {
    let text = fs::read_to_string(place()).expect("what is on record");
    serde_json::from_str(&text).expect("a record")
}

fn write(record: &Record) {
    let text = serde_json::to_string_pretty(record).expect("JSON");
    fs::write(place(), text + "\n").expect("write the record");
}
