//! What the servers take and give at best, by the same libraries and without the product.

use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use common::clock::{Clock, SystemClock};
use common::domain::{
    ClientTimestamp, Email, Form, Message, Name, PageUrl, Subject, Submission, SubmissionId,
    UserAgent, UserId,
};
use common::envelope;
use common::trace::Trace;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

/// Beyond this many rows a statement, the rate grows no more (measured up to 2,000).
const ROWS: usize = 500;
/// Connections that insert side by side: one for each processor.
const WRITERS: usize = 2;
/// How often what happens alone is measured.
const ONES: usize = 50;
/// Publishes without a confirm yet.
const WINDOW: usize = 1_000;

/// A table with the product's columns, indexes and constraints, beside the product's.
pub async fn prepare_table(database_url: &str) {
    let mut connection = PgConnection::connect(database_url).await.expect("connect");
    for statement in [
        "DROP SCHEMA IF EXISTS floor CASCADE",
        "CREATE SCHEMA floor",
        "CREATE TABLE floor.tickets (LIKE public.tickets INCLUDING ALL)",
    ] {
        sqlx::query(statement).execute(&mut connection).await.expect(statement);
    }
}

/// Rows a second, inserted by whole batches into a table like the product's.
pub async fn insert(database_url: &str, rows: usize) -> f64 {
    let begun = Instant::now();
    let writers = (0..WRITERS).map(|_| insert_alone(database_url, rows / WRITERS));
    futures_util::future::join_all(writers).await;
    rate(rows, begun.elapsed())
}

async fn insert_alone(database_url: &str, rows: usize) {
    let mut connection = PgConnection::connect(database_url).await.expect("connect");
    let mut left = rows;
    while left > 0 {
        let batch = Rows::new(left.min(ROWS));
        batch.insert(&mut connection).await;
        left -= batch.ids.len();
    }
}

/// A column each.
struct Rows {
    ids: Vec<Uuid>,
    numbers: Vec<String>,
    same: Vec<Form>,
    now: Vec<DateTime<Utc>>,
    fingerprints: Vec<Vec<u8>>,
    trace: Trace,
}

impl Rows {
    fn new(count: usize) -> Self {
        let ids: Vec<_> = std::iter::repeat_with(Uuid::now_v7).take(count).collect();
        // As scattered as the product's numbers: random digits of the id.
        let number =
            |id: &Uuid| format!("SUP-2026-{:019}", id.as_u128() & u128::from(u64::MAX >> 1));
        let submission = submission(0);
        Self {
            numbers: ids.iter().map(number).collect(),
            ids,
            now: vec![SystemClock.now(); count],
            fingerprints: vec![submission.form.fingerprint().0.to_vec(); count],
            same: vec![submission.form; count],
            trace: submission.trace,
        }
    }

    async fn insert(&self, connection: &mut PgConnection) {
        let texts = |text: fn(&Form) -> &str| self.same.iter().map(text).collect::<Vec<_>>();
        let maybe =
            |text: fn(&Form) -> Option<&str>| self.same.iter().map(text).collect::<Vec<_>>();
        let count = self.ids.len();
        sqlx::query(include_str!("sql/insert_many.sql"))
            .bind(&self.ids)
            .bind(&self.numbers)
            .bind(texts(|form| form.name.as_str()))
            .bind(texts(|form| form.email.as_str()))
            .bind(texts(|form| form.subject.as_str()))
            .bind(texts(|form| form.message.as_str()))
            .bind(maybe(|form| form.user_id.as_ref().map(UserId::as_str)))
            .bind(maybe(|form| form.user_agent.as_ref().map(UserAgent::as_str)))
            .bind(maybe(|form| form.url.as_ref().map(PageUrl::as_str)))
            .bind(texts(|form| form.timestamp.as_str()))
            .bind(&self.now)
            .bind(&self.fingerprints)
            .bind(vec![&self.trace.request_id; count])
            .bind(vec![&self.trace.traceparent; count])
            .execute(connection)
            .await
            .expect("insert a batch");
    }
}

/// A submission as the load's forms make them.
pub fn submission(number: usize) -> Submission {
    let form = Form {
        name: Name::parse("Ada Lovelace").expect("a name"),
        email: Email::parse(&format!("ada.{number}@example.org")).expect("an address"),
        subject: Subject::Technical,
        message: Message::parse(&format!(
            "The engine has stopped again, number {number}. It was at work on the numbers of Bernoulli \
             when it did, and nobody had touched it."
        ))
        .expect("a message"),
        timestamp: ClientTimestamp::parse("2026-11-22T10:30:00.000Z").expect("a time"),
        user_id: Some(UserId::parse(&format!("user-{number}")).expect("a user")),
        user_agent: Some(UserAgent::parse("Mozilla/5.0 (X11; Linux x86_64)").expect("a browser")),
        url: Some(PageUrl::parse("https://www.example.org/support").expect("a URL")),
    };
    let id = Uuid::now_v7();
    let trace = Trace {
        request_id: id.simple().to_string(),
        traceparent: format!("00-{}-{:016x}-01", id.simple(), id.as_u64_pair().1),
    };
    Submission {
        id: SubmissionId::from(id),
        key: None,
        submitted_at: SystemClock.now(),
        form,
        trace,
    }
}

