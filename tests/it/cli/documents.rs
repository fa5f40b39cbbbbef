//! Commands that documents show, run as they stand there, in their order; what comes back is what
//! they say comes back, but for ids, numbers and times, which are everybody's own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::running::Running;
use super::settings;
use crate::bed::folder::Folder;
use crate::bed::process::{command, run_well};
use crate::bed::wait::eventually;

/// Statistics are a second old, and a queued submission becomes a ticket.
const SETTLE: Duration = Duration::from_secs(10);
const ONE_COMMAND: Duration = Duration::from_secs(20);

#[tokio::test]
async fn the_first_steps_of_the_readme_go_as_it_says() {
    assert!(follow("README.md", "## The picture").await >= 3);
}

#[tokio::test]
async fn the_examples_of_the_api_go_as_it_says() {
    assert!(follow("docs/api.md", "\n## Problems").await >= 4);
}

/// Runs what a document shows up to some heading, on an installation made for it; how many.
async fn follow(document: &str, end: &str) -> usize {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let text = fs::read_to_string(path).unwrap();
    let (text, _) = text.split_once(end).expect("a heading");
    let folder = Folder::new("documents");
    let data = folder.join("data").display().to_string();
    let serve =
        Running::start("serve", folder.path(), &settings(&[("SUPPORT_DATA_DIR", &data)])).await;
    let address = serve.address().to_string();
    let mut own = BTreeMap::from([("127.0.0.1:8080".to_owned(), address)]);
    let shown = shown(text);
    for (line, expected) in &shown {
        let mut line = line.clone();
        for (theirs, ours) in &own {
            line = line.replace(theirs.as_str(), ours);
        }
        // What is sent is sent once; what is read may need a moment to become true.
        let attempt = async || {
            let mut shell = command("bash");
            shell.args(["-c", &line]);
            let output = run_well("shown", folder.path(), shell, ONE_COMMAND).await;
            alike(&parsed(expected), &parsed(&output))
        };
        let named = if line.contains(" -d ") {
            attempt().await.unwrap_or_else(|told| panic!("{document}: {line}\n{told}"))
        } else {
            eventually(SETTLE, &format!("{document}: {line}"), attempt).await
        };
        own.extend(named);
    }
    shown.len()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The `curl` commands of the blocks, each with the output that is shown below it.
fn shown(text: &str) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for block in text.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default();
        for part in format!("\n{block}").split("\n$ ").skip(1).filter(|it| it.starts_with("curl")) {
            // The output is one line of JSON; all before it is the command.
            let (line, output) = part.trim_end().rsplit_once("\n{").expect("an output");
            all.push((line.to_owned(), format!("{{{output}")));
        }
    }
    all
}

/// What stands for what, if the two are alike; else where they are not.
fn alike(theirs: &Value, ours: &Value) -> Result<BTreeMap<String, String>, String> {
    let differ = || Err(format!("{theirs} is shown, and {ours} comes"));
    let mut named = BTreeMap::new();
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            if theirs.keys().ne(ours.keys()) {
                return differ();
            }
            for (name, (theirs, ours)) in theirs.keys().zip(theirs.values().zip(ours.values())) {
                match (name.as_str(), theirs, ours) {
                    (
                        "id" | "ticketNumber" | "requestId",
                        Value::String(its),
                        Value::String(own),
                    ) => {
                        named.insert(its.clone(), own.clone());
                    }
                    _ => named.extend(alike(theirs, ours)?),
                }
            }
        }
        (Value::Array(theirs), Value::Array(ours)) if theirs.len() == ours.len() => {
            for (theirs, ours) in theirs.iter().zip(ours) {
                named.extend(alike(theirs, ours)?);
            }
        }
        (Value::String(its), Value::String(own)) if is_time(its) => {
            if shape(its) != shape(own) {
                return differ();
            }
        }
        (theirs, ours) if theirs == ours => {}
        _ => return differ(),
    }
    Ok(named)
}

/// Whether it is a day or a time.
fn is_time(text: &str) -> bool {
    shape(text).starts_with("0000-00-00")
}

fn shape(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
}
