//! Changes of tickets, made as staff will: the ticket, its next version and the audit entry in one
//! transaction. From outside, on a connection of the test's own.

use sqlx::{Connection, Executor, PgConnection, SqliteConnection};

use super::system::TestSystem;

const IN_POSTGRES: &str = "UPDATE tickets SET status = $1, version = version + 1, updated_at = now() \
     WHERE number = ANY($2)";
const IN_SQLITE: &str = "UPDATE tickets SET status = ?1, version = version + 1, \
     updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') \
     WHERE number IN (SELECT value FROM json_each(?2))";
/// The entries of what was changed in this transaction: those tickets that lack one.
const ENTRIES: &str = "INSERT INTO audit_entries \
     (ticket_id, version, kind, status, at, actor, request_id, traceparent) \
     SELECT id, version, 'ticket.status_changed', status, updated_at, 'staff', \
         'request-of-staff', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' \
     FROM tickets WHERE version > 1 AND NOT EXISTS (SELECT 1 FROM audit_entries AS entries \
         WHERE entries.ticket_id = tickets.id AND entries.version = tickets.version)";

impl TestSystem {
    /// Moves tickets to another status, all in one transaction, which has committed on return.
    pub async fn change_status(&self, numbers: &[String], status: &str) {
        if let Some(backing) = self.backing_if_any() {
            let mut connection = PgConnection::connect(&backing.database_url).await.unwrap();
            let mut transaction = connection.begin().await.unwrap();
            let update = sqlx::query(IN_POSTGRES).bind(status).bind(numbers);
            let changed = transaction.execute(update).await.unwrap().rows_affected();
            assert_eq!(changed, numbers.len() as u64);
            transaction.execute(ENTRIES).await.unwrap();
            transaction.commit().await.unwrap();
        } else {
            let url = format!("sqlite:{}", self.folder().join("data/supportline.db").display());
            let mut connection = SqliteConnection::connect(&url).await.unwrap();
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.unwrap();
            let numbers_json = serde_json::to_string(numbers).unwrap();
            let update = sqlx::query(IN_SQLITE).bind(status).bind(numbers_json);
            let changed = transaction.execute(update).await.unwrap().rows_affected();
            assert_eq!(changed, numbers.len() as u64);
            transaction.execute(ENTRIES).await.unwrap();
            transaction.commit().await.unwrap();
        }
    }
}