/// So many submissions as envelopes of so many each.
pub fn envelopes(submissions: usize, each: usize) -> Vec<Bytes> {
    let numbers: Vec<_> = (0..submissions).collect();
    let envelope = |numbers: &[usize]| {
        envelope::encode(&numbers.iter().map(|number| submission(*number)).collect::<Vec<_>>())
    };
    numbers.chunks(each).map(envelope).collect()
}

/// An own quorum queue on the broker.
pub struct Queue {
    channel: Channel,
    _connection: Connection,
}

const QUEUE: &str = "floor";

impl Queue {
    /// Declares it.
    pub async fn on(amqp_url: &str) -> Self {
        let connection = Connection::connect(amqp_url, ConnectionProperties::default()).await;
        let connection = connection.expect("connect to the broker");
        let channel = connection.create_channel().await.expect("a channel");
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        let options = QueueDeclareOptions::durable();
        channel.queue_declare(QUEUE.into(), options, arguments).await.expect("a queue");
        Self { channel, _connection: connection }
    }

    /// Bodies a second, each confirmed, published to that exchange (`""`: this queue).
    pub async fn publish(&self, exchange: &str, bodies: &[Bytes]) -> f64 {
        let begun = Instant::now();
        let key = if exchange.is_empty() { QUEUE } else { "" };
        let properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_content_type("application/json".into());
        let mut open = FuturesUnordered::new();
        for body in bodies {
            let options = BasicPublishOptions::default();
            let published = self.channel.basic_publish(
                exchange.into(),
                key.into(),
                options,
                body,
                properties.clone(),
            );
            open.push(published.await.expect("publish"));
            if open.len() >= WINDOW {
                confirmed(open.next().await.as_ref());
            }
        }
        while !open.is_empty() {
            confirmed(open.next().await.as_ref());
        }
        rate(bodies.len(), begun.elapsed())
    }

    /// Messages a second, taken out of the queue and acknowledged.
    pub async fn consume(&self, count: usize) -> f64 {
        self.channel.basic_qos(256, BasicQosOptions::default()).await.expect("a window");
        let options = BasicConsumeOptions::default();
        let consumer = self.channel.basic_consume(
            QUEUE.into(),
            "floor".into(),
            options,
            FieldTable::default(),
        );
        let mut consumer = consumer.await.expect("a consumer");
        let begun = Instant::now();
        for number in 1..=count {
            let delivery = consumer.next().await.expect("a message").expect("a message");
            if number % 64 == 0 || number == count {
                let all = BasicAckOptions { multiple: true };
                self.channel.basic_ack(delivery.delivery_tag, all).await.expect("acknowledge");
            }
        }
        let rate = rate(count, begun.elapsed());
        self.channel
            .basic_cancel("floor".into(), BasicCancelOptions::default())
            .await
            .expect("cancel");
        self.channel.queue_purge(QUEUE.into(), QueuePurgeOptions::default()).await.expect("purge");
        rate
    }
}

/// Milliseconds that one message takes to be confirmed by a quorum queue with nothing else to do: the
/// median.
pub async fn one_publish(amqp_url: &str) -> f64 {
    let queue = Queue::on(amqp_url).await;
    let bodies = envelopes(ONES, 1);
    let times = alone(async |number| {
        queue.publish("", &bodies[number..=number]).await;
    });
    let times = times.await;
    queue.consume(ONES).await;
    times
}

/// Milliseconds that one row takes to be inserted and committed, likewise.
pub async fn one_insert(database_url: &str) -> f64 {
    let mut connection = PgConnection::connect(database_url).await.expect("connect");
    alone(async |_| Rows::new(1).insert(&mut connection).await).await
}

/// The median of what each takes, ten a second.
async fn alone(mut one: impl AsyncFnMut(usize)) -> f64 {
    let mut times = Vec::new();
    for number in 0..ONES {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let begun = Instant::now();
        one(number).await;
        times.push(begun.elapsed());
    }
    times.sort();
    times[ONES / 2].as_secs_f64() * 1e3
}

fn confirmed(word: Option<&lapin::Result<Confirmation>>) {
    assert!(matches!(word, Some(Ok(Confirmation::Ack(None)))), "the broker said {word:?}");
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
