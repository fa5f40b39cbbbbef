use std::{fs, sync::atomic::Ordering};

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::{
    batcher, doubles,
    doubles::{FORM, Heard, Mood, Stage},
    submit::DURABLE_WAIT,
};

const MANY: u64 = 1 << 30;

/// Some looks of the drain.
const DRAINED: Duration = Duration::from_secs(5);

/// An edge with a spool in this folder. Its queue never sends a number.
fn stage_with(dir: &TempDir, bytes_max: u64, mood: Mood) -> Stage {
    let mut settings = doubles::settings(Duration::from_secs(2));
    (settings.limits.create, settings.limits.attempts) = (None, None);
    settings.spool = Some(SpoolDir::open(dir.path(), bytes_max).unwrap());
    let stage = Stage::with(&settings);
    *stage.publisher.mood.lock().unwrap() = mood;
    *stage.publisher.receipts_after.lock().unwrap() = None;
    stage
}

fn stage(dir: &TempDir, mood: Mood) -> Stage {
    stage_with(dir, MANY, mood)
}

async fn post(stage: &Stage, message: &str) -> Heard {
    stage.post(FORM.replace("It is stuck", message), &[("prefer", "respond-async")]).await
}

fn assert_spooled(heard: &Heard) -> String {
    let id = heard.json["data"]["id"].as_str().unwrap_or_default().to_owned();
    let expected = json!({"id": id, "status": "queued", "durability": "spooled"});
    assert_eq!((heard.status, &heard.json["data"]), (202, &expected), "{:?}", heard.json);
    id
}

/// What the queue was asked to take, since so many envelopes.
fn messages(stage: &Stage, since: usize) -> Vec<String> {
    let envelopes = stage.publisher.envelopes.lock().unwrap();
    let submissions = envelopes[since..].iter().flatten();
    submissions.map(|submission| submission.form.message.as_str().to_owned()).collect()
}

fn spool_of(stage: &Stage) -> &Arc<Spool> {
    stage.edge.outlet.spool().unwrap()
}

/// Files that hold submissions.
fn segments(dir: &TempDir) -> usize {
    let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    names.filter(|path| path.extension().is_some_and(|it| it == "segment")).count()
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_the_queue_is_away_is_spooled_and_drained_in_order_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let stage = stage(&dir, Mood::Willing);
    stage.publisher.is_ready.store(false, Ordering::Relaxed);
    let messages_sent: Vec<_> = (0..30).map(|number| format!("number {number}")).collect();
    let mut ids = Vec::new();
    for message in &messages_sent {
        let heard = post(&stage, message).await;
        assert!(heard.after < Duration::from_millis(500), "{:?}", heard.after);
        ids.push(assert_spooled(&heard));
    }
    assert_eq!(stage.publisher.sizes(), [0; 0]);
    assert_eq!(spool_of(&stage).figures().submissions, 30);
    let look_up = stage.get(&format!("/api/support/ticket/{}", ids[0])).await;
    assert_eq!(look_up.json["data"], json!({"id": ids[0], "status": "queued"}));

    stage.publisher.is_ready.store(true, Ordering::Relaxed);
    assert_eq!(spool_of(&stage).drained(DRAINED).await, 0);
    assert_eq!(messages(&stage, 0), messages_sent);
    let envelopes = stage.publisher.envelopes.lock().unwrap().clone();
    let published: Vec<_> = envelopes.iter().flatten().map(|it| it.id.to_string()).collect();
    assert_eq!(published, ids);
    assert_eq!(segments(&dir), 0);
    let heard = post(&stage, "and on").await;
    assert_eq!((heard.status, heard.json["data"].get("durability")), (202, None));
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_hangs_costs_a_second_once_and_nobody_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let stage = stage(&dir, Mood::Silent);
    let first = post(&stage, "one").await;
    assert_spooled(&first);
    assert!(first.after < DURABLE_WAIT, "{:?}", first.after);
    let second = post(&stage, "two").await;
    assert_spooled(&second);
    assert!(second.after < Duration::from_millis(500), "{:?}", second.after);
    // The drain finds out that it is well again, and others take the short way from then on.
    *stage.publisher.mood.lock().unwrap() = Mood::Willing;
    assert_eq!(spool_of(&stage).drained(DRAINED).await, 0);
    assert!(post(&stage, "three").await.json["data"].get("durability").is_none());
}

