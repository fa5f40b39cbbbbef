//! What Postgres holds, asked of it directly and not through the product.

use std::collections::BTreeMap;

use sqlx::{Connection, PgConnection};

/// Connects behind the product's back.
pub async fn connect(database_url: &str) -> PgConnection {
    PgConnection::connect(database_url).await.expect("Postgres answers")
}

/// Every ticket's id, number and message.
pub async fn tickets(connection: &mut PgConnection) -> Vec<(String, String, String)> {
    sqlx::query_as("SELECT id::text, number, message FROM tickets")
        .fetch_all(connection)
        .await
        .unwrap()
}

/// Tickets by subject, counted from the tickets.
pub async fn by_subject(connection: &mut PgConnection) -> BTreeMap<String, i64> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("SELECT subject, count(*) FROM tickets GROUP BY subject")
            .fetch_all(connection)
            .await
            .unwrap();
    rows.into_iter().collect()
}
