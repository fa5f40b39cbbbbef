//! What a command says to whoever started it. Log lines go through `tracing` instead.

use std::{
    fmt::Display,
    io::{self, ErrorKind, IsTerminal, Write},
};

use common::chain;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Prints a line, or several, to standard output.
pub fn say(text: impl Display) {
    // A reader that has seen enough (`| head`) closes the pipe; that is no failure of ours.
    let _ = writeln!(io::stdout(), "{text}");
}

/// Prints what was asked to be shown, and says when it did not get there, as on a full disk. To a
/// reader that has seen enough it did.
pub fn show(text: &str) -> io::Result<()> {
    match hand_over(text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Prints what the command was run for to standard output, and says when it did not get there.
pub fn hand_over(text: &str) -> io::Result<()> {
    let mut output = io::stdout();
    writeln!(output, "{text}")?;
    output.flush()
}

/// Says something beside the output, to standard error.
pub fn remark(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints the one line that says why the program ends, to standard error.
pub fn complain(error: &anyhow::Error) {
    let _ = writeln!(io::stderr(), "error: {}", chain(error.as_ref()));
}

/// Shows how far a long check has come, where somebody is looking.
pub fn progress(text: impl Display) {
    if io::stderr().is_terminal() {
        let _ = write!(io::stderr(), "\r\x1b[K{text}");
    }
}

/// Shows how far something has come of so many, in words for a known total and for none. Draws nothing where
/// standard error is no terminal.
pub fn bar(total: Option<u64>, of_total: &str, of_none: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template(if total.is_some() { of_total } else { of_none });
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A count with a comma before every third digit: `12,000`.
pub fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let grouped: Vec<_> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| group.iter().copied().map(char::from).collect::<String>())
        .collect();
    grouped.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_has_a_comma_before_every_third_digit() {
        let shown = [0, 999, 1_000, 1_234_567].map(thousands);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }
}
