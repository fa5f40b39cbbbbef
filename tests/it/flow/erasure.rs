//! Erasure as somebody who looks into every byte would judge it: words planted wherever a submission can
//! be, and none of them left in any file after the housekeeping that the operators' document describes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::clock::{Clock, SystemClock, SystemEntropy};
use common::domain::{Change, Message, PostKind, SubmissionId};
use common::ports::backend::Backend;
use common::ports::cases::{Author, Reference, Step};
use common::trace::Trace;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};
use uuid::Uuid;

use crate::bed::client::Answer;
use crate::bed::form::Form;
use crate::bed::server::Server;
use crate::bed::servers::{Backing, Servers};
use crate::bed::stranger::Stranger;
use crate::bed::system::{ADMIN_TOKEN, TICKETS, TestSystem};
use crate::bed::wait::eventually;
use crate::conformance::installation::Installation;

/// Stands in everything that is planted, and nowhere else.
const CANARY: &str = "zqcanary";
const ADDRESS: &str = "zqcanary@example.org";
const DEADLINE: Duration = Duration::from_secs(30);

/// A form every text of which is to be gone.
fn planted(word: &str) -> Form {
    Form::valid()
        .name(&format!("{CANARY} name"))
        .email(ADDRESS)
        .message(&format!("{CANARY} {word} {}", format!("{CANARY}-{word} ").repeat(400)))
        .with("userId", format!("{CANARY}-user"))
        .with("userAgent", format!("{CANARY}/1.0"))
        .with("url", format!("https://example.org/{CANARY}"))
}

fn id(answer: &Answer) -> SubmissionId {
    assert!([201, 202].contains(&answer.status.as_u16()), "{}", answer.text());
    answer.json()["data"]["id"].as_str().unwrap().parse::<Uuid>().unwrap().into()
}

async fn ask(system: &TestSystem, what: &str, body: &Value) -> Value {
    let path = format!("/api/support/admin/people/{what}");
    let answer = system.desk().client().post(&path).bearer(ADMIN_TOKEN).json(body).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["data"].clone()
}

async fn export(system: &TestSystem) -> Value {
    ask(system, "export", &json!({"email": ADDRESS.to_uppercase()})).await
}

async fn erase(system: &TestSystem) -> Value {
    ask(system, "erase", &json!({"email": ADDRESS, "because": "they asked"})).await
}

/// What staff and submitter say about a ticket.
async fn speak_of(backend: &dyn Backend, id: SubmissionId) {
    let cases = backend.edge().await.cases;
    for (kind, word) in
        [(PostKind::Reply, "reply"), (PostKind::Note, "note"), (PostKind::Answer, "answer")]
    {
        let before = cases.file(&Reference::Id(id)).await.unwrap().unwrap().case;
        let body = Message::parse(&format!("{CANARY} {word} ").repeat(100)).unwrap();
        let change = Change { post: Some((kind, body)), ..Change::default() };
        let outcome = before.after(&change, SystemClock.now(), None).unwrap();
        let trace = Trace::of_request(None, None, &SystemEntropy);
        let actor = "admin-key".to_owned();
        let author = Author { actor, name: None, address: None, trace };
        let step = Step { before, outcome, author };
        assert_eq!(cases.commit(&[step], true).await.unwrap(), [true]);
    }
}

/// Every file below these folders in which the canary stands, in whatever case.
fn hits(folders: &[&Path]) -> Vec<PathBuf> {
    let mut hits = Vec::new();
    for folder in folders {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if kind.is_dir() {
                hits.extend(self::hits(&[&path]));
            } else if kind.is_file() {
                let bytes = fs::read(&path).unwrap_or_default().to_ascii_lowercase();
                if bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()) {
                    hits.push(path);
                }
            }
        }
    }
    hits
}

