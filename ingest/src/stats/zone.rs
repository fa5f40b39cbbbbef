//! Days of the time zones of the earth.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use common::domain::QUARTER;

/// The longest that any zone has put its clocks forward, at the date line, is a day.
const QUARTERS_SKIPPED_MAX: i32 = 96;

/// A time zone of the IANA's, as of the release of its data that this program was built with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone(Tz);

impl Zone {
    pub const UTC: Self = Self(Tz::UTC);

    /// By its name, such as `Asia/Kathmandu`.
    pub fn parse(name: &str) -> Option<Self> {
        name.parse().ok().map(Self)
    }

    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// The day that it is there.
    pub fn today(self, now: DateTime<Utc>) -> NaiveDate {
        now.with_timezone(&self.0).date_naive()
    }

    /// When a day begins there: at midnight, at the first of two midnights, or where clocks are put
    /// forward over midnight, then.
    pub fn start_of(self, day: NaiveDate) -> DateTime<Utc> {
        let midnight = day.and_time(NaiveTime::MIN);
        let existing =
            |quarters| self.0.from_local_datetime(&(midnight + QUARTER * quarters)).earliest();
        let first = (0..=QUARTERS_SKIPPED_MAX).find_map(existing);
        first.map_or_else(|| midnight.and_utc(), |first| first.to_utc())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> Zone {
        Zone::parse(name).unwrap()
    }

    #[test]
    fn days_begin_when_their_zone_says_so() {
        for (name, day, expected) in [
            ("UTC", "2026-11-22", "2026-11-22T00:00:00Z"),
            ("Asia/Kolkata", "2026-11-22", "2026-11-21T18:30:00Z"),
            ("Asia/Kathmandu", "2026-11-22", "2026-11-21T18:15:00Z"),
            ("America/New_York", "2026-11-01", "2026-11-01T04:00:00Z"),
            ("America/New_York", "2026-11-02", "2026-11-02T05:00:00Z"),
            ("Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00:00Z"),
            ("Australia/Lord_Howe", "2026-04-06", "2026-04-05T13:30:00Z"),
            // No midnight: clocks go from 23:59 to 01:00.
            ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00:00Z"),
            // Two of them: clocks go back from 00:59 to 00:00.
            ("America/Havana", "2026-11-01", "2026-11-01T04:00:00Z"),
            // A day that was left out, at the date line.
            ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z"),
            ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z"),
        ] {
            let expected: DateTime<Utc> = expected.parse().unwrap();
            assert_eq!(zone(name).start_of(day.parse().unwrap()), expected, "{name} {day}");
        }
    }

    #[test]
    fn days_are_as_long_as_they_are() {
        for (name, day, minutes) in [
            ("America/New_York", "2026-03-08", 23 * 60),
            ("America/New_York", "2026-11-01", 25 * 60),
            ("Australia/Lord_Howe", "2026-04-05", 24 * 60 + 30),
            ("Australia/Lord_Howe", "2026-10-04", 23 * 60 + 30),
            ("Asia/Kolkata", "2026-11-01", 24 * 60),
        ] {
            let day: NaiveDate = day.parse().unwrap();
            let length = zone(name).start_of(day.succ_opt().unwrap()) - zone(name).start_of(day);
            assert_eq!(length.num_minutes(), minutes, "{name} {day}");
        }
    }

    #[test]
    fn every_day_of_every_zone_begins_with_a_quarter_of_an_hour() {
        let first = NaiveDate::from_ymd_opt(2024, 1, 1).unwrap();
        for tz in chrono_tz::TZ_VARIANTS {
            let zone = Zone(tz);
            for day in first.iter_days().take(3 * 366) {
                let start = zone.start_of(day);
                assert_eq!(start.timestamp() % (15 * 60), 0, "{tz} {day}");
                assert_eq!(zone.today(start), day, "{tz}");
            }
        }
    }

    #[test]
    fn what_is_no_zone_is_none() {
        for name in ["", "Europe", "Europe/Atlantis", "+01:00", "europe/berlin", " UTC"] {
            assert_eq!(Zone::parse(name), None, "{name}");
        }
        assert_eq!(zone("Etc/GMT+5").name(), "Etc/GMT+5");
    }
}
