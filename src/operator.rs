//! Who runs a command, and how they tell it to stop.

use std::{fs, io, os::unix::fs::MetadataExt, process};

use common::{
    clock::Clock,
    domain::{ActionKind, Actor, OperatorAction, Origin},
};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What a process ends with that was told twice to stop: what a shell says of SIGINT.
const TOLD_TWICE: i32 = 130;

/// Who runs this process, as the machine knows them; in a container that may be a number alone.
pub fn operator() -> Actor {
    let number =
        || fs::metadata("/proc/self").map_or_else(|_| "unknown".into(), |it| it.uid().to_string());
    Actor::User(whoami::username().unwrap_or_else(|_| number()))
}

/// What they are about to do, for the record.
pub fn action(
    clock: &dyn Clock,
    action: ActionKind,
    subject: &str,
    details: Value,
) -> OperatorAction {
    let (actor, origin) = (operator(), Origin::default());
    OperatorAction {
        acted_at: clock.now(),
        actor,
        origin,
        action,
        subject: subject.to_owned(),
        details,
    }
}

/// Cancelled by the first SIGINT or SIGTERM; the second one ends the process.
pub fn told_to_stop() -> io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let (mut signals, stop) = (signal(kind)?, stop.clone());
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if stop.is_cancelled() {
                    process::exit(TOLD_TWICE);
                }
                stop.cancel();
            }
        });
    }
    Ok(stop)
}
