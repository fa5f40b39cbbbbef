//! What operators do, on record.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use common::{
    domain::OperatorAction,
    ports::{
        actions::{ActionLog, RecordedAction},
        store::StoreError,
    },
};
use sqlx::FromRow;

use super::{Store, bounded};

#[async_trait]
impl ActionLog for Store {
    async fn record(&self, actions: &[OperatorAction]) -> Result<(), StoreError> {
        let texts = |of: fn(&OperatorAction) -> String| actions.iter().map(of).collect::<Vec<_>>();
        let optional =
            |of: fn(&OperatorAction) -> Option<String>| actions.iter().map(of).collect::<Vec<_>>();
        let times: Vec<DateTime<Utc>> = actions.iter().map(|action| action.acted_at).collect();
        let query = sqlx::query(include_str!("../../sql/insert_actions.sql"))
            .bind(times)
            .bind(texts(|it| it.actor.to_string()))
            .bind(texts(|it| it.action.to_string()))
            .bind(texts(|it| it.subject.clone()))
            .bind(texts(|it| it.details.to_string()))
            .bind(optional(|it| it.origin.address.clone()))
            .bind(optional(|it| it.origin.request_id.clone()));
        bounded(async { query.execute(&mut *self.lend().await?).await }).await?;
        Ok(())
    }

    async fn latest(&self, limit: u32) -> Result<Vec<RecordedAction>, StoreError> {
        let query = sqlx::query_as::<_, ActionRow>(include_str!("../../sql/list_actions.sql"));
        let query = query.bind(i64::from(limit));
        let rows = bounded(async { query.fetch_all(&mut *self.lend().await?).await }).await?;
        Ok(rows.into_iter().map(RecordedAction::from).collect())
    }
}

#[derive(FromRow)]
pub(super) struct ActionRow {
    acted_at: DateTime<Utc>,
    actor: String,
    action: String,
    subject: String,
    details: String,
    address: Option<String>,
    request_id: Option<String>,
}

impl From<ActionRow> for RecordedAction {
    fn from(row: ActionRow) -> Self {
        let ActionRow { acted_at, actor, action, subject, details, address, request_id } = row;
        Self { acted_at, actor, action, subject, details, address, request_id }
    }
}
