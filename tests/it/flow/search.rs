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
/// Who ask at a time, and how often each asks the same in a long run: so often that what they do first, to
/// connect and to plan, is one in two hundred.
const CLIENTS: usize = 16;
const ROUNDS: usize = 200;
/// Tickets that a statement stores, and entries that one takes in.
const TOGETHER: u64 = 20_000;
const TAKEN_IN_TOGETHER: u32 = 4_000;
/// What a search may take, for all but one in a hundred.
const SEARCH_MAX: Duration = Duration::from_millis(50);
/// The page that is held against the first.
const FAR: usize = 5_000;
const FAR_RATIO_MAX: f64 = 1.5;
/// What statistics are held against: those of so few tickets.
const FEW: u64 = 1_000;
const STATISTICS: &str = "/api/support/stats?days=366";
const STATISTICS_RATIO_MAX: f64 = 1.2;
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
        taken_in += u64::from(writer.take_in(TAKEN_IN_TOGETHER).await.unwrap().unwrap_or_default());
        taken_in >= tickets
    })
    .await;
    println!("{tickets} tickets taken in, in {:.0?}", begun_at.elapsed());
    execute(&backing.database_url, "VACUUM (ANALYZE)").await;

    let database_url = backing.database_url.clone();
    let system = TestSystem::distributed(backing).with_desk().await;
    if is_alone() {
        // Else a million events and seals would be measured with it.
        let all = i64::try_from(tickets).unwrap();
        until(DEADLINE, "all are published and sealed", async || {
            is_caught_up(&database_url, all).await
        })
        .await;
    }
    far_pages(&system).await;
    statistics(&system, tickets).await;
    searches(&system, tickets).await;
}

async fn searches(system: &TestSystem, tickets: u64) {
    let some = tickets / 3;
    let mut missed = Vec::new();
    for (name, query, least) in [
        ("a number", format!("q={}", number(some)), 1),
        ("an address", format!("q=ada.{some}@example.org"), 1),
        ("a rare word", "q=obelisk".to_owned(), 1),
        ("a common word", "q=engine".to_owned(), 25),
        ("the beginning of many words", "q=w1".to_owned(), 25),
        ("a word of one in seven, by a filter", "q=w40+engine&status=open".to_owned(), 0),
        ("a common word, by a filter that few pass", "q=engine&assignee=Grace".to_owned(), 0),
    ] {
        let is_promised = !query.contains('&');
        let rounds = if is_promised { rounds() } else { rounds().div_ceil(10) };
        let times = asked_by_many(system, &query, rounds, least).await;
        let (p50, p99) = (percentile(&times, 50), percentile(&times, 99));
        println!("{name}: p50 {p50:.1?}, p99 {p99:.1?} with {CLIENTS} clients");
        // By a filter, word and ticket are held against each other one by one: no more is promised
        // than an answer.
        if is_alone() && is_promised && p99 > SEARCH_MAX {
            missed.push((name, p99));
        }
    }
    // All at once, or the first to miss would hide how the others do.
    assert!(missed.is_empty(), "longer than {SEARCH_MAX:?}: {missed:?}");
}

async fn far_pages(system: &TestSystem) {
    for filters in ["status=closed&priority=high", "assignee=Charles&sort=-updatedAt"] {
        let (pages, far) = turned(system, filters).await;
        let queries = [filters.to_owned(), format!("{filters}&cursor={far}")];
        let client = Client::new(system.desk().address());
        let asked = alternately(async |which| drop(ask(&client, &queries[which]).await));
        let ([first, far], ratio) = asked.await;
        println!("{filters}: page 1 in {first:.1?}, page {pages} in {far:.1?}: {ratio:.2} times");
        assert!(!is_alone() || ratio <= FAR_RATIO_MAX, "{filters}: {ratio}");
    }
}

/// Against those of an installation of a few tickets.
async fn statistics(system: &TestSystem, tickets: u64) {
    let backing = Servers::shared().await.backing().await;
    Installation::on(backing.clone()).backend.migrate().await.unwrap();
    store(&backing.database_url, FEW).await;
    let other = TestSystem::distributed(backing).await;
    let clients = [&other, system].map(|system| Client::new(system.edge(0).address()));
    let asked = alternately(async |which| {
        let answer = clients[which].get(STATISTICS).bearer(ADMIN_TOKEN).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    });
    let ([few, many], ratio) = asked.await;
    println!("statistics: of {FEW} in {few:.1?}, of {tickets} in {many:.1?}: {ratio:.2} times");
    assert!(!is_alone() || ratio <= STATISTICS_RATIO_MAX, "statistics: {ratio}");
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

/// Whether the workers have done what they do behind the inserts.
async fn is_caught_up(database_url: &str, entries: i64) -> bool {
    let mut connection = PgConnection::connect(database_url).await.unwrap();
    sqlx::query_scalar(
        "SELECT
            (SELECT coalesce(max(entries), 0) >= $1 FROM audit_seals WHERE record = 'tickets')
            AND (SELECT max(audit_entries.position) <= relay.position FROM audit_entries, relay GROUP BY relay.position)",
    )
    .bind(entries)
    .fetch_one(&mut connection)
    .await
    .unwrap()
}

/// The number of the `n`-th ticket, as the statement scatters them.
fn number(n: u64) -> String {
    format!("SUP-2025-{:08}", (n * 48_271 + 12_345) % 100_000_000)
}

/// What each of many who ask the same at a time has to wait.
async fn asked_by_many(
    system: &TestSystem,
    query: &str,
    rounds: usize,
    least: usize,
) -> Vec<Duration> {
    let asking = (0..CLIENTS).map(async |_| {
        let client = Client::new(system.desk().address());
        let mut times = Vec::new();
        for _ in 0..rounds {
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

/// What each of two takes, one after the other many times, at the median; and how many times the first
/// the second is.
async fn alternately(ask: impl AsyncFn(usize)) -> ([Duration; 2], f64) {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..rounds() {
        for (which, times) in times.iter_mut().enumerate() {
            let begun_at = Instant::now();
            ask(which).await;
            times.push(begun_at.elapsed());
        }
    }
    let [first, second] = times.map(|mut times| {
        times.sort_unstable();
        percentile(&times, 50)
    });
    ([first, second], second.as_secs_f64() / first.as_secs_f64())
}

/// Beside other tests a few show that everything is found.
fn rounds() -> usize {
    if is_alone() { ROUNDS } else { 3 }
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}
