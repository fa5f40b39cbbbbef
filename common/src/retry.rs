//! How everything of ours tries again.

use std::time::Duration;

use backon::ExponentialBuilder;

/// The first try again comes after about so long.
const DELAY_MIN: Duration = Duration::from_millis(50);

/// How long what has panicked waits before it starts again: what ended it may do so at once.
pub const REVIVAL_PAUSE: Duration = Duration::from_millis(200);

/// From 50 ms to `delay_max` between tries, each drawn at random from the upper half of what it would
/// be, so that processes which lost the same server do not come back in step; without end.
#[must_use]
pub fn persistently(delay_max: Duration) -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(DELAY_MIN)
        // Jitter adds as much again.
        .with_max_delay(delay_max / 2)
        .with_jitter()
        .without_max_times()
}