/// The dead letters that there are.
async fn dead_letters(system: &TestSystem, count: u64) {
    eventually(DEADLINE, "the dead letters are there", async || {
        let path = "/api/support/admin/dead-letters";
        let answer = system.desk().client().get(path).bearer(ADMIN_TOKEN).send().await;
        let counts = answer.json()["data"]["counts"].clone();
        let all = counts.as_object().map(|it| it.values().filter_map(Value::as_u64).sum::<u64>());
        if all == Some(count) { Ok(()) } else { Err(counts) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_word_of_an_erased_person_is_in_any_file_of_an_embedded_installation() {
    let system = TestSystem::embedded().await;
    let data = system.folder().join("data");
    let url = format!("sqlite:{}", data.join("supportline.db").display());
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    database
        .execute(
            "CREATE TRIGGER rejects BEFORE INSERT ON tickets WHEN NEW.message LIKE '%rejected%' \
             BEGIN SELECT RAISE(ABORT, 'rejected'); END",
        )
        .await
        .unwrap();
    database.close().await.unwrap();

    let keyed = planted("keyed");
    let sent = async || {
        system.client().post(TICKETS).header("idempotency-key", "k-1").json(&keyed).send().await
    };
    let first = id(&sent().await);
    id(&system.submit(&planted("stored")).await);
    system.submit(&Form::valid().email("bob@example.org")).await;
    system.submit(&planted("rejected")).await;
    dead_letters(&system, 1).await;
    let settings = embedded::Settings { data_dir: data.clone(), clock: Arc::new(SystemClock) };
    let beside = embedded::Backend::open_beside(settings).await.unwrap();
    speak_of(&beside, first).await;
    beside.close().await;
    assert!(!hits(&[&data]).is_empty(), "or nothing is looked for");

    let told = export(&system).await;
    assert_eq!(told["tickets"].as_array().unwrap().len(), 2);
    assert_eq!(told["deadLetters"][0]["submissions"].as_array().unwrap().len(), 1);
    let erased = erase(&system).await;
    assert_eq!((&erased["tickets"], &erased["deadLetters"]), (&json!(2), &json!(1)), "{erased}");
    assert_eq!(erased["isComplete"], true);
    are_erased(&system, first).await;
    // The same again: it is the submission that was erased.
    let again = sent().await;
    assert_eq!(id(&again), first);
    are_erased(&system, first).await;
    assert_eq!(system.statistics().await["total"], 3);
    assert!(system.verify().await.status.success());

    // The housekeeping: a restart, at whose end the log is gone.
    system.stop_gracefully().await;
    assert_eq!(hits(&[system.folder().path()]), [] as [PathBuf; 0]);
}

/// By its id it is nobody's, and nothing is told about the person.
async fn are_erased(system: &TestSystem, first: SubmissionId) {
    assert_eq!(system.look_up(&first.to_string()).await.status, 404);
    let told = export(system).await;
    assert_eq!((&told["tickets"], &told["deadLetters"]), (&json!([]), &json!([])), "{told}");
    assert!(told["erasedAt"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_word_of_an_erased_person_is_in_any_file_of_a_distributed_installation() {
    let mut servers = Servers::own().await;
    let backing = servers.backing().await;
    let system = TestSystem::distributed(backing.clone()).with_desk().await;
    let keyed = planted("stored");
    let sent = async || {
        system.client().post(TICKETS).header("idempotency-key", "k-1").json(&keyed).send().await
    };
    let first = id(&sent().await);
    system.submit(&Form::valid().email("bob@example.org")).await;
    speak_of(&*Installation::on(backing.clone()).backend, first).await;
    bury(&backing).await;
    dead_letters(&system, 3).await;
    system.settled(2).await;
    // What is in the queue while it is erased.
    system.worker(0).stop_gracefully().await;
    let under_way = id(&system.submit(&planted("queued")).await);

    let told = export(&system).await;
    assert_eq!(told["tickets"].as_array().unwrap().len(), 1);
    assert_eq!(told["deadLetters"].as_array().unwrap().len(), 2);
    assert_eq!(told["undecidedDeadLetters"].as_array().unwrap().len(), 1);
    let erased = erase(&system).await;
    assert_eq!((&erased["tickets"], &erased["deadLetters"]), (&json!(1), &json!(2)), "{erased}");
    let undecided = erased["undecidedDeadLetters"][0].as_str().unwrap();
    let discarded =
        system.run(&["dead-letters", "discard", undecided, "--because", "theirs"]).await;
    assert!(discarded.status.success(), "{discarded:?}");

    system.worker(0).start_again().await;
    system.settled(3).await;
    are_erased(&system, first).await;
    are_erased(&system, under_way).await;
    // The same again: it is the submission that was erased.
    assert_eq!(id(&sent().await), first);
    system.settled(3).await;
    are_erased(&system, first).await;
    let verified = system.verify().await;
    assert!(verified.stdout.contains("statistics"), "{verified:?}");
    // Another's was in the same letter, and stays.
    dead_letters(&system, 1).await;
    let left = system.run(&["dead-letters", "list"]).await;
    assert!(left.stdout.contains("unknown-version"), "{left:?}");

    let discarded = system.run(&["dead-letters", "discard", "--all", "--because", "done"]).await;
    assert!(discarded.status.success(), "{discarded:?}");
    housekeeping(&mut servers, &backing).await;
    system.stop_gracefully().await;
    servers.postgres.stop().await;
    servers.rabbitmq.stop().await;
    let folders = [
        system.folder().path(),
        servers.postgres.folder().path(),
        servers.rabbitmq.folder().path(),
        servers.redis.folder().path(),
    ];
    assert_eq!(hits(&folders), [] as [PathBuf; 0]);
}

/// Letters as they come to be: a submission that breaks a rule, two of different people in an envelope of
/// a later release, and what is no envelope.
async fn bury(backing: &Backing) {
    let stranger = Stranger::at(backing).await;
    let submission = |email: &str, word: &str| json!({"id": Uuid::now_v7(), "email": email, "message": word.repeat(200)});
    let theirs = || submission(ADDRESS, CANARY);
    let invalid = json!({"v": 1, "submissions": [theirs()]});
    let later = json!({"v": 9, "submissions": [theirs(), submission("bob@example.org", "bob")]});
    for envelope in [invalid, later] {
        stranger.publish(envelope.to_string().as_bytes()).await;
    }
    stranger.publish(format!("From: {ADDRESS}").as_bytes()).await;
}

/// As `docs/operations.md` has it.
async fn housekeeping(servers: &mut Servers, backing: &Backing) {
    let mut database = PgConnection::connect(&backing.database_url).await.unwrap();
    for statement in [
        "ALTER SYSTEM SET wal_recycle = off",
        "SELECT pg_reload_conf()",
        "VACUUM (FULL, ANALYZE) tickets",
        "VACUUM (FULL, ANALYZE) ticket_posts",
        "VACUUM (FULL, ANALYZE) ticket_tags",
        "VACUUM (FULL, ANALYZE) ticket_search",
        "VACUUM (FULL, ANALYZE) audit_entries",
        "VACUUM FULL pg_statistic",
    ] {
        database.execute(statement).await.unwrap();
    }
    let segments: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_ls_waldir()")
        .fetch_one(&mut database)
        .await
        .unwrap();
    for _ in 0..=segments {
        database.execute("SELECT pg_switch_wal()").await.unwrap();
        database.execute("CHECKPOINT").await.unwrap();
    }
    for (queue, messages) in backing.queues().await {
        assert_eq!(messages, 0, "{queue}");
    }
    for _ in 0..2 {
        servers.rabbitmq.stop().await;
        servers.rabbitmq.start_again().await;
        for queue in ["support.intake", "support.unrouted", "support.dead-letters"] {
            let reclaim = ["reclaim_quorum_memory", "--vhost", &backing.vhost, queue];
            servers.rabbitmq.control().run_queues(&reclaim).await;
        }
    }
}
