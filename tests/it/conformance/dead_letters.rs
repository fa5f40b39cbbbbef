//! The promises of `common::ports::dead_letters`.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use common::domain::{DeadLetterCode, Submission};
use common::envelope;
use common::ports::dead_letters::{DeadLetters, Filter, LetterId, ListedLetter, Selection};
use common::ports::queue::{
    Consumer, DeadLetter, DeadLetterReason, Delivery, Outcome, Prefetch, Settlement,
};

use super::installation::{Installation, submission};
use super::on_both_backends;
use super::overseers::Watching;
use crate::bed::wait::{eventually, until};

pub const DEADLINE: Duration = Duration::from_secs(20);

on_both_backends! {
    looking_at_letters_changes_nothing,
    a_requeued_letter_is_delivered_again,
    a_requeued_letter_that_fails_again_is_a_letter_again,
    a_requeued_part_of_an_envelope_is_an_envelope,
    a_discarded_letter_is_gone,
    other_letters_keep_their_place,
    two_operators_at_a_time_lose_no_letter,
    a_letter_that_is_not_there_is_left_out,
}

/// Letters as they lie there, whatever they are.
pub async fn list(letters: &dyn DeadLetters, limit: u32) -> Vec<ListedLetter> {
    letters.list(&Filter::default(), limit).await.unwrap().letters
}

pub async fn requeue(letters: &dyn DeadLetters, which: &Selection) -> Vec<LetterId> {
    letters.requeue(which, &Watching::default()).await.unwrap()
}

pub async fn discard(letters: &dyn DeadLetters, which: &Selection) -> Vec<LetterId> {
    letters.discard(which, &Watching::default()).await.unwrap()
}

fn the_code(word: &str) -> DeadLetterCode {
    DeadLetterCode::ALL.into_iter().find(|code| code.as_str() == word).expect("a code of ours")
}

/// Buries bodies, in their order.
pub async fn bury(it: &Installation, code: &'static str, bodies: Vec<Bytes>) -> Vec<ListedLetter> {
    let letters = it.backend.operator().await.dead_letters;
    let there = list(&*letters, 65_535).await.len();
    let mut edge = it.backend.edge().await;
    let mut consumer = it.backend.worker().await.consumers.open(Prefetch::Many).await.unwrap();
    until(DEADLINE, "the publisher is ready", async || edge.publisher.is_ready()).await;
    let publisher = edge.publisher.clone();
    let offered = tokio::spawn(async move { publisher.publish(vec![submission(0)]).await });
    let delivery = receive(consumer.as_mut()).await;
    let count = bodies.len();
    let letter = |(number, body): (u32, _)| DeadLetter {
        body,
        reason: DeadLetterReason { code: the_code(code), detail: format!("letter {number}") },
    };
    let dead_letters = (0..).zip(bodies).map(letter);
    let outcome = Outcome::Done { receipts: Vec::new(), dead_letters: dead_letters.collect() };
    consumer.settle(vec![Settlement { tag: delivery.tag, outcome }]).await.unwrap();
    offered.await.unwrap().unwrap();
    edge.receipts.close();
    let mut buried = eventually(DEADLINE, "the letters are there", async || {
        let listed = list(&*letters, 65_535).await;
        if listed.len() == there + count { Ok(listed) } else { Err(listed.len()) }
    })
    .await;
    // Not before: with its connection an acknowledgement could go that is still on its way.
    drop(consumer);
    buried.split_off(there)
}

/// Envelopes of one submission each.
pub fn envelopes(count: u32) -> (Vec<Submission>, Vec<Bytes>) {
    let submissions: Vec<_> = (0..count).map(submission).collect();
    let bodies = submissions.iter().map(|it| envelope::encode(std::slice::from_ref(it))).collect();
    (submissions, bodies)
}

async fn receive(consumer: &mut dyn Consumer) -> Delivery {
    let received = tokio::time::timeout(DEADLINE, consumer.receive(1)).await;
    received.expect("a delivery comes").unwrap().remove(0)
}

fn submission_of(delivery: &Delivery) -> Submission {
    delivery.content.as_ref().unwrap()[0].as_ref().unwrap().clone()
}

fn done(delivery: &Delivery) -> Settlement {
    let outcome = Outcome::Done { receipts: Vec::new(), dead_letters: Vec::new() };
    Settlement { tag: delivery.tag, outcome }
}

pub fn these(letters: &[&ListedLetter]) -> Selection {
    Selection::These(letters.iter().map(|letter| letter.id.clone()).collect())
}

fn details(letters: &[ListedLetter]) -> Vec<&str> {
    letters.iter().map(|letter| letter.detail.as_str()).collect()
}

