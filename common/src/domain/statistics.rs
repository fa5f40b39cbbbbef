//! The counts.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};

use super::{Priority, Status, Subject};

/// The most days anybody can ask for at once: a leap year.
pub const DAYS_MAX: u16 = 366;

/// How many tickets there are, of which kinds, as of one moment. Kinds without a ticket are absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Tickets by status; each ticket has one, so their sum is the total.
    pub by_status: BTreeMap<Status, u64>,
    /// Tickets by priority.
    pub by_priority: BTreeMap<Priority, u64>,
    /// Tickets by subject.
    pub by_subject: BTreeMap<Subject, u64>,
    /// What happened on which UTC day, oldest first, days without anything left out.
    pub daily: BTreeMap<NaiveDate, Day>,
    /// When the counts were read.
    pub generated_at: DateTime<Utc>,
}

/// One UTC day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Day {
    /// Tickets submitted that day.
    pub created: u64,
    /// Tickets resolved that day.
    pub resolved: u64,
}

impl Statistics {
    /// All tickets.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_status.values().sum()
    }
}
