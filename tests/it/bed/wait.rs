//! Waiting for a condition with a deadline, the only way in which a test waits.

use std::cell::RefCell;
use std::fmt::Debug;
use std::time::Duration;

/// How long to leave the other side alone between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Tries until it succeeds and gives back what it got; fails the test, naming `what` and the
/// last error, when the deadline comes first.
pub async fn eventually<T, E: Debug>(
    deadline: Duration,
    what: &str,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let last_error = RefCell::new(None);
    let tries = async {
        loop {
            match attempt().await {
                Ok(value) => return value,
                Err(error) => *last_error.borrow_mut() = Some(error),
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let result = tokio::time::timeout(deadline, tries).await;
    let Ok(value) = result else {
        panic!("waited {deadline:?} in vain: {what}; last: {:?}", last_error.take());
    };
    value
}

/// How long something may take that is promised within a time: that long where the test has the
/// machine to itself (`ALONE=1`, which `make times` sets), and otherwise four times as long, since
/// dozens of tests with servers of their own may share two processors.
pub fn within(promised: Duration) -> Duration {
    const ROOM: u32 = 4;
    if is_alone() { promised } else { promised * ROOM }
}

/// Whether the test has the machine to itself.
pub fn is_alone() -> bool {
    std::env::var_os("ALONE").is_some()
}

/// Waits until the condition holds; fails the test, naming `what`, at the deadline.
pub async fn until(deadline: Duration, what: &str, mut condition: impl AsyncFnMut() -> bool) {
    eventually(deadline, what, async || condition().await.then_some(()).ok_or("not yet")).await;
}
