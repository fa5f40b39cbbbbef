//! Events outlive their relay. `make events` runs the same test with 10,000 tickets and twenty kills.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::domain::EventId;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::crowd::submit_all;
use super::figure;
use crate::bed::example::{python_consumer, rust_consumer};
use crate::bed::form::Form;
use crate::bed::process::Process;
use crate::bed::seeded::Seeded;
use crate::bed::servers::Servers;
use crate::bed::system::TestSystem;
use crate::bed::wait::{eventually, until};

const DEADLINE: Duration = Duration::from_mins(1);

/// A dead relay is replaced within its lease; on a busy machine that takes its time.
const TAKEN_OVER: Duration = Duration::from_secs(30);

/// A relay is killed within so long after it took over.
const KILLED_WITHIN_MS: u64 = 1_500;

/// As staff will: takes ten tickets a step on, if nobody else did since they were looked at, in one
/// statement. The seed picks them.
const CHANGE_TICKETS: &str = "
    WITH seen AS (
        SELECT id, version, status FROM tickets
        WHERE version < 4 ORDER BY hashtextextended(id::text, $1) LIMIT 10
    ),
    changed AS (
        UPDATE tickets
        SET version = tickets.version + 1, updated_at = now(), status = CASE tickets.status
            WHEN 'open' THEN 'in-progress' WHEN 'in-progress' THEN 'resolved' ELSE 'closed' END
        FROM seen WHERE tickets.id = seen.id AND tickets.version = seen.version
        RETURNING tickets.id, tickets.version, tickets.status, tickets.submitted_at, seen.status AS was
    ),
    audited AS (
        INSERT INTO audit_entries
            (ticket_id, version, kind, status, at, actor, request_id, traceparent)
        SELECT id, version, 'ticket.status_changed', status, now(), 'staff', 'r', 't' FROM changed
    ),
    tallied AS (
        INSERT INTO tallies AS kept (dimension, value, shard, amount)
        SELECT 'settled_on', to_char(submitted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), 100, count(*)
        FROM changed WHERE status = 'resolved' GROUP BY 2 ORDER BY 2
        ON CONFLICT (dimension, value, shard) DO UPDATE SET amount = kept.amount + excluded.amount
    )
    INSERT INTO statistics AS kept (dimension, value, shard, count)
    SELECT 'status', value, 100, sum(delta)
    FROM changed, LATERAL (VALUES (was, -1), (status, 1)) AS deltas (value, delta)
    GROUP BY value ORDER BY value
    ON CONFLICT (dimension, value, shard) DO UPDATE SET count = kept.count + excluded.count";

#[tokio::test(flavor = "multi_thread")]
async fn events_survive_the_kills_of_their_relay() {
    let (tickets, kills) = (figure("TICKETS", 400), figure("KILLS", 3));
    let seed = figure("SEED", 7) as u64;
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing).with_ingest(2).with_worker(2).await;
    let consumer = python_consumer(system.folder().path(), &system.backing().amqp_url, "listener");
    bound(&system, "listener").await;
    let changers = [Changer::start(&system, 2 * seed), Changer::start(&system, 2 * seed + 1)];

    let mut random = Seeded::new(seed);
    let mut accepted = 0;
    for round in 0..kills {
        let share = tickets / kills + usize::from(round < tickets % kills);
        let relay = relay_of(&system).await;
        let kill_after = Duration::from_millis(random.draw() % KILLED_WITHIN_MS);
        let load = submit(&system, share);
        let kill = async {
            tokio::time::sleep(kill_after).await;
            system.worker(relay).kill();
            system.worker(relay).start_again().await;
        };
        let (told, ()) = tokio::join!(load, kill);
        accepted += told;
    }
    for changer in changers {
        assert!(changer.stop().await > 0, "nothing but creations");
    }
    assert_eq!(accepted, tickets);
    system.settled(tickets as u64).await;
    let verify = system.verify().await;
    assert!(verify.status.success(), "{verify:?}");
    let heard = drained(&system, &consumer).await;
    assert_heard_all_in_order(&system, &heard).await;
    let events = heard.iter().map(|it| it.id).collect::<HashSet<_>>().len();
    println!(
        "{tickets} tickets, {kills} kills of the relay (seed {seed}): {events} events, \
         {} repeated, none lost, none invented, in order per ticket",
        heard.len() - events
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn both_examples_hear_the_same_and_what_came_before_they_were_started_again() {
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing).await;
    let url = system.backing().amqp_url.clone();
    let folder = system.folder().path();
    let consumers = [python_consumer(folder, &url, "python"), rust_consumer(folder, &url, "rust")];
    bound(&system, "python").await;
    bound(&system, "rust").await;
    let heard_by_both = async |count: usize| {
        eventually(DEADLINE, "both have heard", async || {
            let counts = consumers.each_ref().map(|it| first_times(it).len());
            if counts == [count; 2] { Ok(()) } else { Err(counts) }
        })
        .await;
    };
    assert_eq!(submit(&system, 20).await, 20);
    heard_by_both(20).await;
    for consumer in &consumers {
        consumer.kill();
    }
    assert_eq!(submit(&system, 5).await, 5);
    for consumer in &consumers {
        consumer.start();
    }
    heard_by_both(25).await;
    let [python, rust] = consumers.each_ref().map(first_times);
    assert_eq!(python.iter().collect::<HashSet<_>>(), rust.iter().collect::<HashSet<_>>());
    assert!(python.iter().all(|it| it.kind == "supportline.ticket.created" && it.is_new));
    assert_heard_all_in_order(&system, &python).await;
    system.stop_gracefully().await;
}

