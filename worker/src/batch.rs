//! From deliveries to submissions, and from what became of those back to settlements.

use chrono::{DateTime, Utc};
use common::{
    domain::{DeadLetterCode, NewTicket, PersonKey, Priority, Submission, TicketNumber},
    envelope::{self, Unreadable, UnreadableItem},
    ports::{
        queue::{DeadLetter, DeadLetterReason, Delivery, Outcome, Receipt, Settlement},
        store::Inserted,
    },
    trace::Trace,
};

use crate::numbers::year_of;

/// What became of one submission.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is stored.
    Stored {
        number: TicketNumber,
        /// When the submission that is stored was accepted.
        submitted_at: DateTime<Utc>,
    },
    /// It cannot be.
    Dead(DeadLetterReason),
}

/// Something that goes to the dead letters.
pub(crate) struct Burial {
    pub(crate) reason: DeadLetterReason,
    /// Of the request that it came with, if it can be read.
    pub(crate) trace: Option<Trace>,
}

/// Deliveries that are stored together.
#[derive(Debug)]
pub(crate) struct Batch {
    deliveries: Vec<Plan>,
    submissions: Vec<Submission>,
}

/// A delivery whose submissions are the next `submissions` of the batch.
#[derive(Debug)]
struct Plan {
    tag: u64,
    submissions: usize,
    dead_letters: Vec<DeadLetter>,
    unreadable: Option<DeadLetterReason>,
}

impl Batch {
    pub(crate) fn of(deliveries: Vec<Delivery>) -> Self {
        let mut batch = Self { deliveries: Vec::new(), submissions: Vec::new() };
        for delivery in deliveries {
            batch.add(delivery);
        }
        batch
    }

    fn add(&mut self, Delivery { tag, content, .. }: Delivery) {
        let mut plan = Plan { tag, submissions: 0, dead_letters: Vec::new(), unreadable: None };
        match content {
            Err(unreadable) => plan.unreadable = Some(why(&unreadable)),
            Ok(items) => items.into_iter().for_each(|item| match item {
                Ok(submission) => {
                    self.submissions.push(submission);
                    plan.submissions += 1;
                }
                Err(item) => plan.dead_letters.push(invalid(item)),
            }),
        }
        self.deliveries.push(plan);
    }

    pub(crate) fn submissions(&self) -> &[Submission] {
        &self.submissions
    }

    /// What of it goes to the dead letters, given a verdict for each submission in order.
    pub(crate) fn burials(&self, verdicts: &[Verdict]) -> Vec<Burial> {
        let unread = self.deliveries.iter().flat_map(|plan| {
            plan.unreadable.iter().chain(plan.dead_letters.iter().map(|letter| &letter.reason))
        });
        let unread = unread.map(|reason| Burial { reason: reason.clone(), trace: None });
        let decided = self.submissions.iter().zip(verdicts);
        let dead = decided.filter_map(|(submission, verdict)| match verdict {
            Verdict::Stored { .. } => None,
            Verdict::Dead(reason) => {
                Some(Burial { reason: reason.clone(), trace: Some(submission.trace.clone()) })
            }
        });
        unread.chain(dead).collect()
    }

    /// The settlements, given a verdict for each submission in order.
    pub(crate) fn settle(self, verdicts: Vec<Verdict>) -> Vec<Settlement> {
        let mut decided = self.submissions.into_iter().zip(verdicts);
        self.deliveries
            .into_iter()
            .map(|plan| {
                let tag = plan.tag;
                let own = decided.by_ref().take(plan.submissions);
                Settlement { tag, outcome: outcome(plan.unreadable, plan.dead_letters, own) }
            })
            .collect()
    }
}

fn outcome(
    unreadable: Option<DeadLetterReason>,
    mut dead_letters: Vec<DeadLetter>,
    decided: impl Iterator<Item = (Submission, Verdict)>,
) -> Outcome {
    if let Some(reason) = unreadable {
        return Outcome::Dead(reason);
    }
    let mut receipts = Vec::new();
    for (submission, verdict) in decided {
        match verdict {
            Verdict::Stored { number, submitted_at } => {
                receipts.push(Receipt { id: submission.id, number, submitted_at });
            }
            Verdict::Dead(reason) => {
                let body = envelope::encode(&[submission]);
                dead_letters.push(DeadLetter { body, reason });
            }
        }
    }
    Outcome::Done { receipts, dead_letters }
}

fn invalid(UnreadableItem { body, reason }: UnreadableItem) -> DeadLetter {
    DeadLetter { body, reason: DeadLetterReason { code: DeadLetterCode::Invalid, detail: reason } }
}

fn why(unreadable: &Unreadable) -> DeadLetterReason {
    let code = match unreadable {
        Unreadable::UnknownVersion(_) => DeadLetterCode::UnknownVersion,
        Unreadable::Malformed(_) | Unreadable::TooLarge(_) => DeadLetterCode::Unreadable,
    };
    DeadLetterReason { code, detail: unreadable.to_string() }
}

/// The years whose counters the numbers come from.
pub(crate) fn years(submissions: &[Submission]) -> Vec<u16> {
    submissions.iter().map(|submission| year_of(submission.submitted_at)).collect()
}

/// Tickets, given a number for each submission in order.
pub(crate) fn tickets(
    submissions: &[Submission],
    numbers: Vec<TicketNumber>,
    people: &PersonKey,
) -> Vec<NewTicket> {
    submissions
        .iter()
        .zip(numbers)
        .map(|(submission, number)| NewTicket {
            submission: submission.clone(),
            number,
            priority: Priority::from(submission.form.subject),
            person: people.hash_of(&submission.form.email),
        })
        .collect()
}

/// What the store's answer means for a ticket.
pub(crate) fn verdict(ticket: &NewTicket, inserted: Inserted) -> Verdict {
    match inserted {
        Inserted::New => Verdict::Stored {
            number: ticket.number.clone(),
            submitted_at: ticket.submission.submitted_at,
        },
        Inserted::Existing { number, submitted_at } => Verdict::Stored { number, submitted_at },
        Inserted::Conflict => Verdict::Dead(DeadLetterReason {
            code: DeadLetterCode::Conflict,
            detail: "another form is stored under this id, or under this key".to_owned(),
        }),
    }
}
