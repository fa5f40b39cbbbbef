//! What Postgres holds, asked of it directly and not through the product.

use std::time::Duration;

use sqlx::{Connection, FromRow, PgConnection};
use tokio::time::sleep;

use super::checker::Stored;
use super::order::Form;

/// A ticket's row, the same in both stores.
#[derive(FromRow)]
pub struct Row {
    id: String,
    number: String,
    priority: String,
    email: String,
    name: String,
    subject: String,
    message: String,
    client_timestamp: String,
    user_id: Option<String>,
    user_agent: Option<String>,
    url: Option<String>,
}

/// Connects behind the product's back.
pub async fn connect(database_url: &str) -> PgConnection {
    PgConnection::connect(database_url).await.expect("Postgres answers")
}

/// Every ticket.
pub async fn tickets(connection: &mut PgConnection) -> impl Iterator<Item = Stored> {
    let query = "SELECT id::text, number, priority, email, name, subject, message, \
         client_timestamp, user_id, user_agent, url FROM tickets";
    let rows: Vec<Row> = sqlx::query_as(query).fetch_all(connection).await.expect("tickets");
    rows.into_iter().map(Stored::from)
}

impl From<Row> for Stored {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            number: row.number,
            priority: row.priority,
            form: Form {
                email: row.email,
                name: row.name,
                subject: row.subject,
                message: row.message,
                timestamp: row.client_timestamp,
                user_id: row.user_id,
                user_agent: row.user_agent,
                url: row.url,
            },
        }
    }
}

/// How many events are not published yet, as far as the relay knows.
pub async fn unpublished(connection: &mut PgConnection) -> i64 {
    let query = "SELECT count(*) FROM audit_entries, relay
         WHERE (audit_entries.transaction_id, audit_entries.position)
             > (relay.transaction_id, relay.position)";
    sqlx::query_scalar(query).fetch_one(connection).await.expect("how far it is")
}

/// Keeps everybody from the tickets for so long.
pub async fn lock(connection: &mut PgConnection, lasts: Duration) {
    let mut transaction = connection.begin().await.expect("a transaction");
    let query = "LOCK TABLE tickets IN ACCESS EXCLUSIVE MODE";
    sqlx::query(query).execute(&mut *transaction).await.expect("a lock");
    sleep(lasts).await;
    transaction.rollback().await.expect("the lock's end");
}

/// Ends every other session on this database.
pub async fn end_sessions(connection: &mut PgConnection) {
    let query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sqlx::query(query).execute(connection).await.expect("sessions end");
}
