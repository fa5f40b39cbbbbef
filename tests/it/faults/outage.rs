//! Postgres goes away while forms go on coming, and comes back to a backlog. `make outage` runs the
//! same test for ten minutes at 200 forms a second.

use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};
use tokio::time::{sleep, timeout};

use super::open_loop::{OpenLoop, are_tickets, percentile};
use super::{ANSWER_MAX, RECOVERY};
use crate::bed::server::Server;
use crate::bed::servers::Servers;
use crate::bed::system::TestSystem;
use crate::bed::wait::{eventually, within};
use crate::flow::figure;

/// Some load before, between and after.
const SOME_LOAD: Duration = Duration::from_secs(2);

/// A drain may take as long as the outage before it is called none.
const DRAIN_MIN: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn while_postgres_is_away_everything_is_accepted_and_the_backlog_is_worked_off_twice_as_fast()
{
    let (seconds, rate) = (figure("SECONDS", 8), figure("RATE", 40));
    let outage = Duration::from_secs(seconds as u64);
    let mut servers = Servers::own().await;
    let system = TestSystem::distributed(servers.backing().await).await;
    let load = OpenLoop::start(vec![system.client().clone()], rate);
    sleep(SOME_LOAD).await;

    let before = load.accepted();
    servers.postgres.stop().await;
    sleep(outage).await;
    goes_on(load.accepted() - before, rate, outage);
    assert!(!answers(&system).await, "an outage");
    servers.postgres.start_again().await;
    let stopped = Drain::of(&load, &system, outage, rate).await;
    sleep(SOME_LOAD).await;
    // Frozen it keeps its connections, and says nothing on them.
    let before = load.accepted();
    servers.postgres.pause();
    sleep(outage).await;
    goes_on(load.accepted() - before, rate, outage);
    assert!(!answers(&system).await, "an outage");
    servers.postgres.resume();
    let frozen = Drain::of(&load, &system, outage, rate).await;
    sleep(SOME_LOAD).await;

    let sent = load.end().await;
    let refused: Vec<_> = sent.iter().filter(|sent| !sent.is_accepted()).collect();
    assert!(refused.is_empty(), "{} of {}: {refused:?}", refused.len(), sent.len());
    let slowest = percentile(&sent, 100);
    assert!(slowest <= within(ANSWER_MAX), "{slowest:?}");
    are_tickets(&sent, &system).await;
    let audit = system.verify().await;
    assert!(audit.status.success(), "{audit:?}");
    println!(
        "{} forms at {rate} a second, Postgres stopped and then frozen for {outage:?} each: all \
         accepted, p50 {:?}, p99 {:?}, at most {:?}; none lost, none dead\nstopped: {stopped}\n\
         frozen: {frozen}",
        sent.len(),
        percentile(&sent, 50),
        percentile(&sent, 99),
        slowest
    );
}

/// Nobody waited for the store: forms were accepted as fast as they came.
fn goes_on(accepted: usize, rate: usize, outage: Duration) {
    let came = rate * usize::try_from(outage.as_secs()).expect("a short outage");
    // An answer without a number takes the two seconds in which one could come.
    assert!(accepted >= came / 2, "{accepted} of {came} were accepted meanwhile");
}

async fn answers(system: &TestSystem) -> bool {
    let connecting = PgConnection::connect(&system.backing().database_url);
    timeout(Duration::from_secs(1), connecting).await.is_ok_and(|connected| connected.is_ok())
}

/// How a backlog was worked off, while more came.
struct Drain {
    backlog: usize,
    until_begun: Duration,
    took: Duration,
    rate: usize,
}

impl Drain {
    /// Watches it, and fails the test if it was slower than twice what came.
    async fn of(load: &OpenLoop, system: &TestSystem, outage: Duration, rate: usize) -> Self {
        let back_at = Instant::now();
        let url = &system.backing().database_url;
        let mut postgres =
            eventually(DRAIN_MIN, "Postgres answers", async || PgConnection::connect(url).await)
                .await;
        let first = stored(&mut postgres).await;
        let backlog = load.accepted().saturating_sub(first);
        let deadline = DRAIN_MIN.max(2 * outage);
        eventually(RECOVERY, "the backlog begins to be worked off", async || {
            if stored(&mut postgres).await > first { Ok(()) } else { Err(backlog) }
        })
        .await;
        let begun_at = Instant::now();
        // What came in the last half second is under way, and no backlog.
        let last = eventually(deadline, "the backlog is worked off", async || {
            let (accepted, stored) = (load.accepted(), stored(&mut postgres).await);
            let behind = accepted.saturating_sub(stored);
            if behind <= rate / 2 { Ok(stored) } else { Err(behind) }
        })
        .await;
        let took = begun_at.elapsed();
        let took_ms = usize::try_from(took.as_millis()).unwrap().max(1);
        let drained = (last - first) * 1_000 / took_ms;
        let drain = Self { backlog, until_begun: begun_at - back_at, took, rate: drained };
        assert!(drained >= 2 * rate, "{drain}");
        drain
    }
}

impl std::fmt::Display for Drain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { backlog, until_begun, took, rate } = self;
        write!(
            f,
            "a backlog of {backlog}, begun after {until_begun:?}, worked off in {took:?}: {rate}/s"
        )
    }
}

async fn stored(postgres: &mut PgConnection) -> usize {
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM tickets").fetch_one(postgres).await.unwrap();
    usize::try_from(count).unwrap()
}
