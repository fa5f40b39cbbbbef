//! Submissions sent again and again under their keys, while what the edges share, and an edge, go.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::Value;
use tokio::task::JoinSet;

use super::{figure, stored};
use crate::bed::client::{Answer, Client};
use crate::bed::form::Form;
use crate::bed::servers::Servers;
use crate::bed::system::{TICKETS, TestSystem};
use crate::bed::wait::until;

/// Keys that are under way at a time, each with all its posts.
const KEYS_AT_A_TIME: usize = 4;

/// Between two tries to reach an edge that is away, or does not accept.
const PAUSE: Duration = Duration::from_millis(50);

/// An edge that was killed is back long before.
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn every_key_has_one_ticket_and_one_id_whatever_goes_away() {
    let (keys, posts) = (figure("KEYS", 200), figure("POSTS", 50));
    let servers = Servers::own().await;
    let system =
        TestSystem::distributed(servers.backing().await).with_ingest(2).with_worker(2).await;
    let crowd = Crowd::of([0, 1].map(|edge| system.edge(edge).client().clone()).into(), posts);
    let running = crowd.begin(keys);

    crowd.has_done(keys * 2 / 5).await;
    assert_eq!(servers.redis.ask(system.backing().redis_database, "FLUSHALL").await, "+OK");
    crowd.has_done(keys * 3 / 5).await;
    system.edge(1).kill();
    crowd.has_done(keys * 4 / 5).await;
    system.edge(1).start_again().await;
    let told = running.await.unwrap();

    let first = assert_every_answer_of_a_key_is_the_same(&told, keys);
    system.settled(keys as u64).await;
    let mut connection = stored::connect(&system.backing().database_url).await;
    let tickets = stored::tickets(&mut connection).await;
    assert_eq!(tickets.len(), keys);
    for (id, number, message) in &tickets {
        let (told_id, told_number) = &first[message];
        assert_eq!((told_id, told_number.as_ref().unwrap_or(number)), (id, number));
    }
    // After all that, and with Redis emptied once more, at either edge.
    servers.redis.ask(system.backing().redis_database, "FLUSHALL").await;
    crowd.repeat_the_last(keys, &first).await;
    let audit = system.verify().await;
    assert!(audit.status.success(), "{audit:?}");
    crowd.report(keys);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_has_one_ticket_and_one_id_when_an_embedded_installation_is_killed() {
    let (keys, posts) = (40, 25);
    let system = TestSystem::embedded().await;
    let crowd = Crowd::of(vec![system.client().clone()], posts);
    let running = crowd.begin(keys);
    for part in [1, 2] {
        crowd.has_done(keys * part / 3).await;
        system.edge(0).kill();
        system.edge(0).start_again().await;
    }
    let told = running.await.unwrap();
    let first = assert_every_answer_of_a_key_is_the_same(&told, keys);
    system.settled(keys as u64).await;
    for (message, (id, _)) in &first {
        assert_eq!(system.look_up(id).await.json()["data"]["message"], message.as_str());
    }
    crowd.repeat_the_last(keys, &first).await;
    let audit = system.verify().await;
    assert!(audit.status.success(), "{audit:?}");
    crowd.report(keys);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_forms_that_race_for_a_key_over_two_edges_one_becomes_a_ticket() {
    const KEYS: usize = 20;
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing).with_ingest(2).with_worker(2).await;
    for key in 0..KEYS {
        let (name, forms) = (format!("race-{key}"), [form(key), form(key).subject("billing")]);
        let posts = (0..40).map(|post| {
            let (edge, form) = (post % 2, &forms[post / 2 % 2]);
            let post = system.edge(edge).client().post(TICKETS);
            post.header("idempotency-key", &name).json(form).send()
        });
        let answers = join_all(posts).await;
        let (accepted, refused): (Vec<_>, Vec<_>) =
            answers.iter().partition(|answer| answer.status.is_success());
        assert_eq!((accepted.len(), refused.len()), (20, 20), "{name}");
        let ids: HashSet<_> = accepted.iter().map(|it| text(&it.json(), "id").unwrap()).collect();
        assert_eq!(ids.len(), 1, "{name}");
        for answer in refused {
            assert_eq!(answer.json()["code"], "idempotency_key_reused", "{name}");
            assert!(ids.iter().all(|id| !answer.text().contains(id.as_str())), "{name}");
        }
    }
    system.settled(KEYS as u64).await;
    let audit = system.verify().await;
    assert!(audit.status.success(), "{audit:?}");
}

fn form(key: usize) -> Form {
    Form::valid().message(&format!("Submission {key} under a key of its own"))
}

fn text(answer: &Value, field: &str) -> Option<String> {
    answer["data"][field].as_str().map(str::to_owned)
}

/// Senders who do not give up, many of them under each key.
#[derive(Clone)]
struct Crowd {
    edges: Vec<Client>,
    posts: usize,
    done: Arc<AtomicUsize>,
    tries: Arc<AtomicUsize>,
    begun: Instant,
}

/// What one post was answered in the end.
struct Told {
    key: usize,
    message: String,
    id: String,
    number: Option<String>,
    is_replayed: bool,
}

impl Crowd {
    fn of(edges: Vec<Client>, posts: usize) -> Self {
        let begun = Instant::now();
        Self { edges, posts, done: Arc::default(), tries: Arc::default(), begun }
    }

    /// Sends every form under its key, all posts of a key at once.
    fn begin(&self, keys: usize) -> tokio::task::JoinHandle<Vec<Told>> {
        let crowd = self.clone();
        let next = Arc::new(AtomicUsize::new(0));
        tokio::spawn(async move {
            let mut senders = JoinSet::new();
            for _ in 0..KEYS_AT_A_TIME {
                let (crowd, next) = (crowd.clone(), Arc::clone(&next));
                senders.spawn(async move {
                    let mut told = Vec::new();
                    loop {
                        let key = next.fetch_add(1, Ordering::Relaxed);
                        if key >= keys {
                            return told;
                        }
                        told.extend(crowd.send(key).await);
                        crowd.done.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            senders.join_all().await.into_iter().flatten().collect()
        })
    }

    async fn send(&self, key: usize) -> Vec<Told> {
        let form = form(key);
        join_all((0..self.posts).map(|post| self.insist(key, &form, post))).await
    }

    /// Posts until there is a yes, each time to the next edge.
    async fn insist(&self, key: usize, form: &Form, post: usize) -> Told {
        let deadline = Instant::now() + PATIENCE;
        for attempt in post.. {
            self.tries.fetch_add(1, Ordering::Relaxed);
            let answer = self.try_once(key, form, attempt).await;
            match answer.map(|answer| (answer.status.as_u16(), answer)) {
                Some((201 | 202, answer)) => {
                    let body = answer.json();
                    return Told {
                        key,
                        message: form.json()["message"].as_str().unwrap().to_owned(),
                        id: text(&body, "id").unwrap(),
                        number: text(&body, "ticketNumber"),
                        is_replayed: answer.header("idempotency-replayed") == Some("true"),
                    };
                }
                Some((503, _)) | None => tokio::time::sleep(PAUSE).await,
                Some((_, answer)) => panic!("key {key}: {}", answer.text()),
            }
            assert!(Instant::now() < deadline, "no edge takes key {key}");
        }
        unreachable!("it asks without end");
    }

    async fn try_once(&self, key: usize, form: &Form, attempt: usize) -> Option<Answer> {
        let edge = &self.edges[attempt % self.edges.len()];
        let post = edge.post(TICKETS).header("idempotency-key", &format!("\"key-{key}\""));
        post.json(form).try_send().await.ok()
    }

    async fn has_done(&self, keys: usize) {
        let what = format!("{keys} keys are done");
        until(PATIENCE * 3, &what, async || self.done.load(Ordering::Relaxed) >= keys).await;
    }

    /// Sends each form once more to every edge: each answer is the first again, with its number.
    async fn repeat_the_last(&self, keys: usize, first: &First) {
        for key in (0..keys).rev().take(20) {
            for edge in 0..self.edges.len() {
                let answer =
                    self.try_once(key, &form(key), edge).await.expect("every edge is back");
                assert_eq!(answer.status, 201, "{}", answer.text());
                assert_eq!(answer.header("idempotency-replayed"), Some("true"));
                let data = answer.json()["data"].clone();
                let (id, number) = &first[data["message"].as_str().unwrap()];
                assert_eq!(data["id"], id.as_str());
                assert!(
                    number.as_ref().is_none_or(|number| data["ticketNumber"] == number.as_str())
                );
            }
        }
    }

    fn report(&self, keys: usize) {
        println!(
            "{keys} keys x {} posts, {} requests: {keys} tickets, one id a key, in {:?}",
            self.posts,
            self.tries.load(Ordering::Relaxed),
            self.begun.elapsed()
        );
    }
}

/// Of each message the id and, if anybody was told, the number.
type First = HashMap<String, (String, Option<String>)>;

fn assert_every_answer_of_a_key_is_the_same(told: &[Told], keys: usize) -> First {
    let mut first = First::new();
    for Told { key, message, id, number, .. } in told {
        let (known_id, known_number) =
            first.entry(message.clone()).or_insert_with(|| (id.clone(), number.clone()));
        assert_eq!(known_id, id, "two ids for key {key}");
        let known_number = known_number.get_or_insert_with(|| number.clone().unwrap_or_default());
        if known_number.is_empty() {
            known_number.clone_from(&number.clone().unwrap_or_default());
        }
        assert!(number.as_ref().is_none_or(|number| number == known_number), "key {key}");
    }
    assert_eq!(first.len(), keys);
    let replayed = told.iter().filter(|told| told.is_replayed).count();
    println!("{} answers of 2xx, {replayed} of them marked as replays", told.len());
    assert!(replayed >= told.len() - 4 * keys, "nearly all are replays: {replayed}");
    first
}
