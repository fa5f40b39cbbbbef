//! What nobody has touched for longer than an installation keeps it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use common::clock::{Clock, SteadyClock, SystemClock};
use common::ports::cases::Reference;

use crate::bed::wait::until;
use crate::conformance::installation::{Installation, ticket};
use crate::conformance::on_both_backends;

on_both_backends! {
    a_worker_erases_what_is_kept_for_too_long,
}

const KEPT: Duration = Duration::from_hours(730 * 24);

async fn a_worker_erases_what_is_kept_for_too_long(it: Installation) {
    let now = SystemClock.now();
    let mut batch = [ticket(1), ticket(2)];
    // In the time of the worker, one a minute too old and one a minute short of it.
    let far = now + KEPT;
    batch[0].submission.submitted_at = now - TimeDelta::minutes(1);
    batch[1].submission.submitted_at = now + TimeDelta::minutes(1);
    it.backend.worker().await.tickets.insert(&batch).await.unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SteadyClock::showing(far));
    let _keeps_all = it.run_worker(Arc::clone(&clock)).await;
    let _first = it.run_keeping(Arc::clone(&clock), KEPT).await;
    let _second = it.run_keeping(clock, KEPT).await;
    let cases = it.backend.edge().await.cases;
    let file = async |number: usize| {
        let which = Reference::Id(batch[number].submission.id);
        cases.file(&which).await.unwrap().unwrap()
    };
    until(Duration::from_secs(20), "the old one is erased", async || {
        file(0).await.case.ticket.is_erased()
    })
    .await;
    let old = file(0).await;
    let last = old.trail.last().unwrap();
    assert_eq!((last.kind.as_str(), last.actor.as_str()), ("ticket.erased", "retention"));
    assert!(is_about(last.at, far) && old.trail.len() == 2, "{old:?}");
    let young = file(1).await;
    assert_eq!(young.case.ticket.form, batch[1].submission.form);
}

fn is_about(time: DateTime<Utc>, expected: DateTime<Utc>) -> bool {
    (time - expected).abs() < TimeDelta::minutes(1)
}
