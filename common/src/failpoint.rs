//! Named points at which a test makes this process panic, abort or stand still.
//!
//! Only builds with debug assertions have them; what is installed has not a trace. (The crate `fail`
//! has no abort, and its sleep holds up the thread with all that runs on it.)
//!
//! ```text
//! FAILPOINTS="worker.after_commit=panic@2;worker.after_commit=abort@5"   # at which passage
//! ```

use std::{
    process,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use crate::config::ConfigError;

/// The variable that arms them.
pub const VARIABLE: &str = "FAILPOINTS";

/// How long one sleeps: longer than any wait for an answer, and than a relay's lease.
pub const SLEEP: Duration = Duration::from_secs(4);

/// Every point, in the order of a submission's way.
pub const POINTS: [&str; 17] = [
    "edge.body_read",
    "edge.before_publish",
    "publisher.after_publish",
    "spool.before_append",
    "spool.after_append",
    "spool.before_publish",
    "spool.after_publish",
    "edge.before_answer",
    "worker.after_receive",
    "worker.before_commit",
    "worker.after_commit",
    "worker.after_receipts",
    "worker.after_settle",
    "relay.before_publish",
    "relay.after_publish",
    "relay.before_advance",
    "letters.before_acknowledge",
];

static ARMED: OnceLock<Vec<Armed>> = OnceLock::new();

struct Armed {
    point: &'static str,
    action: Action,
    /// At which passage it acts, from 1.
    at: u32,
    passages: AtomicU32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Panic,
    Abort,
    Sleep,
}

/// Arms what `plan` says, for the rest of this process's life.
pub fn arm(plan: &str) -> Result<(), ConfigError> {
    let entries = plan.split(';').map(str::trim).filter(|entry| !entry.is_empty());
    let armed = entries.map(|entry| Armed::parse(entry).ok_or_else(|| refused(entry)));
    let armed = armed.collect::<Result<_, _>>()?;
    // The first plan stays: a process is armed once, at its start.
    ARMED.get_or_init(|| armed);
    Ok(())
}

fn refused(entry: &str) -> ConfigError {
    ConfigError::Refused {
        place: VARIABLE.to_owned(),
        value: format!("{entry:?}"),
        accepted: format!(
            "POINT=ACTION@PASSAGE with semicolons between, where ACTION is panic, abort or sleep, and \
             POINT one of {}",
            POINTS.join(", ")
        ),
    }
}

impl Armed {
    fn parse(entry: &str) -> Option<Self> {
        let (point, rest) = entry.split_once('=')?;
        let (action, at) = rest.split_once('@')?;
        let point = POINTS.into_iter().find(|known| *known == point)?;
        let action = match action {
            "panic" => Action::Panic,
            "abort" => Action::Abort,
            "sleep" => Action::Sleep,
            _ => return None,
        };
        let at = at.parse().ok().filter(|at| *at > 0)?;
        Some(Self { point, action, at, passages: AtomicU32::new(0) })
    }

    /// Counts a passage, and says whether it is the one.
    fn is_due(&self) -> bool {
        self.passages.fetch_add(1, Ordering::Relaxed) + 1 == self.at
    }

    async fn act(&self) {
        let Self { point, action, at, .. } = self;
        tracing::warn!(point, ?action, passage = at, "a failpoint acts");
        match action {
            Action::Panic => panic!("the failpoint {point}"),
            Action::Abort => process::abort(),
            Action::Sleep => {
                let _sleeper = Sleeper { point };
                tokio::time::sleep(SLEEP).await;
            }
        }
    }
}

/// Says that the sleep is over, also when its sleeper was given up.
struct Sleeper {
    point: &'static str,
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        tracing::warn!(point = self.point, action = ?Action::Sleep, "a failpoint is over");
    }
}

/// Comes past a point. Called by [`failpoint!`](crate::failpoint!).
pub async fn pass(point: &str) {
    let armed = ARMED.get().into_iter().flatten();
    // All of them count the passage before one of them ends it.
    let due: Vec<_> = armed.filter(|it| it.point == point && it.is_due()).collect();
    for armed in due {
        armed.act().await;
    }
}

/// Whether there is such a point; asked while compiling.
#[must_use]
pub const fn is_known(point: &str) -> bool {
    let mut index = 0;
    while index < POINTS.len() {
        if is_same(POINTS[index].as_bytes(), point.as_bytes()) {
            return true;
        }
        index += 1;
    }
    false
}

const fn is_same(mut one: &[u8], mut other: &[u8]) -> bool {
    while let ([first, rest @ ..], [second, others @ ..]) = (one, other) {
        if *first != *second {
            return false;
        }
        (one, other) = (rest, others);
    }
    one.is_empty() && other.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_names_points_actions_and_passages_that_there_are() {
        let armed = Armed::parse("worker.after_commit=abort@3").unwrap();
        assert_eq!((armed.point, armed.action), ("worker.after_commit", Action::Abort));
        let due: Vec<_> = (0..5).map(|_| armed.is_due()).collect();
        assert_eq!(due, [false, false, true, false, false]);
        for entry in [
            "worker.after_comit=abort@3",
            "worker.after_commit=abort",
            "worker.after_commit=kill@3",
            "worker.after_commit@3",
            "worker.after_commit=abort@0",
            "worker.after_commit=abort@x",
            "worker.after_commit",
        ] {
            assert!(Armed::parse(entry).is_none(), "{entry}");
        }
        let told = refused("x=y").to_string();
        assert!(
            told.starts_with("FAILPOINTS is \"x=y\"; accepted: POINT=ACTION@PASSAGE"),
            "{told}"
        );
        assert!(told.contains("relay.before_advance"), "{told}");
    }

    #[test]
    fn a_name_is_known_or_does_not_compile() {
        assert!(POINTS.iter().all(|point| is_known(point)));
        assert!(!is_known("worker.after_commi") && !is_known("worker.after_commits"));
        assert!(!is_known(""));
    }

    #[tokio::test]
    async fn what_is_not_armed_does_nothing() {
        arm(" ; ").unwrap();
        pass("worker.after_commit").await;
    }
}
