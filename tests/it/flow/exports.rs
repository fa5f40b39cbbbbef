//! Exports of however many tickets, in a memory that does not grow with them.

use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection, SqliteConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::figure;
use crate::bed::servers::Servers;
use crate::bed::system::{ADMIN_TOKEN, TestSystem};
use crate::bed::wait::until;

/// What an export may take, as the kernel counts it; of a server with all that it holds besides.
const RESIDENT_BYTES_MAX: u64 = 96 * 1024 * 1024;

const MESSAGE_CHARS: i64 = 500;

/// Puts so many tickets into the store, behind the program's back: what is measured is the way out.
async fn fill(system: &TestSystem, tickets: i64) {
    if let Some(backing) = system.backing_if_any() {
        let mut connection = PgConnection::connect(&backing.database_url).await.unwrap();
        let sql = "INSERT INTO tickets (id, number, name, email, subject, message, status, priority, \
                   client_timestamp, submitted_at, updated_at, fingerprint, request_id, traceparent) \
                   SELECT gen_random_uuid(), 'SUP-2026-' || lpad(n::text, 7, '0'), 'Ada', \
                   'ada@example.org', 'billing', repeat('=é', $2 / 2), 'open', 'medium', \
                   '2026-11-22T10:30:00Z', now(), now(), decode(repeat('00', 16), 'hex'), 'r', 't' \
                   FROM generate_series(1, $1) AS n";
        let query = sqlx::query(sql).bind(tickets).bind(i32::try_from(MESSAGE_CHARS).unwrap());
        query.execute(&mut connection).await.unwrap();
    } else {
        let url = format!("sqlite:{}", system.folder().join("data/supportline.db").display());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        let sql = "WITH RECURSIVE numbers (n) AS \
                   (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1) \
                   INSERT INTO tickets (id, number, name, email, subject, message, status, priority, \
                   client_timestamp, submitted_at, updated_at, fingerprint, request_id, traceparent) \
                   SELECT lower(hex(randomblob(4))) || '-' || lower(hex(randomblob(2))) || '-4' || \
                   substr(lower(hex(randomblob(2))), 2) || '-8' || \
                   substr(lower(hex(randomblob(2))), 2) || '-' || lower(hex(randomblob(6))), \
                   'SUP-2026-' || printf('%07d', n), 'Ada', 'ada@example.org', 'billing', \
                   replace(hex(zeroblob(?2 / 4)), '00', '=é=é'), 'open', 'medium', \
                   '2026-11-22T10:30:00Z', '2026-11-22T10:30:00.000Z', '2026-11-22T10:30:00.000Z', \
                   zeroblob(16), 'r', 't' FROM numbers";
        let query = sqlx::query(sql).bind(tickets).bind(MESSAGE_CHARS);
        query.execute(&mut connection).await.unwrap();
    }
}

/// The most that a process has held so far, in bytes; nothing once it has ended.
pub fn peak(pid: Option<u32>) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid?)).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// Exports by the command, to a file: lines, bytes, the most that it held, how long it took.
async fn by_command(system: &TestSystem, format: &str) -> (usize, u64, u64, Duration) {
    let (begun, name) = (Instant::now(), format!("all.{format}"));
    let process = system.start(&["export", "--output", &name]);
    let pid = process.pid();
    let mut most = 0;
    until(Duration::from_mins(20), "the export ends", async || {
        most = most.max(peak(pid).unwrap_or_default());
        !process.is_running()
    })
    .await;
    let took = begun.elapsed();
    let path = system.folder().join(&name);
    let bytes = std::fs::metadata(&path).unwrap_or_else(|_| panic!("{}", process.log())).len();
    let text = std::fs::read(&path).unwrap();
    let lines = text.split(|byte| *byte == b'\n').count() - 1;
    std::fs::remove_file(&path).unwrap();
    (lines, bytes, most, took)
}

/// Exports over HTTP, and counts what comes: lines, bytes, and whether it came to its end.
async fn by_request(system: &TestSystem) -> (usize, u64, bool) {
    let mut stream = TcpStream::connect(system.desk().address()).await.unwrap();
    let request = format!(
        "GET /api/support/admin/tickets/export HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         authorization: Bearer {ADMIN_TOKEN}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let (mut piece, mut end, mut ids, mut bytes) = (vec![0; 64 * 1024], Vec::new(), 0, 0);
    loop {
        let length = stream.read(&mut piece).await.unwrap();
        if length == 0 {
            return (ids, bytes, end.ends_with(b"0\r\n\r\n"));
        }
        bytes += length as u64;
        // Nothing that these tickets say has such a brace, nor has a chunk's length.
        ids += piece[..length].split(|byte| *byte == b'}').count() - 1;
        end.extend_from_slice(&piece[..length]);
        end.drain(..end.len().saturating_sub(5));
    }
}

#[expect(clippy::print_stdout, reason = "figures for whoever runs it with --nocapture")]
async fn memory_is_bounded(system: &TestSystem) {
    let tickets = figure("TICKETS", 20_000);
    fill(system, tickets.try_into().unwrap()).await;
    for (format, heads) in [("ndjson", 0), ("csv", 1)] {
        let (lines, bytes, most, took) = by_command(system, format).await;
        assert_eq!(lines, tickets + heads);
        println!(
            "{tickets} tickets, {bytes} bytes of {format} in {took:.1?}: {most} bytes resident"
        );
        assert!(most > 0 && most <= RESIDENT_BYTES_MAX, "{format}: {most}");
    }
    let pid = system.desk().pid();
    let before = peak(pid).unwrap();
    let begun = Instant::now();
    let (ids, bytes, is_whole) = by_request(system).await;
    assert!(is_whole);
    assert_eq!(ids, tickets);
    let (most, took) = (peak(pid).unwrap(), begun.elapsed());
    println!("over HTTP {bytes} bytes in {took:.1?}: {before} bytes resident before, then {most}");
    assert!(most <= RESIDENT_BYTES_MAX, "{most}");
}

#[tokio::test]
async fn an_export_of_many_tickets_takes_bounded_memory_embedded() {
    memory_is_bounded(&TestSystem::embedded().await).await;
}

#[tokio::test]
async fn an_export_of_many_tickets_takes_bounded_memory_distributed() {
    let backing = Servers::shared().await.backing().await;
    memory_is_bounded(&TestSystem::distributed(backing).with_desk().await).await;
}
