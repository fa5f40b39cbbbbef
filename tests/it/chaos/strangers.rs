//! Strangers at the broker, who publish into the intake what no edge of ours did, or what one did
//! once more.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use tokio::time::{sleep, timeout};

use super::letters::Letter;
use crate::bed::seeded::Seeded;
use crate::bed::servers::Backing;

const INTAKE: &str = "support.intake";
const DEAD_LETTERS: &str = "support.dead-letters";

/// A broker that is away, or takes nothing, is no reason to wait for longer.
const WORD_MAX: Duration = Duration::from_secs(2);

/// Messages published again at a time of trouble, at most: it is no test of how much can be done.
const COPIES_MAX: usize = 2_000;

/// How many sorts of [`rubbish`] there are.
const SORTS: usize = 7;

/// Publishes so many messages that can never become tickets, spread over the time. Gives back what
/// must be in the dead letters for it.
pub async fn litter(backing: &Backing, mark: &str, count: u64, lasts: Duration) -> Vec<Letter> {
    let random = &mut Seeded::new(mark.bytes().map(u64::from).sum());
    let (mut letters, mut channel) = (Vec::new(), None);
    for number in 0..count {
        let (message, body) = rubbish(random.below(SORTS), &format!("{mark}-{number}"));
        let is_taken = publish(backing, &mut channel, &message).await;
        letters.push(Letter { body, is_taken });
        sleep(lasts / u32::try_from(count).expect("a few messages")).await;
    }
    letters
}

/// Something that is no envelope of ours, or of which nothing can become a ticket; and the letter
/// that is made of it. No two marks make the same.
fn rubbish(sort: usize, mark: &str) -> (Vec<u8>, Vec<u8>) {
    let whole = match sort {
        0 => format!("not an envelope: {mark}").into_bytes(),
        1 => [b"\xff\xfe\0\x1b", mark.as_bytes()].concat(),
        2 => format!("{{\"mark\":\"{mark}\"}}").into_bytes(),
        3 => format!("[1,[\"{mark}\"]]").into_bytes(),
        4 => format!("{{\"v\":2,\"submissions\":[{{\"mark\":\"{mark}\"}}]}}").into_bytes(),
        5 => [mark.as_bytes(), &vec![b'{'; 300_000]].concat(),
        _ => {
            // A part of an envelope is buried alone.
            let part = format!("{{\"name\":\"{mark}\"}}");
            let whole = format!("{{\"v\":1,\"submissions\":[{part}]}}");
            return (whole.into_bytes(), part.into_bytes());
        }
    };
    (whole.clone(), whole)
}

/// Publishes to the intake, and says whether the broker has it for certain.
async fn publish(backing: &Backing, channel: &mut Option<Session>, body: &[u8]) -> bool {
    let publishing = async {
        let session = match channel.take() {
            Some(session) => session,
            None => Session::open(backing).await?,
        };
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let published =
            session.channel.basic_publish(INTAKE.into(), "".into(), options, body, properties);
        let word = published.await?.await?;
        *channel = Some(session);
        lapin::Result::Ok(word == Confirmation::Ack(None))
    };
    timeout(WORD_MAX, publishing).await.is_ok_and(|word| word.unwrap_or(false))
}

/// A connection with a channel that confirms.
pub struct Session {
    /// What is done on it.
    pub channel: Channel,
    _connection: Connection,
}

impl Session {
    /// Connects.
    pub async fn open(backing: &Backing) -> lapin::Result<Self> {
        let options = ConnectionProperties::default();
        let connection = Connection::connect(&backing.amqp_url, options).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(lapin::options::ConfirmSelectOptions::default()).await?;
        Ok(Self { channel, _connection: connection })
    }
}

/// For so long, publishes once more whatever comes into the intake, and every third message three
/// times more. Ends early when the broker does. Says how many it was.
pub async fn copy(backing: &Backing, lasts: Duration) -> u64 {
    let copies = AtomicU64::new(0);
    // Whatever it ends with: nobody relies on it.
    let _ = timeout(lasts, copy_all(backing, &copies)).await;
    copies.into_inner()
}

async fn copy_all(backing: &Backing, copies: &AtomicU64) -> lapin::Result<()> {
    let session = Session::open(backing).await?;
    let channel = &session.channel;
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    let mut classic = FieldTable::default();
    classic.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
    let queue = channel.queue_declare("".into(), options, classic).await?;
    let (name, none) = (queue.name().clone(), FieldTable::default());
    let binding = QueueBindOptions::default();
    channel.queue_bind(name.clone(), INTAKE.into(), "".into(), binding, none.clone()).await?;
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let mut messages = channel.basic_consume(name, "".into(), options, none).await?.enumerate();
    while let Some((number, message)) = messages.next().await
        && number < COPIES_MAX
    {
        let message = message?;
        for _ in 0..if number % 3 == 0 { 3 } else { 1 } {
            // To the queue itself: over the exchange it would come back here.
            let (options, properties) = (BasicPublishOptions::default(), &message.properties);
            channel
                .basic_publish("".into(), INTAKE.into(), options, &message.data, properties.clone())
                .await?;
            copies.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Takes out all that lies in the dead letters.
pub async fn take_letters(backing: &Backing) -> Vec<Vec<u8>> {
    let session = Session::open(backing).await.expect("the broker is back");
    let mut bodies = Vec::new();
    let get = || session.channel.basic_get(DEAD_LETTERS.into(), BasicGetOptions::default());
    while let Some(letter) = get().await.expect("the dead letters can be read") {
        bodies.push(letter.data.clone());
        letter.ack(BasicAckOptions::default()).await.expect("a letter is taken");
    }
    bodies
}
