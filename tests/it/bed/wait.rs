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

/// Waits until the condition holds; fails the test, naming `what`, at the deadline.
pub async fn until(deadline: Duration, what: &str, mut condition: impl AsyncFnMut() -> bool) {
    eventually(deadline, what, async || condition().await.then_some(()).ok_or("not yet")).await;
}
