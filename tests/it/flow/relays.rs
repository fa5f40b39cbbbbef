//! Relays that meet trouble, on both backends.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::DateTime;
use common::clock::{Clock, SystemClock, SystemEntropy};
use common::domain::{Event, EventId, Record};
use common::ports::backend::WorkerPorts;
use common::ports::events::{Cursor, EventPublishError, EventPublisher};
use common::ports::records::{RecordEntry, Records};
use common::ports::store::StoreError;
use common::seals::{Chain, Seal, SealKey};
use lapin::options::{BasicGetOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use sqlx::{Connection, Executor, PgConnection};
use tokio_util::sync::CancellationToken;

use crate::bed::servers::{Backing, Servers};
use crate::bed::stranger::Stranger;
use crate::bed::wait::until;
use crate::conformance::dead_letters::list;
use crate::conformance::installation::{Installation, number_key, tickets};
use crate::conformance::on_both_backends;

on_both_backends! {
    what_could_not_be_published_is_published_later,
    a_relay_that_died_is_replaced_in_its_worker,
    a_worker_that_stops_leaves_no_event_behind,
    two_workers_publish_as_one,
}

const DEADLINE: Duration = Duration::from_secs(30);

/// What a publisher does with the events it is given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Willing,
    Failing,
    Panicking,
}

/// Remembers what it published, which for each event is once more or nothing.
struct Scripted {
    moods: Mutex<Vec<Mood>>,
    published: Mutex<Vec<EventId>>,
}

impl Scripted {
    /// The moods of the first calls, the last one first; after them it is willing.
    fn new(moods: &[Mood]) -> Arc<Self> {
        Arc::new(Self { moods: Mutex::new(moods.to_vec()), published: Mutex::default() })
    }

    fn published(&self) -> Vec<EventId> {
        self.published.lock().unwrap().clone()
    }
}

#[async_trait]
impl EventPublisher for Scripted {
    async fn publish(&self, events: &[Event]) -> Result<(), EventPublishError> {
        let mood = self.moods.lock().unwrap().pop().unwrap_or(Mood::Willing);
        assert!(mood != Mood::Panicking, "a defect, met on purpose");
        if mood == Mood::Failing {
            return Err(EventPublishError { published: 0, cause: "the broker is away".into() });
        }
        self.published.lock().unwrap().extend(events.iter().map(|event| event.id));
        Ok(())
    }
}

/// A worker of the installation that publishes where the test looks.
async fn ports(it: &Installation, publisher: &Arc<Scripted>) -> WorkerPorts {
    WorkerPorts { events: publisher.clone(), ..it.backend.worker().await }
}

/// Stores so many tickets, and gives back the ids of their events.
async fn store(it: &Installation, numbers: std::ops::Range<u32>) -> HashSet<EventId> {
    let tickets = tickets(numbers);
    it.backend.worker().await.tickets.insert(&tickets).await.unwrap();
    tickets.iter().map(|ticket| EventId::of(ticket.submission.id, 1)).collect()
}

async fn until_published(publisher: &Scripted, expected: &HashSet<EventId>) {
    until(DEADLINE, "every event is published", async || {
        publisher.published().into_iter().collect::<HashSet<_>>() == *expected
    })
    .await;
}

async fn what_could_not_be_published_is_published_later(it: Installation) {
    let publisher = Scripted::new(&[Mood::Failing, Mood::Failing, Mood::Willing, Mood::Failing]);
    let stored = store(&it, 0..700).await;
    let _worker = Installation::run_worker_on(ports(&it, &publisher).await, Arc::new(SystemClock));
    until_published(&publisher, &stored).await;
}

async fn a_relay_that_died_is_replaced_in_its_worker(it: Installation) {
    let publisher = Scripted::new(&[Mood::Panicking, Mood::Willing, Mood::Panicking]);
    let stored = store(&it, 0..700).await;
    let _worker = Installation::run_worker_on(ports(&it, &publisher).await, Arc::new(SystemClock));
    until_published(&publisher, &stored).await;
}

