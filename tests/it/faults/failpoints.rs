//! A panic, an abort and a long sleep at every step between a form and its settlement.
//!
//! Each point has an installation of its own. In their first life the processes that come past the
//! point abort there; in their second, one passage panics and a later one sleeps for longer than any
//! wait of ours. Meanwhile forms are sent, each again and again until it is taken.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::failpoint::{POINTS, VARIABLE};
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use sqlx::{Connection, PgConnection, SqliteConnection};
use tokio::task::JoinSet;

use crate::bed::client::Client;
use crate::bed::folder::Folder;
use crate::bed::form::Form;
use crate::bed::instance::Instance;
use crate::bed::link::{Link, Mode};
use crate::bed::servers::Servers;
use crate::bed::system::{TICKETS, TestSystem};
use crate::bed::wait::until;
use crate::cli::dead_letters::{listed, make_letters, mend};

/// For everything at one point, beside the others.
const DEADLINE: Duration = Duration::from_mins(1);

/// Installations at a time.
const AT_ONCE: usize = 5;

const SENDERS: usize = 2;
/// Between two forms of a sender: load enough for every point to be passed again and again.
const PACE: Duration = Duration::from_millis(60);

/// How long the broker of an edge with a spool is away each time, and back: longer than it takes the
/// edge to find it and to send on what it has.
const AWAY: Duration = Duration::from_secs(1);
const BACK: Duration = Duration::from_secs(5);

/// The point that only an operator's command comes past, or the taking up of what it requeued.
const OF_LETTERS: &str = "letters.before_acknowledge";

/// The points that only an edge with a spool comes past, while its broker is away or just back.
fn is_of_a_spool(point: &str) -> bool {
    point.starts_with("spool.")
}

