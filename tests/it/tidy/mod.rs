//! Conventions as tests: what is written in CONTRIBUTING.md and can be counted.
//!
//! They look at the files that git knows or would add, so a new file is held to them at once.

mod documents;
mod layers;
mod migrations;
mod mutants;
mod sizes;
mod statements;
mod words;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A text file of the repository.
struct File {
    /// From the root, with slashes.
    path: String,
    text: String,
}

impl File {
    fn is_rust(&self) -> bool {
        has_extension(&self.path, "rs")
    }

    fn is_markdown(&self) -> bool {
        has_extension(&self.path, "md")
    }
}

fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|it| it == extension)
}

/// Every text file under version control, or about to be.
fn files() -> Vec<File> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root());
    let output = git.output().expect("run git");
    assert!(output.status.success(), "git: {}", String::from_utf8_lossy(&output.stderr));
    let listing = String::from_utf8(output.stdout).expect("paths in UTF-8");
    let paths = listing.split('\0').filter(|path| !path.is_empty());
    // One that was deleted and not yet committed is still listed; one that is no text has no words.
    let files: Vec<_> = paths.filter_map(read).collect();
    assert!(files.len() > 100, "only {} files: the tests look at the wrong place", files.len());
    files
}

fn read(path: &str) -> Option<File> {
    let text = String::from_utf8(fs::read(root().join(path)).ok()?).ok()?;
    Some(File { path: path.to_owned(), text })
}

/// Fails the test with one violation a line.
fn assert_none(violations: &[String]) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

/// The names of the files in a folder, in order.
fn names_in(folder: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    let mut names: Vec<_> =
        paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}