async fn a_worker_that_stops_leaves_no_event_behind(it: Installation) {
    let publisher = Scripted::new(&[]);
    let stop = CancellationToken::new();
    let settings = worker::Settings {
        retention: None,
        lanes: 1,
        batch_submissions_max: 500,
        number_key: number_key(),
    };
    let running = worker::run(
        ports(&it, &publisher).await,
        Arc::new(SystemClock),
        Arc::new(SystemEntropy),
        settings,
        worker::State::new(),
        stop.clone(),
    );
    let stored = store(&it, 0..1_000).await;
    // Stopped before it has begun, so that all there is to publish is left for its end.
    stop.cancel();
    tokio::time::timeout(DEADLINE, running).await.expect("the worker ends");
    assert_eq!(publisher.published().into_iter().collect::<HashSet<_>>(), stored);
    let outbox = it.backend.audit().await.outbox;
    assert_eq!(outbox.unpublished(outbox.head().await.unwrap()).await.unwrap(), 0);
    let next = it.backend.worker().await.outbox.lease("next", DEADLINE).await.unwrap();
    assert_eq!(next, Some(outbox.head().await.unwrap()), "the lease is free at once");
}

/// On a machine that is busy a worker may lose its lease for a moment, and the next one repeat what
/// it had published. Where both always publish, no try is without a repetition.
const TRIES: u32 = 3;

async fn two_workers_publish_as_one(it: Installation) {
    let publisher = Scripted::new(&[]);
    let clock = Arc::new(SystemClock);
    let first = Installation::run_worker_on(ports(&it, &publisher).await, clock.clone());
    let _second = Installation::run_worker_on(ports(&it, &publisher).await, clock);
    let mut stored = HashSet::new();
    let mut is_once = async |round: u32| {
        let before = publisher.published().len();
        for number in round * 20..(round + 1) * 20 {
            stored.extend(store(&it, number * 10..number * 10 + 10).await);
        }
        until_published(&publisher, &stored).await;
        publisher.published().len() - before == 200
    };
    let mut round = 0;
    while !is_once(round).await {
        round += 1;
        assert!(round < TRIES, "events are published twice while nothing goes wrong");
    }
    drop(first);
    stored.extend(store(&it, 900..910).await);
    until_published(&publisher, &stored).await;
}

/// Declares a queue that is told of every event.
async fn bind(stranger: &Stranger, queue: &str, arguments: &[(&str, AMQPValue)]) {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert((*name).into(), value.clone());
    }
    let options = QueueDeclareOptions::durable();
    stranger.channel.queue_declare(queue.into(), options, table).await.unwrap();
    let (events, all, none) = ("support.events".into(), "#".into(), FieldTable::default());
    let options = QueueBindOptions::default();
    stranger.channel.queue_bind(queue.into(), events, all, options, none).await.unwrap();
}

async fn waiting_in(backing: &Backing, queue: &str) -> u64 {
    let queues = backing.queues().await;
    queues.into_iter().find(|(name, _)| name == queue).map_or(0, |(_, messages)| messages)
}