fn points() -> impl Iterator<Item = &'static str> {
    POINTS.into_iter().filter(|point| *point != OF_LETTERS && !is_of_a_spool(point))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_any_step_loses_and_doubles_nothing_distributed() {
    let servers = Servers::shared().await;
    stream::iter(points())
        .for_each_concurrent(AT_ONCE, async |point| {
            // A relay at rest comes past one each second, and must not be gone before all are ready.
            let (workers, passage) = if is_of_one_at_a_time(point) { (2, 10) } else { (1, 2) };
            let plan = TestSystem::distributed(servers.backing().await).with_worker(workers);
            let system = plan.with_env(VARIABLE, &format!("{point}=abort@{passage}")).await;
            survive(&system, point, None).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_any_step_loses_and_doubles_nothing_embedded() {
    stream::iter(points())
        .for_each_concurrent(AT_ONCE, async |point| {
            let plan = TestSystem::embedded().with_env(VARIABLE, &format!("{point}=abort@2"));
            survive(&plan.await, point, None).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_any_step_of_a_spool_loses_and_doubles_nothing() {
    let (servers, folder) = (Servers::shared().await, Folder::new("spool"));
    stream::iter(POINTS.into_iter().filter(|point| is_of_a_spool(point)))
        .for_each_concurrent(AT_ONCE, async |point| {
            let backing = servers.backing().await;
            let (linked, links) = backing.over_links().await;
            let plan = TestSystem::distributed(linked)
                .with_worker(0)
                .with_env("SUPPORT_SPOOL_DIR", &folder.join(point).display().to_string())
                .with_env(VARIABLE, &format!("{point}=abort@2"));
            let system = plan.await;
            let worker = system.start_on("worker", &backing);
            worker.ready().await;
            survive(&system, point, Some(&links.rabbitmq)).await;
        })
        .await;
}

/// Cuts a link again and again, so that there is something to spool and to drain.
async fn comes_and_goes(link: &Link) {
    loop {
        for (mode, time) in [(Mode::Cut, AWAY), (Mode::Pass, BACK)] {
            link.set(mode);
            tokio::time::sleep(time).await;
        }
    }
}

/// With a link, all that happens while its server comes and goes.
async fn survive(system: &TestSystem, point: &'static str, link: Option<&Link>) {
    let load = Load::on(system.client(), point);
    let processes = passing(system, point);
    let faults = async {
        abort_each(&processes, point).await;
        panic_and_sleep_in_each(&processes, point).await;
    };
    if let Some(link) = link {
        tokio::select! {
            () = faults => link.set(Mode::Pass),
            () = comes_and_goes(link) => {}
        }
    } else {
        faults.await;
    }
    let forms = load.end().await;
    system.settled(forms.len() as u64).await;
    assert_eq!(stored(system).await, forms, "{point}");
    let audit = system.verify().await;
    assert!(audit.status.success(), "{point}: {audit:?}");
    println!("{point}: {} forms, as many tickets", forms.len());
}

/// Whether one of the processes at a time comes past a point, and the next one only when that one is
/// away: who holds the lease of the relay keeps it for as long as it is well.
fn is_of_one_at_a_time(point: &str) -> bool {
    point.starts_with("relay.")
}

/// The first lives. Where they take turns, who has had its turn stays away until the others have.
async fn abort_each(processes: &[&Instance], point: &str) {
    let plan = format!("{point}=panic@2;{point}=sleep@4");
    let start_again = async |process: &Instance| {
        process.set_env(VARIABLE, &plan);
        process.start_again().await;
    };
    for process in processes {
        let what = format!("a process aborts at {point}");
        until(DEADLINE, &what, async || !process.is_running()).await;
        if !is_of_one_at_a_time(point) {
            start_again(process).await;
        }
    }
    if is_of_one_at_a_time(point) {
        join_all(processes.iter().map(|process| start_again(process))).await;
    }
}

/// The second lives. Where they take turns, who is through and would keep the others from theirs is
/// stopped, and goes on when they are through as well.
async fn panic_and_sleep_in_each(processes: &[&Instance], point: &str) {
    let is_through =
        |process: &Instance| acted(process, point) == ["Abort", "Panic", "Sleep", "Sleep"];
    let what = format!("each process panics and sleeps at {point}");
    until(DEADLINE, &what, async || {
        let (through, others): (Vec<&Instance>, Vec<&Instance>) =
            processes.iter().partition(|process| is_through(process));
        if is_of_one_at_a_time(point) && !others.is_empty() {
            for process in through.into_iter().filter(|process| process.is_running()) {
                assert!(process.stop_gracefully().await.status.success(), "{}", process.log());
            }
        }
        others.is_empty()
    })
    .await;
    for process in processes {
        let was_stopped = is_of_one_at_a_time(point) && !process.is_running();
        if was_stopped {
            process.set_env(VARIABLE, "");
            process.start_again().await;
        }
        assert!(process.is_running(), "{point}: {}", process.log());
    }
}

/// The processes that come past a point.
fn passing<'a>(system: &'a TestSystem, point: &str) -> Vec<&'a Instance> {
    let roles: &[&str] = match (system.backing_if_any(), point.split_once('.').unwrap().0) {
        (None, _) | (_, "edge" | "spool") => &["edge"],
        (_, "worker" | "relay") => &["worker"],
        _ => &["edge", "worker"],
    };
    let edge = roles.contains(&"edge").then(|| system.edge(0));
    let workers = system.workers().filter(|_| roles.contains(&"worker"));
    edge.into_iter().chain(workers).collect()
}

/// What a point did in a process, over all its lives; a sleep is told when it begins and when it ends.
fn acted(process: &Instance, point: &str) -> Vec<&'static str> {
    let log = process.log();
    let lines = log.lines().filter(|line| line.contains("a failpoint") && line.contains(point));
    let action = |line: &str| ["Abort", "Panic", "Sleep"].into_iter().find(|it| line.contains(it));
    lines.filter_map(action).collect()
}

/// The messages of all tickets; each form has its own.
async fn stored(system: &TestSystem) -> BTreeSet<String> {
    const MESSAGES: &str = "SELECT message FROM tickets";
    let messages: Vec<String> = if let Some(backing) = system.backing_if_any() {
        let mut connection = PgConnection::connect(&backing.database_url).await.unwrap();
        sqlx::query_scalar(MESSAGES).fetch_all(&mut connection).await.unwrap()
    } else {
        let url = format!("sqlite:{}", system.folder().join("data/supportline.db").display());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        sqlx::query_scalar(MESSAGES).fetch_all(&mut connection).await.unwrap()
    };
    messages.into_iter().collect()
}

/// Senders who send each form until it is taken, under a key of its own.
struct Load {
    is_over: Arc<AtomicBool>,
    senders: JoinSet<Vec<String>>,
}

impl Load {
    fn on(client: &Client, point: &'static str) -> Self {
        let is_over = Arc::<AtomicBool>::default();
        let mut senders = JoinSet::new();
        for _ in 0..SENDERS {
            let (client, is_over) = (client.clone(), Arc::clone(&is_over));
            senders.spawn(async move {
                let mut taken = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    taken.push(insist(&client, point).await);
                    tokio::time::sleep(PACE).await;
                }
                taken
            });
        }
        Self { is_over, senders }
    }

    /// The messages of all that were sent.
    async fn end(self) -> BTreeSet<String> {
        self.is_over.store(true, Ordering::Relaxed);
        self.senders.join_all().await.into_iter().flatten().collect()
    }
}

/// Sends a form until it is taken, and gives back its message.
async fn insist(client: &Client, point: &str) -> String {
    let form = Form::valid();
    let message = form.json()["message"].as_str().unwrap().to_owned();
    let key = format!("\"{}\"", message.replace(' ', "-"));
    loop {
        let post = client.post(TICKETS).header("idempotency-key", &key);
        if let Ok(answer) = post.json(&form).try_send().await {
            match answer.status.as_u16() {
                201 | 202 => return message,
                503 => {}
                // What panics while somebody's request is handled is a defect, and says so.
                500 if ["edge.body_read", "edge.before_answer"].contains(&point) => {
                    assert_eq!(answer.json()["code"], "internal");
                    assert!(!answer.text().contains("failpoint"), "{}", answer.text());
                }
                other => panic!("{point}: {other} {}", answer.text()),
            }
        }
        tokio::time::sleep(PACE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requeue_that_fails_half_way_loses_and_doubles_no_letter_distributed() {
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing).with_env("SUPPORT_REPLY_WAIT", "0s").await;
    make_letters(&system, false, 4).await;
    mend(&system, false).await;
    for action in ["panic", "abort", "sleep"] {
        let first = listed(&system).await[0]["id"].as_str().unwrap().to_owned();
        let plan = format!("{OF_LETTERS}={action}@1");
        let requeue = ["dead-letters", "requeue", &first];
        let requeued = system.run_with(&requeue, &[(VARIABLE, &plan)]).await;
        assert_eq!(requeued.status.success(), action == "sleep", "{requeued:?}");
        // Published, and perhaps still a letter.
        let again = system.run(&["dead-letters", "requeue", &first]).await;
        assert!([Some(0), Some(1)].contains(&again.status.code()), "{again:?}");
    }
    let rest = system.run(&["dead-letters", "requeue", "--all"]).await;
    assert!(rest.status.success(), "{rest:?}");
    system.settled(4).await;
    let audit = system.verify().await;
    assert!(audit.status.success(), "{audit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requeue_that_fails_half_way_loses_and_doubles_no_letter_embedded() {
    // A letter that was not struck out is tried again: the panic's at the sleep's passage.
    let plan = format!("{OF_LETTERS}=panic@1;{OF_LETTERS}=sleep@2;{OF_LETTERS}=abort@3");
    let system = TestSystem::embedded().with_env("SUPPORT_REPLY_WAIT", "0s");
    let system = system.with_env(VARIABLE, &plan).await;
    make_letters(&system, true, 2).await;
    mend(&system, true).await;
    let serve = system.edge(0);
    let letters = listed(&system).await;
    let requeue = async |letter: usize| {
        let id = letters[letter]["id"].as_str().unwrap();
        let requeued = system.run(&["dead-letters", "requeue", id]).await;
        assert!(requeued.status.success(), "{requeued:?}");
    };
    requeue(0).await;
    until(DEADLINE, "the panic was survived and the sleep is over", async || {
        acted(serve, OF_LETTERS) == ["Panic", "Sleep", "Sleep"]
    })
    .await;
    requeue(1).await;
    until(DEADLINE, "the process aborts", async || !serve.is_running()).await;
    serve.set_env(VARIABLE, "");
    serve.start_again().await;
    system.settled(2).await;
    until(DEADLINE, "nothing waits", async || {
        !system.verify().await.stdout.contains("wait in the queue")
    })
    .await;
    assert!(system.verify().await.status.success());
}
