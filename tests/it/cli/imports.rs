//! `supportline import`: files of every kind, twice, and broken off anywhere.

use std::path::{Path, PathBuf};
use std::time::Duration;

use common::clock::{Clock, SystemClock, rfc3339};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, SqliteConnection};

use super::{invoke, only_line};
use crate::bed::folder::Folder;
use crate::bed::instance::supportline;
use crate::bed::process::{Output, Process};
use crate::bed::servers::Servers;
use crate::bed::system::{ADMIN_TOKEN, TestSystem};
use crate::bed::wait::until;
use crate::flow::exports::peak;
use crate::flow::figure;

const DEADLINE: Duration = Duration::from_mins(1);

/// The line of that number.
fn line(number: usize) -> Value {
    json!({
        "name": "Ada Lovelace", "email": format!("ada+{number}@example.org"), "subject": "billing",
        "message": format!("It is stuck {number}"), "submittedAt": "2024-02-29T10:30:00.000Z",
    })
}

fn lines(count: usize) -> String {
    let lines: Vec<_> = (0..count).map(|number| line(number).to_string()).collect();
    lines.join("\n") + "\n"
}

/// Writes a file beside the installation's data.
fn file(system: &TestSystem, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = system.folder().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// Imports a file; of an embedded installation while it is stopped, for that is when it may be.
async fn import(system: &TestSystem, file: &Path, more: &[&str]) -> Output {
    system.run(&[&["import", file.to_str().unwrap()], more].concat()).await
}

/// What the store counts, of an installation that runs.
async fn counted(system: &TestSystem, tickets: u64) {
    if system.backing_if_any().is_none() && !system.edge(0).is_running() {
        system.edge(0).start_again().await;
    }
    system.settled(tickets).await;
    let statistics = system.statistics().await;
    assert_eq!(statistics["bySubject"]["billing"], tickets);
    let verified = system.verify().await;
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
}

async fn a_file_is_imported_once(system: &TestSystem, done: &str) {
    let text = lines(1_000);
    let whole = file(system, "whole.ndjson", &text);
    let first = import(system, &whole, &[]).await;
    assert_eq!((first.status.code(), &*first.stdout), (Some(0), ""), "{first:?}");
    let told = format!("1,000 lines: 1,000 {done}, 0 there before, 0 bad.\n");
    assert_eq!(first.stderr, told);
    if system.backing_if_any().is_some() {
        system.settled(1_000).await;
    }
    let second = import(system, &whole, &[]).await;
    let told = format!("1,000 lines: 0 {done}, 1,000 there before, 0 bad.\n");
    assert_eq!((second.status.code(), &*second.stderr), (Some(0), &*told));
    let table = "message,email,name,subject,submittedAt\r\n\
                 It is stuck 7,ada+7@example.org,Ada Lovelace,billing,2024-02-29T10:30:00Z\r\n\
                 \"new,\n\"\"one\"\"\",ada@example.org,Ada Lovelace,billing,\r\n";
    let table = file(system, "table.csv", table);
    let third = import(system, &table, &[]).await;
    assert_eq!(third.stderr, format!("2 lines: 1 {done}, 1 there before, 0 bad.\n"));
    counted(system, 1_001).await;
}

#[tokio::test]
async fn a_file_is_imported_once_however_often_embedded() {
    let system = TestSystem::embedded().await;
    system.stop_gracefully().await;
    a_file_is_imported_once(&system, "imported").await;
}

#[tokio::test]
async fn a_file_is_imported_once_however_often_distributed() {
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing).await;
    a_file_is_imported_once(&system, "given to the queue").await;
}

/// How many tickets are stored, whoever has the store open.
async fn stored(system: &TestSystem) -> i64 {
    let count = "SELECT count(*) FROM tickets";
    if let Some(backing) = system.backing_if_any() {
        let mut connection = PgConnection::connect(&backing.database_url).await.unwrap();
        sqlx::query_scalar(count).fetch_one(&mut connection).await.unwrap()
    } else {
        let url = format!("sqlite:{}", system.folder().join("data/supportline.db").display());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        sqlx::query_scalar(count).fetch_one(&mut connection).await.unwrap()
    }
}

