//! The promises of `common::ports::events`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use common::domain::{Event, EventId, EventKind, Status};
use common::ports::events::{Cursor, EventLog, FeedItem, Subscription};

use super::installation::{Installation, ticket, tickets};
use super::on_both_backends;
use crate::bed::wait::{eventually, until};

const DEADLINE: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_mins(1);

on_both_backends! {
    every_change_is_an_event_with_a_stable_id,
    an_event_of_an_uncommitted_change_is_not_read,
    transactions_that_commit_out_of_order_are_not_skipped,
    the_events_of_a_ticket_are_read_in_order,
    a_ticket_that_was_erased_has_no_events_and_stops_nobody,
    one_relay_at_a_time_holds_the_lease,
    a_lost_lease_cannot_advance,
    a_relay_goes_on_where_the_last_one_advanced_to,
    a_publish_that_nobody_listens_to_succeeds,
    a_feed_begins_with_a_gap,
    everybody_who_listens_hears_what_is_published,
}

/// As staff will: a change of the ticket, and its entry in the same transaction.
const TAKE_UP_THE_FIRST: &str = "INSERT INTO audit_entries \
     (ticket_id, version, kind, status, at, actor, request_id, traceparent) \
     SELECT id, 2, 'ticket.status_changed', 'in-progress', submitted_at, 'staff', 'r-2', 't-2' \
     FROM tickets WHERE number = 'SUP-2026-000001'";
const TAKE_UP_THE_SECOND: &str = "INSERT INTO audit_entries \
     (ticket_id, version, kind, status, at, actor, request_id, traceparent) \
     SELECT id, 2, 'ticket.status_changed', 'in-progress', submitted_at, 'staff', 'r-2', 't-2' \
     FROM tickets WHERE number = 'SUP-2026-000002'";
const RESOLVE_THE_FIRST: &str = "INSERT INTO audit_entries \
     (ticket_id, version, kind, status, at, actor, request_id, traceparent) \
     SELECT id, 3, 'ticket.status_changed', 'resolved', submitted_at, 'staff', 'r-3', 't-3' \
     FROM tickets WHERE number = 'SUP-2026-000001'";

/// Reads on from a cursor until there are as many events as expected, in pages of three. Others'
/// transactions on the same server may hold events back for a moment.
async fn read(log: &dyn EventLog, after: Cursor, count: usize) -> (Vec<Event>, Cursor) {
    let (mut events, mut cursor) = (Vec::new(), after);
    until(DEADLINE, "the events are there", async || {
        let page = log.after(cursor, 3).await.unwrap();
        assert!(page.next != cursor || (page.events.is_empty() && !page.has_more), "{page:?}");
        events.extend(page.events);
        cursor = page.next;
        assert!(events.len() <= count, "more than {count} events: {events:?}");
        events.len() == count && !page.has_more
    })
    .await;
    (events, cursor)
}

fn changes(events: &[Event]) -> Vec<(String, u32)> {
    events.iter().map(|event| (event.number.to_string(), event.version)).collect()
}

fn change(number: u32, version: u32) -> (String, u32) {
    (format!("SUP-2026-{number:06}"), version)
}

async fn every_change_is_an_event_with_a_stable_id(it: Installation) {
    let stored = tickets(0..10);
    it.backend.worker().await.tickets.insert(&stored).await.unwrap();
    let log = it.backend.edge().await.event_log;
    let (events, end) = read(&*log, Cursor::START, 10).await;
    let mut expected: Vec<_> = stored
        .into_iter()
        .map(|ticket| Event {
            id: EventId::of(ticket.submission.id, 1),
            ticket_id: ticket.submission.id,
            number: ticket.number,
            version: 1,
            kind: EventKind::TicketCreated,
            name: ticket.submission.form.name,
            email: ticket.submission.form.email,
            subject: ticket.submission.form.subject,
            status: Status::Open,
            priority: ticket.priority,
            at: ticket.submission.submitted_at,
            submitted_at: ticket.submission.submitted_at,
            trace: ticket.submission.trace,
            changes: None,
        })
        .collect();
    let mut found = events.clone();
    // Within a batch the order of different tickets is nobody's concern.
    for all in [&mut expected, &mut found] {
        all.sort_by_key(|event| event.number.to_string());
    }
    assert_eq!(found, expected);
    assert_eq!(read(&*log, Cursor::START, 10).await, (events, end), "and again");

    it.tamper(TAKE_UP_THE_FIRST).await;
    let (events, _) = read(&*log, end, 1).await;
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!(event.id, EventId::of(event.ticket_id, 2));
    assert_eq!((event.kind, event.status), (EventKind::TicketStatusChanged, Status::InProgress));
    assert_eq!((&*event.trace.request_id, &*event.trace.traceparent), ("r-2", "t-2"));
}

