//! A kill at any moment: every yes is kept.

use sqlx::{Connection, SqliteConnection};

use super::load::{Load, assert_all_are_tickets};
use super::running::Running;
use super::{invoke, settings};
use crate::bed::folder::Folder;
use crate::bed::process::Signal;
use crate::bed::system::UNLIMITED;

const KILLS: u64 = 10;
/// A kill comes after at most so many submissions.
const MOMENTS: u64 = 150;

/// The moments, in submissions accepted before: pseudo-random, and the same in every run.
fn moments(seed: u64) -> impl Iterator<Item = usize> {
    let mut state = seed;
    (0..KILLS).map(move |_| {
        // Knuth's linear congruential generator; the high bits are the random ones.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((state >> 33) % MOMENTS).unwrap()
    })
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "figures for whoever runs it with --nocapture")]
async fn ten_kills_under_load_lose_nothing_that_was_accepted() {
    let seed = 2_026;
    let folder = Folder::new("kill");
    let serve = Running::start("serve", folder.path(), &settings(&UNLIMITED)).await;
    let mut accepted = Vec::new();
    for moment in moments(seed) {
        let load = Load::on(serve.address());
        load.reaches(moment).await;
        serve.kill();
        let before = load.ends().await;
        assert!(before.len() >= moment);
        serve.start_again().await;
        assert_all_are_tickets(&serve.client(), &before).await;
        accepted.extend(before);
    }
    assert_all_are_tickets(&serve.client(), &accepted).await;
    assert!(serve.stop(Signal::Term).await.0.success());

    let url = format!("sqlite:{}", folder.join("data/supportline.db").display());
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    let check: String =
        sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut database).await.unwrap();
    assert_eq!(check, "ok");
    let (tickets, messages): (i64, i64) =
        sqlx::query_as("SELECT count(*), count(DISTINCT message) FROM tickets")
            .fetch_one(&mut database)
            .await
            .unwrap();
    assert_eq!(tickets, messages, "no submission became two tickets");
    assert!(tickets >= i64::try_from(accepted.len()).unwrap());
    let audit = invoke(folder.path(), &[], &["verify"]).await;
    assert_eq!(audit.status.code(), Some(0), "{audit:?}");
    let log = serve.stderr();
    assert!(!log.contains("panicked") && !log.contains("\"ERROR\""), "{log}");
    println!("seed {seed}: {KILLS} kills, {} accepted, {tickets} tickets", accepted.len());
}
