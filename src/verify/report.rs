//! What the checks found.

use std::fmt::{self, Display};

use crate::terminal;

/// Examples shown of one kind of failure.
pub const EXAMPLES_MAX: usize = 5;

/// The outcome of one check.
#[derive(Debug, PartialEq, Eq)]
pub enum Finding {
    /// As it should be.
    Holds(String),
    /// Not as it should be.
    Fails(String),
    /// Neither: a figure worth knowing.
    Tells(String),
}

impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds(text) => write!(f, "ok     {text}"),
            Self::Fails(text) => write!(f, "FAILED {text}"),
            Self::Tells(text) => write!(f, "info   {text}"),
        }
    }
}

/// Prints findings as they come in and remembers whether all was well.
#[derive(Default)]
pub struct Report {
    has_failed: bool,
}

impl Report {
    /// Adds a finding about `subject`, or that it could not be looked at.
    pub fn add<E: Into<anyhow::Error>>(&mut self, subject: &str, finding: Result<Finding, E>) {
        let finding = self.note(subject, finding);
        terminal::progress("");
        terminal::say(finding);
    }

    fn note<E: Into<anyhow::Error>>(
        &mut self,
        subject: &str,
        finding: Result<Finding, E>,
    ) -> Finding {
        let finding = finding.unwrap_or_else(|error| {
            let cause = common::chain(error.into().as_ref());
            Finding::Fails(format!("{subject}: could not be checked: {cause}"))
        });
        self.has_failed |= matches!(finding, Finding::Fails(_));
        finding
    }

    /// Whether no check failed and all could be made.
    pub const fn all_hold(&self) -> bool {
        !self.has_failed
    }
}

/// The first few of what was found, and how many more there are.
pub fn examples<T: Display>(found: &[T], count: u64) -> String {
    let mut shown: Vec<_> = found.iter().take(EXAMPLES_MAX).map(ToString::to_string).collect();
    let more = count.saturating_sub(shown.len() as u64);
    if more > 0 {
        shown.push(format!("and {} more", terminal::thousands(more)));
    }
    shown.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_or_one_part_out_of_reach_fails_the_whole() {
        let mut report = Report::default();
        report.note("a", Ok::<_, anyhow::Error>(Finding::Holds("well".into())));
        report.note("b", Ok::<_, anyhow::Error>(Finding::Tells("7".into())));
        assert!(report.all_hold());
        let away = report.note("c", Err(anyhow::anyhow!("away")));
        assert_eq!(away.to_string(), "FAILED c: could not be checked: away");
        assert!(!report.all_hold());
    }

    #[test]
    fn five_examples_are_shown_and_the_others_counted() {
        assert_eq!(examples(&["a"], 1), "a");
        assert_eq!(
            examples(&["a", "b", "c", "d", "e", "f"], 1_006),
            "a; b; c; d; e; and 1,001 more"
        );
    }
}
