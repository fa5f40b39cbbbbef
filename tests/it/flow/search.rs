//! Searches and lists among many tickets. `make search` runs the same test with a million.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sqlx::{Connection, PgConnection};

use super::figure;
use crate::bed::client::Client;
use crate::bed::postgres::Postgres;
use crate::bed::servers::{Backing, Servers};
use crate::bed::system::{ADMIN_TOKEN, TestSystem};
use crate::bed::wait::{is_alone, until};
use crate::conformance::installation::Installation;

const TICKETS: &str = "/api/support/admin/tickets";
/// Who ask at a time, and how often each asks the same in a long run.
const CLIENTS: usize = 16;
const ROUNDS: usize = 40;
/// Tickets that a statement stores, and entries that one takes in.
const TOGETHER: u64 = 20_000;
const TAKEN_IN_TOGETHER: u32 = 4_000;
/// What a search may take, for all but one in a hundred.
const SEARCH_MAX: Duration = Duration::from_millis(50);
/// The page that is held against the first.
const FAR: usize = 5_000;
const FAR_RATIO_MAX: f64 = 1.5;
const DEADLINE: Duration = Duration::from_mins(20);

#[tokio::test(flavor = "multi_thread")]
async fn searches_and_lists_are_quick_among_many_tickets() {
    let tickets = figure("TICKETS", 3_000) as u64;
    let (_postgres, backing) = servers(tickets).await;
    let backend = Installation::on(backing.clone()).backend;
    backend.migrate().await.unwrap();
    store(&backing.database_url, tickets).await;
    let begun_at = Instant::now();
    let writer = backend.worker().await.search;
    let mut taken_in = 0;
    until(DEADLINE, "all are taken in", async || {
        taken_in += u64::from(writer.take_in(TAKEN_IN_TOGETHER).await.unwrap());
        taken_in >= tickets
    })
    .await;
    println!("{tickets} tickets taken in, in {:.0?}", begun_at.elapsed());
    execute(&backing.database_url, "VACUUM (ANALYZE)").await;

    let system = TestSystem::distributed(backing).with_desk().await;
    let some = tickets / 3;
    for (name, query, least) in [
        ("a number", format!("q={}", number(some)), 1),
        ("an address", format!("q=ada.{some}@example.org"), 1),
        ("a rare word", "q=obelisk".to_owned(), 1),
        ("a common word", "q=engine".to_owned(), 25),
        ("the beginning of many words", "q=w1".to_owned(), 25),
        ("a word of one in a hundred, by a filter", "q=w40+engine&status=open".to_owned(), 0),
    ] {
        let times = asked_by_many(&system, &query, least).await;
        let (half, most) = (percentile(&times, 50), percentile(&times, 99));
        println!("{name}: p50 {half:.1?}, p99 {most:.1?} with {CLIENTS} clients");
        assert!(!is_alone() || most <= SEARCH_MAX, "{name}: {most:?}");
    }
    for filters in ["status=closed&priority=high", "assignee=Charles&sort=-updatedAt"] {
        let (pages, far) = turned(&system, filters).await;
        let [first, far] = compared(&system, filters, &format!("{filters}&cursor={far}")).await;
        let ratio = far.as_secs_f64() / first.as_secs_f64();
        println!("{filters}: page 1 in {first:.1?}, page {pages} in {far:.1?}: {ratio:.2} times");
        assert!(!is_alone() || ratio <= FAR_RATIO_MAX, "{filters}: {ratio}");
    }
}

/// For many tickets a Postgres of their own, with some memory.
async fn servers(tickets: u64) -> (Option<Postgres>, Backing) {
    let backing = Servers::shared().await.backing().await;
    if tickets < 100_000 {
        return (None, backing);
    }
    let postgres = Postgres::start_with(&["shared_buffers=256MB", "max_wal_size=2GB"]).await;
    let url = postgres.create_database("many").await;
    (Some(postgres), backing.with_database(url))
}

async fn store(database_url: &str, tickets: u64) {
    let mut connection = PgConnection::connect(database_url).await.unwrap();
    for first in (0..tickets).step_by(usize::try_from(TOGETHER).unwrap()) {
        let last = (first + TOGETHER).min(tickets) - 1;
        sqlx::query(include_str!("search/many_tickets.sql"))
            .bind(i64::try_from(first).unwrap())
            .bind(i64::try_from(last).unwrap())
            .execute(&mut connection)
            .await
            .unwrap();
    }
}

async fn execute(database_url: &str, statement: &'static str) {
    let mut connection = PgConnection::connect(database_url).await.unwrap();
    sqlx::query(statement).execute(&mut connection).await.unwrap();
}

/// The number of the `n`-th ticket, as the statement scatters them.
fn number(n: u64) -> String {
    format!("SUP-2025-{:08}", (n * 48_271 + 12_345) % 100_000_000)
}

/// What each of many who ask the same at a time has to wait.
async fn asked_by_many(system: &TestSystem, query: &str, least: usize) -> Vec<Duration> {
    let asking = (0..CLIENTS).map(async |_| {
        let client = Client::new(system.desk().address());
        let mut times = Vec::new();
        for _ in 0..rounds() {
            let begun_at = Instant::now();
            let found = ask(&client, query).await.0;
            times.push(begun_at.elapsed());
            assert!(found >= least, "{query}: {found}");
        }
        times
    });
    let mut times = join_all(asking).await.concat();
    times.sort_unstable();
    times
}

/// How many tickets are on a page, and where the next one begins.
async fn ask(client: &Client, query: &str) -> (usize, Option<String>) {
    let answer = client.get(&format!("{TICKETS}?{query}")).bearer(ADMIN_TOKEN).send().await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    let data = &answer.json()["data"];
    let next = data["next"].as_str().map(ToOwned::to_owned);
    (data["tickets"].as_array().unwrap().len(), next)
}

/// Turns pages up to the far one, or to the last but one where there are not so many. Which one that is,
/// and where it begins.
async fn turned(system: &TestSystem, filters: &str) -> (usize, String) {
    let client = Client::new(system.desk().address());
    let mut cursor = ask(&client, filters).await.1.expect("a second page");
    for page in 2..FAR {
        match ask(&client, &format!("{filters}&cursor={cursor}")).await.1 {
            Some(next) => cursor = next,
            None => return (page, cursor),
        }
    }
    (FAR, cursor)
}

/// What two pages take, one after the other many times, at the median.
async fn compared(system: &TestSystem, first: &str, far: &str) -> [Duration; 2] {
    let client = Client::new(system.desk().address());
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..2 * rounds() {
        for (times, query) in times.iter_mut().zip([first, far]) {
            let begun_at = Instant::now();
            ask(&client, query).await;
            times.push(begun_at.elapsed());
        }
    }
    times.map(|mut times| {
        times.sort_unstable();
        percentile(&times, 50)
    })
}

/// Beside other tests a few show that everything is found.
fn rounds() -> usize {
    if is_alone() { ROUNDS } else { 3 }
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}
