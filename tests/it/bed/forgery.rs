//! Statements that change what is on record, run as by somebody who owns the database: what keeps the
//! record as it is gets out of their way first.

use sqlx::{Connection, Executor, PgConnection, SqliteConnection};

use super::folder::Folder;

const SQLITE_GUARDS: [&str; 6] = [
    "DROP TRIGGER IF EXISTS audit_entries_stay",
    "DROP TRIGGER IF EXISTS audit_entries_stay_as_they_are",
    "DROP TRIGGER IF EXISTS audit_seals_stay",
    "DROP TRIGGER IF EXISTS audit_seals_stay_as_they_are",
    "DROP TRIGGER IF EXISTS operator_actions_stay",
    "DROP TRIGGER IF EXISTS operator_actions_stay_as_they_are",
];

/// In an embedded installation's database, whose triggers are gone from then on.
pub async fn in_sqlite(folder: &Folder, statement: &'static str) {
    let url = format!("sqlite:{}", folder.join("data/supportline.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    for guard in SQLITE_GUARDS {
        connection.execute(guard).await.unwrap();
    }
    connection.execute(statement).await.unwrap();
}

/// In Postgres, by a session for which no trigger fires.
pub async fn in_postgres(url: &str, statement: &'static str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    connection.execute("SET session_replication_role = replica").await.unwrap();
    connection.execute(statement).await.unwrap();
}
