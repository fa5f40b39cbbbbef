//! Holds what strangers published against the dead letters: what can never become a ticket is there,
//! bytes intact, and nothing else is.

use std::collections::{HashMap, HashSet};

use super::checker::{Violation, Wrong};

/// What must become of a stranger's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// As it is buried.
    pub body: Vec<u8>,
    /// Whether the broker has said that it has it.
    pub is_taken: bool,
}

/// A letter may be there twice: what is buried and not settled is buried once more. But no more often
/// than an envelope is delivered.
const COPIES_MAX: usize = 21;

/// Holds what was published against what was found.
pub fn check(sent: &[Letter], found: &[Vec<u8>]) -> Vec<Violation> {
    let there: HashSet<_> = found.iter().collect();
    let known: HashSet<_> = sent.iter().map(|letter| &letter.body).collect();
    let missing = sent.iter().filter(|letter| letter.is_taken && !there.contains(&letter.body));
    let strange = found.iter().filter(|body| !known.contains(body));
    let missing = missing.map(|letter| violation(Wrong::Lost, &letter.body));
    let mut copies: HashMap<_, usize> = HashMap::new();
    for body in found {
        *copies.entry(body).or_default() += 1;
    }
    let too_many = copies.into_iter().filter(|(_, copies)| *copies > COPIES_MAX);
    missing
        .chain(strange.map(|body| violation(Wrong::Unexpected, body)))
        .chain(too_many.map(|(body, _)| violation(Wrong::Duplicated, body)))
        .collect()
}

fn violation(wrong: Wrong, body: &[u8]) -> Violation {
    let evidence = String::from_utf8_lossy(body).into_owned();
    Violation { wrong, who: "a dead letter".to_owned(), evidence }
}

#[test]
fn a_letter_that_is_not_there_and_one_that_should_not_be_are_told() {
    let letter = |text: &str, is_taken| Letter { body: text.as_bytes().to_owned(), is_taken };
    let sent = [letter("a", true), letter("b", false), letter("c", false)];
    let found =
        |texts: &[&str]| texts.iter().map(|it| it.as_bytes().to_owned()).collect::<Vec<_>>();
    let wrongs = |texts: &[&str]| {
        let violations = check(&sent, &found(texts));
        violations.into_iter().map(|it| (it.wrong, it.evidence)).collect::<Vec<_>>()
    };
    assert_eq!(wrongs(&["a", "b", "a"]), []);
    assert_eq!(wrongs(&["c"]), [(Wrong::Lost, "a".to_owned())]);
    assert_eq!(wrongs(&["a", "d"]), [(Wrong::Unexpected, "d".to_owned())]);
    assert_eq!(wrongs(&["A"]).len(), 2, "bytes intact");
    assert_eq!(wrongs(&["a"; COPIES_MAX]), []);
    assert_eq!(wrongs(&["a"; COPIES_MAX + 1]), [(Wrong::Duplicated, "a".to_owned())]);
}
