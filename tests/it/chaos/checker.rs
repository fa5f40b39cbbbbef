//! Holds what was told against what is stored.
//!
//! In Jepsen's words: *lost* is what was acknowledged and is no ticket; *duplicated*, what is more
//! than one; *unexpected*, a ticket that nobody sent; *recovered*, one whose sender was told no yes,
//! which is allowed; *corrupt*, one that is not what was sent, or not what was told.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use super::ledger::{Line, Outcome};
use super::order::Form;

/// A ticket as it lies in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The submission's id.
    pub id: String,
    /// The ticket's number.
    pub number: String,
    /// What came of the form.
    pub form: Form,
    /// What came of its subject.
    pub priority: String,
}

/// What must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrong {
    /// Acknowledged, and no ticket.
    Lost,
    /// More than one ticket of one submission, or of one number.
    Duplicated,
    /// A ticket of no submission, or of one that was not sent whole.
    Unexpected,
    /// A ticket that is not what was sent, or not what was told.
    Corrupt,
    /// An answer that nobody should get.
    Absurd,
}

/// A thing that must not be, with its evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What is wrong.
    pub wrong: Wrong,
    /// With which submission, by its address.
    pub who: String,
    /// In which way.
    pub evidence: String,
}

/// What became of all submissions. Each is acknowledged, refused or unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Tries to submit.
    pub attempts: u64,
    /// Submissions of which some attempt was answered 2xx.
    pub acknowledged: u64,
    /// Submissions of which every attempt was answered 503.
    pub refused: u64,
    /// Submissions without a yes of which some attempt had no answer.
    pub unknown: u64,
    /// Tickets whose sender was told no yes.
    pub recovered: u64,
    /// Those of them whose every attempt was answered 503.
    pub recovered_refused: u64,
    /// What must not be.
    pub violations: Vec<Violation>,
}

/// What is known of one submission.
#[derive(Default)]
struct Submission {
    form: Option<Form>,
    /// Whether any attempt was more than a part of a request.
    is_whole: bool,
    attempts: u64,
    refusals: u64,
    /// Each id that was told, with the numbers told with it.
    told: BTreeMap<String, HashSet<String>>,
    tickets: Vec<Stored>,
}

/// Holds a ledger against a store.
pub fn check(
    ledger: impl IntoIterator<Item = Line>,
    store: impl IntoIterator<Item = Stored>,
) -> Findings {
    let mut findings = Findings::default();
    let mut submissions = submissions(ledger, &mut findings);
    let mut numbers = HashSet::new();
    for ticket in store {
        let who = ticket.form.email.clone();
        if !numbers.insert(ticket.number.clone()) {
            findings.add(Wrong::Duplicated, &who, format!("number {}", ticket.number));
        }
        match submissions.get_mut(&who) {
            Some(submission) => submission.tickets.push(ticket),
            None => findings.add(Wrong::Unexpected, &who, format!("{ticket:?}")),
        }
    }
    for (who, submission) in &submissions {
        judge(who, submission, &mut findings);
    }
    findings.violations.sort_by(|a, b| (a.wrong, &a.who).cmp(&(b.wrong, &b.who)));
    findings
}

/// Submissions by their addresses, with all that their senders did and were told.
fn submissions(
    ledger: impl IntoIterator<Item = Line>,
    findings: &mut Findings,
) -> HashMap<String, Submission> {
    let mut submissions: HashMap<String, Submission> = HashMap::new();
    let mut senders = HashMap::new();
    for line in ledger {
        match line {
            Line::Sent(sent) => {
                let who = sent.form.email.clone();
                let submission = submissions.entry(who.clone()).or_default();
                submission.attempts += 1;
                submission.is_whole |= sent.is_whole;
                submission.form = Some(sent.form);
                senders.insert(sent.attempt, who);
            }
            Line::Told(told) => {
                let who = &senders[&told.attempt];
                let submission = submissions.get_mut(who).expect("one that was sent");
                match told.outcome {
                    Outcome::Accepted { id, number } => {
                        submission.told.entry(id).or_default().extend(number);
                    }
                    Outcome::Refused => submission.refusals += 1,
                    Outcome::Unknown(_) => {}
                    Outcome::Absurd(answer) => findings.add(Wrong::Absurd, who, answer),
                }
            }
        }
    }
    submissions
}

fn judge(who: &str, submission: &Submission, findings: &mut Findings) {
    let Submission { form, is_whole, attempts, refusals, told, tickets } = submission;
    findings.attempts += attempts;
    match (told.is_empty(), refusals == attempts) {
        (false, _) => findings.acknowledged += 1,
        (true, true) => findings.refused += 1,
        (true, false) => findings.unknown += 1,
    }
    match &tickets[..] {
        [] if told.is_empty() => {}
        [] => findings.add(Wrong::Lost, who, format!("told {told:?}")),
        [_] if told.is_empty() => {
            findings.recovered += 1;
            findings.recovered_refused += u64::from(refusals == attempts);
        }
        [_] => {}
        [..] => findings.add(Wrong::Duplicated, who, format!("{} tickets", tickets.len())),
    }
    if !is_whole && !tickets.is_empty() {
        findings.add(Wrong::Unexpected, who, "sent in part only");
    }
    for ticket in tickets {
        if Some(&ticket.form) != form.as_ref() {
            findings.add(Wrong::Corrupt, who, format!("sent {form:?}, stored {ticket:?}"));
        }
        if ticket.priority != priority_of(&ticket.form.subject) {
            findings.add(Wrong::Corrupt, who, format!("priority {}", ticket.priority));
        }
    }
    for (id, numbers) in told.iter().filter(|_| !tickets.is_empty()) {
        let ticket = tickets.iter().find(|ticket| ticket.id == *id);
        if ticket.is_none_or(|ticket| numbers.iter().any(|number| *number != ticket.number)) {
            let evidence = format!("told {id} {numbers:?}, stored {tickets:?}");
            findings.add(Wrong::Corrupt, who, evidence);
        }
    }
}

fn priority_of(subject: &str) -> &'static str {
    match subject {
        "technical" => "high",
        "billing" | "account" => "medium",
        _ => "low",
    }
}

impl Findings {
    fn add(&mut self, wrong: Wrong, who: &str, evidence: impl Into<String>) {
        let (who, evidence) = (who.to_owned(), evidence.into());
        self.violations.push(Violation { wrong, who, evidence });
    }

    /// How many things are wrong in this way.
    pub fn count(&self, wrong: Wrong) -> u64 {
        self.violations.iter().filter(|violation| violation.wrong == wrong).count() as u64
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wrong, who, evidence } = self;
        write!(f, "{wrong:?} {who}: {evidence:.2000}")
    }
}
