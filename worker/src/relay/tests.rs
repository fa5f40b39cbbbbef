use std::{collections::HashMap, sync::atomic::AtomicUsize};

use common::{clock::SystemEntropy, domain::EventId};
use tokio::time::{sleep, timeout};

use super::*;
use crate::doubles::{ScriptedOutbox, ScriptedPublisher, TestClock, event};

fn relay(outbox: &Arc<ScriptedOutbox>, publisher: &Arc<ScriptedPublisher>) -> Arc<Relay> {
    let (outbox, events, stored) = (outbox.clone(), publisher.clone(), Arc::default());
    Arc::new(Relay::new(
        outbox,
        events,
        stored,
        Arc::new(TestClock),
        &SystemEntropy,
        Arc::default(),
    ))
}

fn outbox(events: u64) -> Arc<ScriptedOutbox> {
    Arc::new(ScriptedOutbox { events, ..ScriptedOutbox::default() })
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_stops_leaves_a_backlog_to_another() {
    let outbox = outbox(u64::from(BATCH) * 1_000);
    let takes = Duration::from_millis(100);
    let publisher = Arc::new(ScriptedPublisher { takes, ..ScriptedPublisher::default() });
    let stop = CancellationToken::new();
    stop.cancel();
    let ending = relay(&outbox, &publisher).run(stop);
    timeout(FAREWELL + 2 * takes, ending).await.expect("it does not publish all of it");
    let heard = publisher.heard.lock().unwrap().len() as u64;
    assert!(heard > 10 * u64::from(BATCH), "{heard}");
    assert_eq!(outbox.advanced_to.load(Ordering::Relaxed), heard, "what it did is written down");
    assert_eq!(*outbox.holder.lock().unwrap(), None, "the lease is given back");
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_is_stopped_has_published_nothing_twice() {
    let (outbox, publisher) = (outbox(3), Arc::<ScriptedPublisher>::default());
    let stop = CancellationToken::new();
    let running = tokio::spawn(relay(&outbox, &publisher).run(stop.clone()));
    // Before what was published is written down as a matter of course.
    sleep(ADVANCE_INTERVAL / 2).await;
    assert_eq!(publisher.heard.lock().unwrap().len(), 3);
    stop.cancel();
    running.await.unwrap();
    assert_eq!(publisher.heard.lock().unwrap().len(), 3);
    assert_eq!(outbox.advanced_to.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_takes_nothing_is_not_told_as_a_lost_lease() {
    let outbox = outbox(1);
    let takes = Duration::from_mins(1);
    let publisher = Arc::new(ScriptedPublisher { takes, ..ScriptedPublisher::default() });
    let relay = relay(&outbox, &publisher);
    let error = relay.serve(&CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, RelayError::Overdue), "{error}");
}

/// How often each event was heard.
fn times_heard(publisher: &ScriptedPublisher) -> HashMap<EventId, usize> {
    let mut times = HashMap::new();
    for id in publisher.heard.lock().unwrap().iter() {
        *times.entry(*id).or_default() += 1;
    }
    times
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_refused_does_not_make_the_others_come_again_and_again() {
    let refused = event(300).id;
    let outbox = outbox(1_000);
    let publisher = Arc::new(ScriptedPublisher {
        refused: Some((refused, AtomicUsize::new(50))),
        ..ScriptedPublisher::default()
    });
    let stop = CancellationToken::new();
    let running = tokio::spawn(relay(&outbox, &publisher).run(stop.clone()));
    while outbox.advanced_to.load(Ordering::Relaxed) < 1_000 {
        sleep(Duration::from_millis(10)).await;
    }
    stop.cancel();
    running.await.unwrap();
    let times = times_heard(&publisher);
    assert_eq!((times.len(), times[&refused]), (1_000, 51));
    for position in 1..=1_000 {
        let times = times[&event(position).id];
        // Those behind it came once with it, before it was known to be refused.
        assert!(position == 300 || times == 1 || (position > 300 && times == 2), "{position}");
    }
}
