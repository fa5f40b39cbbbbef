//! What the file holds, asked of it directly and not through the product; and copies of it.

use std::fs;
use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};

use crate::chaos::checker::Stored;
use crate::chaos::store::Row;

/// The database, its log, and the log's index.
pub const FILES: [&str; 3] = ["supportline.db", "supportline.db-wal", "supportline.db-shm"];

/// What a data folder holds beside them that a server cannot do without.
pub const NUMBER_KEY: &str = "number-key";

/// A database that nobody serves.
pub struct Database(SqliteConnection);

impl Database {
    /// Opens it, and finishes what its last server did not.
    pub async fn open(data_dir: &Path) -> Self {
        let options = SqliteConnectOptions::new().filename(data_dir.join(FILES[0]));
        Self(options.connect().await.expect("the database opens"))
    }

    /// `ok`, or what is wrong with it.
    pub async fn integrity(&mut self) -> String {
        let query = sqlx::query_scalar("PRAGMA integrity_check");
        query.fetch_one(&mut self.0).await.unwrap_or_else(|error| error.to_string())
    }

    /// Every ticket.
    pub async fn tickets(&mut self) -> Vec<Stored> {
        let query = "SELECT id, number, priority, email, name, subject, message, \
             client_timestamp, user_id, user_agent, url FROM tickets";
        let rows: Vec<Row> = sqlx::query_as(query).fetch_all(&mut self.0).await.expect("tickets");
        rows.into_iter().map(Stored::from).collect()
    }
}

/// Copies some of a data folder's files, one after the other, as they are at that moment each.
pub fn copy(names: &[&str], from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("make a folder");
    for name in names {
        match fs::copy(from.join(name), to.join(name)) {
            Ok(_) => {}
            // A log that is not there is an empty one.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => panic!("copy {name}: {error}"),
        }
    }
}
