//! How fast a command goes through letters, how far it has come, and that it can be stopped.

use std::{
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use common::{letters::Pace, ports::dead_letters::TOGETHER_MAX};
use indicatif::ProgressBar;
use tokio::{
    select,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{cli::Rate, operator::told_to_stop, terminal};

/// How far apart letters are admitted, where the rate has some for it: often enough for a bar that
/// moves, and for a queue that is not filled in jerks.
const STEP: Duration = Duration::from_millis(100);

/// A command on its way.
pub struct Going {
    rate: Rate,
    /// When the next ones are due.
    next: Mutex<Instant>,
    stop: CancellationToken,
    bar: ProgressBar,
}

impl Going {
    /// Begins. Shows a bar on a terminal, with an end if it is known; the first SIGINT or SIGTERM
    /// stops it between letters, the second one ends the process.
    pub fn start(letters: Option<u64>, rate: Rate) -> io::Result<Self> {
        Ok(Self::new(letters, rate, told_to_stop()?))
    }

    fn new(letters: Option<u64>, rate: Rate, stop: CancellationToken) -> Self {
        let words = "{wide_bar} {pos} of {len} letters, {eta} to go";
        let bar = terminal::bar(letters, words, words);
        Self { rate, next: Mutex::new(Instant::now()), stop, bar }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// Whether somebody asked it to stop.
    pub fn was_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// How many are due next, and when.
    fn due(&self) -> (usize, Instant) {
        let now = Instant::now();
        let Rate::Limited { letters, per } = self.rate else { return (TOGETHER_MAX, now) };
        let letters_a_step = u128::from(letters.get()) * STEP.as_millis() / per.as_millis();
        let count = letters_a_step.clamp(1, TOGETHER_MAX as u128);
        let count = u32::try_from(count).unwrap_or(1);
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        // A step that was late is made up for. Time that went by unused beyond that is no credit: a
        // burst is what the rate is there against.
        let due = (*next).max(now.checked_sub(STEP).unwrap_or(now));
        *next = due + per * count / letters.get();
        (count as usize, due)
    }
}

#[async_trait]
impl Pace for Going {
    async fn admit(&self) -> Option<usize> {
        if self.was_stopped() {
            return None;
        }
        let (count, due) = self.due();
        select! {
            () = sleep_until(due) => Some(count),
            () = self.stop.cancelled() => None,
        }
    }

    fn handled(&self, letters: usize) {
        self.bar.inc(letters as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn going(letters: u32, per: Duration) -> Going {
        let letters = NonZeroU32::new(letters).unwrap();
        Going::new(None, Rate::Limited { letters, per }, CancellationToken::new())
    }

    /// How many are admitted until so much time has passed; the first ones at once.
    async fn admitted_in(going: &Going, time: Duration) -> usize {
        let until = Instant::now() + time;
        let mut admitted = 0;
        loop {
            let count = going.admit().await.unwrap();
            if Instant::now() >= until {
                return admitted;
            }
            admitted += count;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_letters_go_than_the_rate_says_and_no_fewer() {
        for (letters, per, expected) in [
            (50, Duration::from_secs(1), 500),
            (3, Duration::from_secs(1), 30),
            (6_400, Duration::from_secs(1), 64_000),
            (6, Duration::from_mins(1), 1),
            (30, Duration::from_mins(1), 5),
        ] {
            let admitted = admitted_in(&going(letters, per), Duration::from_secs(10)).await;
            assert_eq!(admitted, expected, "{letters} in {per:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_went_by_is_no_credit() {
        let going = going(50, Duration::from_secs(1));
        tokio::time::advance(Duration::from_mins(10)).await;
        // Those of one step are.
        assert_eq!(admitted_in(&going, Duration::from_secs(1)).await, 55);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_the_waiting_and_admits_nothing_more() {
        let going = going(1, Duration::from_hours(1));
        assert_eq!(going.admit().await, Some(1));
        let begun = Instant::now();
        let stop = going.stop.clone();
        let (admitted, ()) = tokio::join!(going.admit(), async { stop.cancel() });
        assert_eq!((admitted, going.admit().await), (None, None));
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert!(going.was_stopped());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_nothing_waits() {
        let going = Going::new(Some(7), Rate::Off, CancellationToken::new());
        assert_eq!(going.admit().await, Some(TOGETHER_MAX));
        assert!(going.bar.is_hidden(), "where nobody looks");
    }
}
