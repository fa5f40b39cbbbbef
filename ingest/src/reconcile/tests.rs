use common::{
    clock::SystemEntropy,
    domain::{Submission, SubmissionId},
    envelope,
    ports::audit::Depths,
    trace::Trace,
};
use tokio::{task::JoinHandle, time::advance};
use uuid::Uuid;

use super::*;
use crate::{
    doubles::{
        FORM, Mood, TestClock,
        ledger::{ScriptedLedger, ScriptedQueue},
    },
    form,
};

const WINDOW: Duration = Duration::from_mins(1);

/// A look or two, which begin within this.
const LOOKS: Duration = Duration::from_secs(5);

struct Bed {
    accounts: Arc<Accounts>,
    ledger: Arc<ScriptedLedger>,
    queue: Arc<ScriptedQueue>,
    reconciler: Arc<Reconciler>,
    _looking: JoinHandle<()>,
}

fn bed() -> Bed {
    let (accounts, ledger) = (Arc::<Accounts>::default(), Arc::<ScriptedLedger>::default());
    let queue = Arc::<ScriptedQueue>::default();
    let reconciler = Arc::new(Reconciler {
        accounts: accounts.clone(),
        ledger: ledger.clone(),
        queue: queue.clone(),
        clock: Arc::new(TestClock(Instant::now())),
        window: WINDOW,
    });
    let looking = tokio::spawn(reconciler.clone().run());
    Bed { accounts, ledger, queue, reconciler, _looking: looking }
}

impl Bed {
    /// Lets time pass, look by look.
    async fn pass(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            advance(PERIOD / 4).await;
            // As many times as a look waits for something.
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
    }

    async fn balance(&self) -> (u64, u64) {
        let balance = self.ledger.balance().await.unwrap();
        (balance.in_flight, balance.unaccounted)
    }
}

fn id(id: u128) -> SubmissionId {
    Uuid::from_u128(id).into()
}

fn letter(number: u128) -> bytes::Bytes {
    envelope::encode(&[Submission {
        id: id(number),
        key: None,
        submitted_at: DateTime::UNIX_EPOCH,
        form: form::parse(FORM.as_bytes()).unwrap(),
        trace: Trace::of_request(None, None, &SystemEntropy),
    }])
}