async fn looking_at_letters_changes_nothing(it: Installation) {
    let bodies: Vec<_> =
        (0..70).map(|number| Bytes::from(format!("\u{0}letter {number}"))).collect();
    let buried = bury(&it, "invalid", bodies.clone()).await;
    let expected: Vec<_> = (0..70).map(|number| format!("letter {number}")).collect();
    assert_eq!(details(&buried), expected);
    let letters = it.backend.operator().await.dead_letters;
    for _ in 0..3 {
        assert_eq!(list(&*letters, 65_535).await, buried);
        assert_eq!(list(&*letters, 7).await, buried[..7]);
        for number in [0, 33, 69] {
            let found = letters.find(&buried[number].id).await.unwrap().unwrap();
            assert_eq!(
                (found.id, found.letter.body),
                (buried[number].id.clone(), bodies[number].clone())
            );
            assert_eq!(found.letter.detail, buried[number].detail);
        }
    }
    let audit = it.backend.audit().await.queue;
    assert_eq!(audit.dead_letters(70).await.unwrap()[69].body, bodies[69]);
    assert_eq!(audit.depths().await.unwrap().dead, 70);
}

async fn a_requeued_letter_is_delivered_again(it: Installation) {
    let (submissions, bodies) = envelopes(3);
    let buried = bury(&it, "rejected", bodies).await;
    let operator = it.backend.operator().await;
    let requeued = requeue(&*operator.dead_letters, &these(&[&buried[1]])).await;
    assert_eq!(requeued, [buried[1].id.clone()]);
    let left = list(&*operator.dead_letters, 10).await;
    assert_eq!(left, [buried[0].clone(), buried[2].clone()], "at once");
    assert!(operator.dead_letters.find(&buried[1].id).await.unwrap().is_none());

    let worker = it.backend.worker().await;
    for attempts in 0..2 {
        // Given back once: what counts its tries is the queue, and it has begun anew.
        let mut consumer = worker.consumers.open(Prefetch::Many).await.unwrap();
        let delivery = receive(consumer.as_mut()).await;
        assert_eq!(submission_of(&delivery), submissions[1]);
        assert_eq!(delivery.attempts, attempts);
        if attempts == 1 {
            consumer.settle(vec![done(&delivery)]).await.unwrap();
        }
    }
    let audit = it.backend.audit().await.queue;
    until(DEADLINE, "nothing waits", async || audit.depths().await.unwrap().queued == 0).await;
    assert_eq!(audit.depths().await.unwrap().dead, 2);
}

async fn a_requeued_letter_that_fails_again_is_a_letter_again(it: Installation) {
    let rubbish = Bytes::from_static(b"\x00\xff not even text");
    let buried = bury(&it, "unreadable", vec![rubbish.clone()]).await;
    let letters = it.backend.operator().await.dead_letters;
    let mut consumer = it.backend.worker().await.consumers.open(Prefetch::Many).await.unwrap();
    assert_eq!(requeue(&*letters, &Selection::All).await.len(), 1);
    let delivery = receive(consumer.as_mut()).await;
    assert!(delivery.content.is_err(), "{delivery:?}");
    let reason = DeadLetterReason { code: DeadLetterCode::Unreadable, detail: "still".to_owned() };
    let settlement = Settlement { tag: delivery.tag, outcome: Outcome::Dead(reason) };
    consumer.settle(vec![settlement]).await.unwrap();
    let again = eventually(DEADLINE, "it is there again, alone", async || {
        let listed = list(&*letters, 10).await;
        if listed.len() == 1 && listed[0].detail == "still" { Ok(listed) } else { Err(listed) }
    })
    .await;
    assert_ne!(again[0].id, buried[0].id);
    assert_eq!(again[0].attempts, 1);
    let found = letters.find(&again[0].id).await.unwrap().unwrap();
    assert_eq!(found.letter.body, rubbish);
}

async fn a_requeued_part_of_an_envelope_is_an_envelope(it: Installation) {
    // What a worker buries of an envelope as invalid is the part alone.
    let (submissions, bodies) = envelopes(1);
    let whole = &bodies[0];
    let start = b"{\"v\":1,\"submissions\":[".len();
    let part = whole.slice(start..whole.len() - 2);
    bury(&it, "invalid", vec![part]).await;
    let mut consumer = it.backend.worker().await.consumers.open(Prefetch::Many).await.unwrap();
    let letters = it.backend.operator().await.dead_letters;
    assert_eq!(requeue(&*letters, &Selection::All).await.len(), 1);
    let delivery = receive(consumer.as_mut()).await;
    assert_eq!(submission_of(&delivery), submissions[0]);
    consumer.settle(vec![done(&delivery)]).await.unwrap();
}