/// Submits so many forms, and says how many were accepted.
async fn submit(system: &TestSystem, count: usize) -> usize {
    let edges = [system.client().clone()];
    // Each its own: the same again would be answered with the first one's ticket.
    let told = submit_all(&edges, 8, |_| Form::valid(), move |number| number < count).await;
    told.iter().filter(|told| told.is_accepted()).count()
}

/// Waits until the consumer has bound its queue.
async fn bound(system: &TestSystem, queue: &str) {
    until(DEADLINE, "the consumer has bound its queue", async || {
        system.backing().is_bound(queue).await
    })
    .await;
}

/// Which worker relays now.
async fn relay_of(system: &TestSystem) -> usize {
    let mut connection = PgConnection::connect(&system.backing().database_url).await.unwrap();
    eventually(TAKEN_OVER, "a worker relays", async || {
        let holder: Option<String> =
            sqlx::query_scalar("SELECT holder FROM relay WHERE expires_at > now()")
                .fetch_optional(&mut connection)
                .await
                .unwrap()
                .flatten();
        let holder = holder.ok_or("nobody")?;
        (0..2).find(|worker| system.worker(*worker).log().contains(&holder)).ok_or("not logged yet")
    })
    .await
}

/// Somebody who works on tickets.
struct Changer {
    is_over: Arc<AtomicBool>,
    changing: JoinHandle<usize>,
}

impl Changer {
    fn start(system: &TestSystem, seed: u64) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&is_over);
        let url = system.backing().database_url.clone();
        let changing = tokio::spawn(async move {
            let mut connection = PgConnection::connect(&url).await.unwrap();
            let (mut random, mut statements) = (Seeded::new(seed), 0);
            while !stop.load(Ordering::Relaxed) {
                let query = sqlx::query(CHANGE_TICKETS).bind(random.draw().cast_signed());
                // Two who change the same tickets may have to begin again.
                statements += usize::from(query.execute(&mut connection).await.is_ok());
                tokio::time::sleep(Duration::from_millis(random.draw() % 40)).await;
            }
            statements
        });
        Self { is_over, changing }
    }

    async fn stop(self) -> usize {
        self.is_over.store(true, Ordering::Relaxed);
        self.changing.await.unwrap()
    }
}

/// A line that an example wrote.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Heard {
    is_new: bool,
    id: Uuid,
    kind: String,
    ticket: Uuid,
    version: u32,
    status: String,
}

fn heard(consumer: &Process) -> Vec<Heard> {
    let log = consumer.stdout();
    // The last line may be half written.
    let whole = log.rfind('\n').map_or("", |end| &log[..end]);
    whole
        .lines()
        .map(|line| {
            let words: Vec<_> = line.split(' ').collect();
            let [word, id, kind, ticket, version, status] = words[..] else { panic!("{line}") };
            Heard {
                is_new: word == "new",
                id: id.parse().unwrap(),
                kind: kind.to_owned(),
                ticket: ticket.parse().unwrap(),
                version: version.parse().unwrap(),
                status: status.to_owned(),
            }
        })
        .collect()
}

/// What the consumer has heard, without what it heard again: one that is killed before it
/// acknowledged gets that again, and with its memory has lost that it knows it.
fn first_times(consumer: &Process) -> Vec<Heard> {
    let mut known = HashSet::new();
    heard(consumer).into_iter().filter(|it| known.insert(it.id)).collect()
}

/// What the consumer has heard once its queue is empty.
async fn drained(system: &TestSystem, consumer: &Process) -> Vec<Heard> {
    until(DEADLINE, "the consumer has heard all", async || {
        assert!(consumer.is_running(), "{}", consumer.log());
        system.backing().queues().await.iter().all(|(name, left)| name != "listener" || *left == 0)
    })
    .await;
    heard(consumer)
}

/// Every change that is stored and no other, under its own id each time, and the first times in
/// order.
async fn assert_heard_all_in_order(system: &TestSystem, heard: &[Heard]) {
    let mut connection = PgConnection::connect(&system.backing().database_url).await.unwrap();
    let stored: Vec<(Uuid, i32, String)> = sqlx::query_as(
        "SELECT tickets.id, audit_entries.version, audit_entries.status
         FROM tickets JOIN audit_entries ON audit_entries.ticket_id = tickets.id",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let stored: HashSet<_> = stored
        .into_iter()
        .map(|(ticket, version, status)| (ticket, u32::try_from(version).unwrap(), status))
        .collect();
    let told: HashSet<_> =
        heard.iter().map(|it| (it.ticket, it.version, it.status.clone())).collect();
    let lost: Vec<_> = stored.difference(&told).collect();
    assert!(lost.is_empty(), "{} lost, such as {:?}", lost.len(), lost.first());
    let invented: Vec<_> = told.difference(&stored).collect();
    assert!(invented.is_empty(), "{} invented, such as {:?}", invented.len(), invented.first());
    let mut versions: HashMap<Uuid, u32> = HashMap::new();
    for it in heard {
        assert_eq!(it.id, EventId::of(it.ticket.into(), it.version).as_uuid(), "{it:?}");
        let highest = versions.entry(it.ticket).or_default();
        assert!(it.version <= *highest + 1, "{it:?} comes after {highest}");
        assert_eq!(it.is_new, it.version > *highest, "{it:?} after {highest}");
        *highest = it.version.max(*highest);
    }
}
