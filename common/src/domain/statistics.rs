//! The counts.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, Utc};
use thiserror::Error;

use super::{Case, Priority, Status, Subject, Tallies};

/// The most days anybody can ask for at once: a leap year.
pub const DAYS_MAX: u16 = 366;

/// UTC days that can be told of, today included: twice the most that can be asked for, since each
/// period is held against the one before, and one more at either end for the zones of the earth.
pub const DAYS_TOLD: u16 = 2 * DAYS_MAX + 2;

/// UTC days, today included, whose tallies every read has; those before seldom change.
pub const DAYS_RECENT: u16 = 3;

/// Days of age, from the day of submission, up to which the backlog is told one by one.
pub const BACKLOG_DAYS: u16 = 30;

/// How many tickets there are, of which kinds, as of one moment. Kinds without a ticket are absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Tickets by status; each ticket has one, so their sum is the total.
    pub by_status: BTreeMap<Status, u64>,
    /// Tickets by priority.
    pub by_priority: BTreeMap<Priority, u64>,
    /// Tickets by subject.
    pub by_subject: BTreeMap<Subject, u64>,
    /// What happened on which UTC day; days on which nothing did are left out.
    pub daily: BTreeMap<NaiveDate, Day>,
    /// What is tallied of them beside.
    pub tallies: Tallies,
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

/// No count of ours is called that, or it is below zero. Its value may be somebody's name, and is not
/// told.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("a count of {dimension} is none of ours")]
pub struct UnknownCount {
    dimension: String,
}

impl Statistics {
    /// No tickets at all, as of `now`.
    #[must_use]
    pub fn as_of(now: DateTime<Utc>) -> Self {
        Self { generated_at: now, ..Self::default() }
    }

    /// Sets one count by the names it is stored under: the dimension `status`, `priority`,
    /// `subject`, `created_on` or `resolved_on`, and its value, a day being `YYYY-MM-DD`; or one of
    /// [`Tallies::set`].
    pub fn set(&mut self, dimension: &str, value: &str, count: i64) -> Result<(), UnknownCount> {
        let unknown = || UnknownCount { dimension: dimension.to_owned() };
        let count = u64::try_from(count).map_err(|_| unknown())?;
        let day = || value.parse::<NaiveDate>().map_err(|_| unknown());
        match dimension {
            "status" => {
                self.by_status.insert(value.parse().map_err(|_| unknown())?, count);
            }
            "priority" => {
                self.by_priority.insert(value.parse().map_err(|_| unknown())?, count);
            }
            "subject" => {
                self.by_subject.insert(value.parse().map_err(|_| unknown())?, count);
            }
            "created_on" => self.daily.entry(day()?).or_default().created = count,
            "resolved_on" => self.daily.entry(day()?).or_default().resolved = count,
            _ => self.tallies.set(dimension, value, count).ok_or_else(unknown)?,
        }
        Ok(())
    }

    /// Every count by the names it is stored under, as [`Statistics::set`] takes them, without the
    /// tallies.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, String, u64)> {
        let statuses = self.by_status.iter().map(|(it, count)| ("status", it.to_string(), *count));
        let priorities =
            self.by_priority.iter().map(|(it, count)| ("priority", it.to_string(), *count));
        let subjects =
            self.by_subject.iter().map(|(it, count)| ("subject", it.to_string(), *count));
        let days = self.daily.iter().flat_map(|(date, day)| {
            [
                ("created_on", date.to_string(), day.created),
                ("resolved_on", date.to_string(), day.resolved),
            ]
        });
        statuses.chain(priorities).chain(subjects).chain(days)
    }

    /// The first of the days whose tallies are here.
    #[must_use]
    pub fn recent_from(&self) -> NaiveDate {
        days_before(self.generated_at.date_naive(), DAYS_RECENT - 1)
    }

    /// All tickets.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_status.values().sum()
    }
}

/// The day so many days earlier.
#[must_use]
pub fn days_before(day: NaiveDate, days: u16) -> NaiveDate {
    day.checked_sub_days(Days::new(days.into())).unwrap_or(day)
}

/// What a change of a ticket changes in the counts: dimension, value, and how many more or less.
#[must_use]
pub fn recounted(before: &Case, after: &Case) -> Vec<(&'static str, String, i64)> {
    let counted = |Case { ticket, .. }: &Case| -> Vec<Amount> {
        let resolved_on = |at: DateTime<Utc>| ("resolved_on", at.date_naive().to_string(), 1);
        let resolved_on = ticket.resolved_at.map(resolved_on);
        resolved_on.into_iter().chain([("status", ticket.status.to_string(), 1)]).collect()
    };
    let changes = difference(&counted(before), &counted(after));
    changes.into_iter().map(|((dimension, value), change)| (dimension, value, change)).collect()
}

/// So much of something: its dimension, its value, and how much.
pub(super) type Amount = (&'static str, String, i64);

/// What is more and what is less afterwards, by dimension and value.
pub(super) fn difference(
    before: &[Amount],
    after: &[Amount],
) -> BTreeMap<(&'static str, String), i64> {
    let mut changes = BTreeMap::new();
    for (amounts, sign) in [(before, -1), (after, 1)] {
        for (dimension, value, amount) in amounts {
            *changes.entry((*dimension, value.clone())).or_default() += sign * amount;
        }
    }
    changes.retain(|_, change| *change != 0);
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_where_their_names_say_and_the_total_is_the_sum_over_status() {
        let mut statistics = Statistics::as_of(DateTime::UNIX_EPOCH);
        for (dimension, value, count) in [
            ("status", "open", 2),
            ("status", "closed", 1),
            ("priority", "high", 3),
            ("subject", "technical", 3),
            ("created_on", "2026-11-22", 3),
            ("resolved_on", "2026-11-22", 1),
        ] {
            statistics.set(dimension, value, count).unwrap();
        }
        assert_eq!(statistics.total(), 3);
        assert_eq!(statistics.by_priority[&Priority::High], 3);
        assert_eq!(statistics.by_subject[&Subject::Technical], 3);
        let day = "2026-11-22".parse().unwrap();
        assert_eq!(statistics.daily[&day], Day { created: 3, resolved: 1 });

        let mut copy = Statistics::as_of(DateTime::UNIX_EPOCH);
        for (dimension, value, count) in statistics.counts() {
            copy.set(dimension, &value, i64::try_from(count).unwrap()).unwrap();
        }
        assert_eq!(copy, statistics);
    }

    #[test]
    fn a_foreign_or_negative_count_is_refused() {
        let mut statistics = Statistics::as_of(DateTime::UNIX_EPOCH);
        for (dimension, value, count) in [
            ("mood", "good", 1),
            ("status", "lost", 1),
            ("status", "open", -1),
            ("created_on", "today", 1),
        ] {
            assert!(
                statistics.set(dimension, value, count).is_err(),
                "{dimension} {value} {count}"
            );
        }
    }
}
