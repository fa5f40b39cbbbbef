//! Time and randomness as parameters, so that a test can stand at midnight on 31 December.

use std::time::Instant;

use chrono::{DateTime, SubsecRound, Utc};

/// Tells the wall-clock time.
pub trait Clock: Send + Sync {
    /// Now, in UTC, cut to whole milliseconds: what is shown, queued and stored is then the same
    /// instant everywhere.
    fn now(&self) -> DateTime<Utc>;
}

/// The machine's clock: the one place that reads it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock the ban points to")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(3)
    }
}

/// Goes on from when it was made at the pace of the machine's monotonic clock, so it never jumps,
/// whatever is done to the other one. For what has to last as long as it should; not for what is
/// shown, since the two may come to differ.
#[derive(Debug, Clone, Copy)]
pub struct SteadyClock {
    made_at: DateTime<Utc>,
    made: Instant,
}

impl SteadyClock {
    /// Shows `now` now.
    #[must_use]
    pub fn showing(now: DateTime<Utc>) -> Self {
        Self { made_at: now, made: Instant::now() }
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> DateTime<Utc> {
        (self.made_at + self.made.elapsed()).trunc_subsecs(3)
    }
}

/// Fills bytes with randomness fit for secrets.
pub trait Entropy: Send + Sync {
    /// Overwrites every byte of `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        // A system without a working generator cannot issue secrets, and nothing is left to do.
        #[expect(clippy::expect_used, reason = "the only alternative is a guessable secret")]
        getrandom::fill(bytes).expect("the operating system's random generator answers");
    }
}