/// Kills imports when they have come so far, none of them to the end, then has one go on to it.
async fn killed_and_gone_on_with(system: &TestSystem) {
    const LINES: usize = 4_000;
    let whole = file(system, "whole.ndjson", lines(LINES));
    for moment in [1, 700, 1_900] {
        let process = system.start(&["import", whole.to_str().unwrap(), "--rate", "1000/s"]);
        until(DEADLINE, "it has come so far", async || stored(system).await >= moment).await;
        assert!(process.is_running(), "{}", process.log());
        process.kill();
    }
    let last = import(system, &whole, &[]).await;
    assert_eq!(last.status.code(), Some(0), "{last:?}");
    counted(system, LINES as u64).await;
}

#[tokio::test]
async fn an_import_killed_anywhere_is_gone_on_with_embedded() {
    let system = TestSystem::embedded().await;
    system.stop_gracefully().await;
    killed_and_gone_on_with(&system).await;
}

#[tokio::test]
async fn an_import_killed_anywhere_is_gone_on_with_distributed() {
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing).await;
    killed_and_gone_on_with(&system).await;
}

#[tokio::test]
async fn bad_lines_are_told_by_their_numbers_and_the_exit_code() {
    let system = TestSystem::embedded().await;
    system.stop_gracefully().await;
    let secret = line(1).to_string().replace("ada+1@", "secret ");
    let long = line(1).to_string().replace("stuck", &"secret".repeat(20_000));
    let text = format!("{}\n{secret}\n\nsecret\n{long}\n{{}}\r\n{}", line(0), line(2)).into_bytes();
    let path = file(&system, "bad.ndjson", [b"\xef\xbb\xbf", &text[..]].concat());
    let bad = "line 2: /email invalid_email\n\
               line 4: invalid_json\n\
               line 5: too_long\n\
               line 6: /name required, /email required, /subject required, /message required\n";
    let dry = import(&system, &path, &["--dry-run"]).await;
    let told = format!("{bad}6 lines: 2 would be imported, 0 there before, 4 bad.\n");
    assert_eq!((dry.status.code(), dry.stderr), (Some(1), told));
    let wet = import(&system, &path, &[]).await;
    let told = format!("{bad}6 lines: 2 imported, 0 there before, 4 bad.\n");
    assert_eq!((wet.status.code(), wet.stderr), (Some(1), told));
    counted(&system, 2).await;
}

/// What is older than tickets are kept is told, and no ticket; embedded and distributed alike, and of a
/// file that is only looked at.
async fn nothing_is_imported_that_would_be_erased_at_once(system: &TestSystem, done: &str) {
    let young =
        line(1).to_string().replace("2024-02-29T10:30:00.000Z", &rfc3339(SystemClock.now()));
    let path = file(system, "old.ndjson", format!("{}\n{young}\n", line(0)));
    for (more, done) in [(&["--dry-run"][..], "would be imported"), (&[], done)] {
        let output = import(system, &path, more).await;
        let told = format!("\n2 lines: 1 {done}, 0 there before, 1 bad.\n");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(output.stderr.starts_with("line 1: /submittedAt too_old\n"), "{output:?}");
        assert!(output.stderr.ends_with(&told), "{output:?}");
    }
    counted(system, 1).await;
}

#[tokio::test]
async fn nothing_is_imported_that_would_be_erased_at_once_embedded() {
    let system = TestSystem::embedded().with_env("SUPPORT_RETENTION", "300d").await;
    system.stop_gracefully().await;
    nothing_is_imported_that_would_be_erased_at_once(&system, "imported").await;
}

#[tokio::test]
async fn nothing_is_imported_that_would_be_erased_at_once_distributed() {
    let backing = Servers::shared().await.backing().await;
    let system = TestSystem::distributed(backing).with_env("SUPPORT_RETENTION", "300d").await;
    nothing_is_imported_that_would_be_erased_at_once(&system, "given to the queue").await;
}

