use common::{clock::SystemEntropy, domain::PersonKey, keys::NumberKey};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::DropGuard;

use super::*;
use crate::doubles::{ScriptedQueue, ScriptedSource, ScriptedStore, TestClock, Turn};

/// A lane at work.
struct Bed {
    queue: Arc<ScriptedQueue>,
    store: Arc<ScriptedStore>,
    state: State,
    _running: JoinHandle<()>,
    _stop: DropGuard,
}

fn bed(queue: ScriptedQueue) -> Bed {
    let (queue, store) = (Arc::new(queue), Arc::<ScriptedStore>::default());
    let key = NumberKey::from_hex(&"5".repeat(64)).unwrap();
    let lane = Lane::new(Tools {
        consumers: Arc::new(ScriptedSource(Arc::clone(&queue))),
        store: store.clone(),
        clock: Arc::new(TestClock),
        entropy: Arc::new(SystemEntropy),
        numbers: Arc::new(Numbers::new(&key, store.clone())),
        people: PersonKey::new(&key),
        submissions_max: 500,
        stored: Arc::default(),
    });
    let (state, stop) = (State::new(), CancellationToken::new());
    let running = tokio::spawn(Arc::new(lane).run(state.clone(), stop.clone()));
    Bed { queue, store, state, _running: running, _stop: stop.drop_guard() }
}

#[tokio::test(start_paused = true)]
async fn an_idle_lane_whose_store_is_away_holds_nothing_that_others_could_store() {
    let bed = bed(ScriptedQueue::default());
    sleep(3 * IDLE_MAX).await;
    assert_eq!(bed.queue.open.load(Ordering::Relaxed), 1);
    assert!(bed.state.is_ready());
    bed.store.is_away.store(true, Ordering::Relaxed);
    sleep(IDLE_MAX).await;
    assert_eq!(bed.queue.open.load(Ordering::Relaxed), 0);
    assert!(!bed.state.is_ready());
    bed.store.is_away.store(false, Ordering::Relaxed);
    sleep(2 * RETRY_DELAY_MAX).await;
    assert_eq!(bed.queue.open.load(Ordering::Relaxed), 1);
    assert!(bed.state.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_lane_takes_nothing_while_tickets_cannot_be_inserted() {
    let bed = bed(ScriptedQueue::default());
    bed.store.is_locked.store(true, Ordering::Relaxed);
    sleep(3 * IDLE_MAX).await;
    assert_eq!(bed.queue.opened.load(Ordering::Relaxed), 0);
    bed.store.is_locked.store(false, Ordering::Relaxed);
    sleep(2 * RETRY_DELAY_MAX).await;
    assert_eq!(bed.queue.open.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_settles_something_between_two_losses_does_not_wait_longer_each_time() {
    let turns = vec![Turn::Submission, Turn::Submission, Turn::Loss];
    let bed = bed(ScriptedQueue { turns, ..ScriptedQueue::default() });
    sleep(LETTING_GO_DELAY_MAX).await;
    let opened = bed.queue.opened.load(Ordering::Relaxed);
    assert!(opened > 100, "{opened} times");
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_settles_nothing_between_two_losses_waits_longer_each_time() {
    let turns = vec![Turn::Loss];
    let bed = bed(ScriptedQueue { turns, ..ScriptedQueue::default() });
    sleep(LETTING_GO_DELAY_MAX).await;
    let opened = bed.queue.opened.load(Ordering::Relaxed);
    assert!(opened < 20, "{opened} times");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_settled_is_held_alone_from_then_on() {
    let turns = vec![Turn::Submission, Turn::Unsettled];
    let bed = bed(ScriptedQueue { turns, ..ScriptedQueue::default() });
    sleep(RETRY_DELAY_MAX).await;
    let prefetches = bed.queue.prefetches.lock().unwrap().clone();
    assert_eq!(prefetches[..3], [Prefetch::One, Prefetch::Many, Prefetch::One]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_counts_once_it_is_durable() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let failing_settlements = 3.into();
    let turns = vec![Turn::Rubbish];
    let bed = bed(ScriptedQueue { turns, failing_settlements, ..ScriptedQueue::default() });
    sleep(LETTING_GO_DELAY_MAX).await;
    assert!(bed.queue.settled.load(Ordering::Relaxed) > 0);
    let settled = bed.queue.settled.load(Ordering::Relaxed);
    let told = recorder.handle().render();
    let expected = format!("worker_dead_letters_total{{reason=\"unknown-version\"}} {settled}\n");
    assert!(told.contains(&expected), "{told}");
}
