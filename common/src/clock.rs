//! Time and randomness as parameters, so that a test can stand at midnight on 31 December.

use std::{cell::RefCell, time::Instant};

use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};

/// Tells the wall-clock time.
pub trait Clock: Send + Sync {
    /// Now, in UTC, cut to whole milliseconds: what is shown, queued and stored is then the same
    /// instant everywhere.
    fn now(&self) -> DateTime<Utc>;
}

/// How far the clocks of an installation's machines may be apart.
pub const SKEW_MAX: TimeDelta = TimeDelta::days(1);

/// A time as all of ours is written: `2026-11-22T10:30:00.000Z`, which sorts as it reads.
#[must_use]
pub fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
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

/// The operating system's generator, asked for a page at a time: a request needs some bytes three times.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

/// Bytes drawn at a time.
const DRAWN: usize = 1_024;

/// Random bytes that a thread has drawn, of which those from the place on were given to nobody.
struct Drawn {
    bytes: [u8; DRAWN],
    next: usize,
}

thread_local! {
    static DRAWN_HERE: RefCell<Drawn> = const { RefCell::new(Drawn { bytes: [0; DRAWN], next: DRAWN }) };
}

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        if bytes.len() > DRAWN {
            return draw(bytes);
        }
        DRAWN_HERE.with_borrow_mut(|drawn| {
            if DRAWN - drawn.next < bytes.len() {
                draw(&mut drawn.bytes);
                drawn.next = 0;
            }
            let given = &mut drawn.bytes[drawn.next..][..bytes.len()];
            bytes.copy_from_slice(given);
            // What became a secret is not kept here as well.
            given.fill(0);
            drawn.next += bytes.len();
        });
    }
}

fn draw(bytes: &mut [u8]) {
    // A system without a working generator cannot issue secrets, and nothing is left to do.
    #[expect(clippy::expect_used, reason = "the only alternative is a guessable secret")]
    getrandom::fill(bytes).expect("the operating system's random generator answers");
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread};

    use super::*;

    #[test]
    fn no_bytes_are_given_twice_however_many_and_wherever() {
        let draw = || {
            let lengths = [16, 40, 8, 1_000, 1_024, 16, 2_000, 16, 16].into_iter().cycle();
            let drawn = lengths.take(500).flat_map(|length| {
                let mut bytes = vec![0; length];
                SystemEntropy.fill(&mut bytes);
                bytes.chunks_exact(8).map(<[u8]>::to_vec).collect::<Vec<_>>()
            });
            drawn.collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..4).map(|_| thread::spawn(draw)).collect();
        let all: Vec<_> = threads.into_iter().flat_map(|it| it.join().unwrap()).collect();
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    }
}