#[tokio::test]
async fn what_is_no_file_of_tickets_is_refused_in_a_line() {
    let folder = Folder::new("import");
    let path = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).unwrap();
        name.to_owned()
    };
    let missing = invoke(folder.path(), &[], &["import", "missing.csv"]).await;
    assert!(only_line(&missing, 1).starts_with("error: cannot read missing.csv: "), "{missing:?}");
    let dir = invoke(folder.path(), &[], &["import", "."]).await;
    assert!(only_line(&dir, 1).starts_with("error: cannot read .: "), "{dir:?}");
    for (name, text) in [("a.csv", ""), ("b.csv", "Ada,ada@example.org\n"), ("c.csv", "\"name\n")] {
        let refused = invoke(folder.path(), &[], &["import", &path(name, text)]).await;
        assert_eq!(refused.status.code(), Some(1), "{name}");
        let expected = "line 1: /name required\nline 1: /email required\nline 1: /subject required\n\
                        line 1: /message required\nerror: the first line must name the columns";
        assert!(refused.stderr.starts_with(expected), "{name}: {refused:?}");
    }
    let empty = path("empty.ndjson", "\n\n");
    let empty = invoke(folder.path(), &[], &["import", &empty, "--dry-run"]).await;
    assert_eq!(only_line(&empty, 0), "0 lines: 0 would be imported, 0 there before, 0 bad.");
    for arguments in
        [&["import"][..], &["import", "a.csv", "--rate", "0/s"], &["import", "a.csv", "b.csv"]]
    {
        assert_eq!(invoke(folder.path(), &[], arguments).await.status.code(), Some(2));
    }
}

#[tokio::test]
async fn a_folder_that_is_served_is_imported_into_over_its_server() {
    let system = TestSystem::embedded().await;
    let path = file(&system, "lines.ndjson", lines(500));
    let refused = import(&system, &path, &[]).await;
    let told = only_line(&refused, 1);
    assert!(told.contains("in use by another process"), "{told}");
    assert!(told.ends_with("by POST /api/support/admin/tickets/import"), "{told}");
    let route = "/api/support/admin/tickets/import?rate=10000";
    let request = || system.client().post(route).bearer(ADMIN_TOKEN);
    let answer = request().header("content-type", "application/x-ndjson").body(lines(500)).send();
    assert_eq!(answer.await.json()["data"]["accepted"], 500);
    system.settled(500).await;
}

/// Looks at a file, and tells what it says, and the most that it held.
async fn looked_at(folder: &Folder, name: &str) -> (String, u64) {
    let mut command = supportline(&[]);
    command.args(["import", name, "--dry-run"]);
    let process = Process::new(&format!("looks-at-{name}"), folder.path(), command);
    process.start();
    let (pid, mut most) = (process.pid(), 0);
    until(Duration::from_mins(20), "it ends", async || {
        most = most.max(peak(pid).unwrap_or_default());
        !process.is_running()
    })
    .await;
    (process.stderr(), most)
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "figures for whoever runs it with --nocapture")]
async fn two_million_lines_take_bounded_memory_with_a_quote_too_many_as_well() {
    let lines = figure("LINES", 100_000);
    let folder = Folder::new("import");
    let columns = "name,email,subject,message\n";
    let rows = "Ada,ada@example.org,billing,It is stuck\n".repeat(lines);
    std::fs::write(folder.join("good.csv"), format!("{columns}{rows}")).unwrap();
    std::fs::write(folder.join("bad.csv"), format!("{columns}\"never closed,x\n{rows}")).unwrap();
    let count = thousands(lines);
    for (name, told) in [
        ("good.csv", format!("{count} lines: {count} would be imported, 0 there before, 0 bad.\n")),
        (
            "bad.csv",
            "line 2: unclosed_quote\n1 line: 0 would be imported, 0 there before, 1 bad.\n".into(),
        ),
    ] {
        let (heard, most) = looked_at(&folder, name).await;
        println!("{name}, {lines} lines: {most} bytes resident");
        assert_eq!(heard, told);
        assert!(most > 0 && most <= 48 * 1024 * 1024, "{name}: {most}");
    }
}

/// With a comma before the last three digits, or the last six and three.
fn thousands(count: usize) -> String {
    match (count / 1_000_000, count / 1_000 % 1_000) {
        (0, thousands) => format!("{thousands},{:03}", count % 1_000),
        (millions, thousands) => format!("{millions},{thousands:03},{:03}", count % 1_000),
    }
}
