//! The days that are asked for and as many before them, summed up.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, Utc};
use common::domain::{BACKLOG_DAYS, Day, DayTally, Done, Times, days_before};

use super::zone::Zone;
use crate::history::Told;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// How many days, today included.
    pub days: u16,
    /// Whose days.
    pub zone: Zone,
}

/// When these days begin, those asked for and the period before. Times that something took are counted
/// by days of UTC, whatever the zone.
pub struct Calendar {
    zone: Zone,
    /// The first day asked for.
    first: NaiveDate,
    /// Of each day asked for, and of tomorrow.
    starts: Vec<DateTime<Utc>>,
    previous_start: DateTime<Utc>,
    utc_first: NaiveDate,
    utc_previous_first: NaiveDate,
}

impl Calendar {
    pub fn new(Asked { days, zone }: Asked, now: DateTime<Utc>) -> Self {
        let (today, utc_today) = (zone.today(now), now.date_naive());
        let first = days_before(today, days - 1);
        let starts = first.iter_days().take(usize::from(days) + 1).map(|day| zone.start_of(day));
        Self {
            zone,
            first,
            starts: starts.collect(),
            previous_start: zone.start_of(days_before(first, days)),
            utc_first: days_before(utc_today, days - 1),
            utc_previous_first: days_before(utc_today, 2 * days - 1),
        }
    }

    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// The first day of UTC that has to be known.
    pub fn since(&self) -> NaiveDate {
        self.previous_start.date_naive().min(self.utc_previous_first)
    }

    /// Sums up what was told.
    pub fn sum(&self, told: &Told) -> Sums {
        let mut sums =
            Sums { days: vec![Day::default(); self.starts.len() - 1], ..Sums::default() };
        self.by_day(told, |tally| &tally.created, |day, count| day.created += count, &mut sums);
        self.by_day(told, |tally| &tally.resolved, |day, count| day.resolved += count, &mut sums);
        for day in &sums.days {
            sums.current.counts.created += day.created;
            sums.current.counts.resolved += day.resolved;
        }
        for (date, tally) in told.iter().filter(|(date, _)| *date >= self.utc_previous_first) {
            let is_current = *date >= self.utc_first;
            let half = if is_current { &mut sums.current } else { &mut sums.previous };
            half.response.add(&tally.response);
            half.resolution.add(&tally.resolution);
            for (name, done) in tally.members.iter().filter(|_| is_current) {
                let all = sums.members.entry(name.clone()).or_default();
                all.resolved += done.resolved;
                all.milliseconds += done.milliseconds;
            }
        }
        sums
    }

    /// Quarters of an hour and days are both in order, so that one step through the days goes with one
    /// through the quarters.
    fn by_day(
        &self,
        told: &Told,
        quarters: fn(&DayTally) -> &BTreeMap<DateTime<Utc>, u64>,
        add: fn(&mut Day, u64),
        sums: &mut Sums,
    ) {
        let mut begun = 0;
        for (at, count) in told.iter().flat_map(|(_, tally)| quarters(tally)) {
            while self.starts.get(begun).is_some_and(|start| start <= at) {
                begun += 1;
            }
            let day = match begun.checked_sub(1) {
                Some(place) => sums.days.get_mut(place),
                None => (*at >= self.previous_start).then_some(&mut sums.previous.counts),
            };
            if let Some(day) = day {
                add(day, *count);
            }
        }
    }

    /// The days asked for, with what is counted of each.
    pub fn dated(&self, days: &[Day]) -> Vec<(NaiveDate, Day)> {
        self.first.iter_days().zip(days.iter().copied()).collect()
    }
}

/// What is summed up.
#[derive(Debug, Default)]
pub struct Sums {
    /// Of each day asked for.
    pub days: Vec<Day>,
    /// Of all of them.
    pub current: Half,
    /// Of as many days before.
    pub previous: Half,
    /// Of all of them, by member of staff.
    pub members: BTreeMap<String, Done>,
}

/// One of two periods.
#[derive(Debug, Default)]
pub struct Half {
    pub counts: Day,
    pub response: Times,
    pub resolution: Times,
}

/// How many unresolved tickets are how many days old, by the day of UTC on which they came: the first
/// days of each range, and how many. The last range has no end.
pub fn backlog(
    today: NaiveDate,
    unresolved: u64,
    unresolved_on: impl Fn(NaiveDate) -> u64,
) -> Vec<(u16, u64)> {
    let mut all: Vec<_> = AGES
        .windows(2)
        .map(|range| {
            let ages = range[0]..range[1];
            (range[0], ages.map(|age| unresolved_on(days_before(today, age))).sum::<u64>())
        })
        .collect();
    // Of clocks that are ahead.
    let tomorrow = today + Days::new(1);
    all[0].1 += unresolved_on(tomorrow);
    let younger: u64 = all.iter().map(|(_, count)| count).sum();
    all.push((AGES[AGES.len() - 1], unresolved.saturating_sub(younger)));
    all
}

/// Where ranges of age begin, in days.
pub const AGES: [u16; 5] = [0, 1, 3, 7, BACKLOG_DAYS];