#[tokio::test(start_paused = true)]
async fn what_is_not_heard_of_is_entered_and_struck_out_as_a_ticket() {
    let bed = bed();
    bed.accounts.follow(id(1));
    bed.accounts.follow(id(2));
    bed.accounts.settle([id(2)]);
    bed.pass(LOOKS).await;
    assert_eq!(bed.balance().await, (1, 0));
    assert_eq!(bed.accounts.count(), 0, "the ledger looks after it");
    bed.ledger.tickets.lock().unwrap().insert(id(1));
    bed.pass(LOOKS).await;
    assert!(bed.ledger.entries.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_the_queue_does_not_hold_for_a_window_is_unaccounted_until_it_turns_up() {
    let bed = bed();
    bed.accounts.follow(id(1));
    bed.pass(WINDOW / 2).await;
    bed.accounts.follow(id(2));
    bed.pass(WINDOW / 2).await;
    assert_eq!(bed.balance().await, (2, 0), "the first may still be with a worker");
    bed.pass(WINDOW / 3).await;
    assert_eq!(bed.balance().await, (1, 1));
    bed.queue.depths.lock().unwrap().queued = 1;
    bed.pass(WINDOW * 2).await;
    assert_eq!(bed.balance().await, (1, 1), "what is queued now is not the first");
    bed.ledger.tickets.lock().unwrap().insert(id(1));
    bed.pass(LOOKS).await;
    assert_eq!(bed.balance().await, (1, 0));
}

#[tokio::test(start_paused = true)]
async fn whatever_may_have_brought_it_back_begins_the_window_anew() {
    let bed = bed();
    bed.accounts.follow(id(1));
    let almost = WINDOW.saturating_sub(2 * LOOKS);
    bed.pass(almost).await;
    // A worker gave back what it had.
    bed.queue.depths.lock().unwrap().queued = 1;
    bed.pass(LOOKS).await;
    *bed.queue.depths.lock().unwrap() = Depths::default();
    bed.pass(almost).await;
    // While a server is away, nothing is stored or nothing is known.
    *bed.queue.mood.lock().unwrap() = Mood::Failing;
    bed.pass(LOOKS).await;
    *bed.queue.mood.lock().unwrap() = Mood::Willing;
    bed.pass(almost).await;
    *bed.ledger.mood.lock().unwrap() = Mood::Failing;
    bed.pass(LOOKS).await;
    *bed.ledger.mood.lock().unwrap() = Mood::Willing;
    bed.pass(almost).await;
    assert_eq!(bed.balance().await, (1, 0));
    bed.pass(4 * LOOKS).await;
    assert_eq!(bed.balance().await, (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_accounted_for() {
    let bed = bed();
    bed.accounts.follow(id(1));
    bed.accounts.follow(id(2));
    bed.queue.letters.lock().unwrap().extend([bytes::Bytes::from("{"), letter(1)]);
    bed.pass(WINDOW + 4 * LOOKS).await;
    assert_eq!(bed.balance().await, (0, 1));
    // Given up by the broker only after twenty tries, long after the window.
    bed.queue.letters.lock().unwrap().push(letter(2));
    bed.pass(LOOKS).await;
    assert_eq!(bed.balance().await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_missed_that_may_be_in_somebodys_hands() {
    let bed = bed();
    bed.accounts.follow(id(1));
    // The letter is out of sight, as an operator holds it.
    bed.queue.depths.lock().unwrap().are_dead_held = true;
    bed.pass(WINDOW * 3).await;
    assert_eq!(bed.balance().await, (1, 0));
    bed.queue.depths.lock().unwrap().are_dead_held = false;
    bed.queue.letters.lock().unwrap().push(letter(1));
    bed.pass(WINDOW + 4 * LOOKS).await;
    assert_eq!(bed.balance().await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_missed_that_a_look_did_not_come_to() {
    let bed = bed();
    bed.accounts.follow(id(1));
    bed.accounts.follow(id(2));
    bed.queue.letters.lock().unwrap().extend([letter(1), letter(2)]);
    // The broker pauses: the look takes that for the end.
    *bed.queue.seen_max.lock().unwrap() = 1;
    bed.pass(WINDOW + 4 * LOOKS).await;
    assert_eq!(bed.balance().await, (1, 0));
    *bed.queue.seen_max.lock().unwrap() = usize::MAX;
    bed.pass(LOOKS).await;
    assert_eq!(bed.balance().await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_missed_that_somebody_took_in_hand_when_a_look_began() {
    let bed = bed();
    bed.queue.letters.lock().unwrap().push(letter(2));
    // One that is missed for good: the window has long passed when the other is due.
    bed.accounts.follow(id(3));
    bed.pass(WINDOW + 4 * LOOKS).await;
    bed.accounts.follow(id(1));
    // The look comes past as many letters as there were, and yet they are not the same.
    let held = Depths { are_dead_held: true, ..Depths::default() };
    *bed.queue.depths_then.lock().unwrap() = Some(held);
    bed.pass(WINDOW + 4 * LOOKS).await;
    assert_eq!(bed.balance().await, (1, 1));
    bed.queue.letters.lock().unwrap().push(letter(1));
    *bed.queue.depths.lock().unwrap() = Depths::default();
    bed.pass(LOOKS).await;
    assert_eq!(bed.balance().await, (0, 1));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_missed_among_more_letters_than_are_read() {
    let bed = bed();
    bed.accounts.follow(id(1));
    let rest = vec![bytes::Bytes::from("{"); LETTERS_MAX as usize];
    bed.queue.letters.lock().unwrap().extend(rest.into_iter().chain([letter(1)]));
    bed.pass(WINDOW + 4 * LOOKS).await;
    assert_eq!(bed.balance().await, (1, 0));
    // As soon as there are no more than that, all are read.
    bed.queue.letters.lock().unwrap().remove(0);
    bed.pass(LOOKS).await;
    assert_eq!(bed.balance().await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_still_followed_at_the_end_is_entered() {
    let bed = bed();
    for number in 0..5_000 {
        bed.accounts.follow(id(number));
    }
    bed.reconciler.finish().await;
    assert_eq!(bed.balance().await, (5_000, 0));
    bed.accounts.follow(id(7_000));
    *bed.ledger.mood.lock().unwrap() = Mood::Silent;
    let begun = Instant::now();
    bed.reconciler.finish().await;
    assert_eq!(begun.elapsed(), FINISH_WAIT);
}
