//! The promises of `common::ports::audit`.

use std::time::Duration;

use common::ports::audit::{Depths, Deviation, StoredNumber};
use common::ports::events::Cursor;
use common::ports::queue::Prefetch;

use super::installation::{Installation, tickets};
use super::on_both_backends;

on_both_backends! {
    an_audit_sees_every_number,
    an_audit_finds_a_wrong_statistic,
    an_audit_finds_a_ticket_without_its_audit_entry,
    an_audit_finds_a_trail_with_a_gap,
    an_audit_counts_the_events_that_were_not_published,
    an_empty_installation_has_nothing_to_find,
}

async fn an_audit_sees_every_number(it: Installation) {
    let stored = tickets(0..25);
    it.backend.worker().await.tickets.insert(&stored).await.unwrap();
    let audit = it.backend.audit().await;
    assert_eq!(audit.store.tickets().await.unwrap(), 25);
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = audit.store.numbers(after.as_deref(), 10).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.number.clone());
        seen.extend(page);
    }
    let expected: Vec<_> = stored
        .iter()
        .map(|ticket| StoredNumber {
            number: ticket.number.to_string(),
            submitted_at: ticket.submission.submitted_at,
        })
        .collect();
    assert_eq!(seen, expected);
}

async fn an_audit_finds_a_wrong_statistic(it: Installation) {
    it.backend.worker().await.tickets.insert(&tickets(0..10)).await.unwrap();
    it.tamper("UPDATE statistics SET count = count + 1 WHERE value = 'technical'").await;
    it.tamper("DELETE FROM statistics WHERE value = 'billing'").await;
    it.tamper(
        "INSERT INTO statistics (dimension, value, shard, count) VALUES ('subject', 'x', 0, 3)",
    )
    .await;
    let deviation = |dimension: &str, value: &str, kept, recounted| Deviation {
        dimension: dimension.to_owned(),
        value: value.to_owned(),
        kept,
        recounted,
    };
    let subject = |value, kept, recounted| deviation("subject", value, kept, recounted);
    let audit = it.backend.audit().await.store;
    assert_eq!(
        audit.deviations().await.unwrap(),
        [subject("billing", 0, 2), subject("technical", 3, 2), subject("x", 3, 0)]
    );
    // How often a day was revised is no ticket's to tell.
    it.tamper(
        "INSERT INTO tallies (dimension, value, shard, amount) VALUES \
         ('assigned', 'Ada', 0, 1), ('response_time', '2026-11-22/168', 0, 2), \
         ('response_ms', '2026-11-22', 0, 3), ('settled_on', '2026-11-22', 0, 4), \
         ('revised', '2026-11-22', 0, 5), ('resolved_by', '2026-11-22/Ada', 0, 6)",
    )
    .await;
    assert_eq!(
        audit.deviations().await.unwrap(),
        [
            deviation("assigned", "Ada", 1, 0),
            deviation("resolved_by", "2026-11-22/Ada", 6, 0),
            deviation("response_ms", "2026-11-22", 3, 0),
            deviation("response_time", "2026-11-22/168", 2, 0),
            deviation("settled_on", "2026-11-22", 4, 0),
            subject("billing", 0, 2),
            subject("technical", 3, 2),
            subject("x", 3, 0),
        ]
    );
    it.tamper("DELETE FROM tallies WHERE dimension = 'submitted_in'").await;
    let missing = audit.deviations().await.unwrap();
    let of_quarters = missing.iter().filter(|it| it.dimension == "submitted_in");
    assert_eq!(of_quarters.map(|it| it.recounted).sum::<i64>(), 10);
}

async fn an_audit_finds_a_ticket_without_its_audit_entry(it: Installation) {
    it.backend.worker().await.tickets.insert(&tickets(0..10)).await.unwrap();
    it.forge("DELETE FROM audit_entries WHERE position % 5 = 0").await;
    assert_eq!(it.backend.audit().await.store.unaudited().await.unwrap(), 2);
}

