//! What an operator sees: commands, settings, starts and ends of real processes.

mod config;
mod cors;
pub mod dead_letters;
mod documents;
mod exports;
mod help;
mod imports;
mod kill;
mod letters_on_record;
mod load;
mod logs;
mod one_shot;
mod pages;
mod people;
mod probe;
mod refusals;
mod running;
mod start;
mod stop;
mod tokens;
mod traces;
mod traces_of_outages;
pub mod verify;
mod wrong_settings;

use std::path::Path;
use std::time::Duration;

use crate::bed::instance::supportline;
use crate::bed::process::{Output, run};

/// No command of these tests has more to do.
const DEADLINE: Duration = Duration::from_secs(30);

/// Settings as pairs of variable and value.
type Settings = Vec<(String, String)>;

fn settings(pairs: &[(&str, &str)]) -> Settings {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Runs the program in `folder` to its end, with these variables and arguments alone.
async fn invoke(folder: &Path, environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = supportline(&settings(environment));
    command.args(arguments);
    run("command", folder, command, DEADLINE).await
}

/// The one line on standard error of a command that ends with this exit code.
fn only_line(output: &Output, code: i32) -> &str {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let mut lines = output.stderr.lines();
    match (lines.next(), lines.next()) {
        (Some(line), None) => line,
        _ => panic!("expected one line: {output:?}"),
    }
}