/// How often a queue was told of each event.
async fn times_told(stranger: &Stranger, queue: &str) -> HashMap<String, usize> {
    let mut times = HashMap::new();
    let options = BasicGetOptions { no_ack: true };
    while let Some(message) = stranger.channel.basic_get(queue.into(), options).await.unwrap() {
        let id = message.properties.message_id().as_ref().unwrap().to_string();
        *times.entry(id).or_default() += 1;
    }
    times
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_makes_nothing_come_again_and_again_but_what_it_refuses() {
    let backing = Servers::shared().await.backing().await;
    let it = Installation::on(backing.clone());
    it.backend.migrate().await.unwrap();
    // Whoever looks at the broker declares what belongs there.
    list(&*it.backend.operator().await.dead_letters, 1).await;
    let stranger = Stranger::at(&backing).await;
    let refusing = AMQPValue::LongString("reject-publish".into());
    let full = [("x-max-length", AMQPValue::LongInt(5)), ("x-overflow", refusing)];
    bind(&stranger, "full", &full).await;
    bind(&stranger, "listener", &[]).await;
    store(&it, 0..200).await;
    let _worker = it.run_worker(Arc::new(SystemClock)).await;
    until(DEADLINE, "one event is refused several times", async || {
        waiting_in(&backing, "listener").await > 10
    })
    .await;
    let options = QueueDeleteOptions::default();
    stranger.channel.queue_delete("full".into(), options).await.unwrap();
    let outbox = it.backend.audit().await.outbox;
    until(DEADLINE, "everything is published", async || {
        outbox.unpublished(outbox.head().await.unwrap()).await.unwrap() == 0
    })
    .await;
    let times = times_told(&stranger, "listener").await;
    assert_eq!(times.len(), 200);
    let often: Vec<_> = times.values().filter(|times| **times > 2).collect();
    assert_eq!(often.len(), 1, "the refused one, and no other: {often:?}");
}

/// What an operator is told to do; the test does it to the letter.
fn translation() -> &'static str {
    let document = include_str!("../../../docs/operations.md");
    let (_, rest) =
        document.split_once("### After restoring a dump").expect("the section is there");
    let (_, rest) = rest.split_once("```sql\n").expect("with its statements");
    rest.split_once("```").expect("which end").0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_in_another_server_is_noticed_and_can_be_translated() {
    let backing = Servers::shared().await.backing().await;
    let it = Installation::on(backing.clone());
    it.backend.migrate().await.unwrap();
    store(&it, 0..5).await;
    let audit = it.backend.audit().await.outbox;
    let worker = it.backend.worker().await;
    let published = audit.head().await.unwrap();
    worker.outbox.lease("a", DEADLINE).await.unwrap().unwrap();
    assert!(worker.outbox.advance("a", published, DEADLINE).await.unwrap());
    worker.outbox.release("a").await.unwrap();
    let waiting = store(&it, 5..8).await;

    let sealed = sealed(&entries(&*worker.records, 8).await);
    assert!(worker.records.set(Record::Tickets, &sealed).await.unwrap());

    // The other server had come much further.
    it.forge(
        "UPDATE audit_entries \
         SET transaction_id = (transaction_id::text::bigint + 4000000000)::text::xid8",
    )
    .await;
    it.tamper(
        "UPDATE relay SET transaction_id = (transaction_id::text::bigint + 4000000000)::text::xid8",
    )
    .await;
    it.forge(
        "UPDATE audit_seals SET transaction_id = (transaction_id::text::bigint + 4000000000)::text::xid8",
    )
    .await;
    let told = worker.outbox.lease("b", Duration::ZERO).await.unwrap_err();
    assert!(matches!(told, StoreError::Corrupt(_)), "{told}");
    assert!(matches!(audit.head().await, Err(StoreError::Corrupt(_))));

    let mut connection = PgConnection::connect(&backing.database_url).await.unwrap();
    connection.execute(translation()).await.unwrap();
    let place = worker.outbox.lease("b", DEADLINE).await.unwrap().unwrap();
    let mut left = HashSet::new();
    until(DEADLINE, "what was not published is still to be", async || {
        let page = worker.outbox.after(place, 10).await.unwrap();
        left = page.events.iter().map(|event| event.id).collect();
        left == waiting
    })
    .await;

    // What was sealed there is what is sealed here, and goes on.
    let seal = worker.records.last_seal(Record::Tickets).await.unwrap().unwrap();
    let under = entries(&*worker.records, 8).await;
    assert_eq!(Seal { place: sealed.place, ..seal.clone() }, sealed);
    assert_eq!(self::sealed(&under), seal);
    store(&it, 8..9).await;
    let all = entries(&*worker.records, 9).await;
    assert_eq!(all[..8], under, "what comes later is behind it");
}

/// There nothing is taken in to be searched any more, and nothing is behind the place either.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_found_where_the_place_of_the_search_is_another_servers() {
    let it = Installation::on(Servers::shared().await.backing().await);
    it.backend.migrate().await.unwrap();
    store(&it, 0..3).await;
    let search = it.backend.worker().await.search;
    let mut taken_in = 0;
    until(DEADLINE, "all are taken in", async || {
        taken_in += search.take_in(100).await.unwrap().unwrap_or_default();
        taken_in == 3
    })
    .await;
    it.tamper(
        "UPDATE search_progress \
         SET transaction_id = (transaction_id::text::bigint + 4000000000)::text::xid8",
    )
    .await;
    store(&it, 3..5).await;
    let people = it.backend.operator().await.people;
    for ticket in tickets(0..5) {
        let address = &ticket.submission.form.email;
        let found = people.tickets_of(address, SystemClock.now(), None, 100).await.unwrap();
        assert_eq!(found.len(), 1, "{:?}", ticket.number);
    }
}

/// What there is of the record of tickets, once nothing can be put before so many any more.
async fn entries(records: &dyn Records, count: usize) -> Vec<RecordEntry> {
    let mut entries = Vec::new();
    until(DEADLINE, "they can be read", async || {
        entries = records.entries(Record::Tickets, Cursor::START, 100).await.unwrap();
        entries.len() == count
    })
    .await;
    entries
}

/// A seal over all of these.
fn sealed(entries: &[RecordEntry]) -> Seal {
    let key = SealKey::new(&number_key());
    let mut chain = Chain::behind(&key, Record::Tickets, None);
    for entry in entries {
        chain.pass(&entry.content);
    }
    chain.seal(entries.last().unwrap().place, DateTime::UNIX_EPOCH)
}