async fn an_event_of_an_uncommitted_change_is_not_read(it: Installation) {
    it.backend.worker().await.tickets.insert(&[ticket(1)]).await.unwrap();
    let log = it.backend.edge().await.event_log;
    let (_, created) = read(&*log, Cursor::START, 1).await;
    let open = it.begin(TAKE_UP_THE_FIRST).await;
    let page = log.after(created, 10).await.unwrap();
    assert!(page.events.is_empty() && page.next == created && !page.has_more, "{page:?}");
    open.commit().await;
    let (events, _) = read(&*log, created, 1).await;
    assert_eq!(changes(&events), [change(1, 2)]);
}

async fn transactions_that_commit_out_of_order_are_not_skipped(it: Installation) {
    it.backend.worker().await.tickets.insert(&[ticket(1), ticket(2)]).await.unwrap();
    let log = it.backend.edge().await.event_log;
    let (_, created) = read(&*log, Cursor::START, 2).await;
    let slow = it.begin(TAKE_UP_THE_FIRST).await;
    if it.has_many_writers() {
        let fast = it.begin(TAKE_UP_THE_SECOND).await;
        fast.commit().await;
        let page = log.after(created, 10).await.unwrap();
        assert!(page.events.is_empty() && page.next == created, "the earlier may follow: {page:?}");
        slow.commit().await;
    } else {
        slow.commit().await;
        it.tamper(TAKE_UP_THE_SECOND).await;
    }
    let (events, _) = read(&*log, created, 2).await;
    assert_eq!(changes(&events), [change(1, 2), change(2, 2)]);
}

async fn the_events_of_a_ticket_are_read_in_order(it: Installation) {
    let worker = it.backend.worker().await;
    worker.tickets.insert(&[ticket(1)]).await.unwrap();
    it.tamper(TAKE_UP_THE_FIRST).await;
    worker.tickets.insert(&tickets(10..20)).await.unwrap();
    it.tamper(RESOLVE_THE_FIRST).await;
    let log = it.backend.edge().await.event_log;
    let (events, _) = read(&*log, Cursor::START, 13).await;
    let first: Vec<_> = changes(&events).into_iter().filter(|it| it.0 == change(1, 1).0).collect();
    assert_eq!(first, [change(1, 1), change(1, 2), change(1, 3)]);
    let statuses: Vec<_> =
        events.iter().filter(|event| event.version > 1).map(|event| event.status).collect();
    assert_eq!(statuses, [Status::InProgress, Status::Resolved], "as they were then");
    let ids: HashSet<_> = events.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), 13);
}

async fn a_ticket_that_was_erased_has_no_events_and_stops_nobody(it: Installation) {
    it.backend.worker().await.tickets.insert(&tickets(0..20)).await.unwrap();
    it.tamper("DELETE FROM tickets WHERE number <> 'SUP-2026-000007'").await;
    let log = it.backend.edge().await.event_log;
    let (events, cursor) = read(&*log, Cursor::START, 1).await;
    assert_eq!(changes(&events), [change(7, 1)]);
    assert!(cursor > Cursor::START);
    assert!(log.after(cursor, 10).await.unwrap().events.is_empty());
}

async fn one_relay_at_a_time_holds_the_lease(it: Installation) {
    let outbox = it.backend.worker().await.outbox;
    assert_eq!(outbox.lease("a", LONG).await.unwrap(), Some(Cursor::START));
    assert_eq!(outbox.lease("a", LONG).await.unwrap(), Some(Cursor::START), "renewed");
    assert_eq!(outbox.lease("b", LONG).await.unwrap(), None);
    outbox.release("b").await.unwrap();
    assert_eq!(outbox.lease("b", LONG).await.unwrap(), None, "it was not theirs");
    outbox.release("a").await.unwrap();
    assert_eq!(outbox.lease("b", LONG).await.unwrap(), Some(Cursor::START), "released");
    assert_eq!(outbox.lease("b", Duration::from_millis(50)).await.unwrap(), Some(Cursor::START));
    until(DEADLINE, "it runs out", async || outbox.lease("c", LONG).await.unwrap().is_some()).await;
}

