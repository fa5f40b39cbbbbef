//! What operators do, on record.

use async_trait::async_trait;
use common::{
    domain::OperatorAction,
    ports::{
        actions::{ActionLog, RecordedAction},
        store::StoreError,
    },
};
use serde::Serialize;
use sqlx::{FromRow, SqliteConnection};

use super::{Store, failure, json, read, time_text, writer::Work};

#[async_trait]
impl ActionLog for Store {
    async fn record(&self, actions: &[OperatorAction]) -> Result<(), StoreError> {
        let rows: Vec<_> = actions.iter().map(NewRow::from).collect();
        self.write(Record { rows: json(&rows)? }).await
    }

    async fn latest(&self, limit: u32) -> Result<Vec<RecordedAction>, StoreError> {
        let rows: Vec<ActionRow> = sqlx::query_as(include_str!("../../sql/list_actions.sql"))
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(failure)?;
        rows.into_iter().map(RecordedAction::try_from).collect()
    }
}

struct Record {
    rows: String,
}

impl Work for Record {
    type Answer = ();

    async fn run(self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        sqlx::query(include_str!("../../sql/insert_actions.sql"))
            .bind(self.rows)
            .execute(connection)
            .await
            .map_err(failure)?;
        Ok(())
    }
}

#[derive(Serialize)]
struct NewRow {
    acted_at: String,
    actor: String,
    action: &'static str,
    subject: String,
    details: String,
    address: Option<String>,
    request_id: Option<String>,
}

impl From<&OperatorAction> for NewRow {
    fn from(it: &OperatorAction) -> Self {
        Self {
            acted_at: time_text(it.acted_at),
            actor: it.actor.to_string(),
            action: it.action.as_str(),
            subject: it.subject.clone(),
            details: it.details.to_string(),
            address: it.origin.address.clone(),
            request_id: it.origin.request_id.clone(),
        }
    }
}

#[derive(FromRow)]
pub(super) struct ActionRow {
    acted_at: String,
    actor: String,
    action: String,
    subject: String,
    details: String,
    address: Option<String>,
    request_id: Option<String>,
}

impl TryFrom<ActionRow> for RecordedAction {
    type Error = StoreError;

    fn try_from(row: ActionRow) -> Result<Self, StoreError> {
        let ActionRow { acted_at, actor, action, subject, details, address, request_id } = row;
        let acted_at = read("operator_actions", &subject, "acted_at", &acted_at)?;
        Ok(Self { acted_at, actor, action, subject, details, address, request_id })
    }
}