#[tokio::test(start_paused = true)]
async fn whatever_the_queue_says_instead_of_yes_the_submission_is_spooled() {
    for mood in [Mood::Failing, Mood::Unsure, Mood::Doomed(Duration::from_millis(300))] {
        let dir = tempfile::tempdir().unwrap();
        let stage = stage(&dir, mood);
        assert_spooled(&post(&stage, "one").await);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_queue_has_not_confirmed_stays_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let stage = stage(&dir, Mood::Failing);
    let id = assert_spooled(&post(&stage, "one").await);
    for mood in [Mood::Failing, Mood::Unsure, Mood::Silent] {
        *stage.publisher.mood.lock().unwrap() = mood;
        let asked = stage.publisher.sizes().len();
        assert_eq!(spool_of(&stage).drained(DRAINED).await, 1, "{mood:?}");
        assert!(stage.publisher.sizes().len() > asked, "it was tried");
        assert_eq!(segments(&dir), 1, "{mood:?}");
    }
    // The next edge on the folder drains it, under the same id.
    drop(stage);
    let stage = next_stage(&dir).await;
    assert_eq!(spool_of(&stage).drained(DRAINED).await, 0);
    assert_eq!(stage.publisher.envelopes.lock().unwrap()[0][0].id.to_string(), id);
}

/// The folder is free once the tasks of the stage before are gone.
async fn next_stage(dir: &TempDir) -> Stage {
    drop(free(dir).await);
    stage(dir, Mood::Willing)
}

async fn free(dir: &TempDir) -> SpoolDir {
    loop {
        match SpoolDir::open(dir.path(), MANY) {
            Ok(spooled) => break spooled,
            Err(_) => sleep(Duration::from_millis(1)).await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_spool_is_a_503_until_it_has_room_again() {
    let dir = tempfile::tempdir().unwrap();
    let stage = stage_with(&dir, 1 << 20, Mood::Failing);
    let long = "x".repeat(9_000);
    let mut refused = None;
    for _ in 0..150 {
        let heard = post(&stage, &long).await;
        if heard.status != 202 {
            refused = Some(heard);
            break;
        }
    }
    let refused = refused.expect("the spool is bounded");
    assert_eq!(refused.code(), (503, "not_accepted"));
    assert_eq!(refused.header("retry-after"), "2");
    let Figures { bytes, submissions, .. } = spool_of(&stage).figures();
    assert!(bytes <= 1 << 20 && submissions > 80, "{bytes} {submissions}");
    *stage.publisher.mood.lock().unwrap() = Mood::Willing;
    assert_eq!(spool_of(&stage).drained(DRAINED).await, 0);
    assert_eq!(post(&stage, &long).await.status, 202);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_takes_nothing_is_a_503_and_is_found_to_be_well_again() {
    let dir = tempfile::tempdir().unwrap();
    let stage = stage(&dir, Mood::Failing);
    let away = dir.path().with_extension("away");
    fs::rename(dir.path(), &away).unwrap();
    assert_eq!(post(&stage, "one").await.code(), (503, "not_accepted"));
    stage.publisher.is_ready.store(false, Ordering::Relaxed);
    assert!(!spool_of(&stage).has_room());
    sleep(2 * PROBE_PERIOD).await;
    assert_eq!(stage.get("/readyz").await.status, 503);
    fs::rename(&away, dir.path()).unwrap();
    sleep(2 * PROBE_PERIOD).await;
    assert_eq!(stage.get("/readyz").await.status, 200);
    assert_spooled(&post(&stage, "two").await);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_given_up_while_nothing_is_written_is_asked_again() {
    let dir = tempfile::tempdir().unwrap();
    let stage = stage(&dir, Mood::Willing);
    sleep(PROBE_PERIOD / 2).await;
    // By somebody who waited too long, when the disk had said yes and the writer was idle again.
    spool_of(&stage).is_failing.store(true, Ordering::Relaxed);
    sleep(2 * PROBE_PERIOD).await;
    assert!(spool_of(&stage).has_room());
}

/// The queue has it, and nothing is said of a spool.
fn assert_queued(heard: &Heard) {
    assert_eq!((heard.status, heard.json["data"].get("durability")), (202, None), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn a_spool_whose_disk_fails_keeps_nothing_from_a_queue_that_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let stage = stage_on_segments(&dir, &["one"]).await;
    let away = dir.path().with_extension("away");
    fs::rename(dir.path(), &away).unwrap();
    stage.publisher.is_ready.store(true, Ordering::Relaxed);
    // Which finds it out.
    assert_eq!(post(&stage, "two").await.code(), (503, "not_accepted"));
    for message in ["three", "four"] {
        assert_queued(&post(&stage, message).await);
    }
    fs::rename(&away, dir.path()).unwrap();
    assert_eq!(spool_of(&stage).drained(DRAINED).await, 0);
    assert_eq!(messages(&stage, 0), ["three", "four", "one"]);
}

#[tokio::test(start_paused = true)]
async fn a_full_spool_that_cannot_be_read_keeps_nothing_from_a_queue_that_is_back() {
    const FULL: usize = 1 << 20;
    let dir = tempfile::tempdir().unwrap();
    let spooled = SpoolDir::open(dir.path(), MANY).unwrap();
    let body = vec![b'x'; FULL - 100].into();
    lock(&spooled.0).append(&[Record { submissions: 1, spooled_at_ms: 0, body }]).unwrap();
    drop(spooled);
    let stage = stage_with(&dir, FULL as u64, Mood::Willing);
    let segment = dir.path().join("00000000000000000001.segment");
    fs::remove_file(&segment).unwrap();
    fs::create_dir(&segment).unwrap();
    assert_queued(&post(&stage, "one").await);
    assert_eq!(spool_of(&stage).figures().submissions, 1, "it is still there");
}

/// Leaves a form in each of so many segments, and a stage whose queue is not there yet.
async fn stage_on_segments(dir: &TempDir, messages: &[&str]) -> Stage {
    for message in messages {
        let stage = next_stage(dir).await;
        stage.publisher.is_ready.store(false, Ordering::Relaxed);
        assert_spooled(&post(&stage, message).await);
    }
    let stage = next_stage(dir).await;
    stage.publisher.is_ready.store(false, Ordering::Relaxed);
    assert_eq!(segments(dir), messages.len());
    stage
}

#[tokio::test(start_paused = true)]
async fn each_segment_that_cannot_be_read_has_its_tries_before_it_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let stage = stage_on_segments(&dir, &["one", "two", "three"]).await;
    let mut paths: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|it| it.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == "segment"));
    paths.sort();
    for path in &paths[..2] {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    }
    stage.publisher.is_ready.store(true, Ordering::Relaxed);
    let begun_at = Instant::now();
    assert_eq!(spool_of(&stage).drained(Duration::from_mins(1)).await, 0);
    assert!(begun_at.elapsed() > Duration::from_secs(19), "{:?}", begun_at.elapsed());
    assert_eq!(
        (messages(&stage, 0), spool_of(&stage).figures().set_aside),
        (vec!["three".to_owned()], 2)
    );
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_is_away_says_nothing_of_its_segments() {
    let dir = tempfile::tempdir().unwrap();
    let stage = stage_on_segments(&dir, &["one", "two"]).await;
    let away = dir.path().with_extension("away");
    fs::rename(dir.path(), &away).unwrap();
    stage.publisher.is_ready.store(true, Ordering::Relaxed);
    sleep(Duration::from_mins(1)).await;
    assert_eq!(spool_of(&stage).figures().submissions, 2);
    fs::rename(&away, dir.path()).unwrap();
    assert_eq!(spool_of(&stage).drained(DRAINED).await, 0);
    assert_eq!(
        (messages(&stage, 0), spool_of(&stage).figures().set_aside),
        (vec!["one".to_owned(), "two".to_owned()], 0)
    );
}

#[tokio::test(start_paused = true)]
async fn an_edge_with_room_in_its_spool_is_ready_without_a_queue_and_says_that_it_is_not_well() {
    let dir = tempfile::tempdir().unwrap();
    let stage = stage(&dir, Mood::Willing);
    sleep(Duration::from_millis(1_100)).await;
    assert_eq!(stage.get("/api/support/health").await.json["status"], "ok");
    stage.publisher.is_ready.store(false, Ordering::Relaxed);
    let health = stage.get("/api/support/health").await;
    assert_eq!((health.status, &health.json["status"]), (200, &json!("degraded")));
    assert_eq!(stage.get("/readyz").await.status, 200);
    stage.stop.cancel();
    assert_eq!(stage.get("/readyz").await.status, 503);
}

#[tokio::test(start_paused = true)]
async fn what_lies_in_the_spool_is_followed_only_once_it_is_drained() {
    let dir = tempfile::tempdir().unwrap();
    let stage = stage(&dir, Mood::Failing);
    assert_spooled(&post(&stage, "one").await);
    sleep(DRAINED).await;
    assert_eq!(stage.edge.accounts.count(), 0);
    *stage.publisher.mood.lock().unwrap() = Mood::Willing;
    assert_eq!(spool_of(&stage).drained(DRAINED).await, 0);
    assert_eq!(stage.edge.accounts.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_again_while_it_is_spooled_is_one_submission() {
    let dir = tempfile::tempdir().unwrap();
    let stage = stage(&dir, Mood::Failing);
    stage.claims.remembers.store(true, Ordering::Relaxed);
    let first = assert_spooled(&post(&stage, "one").await);
    let again = post(&stage, "one").await;
    assert_eq!(again.json["data"]["duplicate"], true);
    assert_eq!(again.json["data"]["durability"], "spooled");
    assert_eq!(again.json["data"]["id"], first);
    let key = [("idempotency-key", "k"), ("prefer", "respond-async")];
    let keyed = assert_spooled(&stage.post(FORM, &key).await);
    let replayed = stage.post(FORM, &key).await;
    assert_eq!(assert_spooled(&replayed), keyed);
    assert_eq!(replayed.header("idempotency-replayed"), "true");
}

#[tokio::test(start_paused = true)]
async fn a_stop_tries_for_a_moment_and_leaves_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let stage = stage(&dir, Mood::Failing);
    assert_spooled(&post(&stage, "one").await);
    let asked_at = Instant::now();
    stage.background.finish().await.unwrap();
    assert!(asked_at.elapsed() < Duration::from_secs(3), "{:?}", asked_at.elapsed());
    assert_eq!(segments(&dir), 1);
}

#[tokio::test(start_paused = true)]
async fn an_envelope_that_cannot_be_read_whole_is_published_as_it_is_and_in_its_turn() {
    let dir = tempfile::tempdir().unwrap();
    for message in ["one", "two"] {
        let stage = next_stage(&dir).await;
        stage.publisher.is_ready.store(false, Ordering::Relaxed);
        assert_spooled(&post(&stage, message).await);
    }
    let sound = |files: &mut Files| {
        let Front { number, records, .. } = files.front().unwrap().unwrap();
        files.finish(number, false);
        records[0].clone()
    };
    let changed = |record: &Record, from: &str, to: &str| {
        let text = str::from_utf8(&record.body).unwrap().replacen(from, to, 1);
        Record { body: text.into(), ..record.clone() }
    };
    let spooled = free(&dir).await;
    let strange = {
        let mut files = lock(&spooled.0);
        let (one, two) = (sound(&mut files), sound(&mut files));
        let (later, half) = (changed(&one, "{\"v\":1", "{\"v\":2"), changed(&one, "}]", "},7]"));
        let half = changed(&half, "\"id\":\"0", "\"id\":\"f");
        let neither = Record { body: "neither".into(), ..one.clone() };
        files.append(&[one, later.clone(), half.clone(), neither.clone(), two]).unwrap();
        [later.body, half.body, neither.body].map(|body| (1, body))
    };
    drop(spooled);
    let stage = stage(&dir, Mood::Willing);
    assert_eq!(spool_of(&stage).drained(DRAINED).await, 0);
    assert_eq!(messages(&stage, 0), ["one", "two"]);
    assert_eq!(*stage.publisher.bodies.lock().unwrap(), strange);
    assert_eq!((segments(&dir), spool_of(&stage).figures().set_aside), (0, 0));
    // What can be read of them is followed like any other.
    assert_eq!(stage.edge.accounts.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_large_spool_is_drained_in_full_envelopes() {
    let dir = tempfile::tempdir().unwrap();
    let stage = stage(&dir, Mood::Failing);
    for number in 0..450 {
        assert_spooled(&post(&stage, &number.to_string()).await);
    }
    let before = stage.publisher.sizes().len();
    *stage.publisher.mood.lock().unwrap() = Mood::Willing;
    assert_eq!(spool_of(&stage).drained(DRAINED).await, 0);
    let sizes = stage.publisher.sizes()[before..].to_vec();
    assert!(sizes.len() <= 5, "{sizes:?}");
    assert!(sizes.iter().all(|size| batcher::is_full(*size, 0) || *size < 200), "{sizes:?}");
    let numbers: Vec<_> = (0..450).map(|number: u32| number.to_string()).collect();
    let drained = messages(&stage, before);
    assert_eq!(drained[drained.len() - 449..], numbers[1..]);
}