async fn a_discarded_letter_is_gone(it: Installation) {
    let (_, bodies) = envelopes(200);
    let buried = bury(&it, "rejected", bodies).await;
    let letters = it.backend.operator().await.dead_letters;
    let odd: Vec<_> = buried.iter().skip(1).step_by(2).collect();
    assert_eq!(discard(&*letters, &these(&odd)).await.len(), 100);
    let left = list(&*letters, 65_535).await;
    assert_eq!(left, buried.iter().step_by(2).cloned().collect::<Vec<_>>());
    assert_eq!(discard(&*letters, &Selection::All).await.len(), 100);
    assert_eq!(list(&*letters, 65_535).await, []);
    assert_eq!(discard(&*letters, &Selection::All).await, []);
    let audit = it.backend.audit().await.queue;
    assert_eq!(audit.depths().await.unwrap(), common::ports::audit::Depths::default());
}

async fn other_letters_keep_their_place(it: Installation) {
    let (_, bodies) = envelopes(90);
    let mut expected = bury(&it, "rejected", bodies).await;
    let letters = it.backend.operator().await.dead_letters;
    for (number, requeues) in [(45, true), (0, false), (87, true), (50, false)] {
        let taken = expected.remove(number);
        let which = these(&[&taken]);
        let handled = if requeues {
            requeue(&*letters, &which).await
        } else {
            discard(&*letters, &which).await
        };
        assert_eq!(handled, [taken.id]);
        assert_eq!(list(&*letters, 65_535).await, expected);
    }
}

async fn two_operators_at_a_time_lose_no_letter(it: Installation) {
    let (submissions, bodies) = envelopes(150);
    let buried = bury(&it, "rejected", bodies).await;
    let operators = [it.backend.operator().await, it.backend.operator().await];
    let all_but_last = these(&buried[..149].iter().collect::<Vec<_>>());
    let requeueing =
        operators.iter().map(|it| requeue_until_gone(&*it.dead_letters, &all_but_last));
    let handled: usize = futures_util::future::join_all(requeueing).await.into_iter().sum();
    assert!(handled >= 149, "{handled}: each by at least one of them");
    assert_eq!(list(&*operators[0].dead_letters, 10).await, [buried[149].clone()]);

    // So many are buried together that they need not lie in the order of their making.
    let left: usize = buried[149].detail.trim_start_matches("letter ").parse().unwrap();
    let expected: BTreeSet<_> =
        submissions.iter().map(|it| it.id).filter(|id| *id != submissions[left].id).collect();
    let mut consumer = it.backend.worker().await.consumers.open(Prefetch::Many).await.unwrap();
    let mut delivered = BTreeSet::new();
    while !delivered.is_superset(&expected) {
        let delivery = receive(consumer.as_mut()).await;
        delivered.insert(submission_of(&delivery).id);
        consumer.settle(vec![done(&delivery)]).await.unwrap();
    }
    assert_eq!(delivered, expected, "and not the one that nobody chose");
}

/// An operator finds none of the letters that another one looks at, and asks again.
async fn requeue_until_gone(letters: &dyn DeadLetters, which: &Selection) -> usize {
    let mut handled = 0;
    until(DEADLINE, "none of them is left", async || {
        handled += requeue(letters, which).await.len();
        !list(letters, 10).await.iter().any(|it| which.contains(&it.id, &it.code, it.first_seen_at))
    })
    .await;
    handled
}

async fn a_letter_that_is_not_there_is_left_out(it: Installation) {
    let (_, bodies) = envelopes(2);
    let buried = bury(&it, "rejected", bodies).await;
    let letters = it.backend.operator().await.dead_letters;
    let unknown = ["", "0", "-1", "x", "00000000deadbeef", "' OR 1=1 --", "99999999999999999999"];
    for id in unknown.map(LetterId::new) {
        assert!(letters.find(&id).await.unwrap().is_none());
        let mut ids = BTreeSet::from([id]);
        assert_eq!(requeue(&*letters, &Selection::These(ids.clone())).await, []);
        ids.extend([LetterId::new("neither")]);
        assert_eq!(discard(&*letters, &Selection::These(ids)).await, []);
    }
    let mixed = Selection::These([buried[1].id.clone(), LetterId::new("x")].into());
    assert_eq!(discard(&*letters, &mixed).await, [buried[1].id.clone()]);
    assert_eq!(list(&*letters, 10).await, buried[..1]);
}
