//! Messages that cannot become tickets, and their neighbours that can.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use common::clock::SystemClock;
use common::domain::Submission;
use common::envelope;
use common::ports::backend::AuditPorts;
use common::ports::queue::{BuriedLetter, Prefetch};
use lapin::BasicProperties;
use lapin::options::QueueDeleteOptions;
use lapin::types::{AMQPValue, FieldTable};

use super::crowd::submit_all;
use crate::bed::form::Form;
use crate::bed::servers::Servers;
use crate::bed::stranger::Stranger;
use crate::bed::system::TestSystem;
use crate::bed::wait::{eventually, until};
use crate::conformance::installation::{Installation, publish_until_told, submission};
use crate::conformance::on_both_backends;

on_both_backends! {
    what_the_store_rejects_stands_alone_and_its_neighbours_are_stored,
    another_form_under_a_stored_id_is_a_dead_letter,
}

const DEADLINE: Duration = Duration::from_secs(20);

async fn letters(audit: &AuditPorts, count: usize) -> Vec<BuriedLetter> {
    eventually(DEADLINE, "the dead letters are there", async || {
        let letters = audit.queue.dead_letters(1_000).await.unwrap();
        if letters.len() == count { Ok(letters) } else { Err(letters.len()) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_messages_end_in_the_dead_letters_bytes_intact_and_neighbours_unharmed() {
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing.clone()).await;
    let stranger = Stranger::at(&backing).await;
    let good = String::from_utf8(envelope::encode(&[submission(1)]).to_vec()).unwrap();
    let mut foreign: Vec<(Bytes, &str)> = vec![
        (Bytes::new(), "unreadable"),
        (Bytes::from_static(b"not json"), "unreadable"),
        (Bytes::from_static(b"\xff\xfe\x00"), "unreadable"),
        (Bytes::from_static(b"[1, [{}]]"), "unreadable"),
        (Bytes::from_static(b"{\"v\":1,\"submissions\":[]}"), "unreadable"),
        (Bytes::from_static(b"null"), "unreadable"),
        (Bytes::from_static(b"\"v\""), "unreadable"),
        (Bytes::from_static(b"{\"submissions\":[{}]}"), "unreadable"),
        (good.replacen("\"v\":1", "\"v\":\"1\"", 1).into(), "unreadable"),
        (good.replacen("\"v\":1", "\"v\":2", 1).into(), "unknown-version"),
        (vec![b'{'; envelope::BODY_BYTES_MAX + 1].into(), "unreadable"),
        (vec![0; 5 * 1024 * 1024].into(), "unreadable"),
    ];
    for (body, _) in &foreign {
        stranger.publish(body).await;
        let answer = system.submit(&Form::valid()).await;
        assert_eq!(answer.status, 201, "a neighbour: {}", answer.text());
    }
    // Without what names it, it could be told from no other.
    let nameless = good.replacen("\"id\":", "\"notId\":", 1);
    assert_ne!(nameless, good);
    stranger.publish(nameless.as_bytes()).await;
    foreign.push((Bytes::copy_from_slice(item_of(&nameless).as_bytes()), "invalid"));
    // One bad submission in an envelope is buried alone, as its own bytes.
    let bad = good.replace("Ada", "\\u0000da");
    let item = item_of(&bad);
    let pair = good.replacen("]}", &format!(",{item}]}}"), 1);
    stranger.publish(pair.as_bytes()).await;
    foreign.push((Bytes::copy_from_slice(item.as_bytes()), "invalid"));

    // Each of those before had a neighbour, and the pair had a good one.
    system.settled(13).await;
    let audit = Installation::on(backing).backend.audit().await;
    let buried = letters(&audit, foreign.len()).await;
    let buried: BTreeMap<_, _> = buried.into_iter().map(|it| (it.body, it.code)).collect();
    let expected = foreign.into_iter().map(|(body, code)| (body, code.to_owned())).collect();
    assert!(buried == expected, "bodies or reasons differ: {:?}", buried.values());
    let verify = system.verify().await;
    assert_eq!(verify.status.code(), Some(1), "verify tells of dead letters");
}

/// The only submission of an envelope, as it is written there.
fn item_of(envelope: &str) -> &str {
    &envelope["{\"v\":1,\"submissions\":[".len()..envelope.len() - "]}".len()]
}

#[tokio::test(flavor = "multi_thread")]
async fn peculiar_properties_do_not_keep_a_message_from_its_place() {
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing.clone()).await;
    let stranger = Stranger::at(&backing).await;
    let mut headers = FieldTable::default();
    for number in 0..1_000 {
        let text = AMQPValue::LongString("x".repeat(100).into());
        headers.insert(format!("header-{number}").into(), text);
    }
    let user = backing.amqp_url.split(['/', ':']).nth(3).unwrap().to_owned();
    let plain = BasicProperties::default;
    let peculiar = [
        plain().with_headers(headers),
        plain().with_user_id(user.into()),
        plain().with_expiration("600000".into()),
        plain().with_reply_to("support.intake".into()),
        plain().with_reply_to("amq.rabbitmq.reply-to.nobody".into()),
        plain().with_delivery_mode(1),
        plain().with_priority(9),
    ];
    let count = peculiar.len();
    for (number, properties) in (100..).zip(peculiar) {
        let good = envelope::encode(&[submission(number)]);
        stranger.publish_to("support.intake", &good, properties.clone()).await;
        stranger.publish_to("support.intake", b"rubbish", properties).await;
    }
    system.settled(count as u64).await;
    let audit = Installation::on(backing).backend.audit().await;
    assert!(letters(&audit, count).await.iter().all(|letter| letter.code == "unreadable"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_routed_becomes_a_ticket_too() {
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing.clone()).await;
    let body = envelope::encode(&[submission(1)]);
    let stranger = Stranger::at(&backing).await;
    stranger.publish_to("support.unrouted", &body, BasicProperties::default()).await;
    system.settled(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_holds_one_message_that_was_not_routed() {
    let backing = Servers::shared().await.backing().await;
    let it = Installation::on(backing.clone());
    let worker = it.backend.worker().await;
    // Declares the queues.
    drop(worker.consumers.open(Prefetch::One).await.unwrap());
    let stranger = Stranger::at(&backing).await;
    for number in 0..10 {
        let body = envelope::encode(&[submission(number)]);
        stranger.publish_to("support.unrouted", &body, BasicProperties::default()).await;
    }
    let audit = it.backend.audit().await;
    for prefetch in [Prefetch::One, Prefetch::Many] {
        until(DEADLINE, "all of them wait", async || {
            audit.queue.depths().await.unwrap().unrouted == 10
        })
        .await;
        let mut consumer = worker.consumers.open(prefetch).await.unwrap();
        assert_eq!(consumer.receive(1_000).await.unwrap().len(), 1, "{prefetch:?}");
        let second = consumer.receive(1_000);
        let second = tokio::time::timeout(Duration::from_millis(300), second).await;
        assert!(second.is_err(), "{prefetch:?}: nothing more before it is settled");
        assert_eq!(audit.queue.depths().await.unwrap().unrouted, 9, "{prefetch:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_queue_is_there_again_and_nothing_accepted_is_lost() {
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing.clone()).await;
    assert_eq!(system.submit(&Form::valid()).await.status, 201);
    let stranger = Stranger::at(&backing).await;
    let options = QueueDeleteOptions::default();
    stranger.channel.queue_delete("support.intake".into(), options).await.unwrap();
    let accepted = system.submit(&Form::valid()).await;
    assert!(matches!(accepted.status.as_u16(), 201 | 202), "{}", accepted.text());
    system.settled(2).await;
    until(DEADLINE, "the queue is there again", async || {
        backing.queues().await.iter().any(|(name, _)| name == "support.intake")
    })
    .await;
    until(DEADLINE, "a ticket is made at once again", async || {
        system.submit(&Form::valid()).await.status == 201
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_deleted_under_load_is_consumed_again() {
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing.clone()).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&is_over);
    let edges = [system.client().clone()];
    let load = tokio::spawn(async move {
        submit_all(&edges, 8, |_| Form::valid(), move |_| !stop.load(Ordering::Relaxed)).await
    });
    let stranger = Stranger::at(&backing).await;
    for _ in 0..3 {
        until(DEADLINE, "tickets are made at once", async || {
            system.submit(&Form::valid()).await.status == 201
        })
        .await;
        let options = QueueDeleteOptions::default();
        stranger.channel.queue_delete("support.intake".into(), options).await.unwrap();
    }
    until(DEADLINE, "and again", async || system.submit(&Form::valid()).await.status == 201).await;
    is_over.store(true, Ordering::Relaxed);
    let told = load.await.unwrap();
    assert!(told.iter().all(|told| matches!(told.status, Some(201 | 202 | 503))));
}

async fn what_the_store_rejects_stands_alone_and_its_neighbours_are_stored(it: Installation) {
    it.forbid_poison().await;
    let poisoned = |number| {
        let mut submission = submission(number);
        submission.form.message = common::domain::Message::parse("poison").unwrap();
        submission
    };
    let mut edge = it.backend.edge().await;
    until(DEADLINE, "the publisher is ready", async || edge.publisher.is_ready()).await;
    let batch: Vec<Submission> =
        (0..60).map(|n| if n % 20 == 7 { poisoned(n) } else { submission(n) }).collect();
    let _worker = it.run_worker(Arc::new(SystemClock)).await;
    edge.publisher.publish(batch.clone()).await.unwrap();

    let neighbours: Vec<_> =
        batch.iter().filter(|it| it.form.message.as_str() != "poison").cloned().collect();
    assert_eq!(publish_until_told(&mut edge, &neighbours).await.len(), 57);
    let audit = it.backend.audit().await;
    let buried = letters(&audit, 3).await;
    let expected: Vec<_> =
        [7, 27, 47].map(|n: usize| envelope::encode(&batch[n..=n])).into_iter().collect();
    assert_eq!(buried.iter().map(|letter| letter.body.clone()).collect::<Vec<_>>(), expected);
    assert!(buried.iter().all(|letter| letter.code == "rejected"), "{buried:?}");
    assert_eq!(audit.store.deviations().await.unwrap(), []);
}

async fn another_form_under_a_stored_id_is_a_dead_letter(it: Installation) {
    let _worker = it.run_worker(Arc::new(SystemClock)).await;
    let mut edge = it.backend.edge().await;
    let first = submission(1);
    let other = Submission { id: first.id, ..submission(2) };
    let number = publish_until_told(&mut edge, std::slice::from_ref(&first)).await;
    edge.publisher.publish(vec![other.clone()]).await.unwrap();
    let repeated = publish_until_told(&mut edge, std::slice::from_ref(&first)).await;
    assert_eq!(number, repeated, "the repeat is told the same number");
    let buried = letters(&it.backend.audit().await, 1).await;
    assert_eq!(
        (buried[0].code.as_str(), &buried[0].body),
        ("conflict", &envelope::encode(&[other]))
    );
}