async fn an_audit_finds_a_trail_with_a_gap(it: Installation) {
    it.backend.worker().await.tickets.insert(&tickets(0..10)).await.unwrap();
    let audit = it.backend.audit().await.store;
    it.tamper("UPDATE tickets SET version = 3").await;
    assert_eq!(audit.untold().await.unwrap(), 10);
    for version in [
        "INSERT INTO audit_entries (ticket_id, version, kind, at, actor, request_id, traceparent) \
         SELECT id, 2, 'ticket.noted', submitted_at, 'x', 'r', 't' FROM tickets",
        "INSERT INTO audit_entries (ticket_id, version, kind, at, actor, request_id, traceparent) \
         SELECT id, 3, 'ticket.noted', submitted_at, 'x', 'r', 't' FROM tickets",
    ] {
        it.tamper(version).await;
    }
    assert_eq!(audit.untold().await.unwrap(), 0);
    for (count, harm) in (1..).zip([
        "DELETE FROM audit_entries WHERE version = 1 AND ticket_id = \
         (SELECT id FROM tickets WHERE number = 'SUP-2026-000000')",
        "DELETE FROM audit_entries WHERE version = 2 AND ticket_id = \
         (SELECT id FROM tickets WHERE number = 'SUP-2026-000001')",
        "DELETE FROM audit_entries WHERE version = 3 AND ticket_id = \
         (SELECT id FROM tickets WHERE number = 'SUP-2026-000002')",
        "DELETE FROM audit_entries WHERE version > 0 AND ticket_id = \
         (SELECT id FROM tickets WHERE number = 'SUP-2026-000003')",
        "UPDATE audit_entries SET version = 2 WHERE version = 3 AND ticket_id = \
         (SELECT id FROM tickets WHERE number = 'SUP-2026-000004')",
        "UPDATE audit_entries SET version = 4 WHERE version = 1 AND ticket_id = \
         (SELECT id FROM tickets WHERE number = 'SUP-2026-000005')",
    ]) {
        it.forge(harm).await;
        assert_eq!(audit.untold().await.unwrap(), count, "{harm}");
    }
}

async fn an_audit_counts_the_events_that_were_not_published(it: Installation) {
    let worker = it.backend.worker().await;
    worker.tickets.insert(&tickets(0..10)).await.unwrap();
    let outbox = it.backend.audit().await.outbox;
    let tenth = outbox.head().await.unwrap();
    worker.tickets.insert(&tickets(10..15)).await.unwrap();
    let last = outbox.head().await.unwrap();
    assert_eq!(outbox.unpublished(tenth).await.unwrap(), 10);
    assert_eq!(outbox.unpublished(last).await.unwrap(), 15);
    let minute = Duration::from_mins(1);
    worker.outbox.lease("a", minute).await.unwrap().unwrap();
    assert!(worker.outbox.advance("a", tenth, minute).await.unwrap());
    assert_eq!(outbox.unpublished(tenth).await.unwrap(), 0);
    assert_eq!(outbox.unpublished(last).await.unwrap(), 5);
}

async fn an_empty_installation_has_nothing_to_find(it: Installation) {
    // A broker has its queues from the first who needs them.
    let consumer = it.backend.worker().await.consumers.open(Prefetch::Many).await.unwrap();
    let audit = it.backend.audit().await;
    assert_eq!(audit.store.numbers(None, 10).await.unwrap(), []);
    assert_eq!(audit.store.deviations().await.unwrap(), []);
    assert_eq!(audit.store.unaudited().await.unwrap(), 0);
    assert_eq!(audit.store.untold().await.unwrap(), 0);
    assert_eq!(audit.outbox.head().await.unwrap(), Cursor::START);
    assert_eq!(audit.outbox.unpublished(Cursor::START).await.unwrap(), 0);
    assert_eq!(audit.queue.depths().await.unwrap(), Depths::default());
    assert!(audit.queue.dead_letters(10).await.unwrap().is_empty());
    drop(consumer);
}