async fn a_lost_lease_cannot_advance(it: Installation) {
    let worker = it.backend.worker().await;
    worker.tickets.insert(&tickets(0..3)).await.unwrap();
    let (_, end) = read(&*it.backend.edge().await.event_log, Cursor::START, 3).await;
    let outbox = worker.outbox;
    assert!(!outbox.advance("a", end, LONG).await.unwrap(), "never held");
    outbox.lease("a", Duration::from_millis(1)).await.unwrap().unwrap();
    eventually(DEADLINE, "another takes it over", async || {
        outbox.lease("b", LONG).await.unwrap().ok_or("not yet")
    })
    .await;
    assert!(!outbox.advance("a", end, LONG).await.unwrap(), "lost");
    assert_eq!(outbox.lease("b", LONG).await.unwrap(), Some(Cursor::START), "without effect");
    assert!(outbox.advance("b", end, LONG).await.unwrap());
    assert!(!outbox.advance("b", Cursor::START, LONG).await.unwrap(), "a step back");
    assert_eq!(outbox.lease("b", LONG).await.unwrap(), Some(end));
}

async fn a_relay_goes_on_where_the_last_one_advanced_to(it: Installation) {
    let worker = it.backend.worker().await;
    worker.tickets.insert(&tickets(0..3)).await.unwrap();
    let (_, end) = read(&*it.backend.edge().await.event_log, Cursor::START, 3).await;
    let outbox = &worker.outbox;
    outbox.lease("a", LONG).await.unwrap().unwrap();
    assert!(outbox.advance("a", end, LONG).await.unwrap());
    worker.tickets.insert(&[ticket(7)]).await.unwrap();
    outbox.release("a").await.unwrap();
    assert_eq!(outbox.lease("b", LONG).await.unwrap(), Some(end));
    let (events, _) = read(&**outbox, end, 1).await;
    assert_eq!(changes(&events), [change(7, 1)]);
}

async fn a_publish_that_nobody_listens_to_succeeds(it: Installation) {
    let worker = it.backend.worker().await;
    worker.tickets.insert(&tickets(0..3)).await.unwrap();
    let (events, _) = read(&*it.backend.edge().await.event_log, Cursor::START, 3).await;
    worker.events.publish(&events).await.unwrap();
    worker.events.publish(&[]).await.unwrap();
}

/// The next thing heard.
async fn hear(listener: &mut dyn Subscription) -> FeedItem {
    tokio::time::timeout(DEADLINE, listener.next()).await.expect("something is heard")
}

async fn a_feed_begins_with_a_gap(it: Installation) {
    let (edge, worker) = (it.backend.edge().await, it.backend.worker().await);
    worker.tickets.insert(&tickets(0..3)).await.unwrap();
    let (events, _) = read(&*edge.event_log, Cursor::START, 3).await;
    worker.events.publish(&events[..1]).await.unwrap();
    for heard in &events[1..] {
        let mut listener = edge.feed.subscribe();
        assert_eq!(hear(&mut *listener).await, FeedItem::Gap);
        // From the gap on, and nothing of before.
        worker.events.publish(std::slice::from_ref(heard)).await.unwrap();
        assert_eq!(hear(&mut *listener).await, FeedItem::Changed(Arc::new(heard.clone())));
    }
}

async fn everybody_who_listens_hears_what_is_published(it: Installation) {
    // More than the broker hands over unacknowledged.
    let many = 1_000;
    let (edge, worker) = (it.backend.edge().await, it.backend.worker().await);
    worker.tickets.insert(&tickets(0..many)).await.unwrap();
    let page = edge.event_log.after(Cursor::START, many).await.unwrap();
    let other_edge = it.backend.edge().await;
    let mut listeners = [edge.feed.subscribe(), edge.feed.subscribe(), other_edge.feed.subscribe()];
    for listener in &mut listeners {
        assert_eq!(hear(&mut **listener).await, FeedItem::Gap);
    }
    worker.events.publish(&page.events).await.unwrap();
    for listener in &mut listeners {
        for event in &page.events {
            assert_eq!(hear(&mut **listener).await, FeedItem::Changed(Arc::new(event.clone())));
        }
    }
}
