//! Chaos: seeded faults on every process, server and link, while a crowd submits and writes down
//! what it was told; then everything is healed and the ledger is held against the store.
//!
//! ```text
//! plan ──► fault ──► processes, servers, links        order ──► clients ──► edges ──► … ──► store
//!                                                                  │                          │
//!                                                               ledger ───────► checker ◄─────┘
//! ```
//!
//! `make chaos` runs a campaign, on one broker node or with `NODES=3` on three; with `SEED=n RUNS=1`
//! it replays one seed. `embedded` does the like to an installation of one process, which `make kills`
//! kills some hundreds of times.

mod checker;
mod checker_tests;
mod clients;
mod embedded;
mod events;
mod fault;
mod kinds;
mod ledger;
mod letters;
mod manners;
mod order;
mod plan;
mod plan_tests;
mod report;
mod run;
mod stage;
mod store;
mod strangers;

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use futures_util::FutureExt;

use self::plan::Plan;
use self::report::Report;
use self::run::play;
use self::stage::Ground;
use crate::flow::figure;

/// `make chaos` runs it with many seeds, and for longer.
#[tokio::test(flavor = "multi_thread")]
async fn chaos_loses_doubles_and_garbles_nothing() {
    campaign(1, 3).await;
}

/// `make chaos NODES=3` runs the same.
#[tokio::test(flavor = "multi_thread")]
async fn chaos_among_three_brokers_loses_doubles_and_garbles_nothing() {
    campaign(3, 1).await;
}

async fn campaign(nodes: usize, runs: usize) {
    let (seed, runs) = (figure("SEED", 1) as u64, figure("RUNS", runs) as u64);
    let length = Duration::from_secs(figure("SECONDS", 8) as u64);
    let connections = figure("CONNECTIONS", 32);
    println!("seeds {seed} to {}, {length:?} of faults each", seed + runs - 1);
    let ground = Ground::prepare(nodes).await;
    let mut report = Report::default();
    for seed in seed..seed + runs {
        let plan = Plan::of(seed, length, nodes);
        let playing = AssertUnwindSafe(play(&ground, &plan, connections)).catch_unwind();
        let outcome = playing.await.unwrap_or_else(|reason| {
            // What came before it is worth telling all the same.
            println!("\n{report}");
            resume_unwind(reason);
        });
        println!("{}", report::line(&plan, &outcome));
        report.add(&plan, &outcome);
    }
    println!("\n{report}");
    assert!(report.bad_seeds().is_empty(), "seeds {:?} break promises", report.bad_seeds());
    assert!(report.idle_seeds().is_empty(), "seeds {:?} test hardly anything", report.idle_seeds());
}
