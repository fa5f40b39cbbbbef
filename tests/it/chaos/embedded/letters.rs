//! Letters that are tried again while whoever tries them is killed.

use std::time::Duration;

use tokio::time::sleep;

use super::store::Database;
use super::{data_dir, passes_the_audit};
use crate::bed::seeded::Seeded;
use crate::bed::system::TestSystem;
use crate::bed::wait::until;
use crate::cli::dead_letters::{listed, make_letters, mend};
use crate::flow::figure;

/// The part of what a seed decides; see [`crate::chaos::plan`].
const LETTERS: u64 = 4;

const DEADLINE: Duration = Duration::from_secs(30);

/// Letters are looked for every half a second, so a kill within this hits before, amid and after.
const KILLED_WITHIN_MS: u64 = 700;

#[tokio::test(flavor = "multi_thread")]
async fn letters_tried_again_under_kills_become_one_ticket_each() {
    let (kills, seed) = (figure("KILLS", 15).div_ceil(5), figure("SEED", 1) as u64);
    let random = &mut Seeded::for_part(seed, LETTERS);
    let system = TestSystem::embedded().with_env("SUPPORT_REPLY_WAIT", "0s").await;
    let letters = kills * 4;
    make_letters(&system, true, letters).await;
    mend(&system, true).await;
    for _ in 0..kills {
        let all = listed(&system).await;
        let mut requeue = vec!["dead-letters", "requeue"];
        requeue.extend(all.iter().take(4).map(|letter| letter["id"].as_str().unwrap()));
        let requeued = system.run(&requeue).await;
        assert!(requeued.status.success(), "{requeued:?}");
        sleep(random.millis(0..=KILLED_WITHIN_MS)).await;
        system.edge(0).kill();
        system.edge(0).start_again().await;
    }
    system.settled(letters as u64).await;
    until(DEADLINE, "nothing waits to be tried again", async || {
        !system.verify().await.stdout.contains("wait in the queue")
    })
    .await;
    passes_the_audit(&system, &data_dir(&system)).await;
    system.stop_gracefully().await;
    let tickets = Database::open(&data_dir(&system)).await.tickets().await;
    assert_eq!(tickets.len(), letters, "none is two");
    let mut messages: Vec<_> = tickets.into_iter().map(|ticket| ticket.form.message).collect();
    messages.sort_unstable();
    messages.dedup();
    assert_eq!(messages.len(), letters, "each is one ticket");
    println!("seed {seed}: {letters} letters, {kills} kills, as many tickets");
}
