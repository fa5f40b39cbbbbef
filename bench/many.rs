//! Many tickets, made by the server itself.

use sqlx::{Connection, PgConnection};

/// Tickets a statement.
const TOGETHER: u64 = 100_000;

/// Stores so many tickets as a worker would have in the year before: each with its audit entry, counted,
/// and published already.
pub async fn store(database_url: &str, tickets: u64) {
    let mut connection = PgConnection::connect(database_url).await.expect("connect");
    let mut run = async |statement: &'static str, first: u64, last: u64| {
        let query = sqlx::query(statement);
        let query = query.bind(i64::try_from(first).unwrap()).bind(i64::try_from(last).unwrap());
        query.execute(&mut connection).await.expect("many tickets");
    };
    for first in (0..tickets).step_by(usize::try_from(TOGETHER).unwrap()) {
        let last = (first + TOGETHER).min(tickets) - 1;
        run(include_str!("sql/many_tickets.sql"), first, last).await;
        eprint!("\r{} of {tickets} tickets ", last + 1);
    }
    eprintln!();
    sqlx::query("ANALYZE").execute(&mut connection).await.expect("analyze");
}
