//! Messages that come again and again, from another release, or all at once. (What cannot become a
//! ticket at all: `flow::poison`, `flow::crashers`.)

use common::domain::{Form, Message, Submission};
use common::envelope;
use lapin::options::QueuePurgeOptions;
use sqlx::{Connection, Executor, PgConnection};

use super::{RECOVERY, passes_the_audit};
use crate::api::metrics::Metrics;
use crate::bed::client::Client;
use crate::bed::form::Form as Filled;
use crate::bed::servers::Servers;
use crate::bed::stranger::Stranger;
use crate::bed::system::TestSystem;
use crate::bed::wait::{eventually, until};
use crate::conformance::installation::{Installation, submission};
use crate::flow::stored;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_duplicates_and_a_worker_killed_among_them_make_no_second_ticket() {
    const ENVELOPES: u32 = 100;
    const SUBMISSIONS: u32 = 10;
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing.clone()).with_worker(2).await;
    let envelopes: Vec<_> = (0..ENVELOPES)
        .map(|number| {
            let first = number * SUBMISSIONS;
            envelope::encode(&(first..first + SUBMISSIONS).map(submission).collect::<Vec<_>>())
        })
        .collect();
    let stranger = Stranger::at(&backing).await;
    // Each eleven times, never twice in a row.
    for round in 0..11 {
        for envelope in &envelopes {
            stranger.publish(envelope).await;
        }
        if round % 4 == 1 {
            system.worker(0).kill();
            system.worker(0).start_again().await;
        }
    }
    system.settled(u64::from(ENVELOPES * SUBMISSIONS)).await;
    let mut connection = stored::connect(&backing.database_url).await;
    let tickets = stored::tickets(&mut connection).await;
    assert_eq!(tickets.len(), (ENVELOPES * SUBMISSIONS) as usize);
    passes_the_audit(&system).await;
    let survivor = Metrics::of(&Client::new(system.worker(1).address())).await;
    let existing = survivor.sum("worker_tickets_total", &["result=\"existing\""]);
    let again = survivor.sum("deliveries_total", &["attempt=\"again\""]);
    println!(
        "the worker that lived met {existing} duplicates, {again} of its deliveries came again"
    );
    assert!(existing > 1_000.0, "{existing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_later_release_adds_is_passed_over_and_what_it_changes_is_kept_for_it() {
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing.clone()).await;
    let stranger = Stranger::at(&backing).await;
    let envelope = |number| String::from_utf8(envelope::encode(&[submission(number)]).to_vec());
    let added = envelope(1).unwrap().replacen("{\"v\":1,", "{\"v\":1,\"later\":[{}],", 1);
    let added = added.replacen("\"id\":", "\"later\":{\"a\":null},\"id\":", 1);
    // Subjects of `submission` go around; the second one's is billing.
    let changed = envelope(1).unwrap().replacen("\"billing\"", "\"refund\"", 1);
    assert!(added.matches("later").count() == 2 && changed.contains("refund"), "{changed}");
    for body in [added, changed] {
        stranger.publish(body.as_bytes()).await;
        assert_eq!(system.submit(&Filled::valid()).await.status, 201, "a neighbour");
    }
    system.settled(3).await;
    let audit = Installation::on(backing).backend.audit().await;
    let letters = eventually(RECOVERY, "what it changed is a dead letter", async || {
        let letters = audit.queue.dead_letters(10).await.unwrap();
        if letters.len() == 1 { Ok(letters) } else { Err(letters.len()) }
    })
    .await;
    assert_eq!(letters[0].code, "invalid");
    assert!(String::from_utf8_lossy(&letters[0].body).contains("\"refund\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_waits_at_the_broker_and_not_in_a_workers_memory() {
    const ENVELOPES: u32 = 3_000;
    const GROWTH_MAX: u64 = 48 << 20;
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing.clone()).await;
    assert_eq!(system.submit(&Filled::valid()).await.status, 201);
    let mut connection = PgConnection::connect(&backing.database_url).await.unwrap();
    connection.execute("BEGIN").await.unwrap();
    connection.execute("LOCK TABLE tickets IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let before = system.worker(0).resident_bytes();

    let message = Message::parse(&"x".repeat(10_000)).unwrap();
    let long = (0..3).map(|number| {
        let submission = submission(number);
        Submission { form: Form { message: message.clone(), ..submission.form }, ..submission }
    });
    let envelope = envelope::encode(&long.collect::<Vec<_>>());
    let stranger = Stranger::at(&backing).await;
    for _ in 0..ENVELOPES {
        stranger.publish(&envelope).await;
    }
    until(RECOVERY, "the backlog is there", async || {
        backing
            .queues()
            .await
            .iter()
            .any(|(name, messages)| name == "support.intake" && *messages >= u64::from(ENVELOPES))
    })
    .await;
    let grown = system.worker(0).resident_bytes().saturating_sub(before);
    println!("{grown} bytes more for a backlog of {}", envelope.len() * ENVELOPES as usize);
    assert!(grown < GROWTH_MAX, "{grown} bytes more");
    drop(system);
    let queue = "support.intake".into();
    stranger.channel.queue_purge(queue, QueuePurgeOptions::default()).await.unwrap();
}
