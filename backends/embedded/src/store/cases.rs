//! Tickets in the hands of staff.

use std::collections::HashSet;

use async_trait::async_trait;
use common::{
    domain::{Case, Name, Tag, Work},
    ports::{
        cases::{CaseFile, Cases, Reference, Step, StepParameters, in_place},
        store::StoreError,
    },
};
use serde_json::Value;
use sqlx::{FromRow, SqliteConnection};
use thiserror::Error;

use super::{Store, corrupt, failure, json, read, tickets::TicketRow, writer::Work as Writing};

#[async_trait]
impl Cases for Store {
    async fn find(&self, which: &[Reference]) -> Result<Vec<Option<Case>>, StoreError> {
        let (mut ids, mut numbers) = (Vec::new(), Vec::new());
        for reference in which {
            match reference {
                Reference::Id(id) => ids.push(id.to_string()),
                Reference::Number(number) => numbers.push(number.to_string()),
            }
        }
        let query = sqlx::query_as::<_, CaseRow>(include_str!("../../sql/cases.sql"));
        let query = query.bind(json(&ids)?).bind(json(&numbers)?);
        let rows = query.fetch_all(&self.readers).await.map_err(failure)?;
        let cases = rows.into_iter().map(Case::try_from).collect::<Result<Vec<_>, _>>()?;
        Ok(in_place(which, &cases))
    }

    async fn file(&self, which: &Reference) -> Result<Option<CaseFile>, StoreError> {
        let (id, number) = match which {
            Reference::Id(id) => (Some(id.to_string()), None),
            Reference::Number(number) => (None, Some(number.to_string())),
        };
        let query = sqlx::query_as::<_, FileRow>(include_str!("../../sql/case_file.sql"));
        let row = query.bind(id).bind(number).fetch_optional(&self.readers).await;
        let row = row.map_err(failure)?;
        row.map(|row| CaseFile::read(row.case.try_into()?, &row.thread, &row.trail)).transpose()
    }

    async fn commit(&self, steps: &[Step], together: bool) -> Result<Vec<bool>, StoreError> {
        let one = |step: &Step| {
            let id = step.before.ticket.id.to_string();
            serde_json::to_value(StepParameters::from(step)).map(|parameters| (id, parameters))
        };
        let steps = steps.iter().map(one).collect::<Result<Vec<_>, _>>();
        let steps = steps.map_err(|error| StoreError::Rejected(error.into()))?;
        let count = steps.len();
        match self.write(CommitSteps { steps, together }).await {
            Err(StoreError::Rejected(cause)) if cause.is::<Stale>() => Ok(vec![false; count]),
            other => other,
        }
    }
}

/// A commit was to be of all steps or none, and could not be of all.
#[derive(Debug, Error)]
#[error("somebody else was first")]
struct Stale;

struct CommitSteps {
    /// Of each ticket's id, its [`StepParameters`].
    steps: Vec<(String, Value)>,
    together: bool,
}

impl Writing for CommitSteps {
    type Answer = Vec<bool>;

    async fn run(self, connection: &mut SqliteConnection) -> Result<Vec<bool>, StoreError> {
        let all: Vec<_> = self.steps.iter().map(|(_, step)| step).collect();
        let changed = sqlx::query_scalar(include_str!("../../sql/commit_steps.sql"));
        let changed = changed.bind(json(&all)?).fetch_all(&mut *connection).await;
        let changed: HashSet<String> = changed.map_err(failure)?.into_iter().collect();
        if self.together && changed.len() < all.len() {
            // What was changed is changed back by a rollback, which is an error's.
            return Err(StoreError::Rejected(Box::new(Stale)));
        }
        let taken = self.steps.iter().filter(|(id, _)| changed.contains(id));
        let taken = json(&taken.map(|(_, step)| step).collect::<Vec<_>>())?;
        for sql in [
            include_str!("../../sql/insert_change_entries.sql"),
            include_str!("../../sql/insert_posts.sql"),
            include_str!("../../sql/delete_tags.sql"),
            include_str!("../../sql/insert_tags.sql"),
            include_str!("../../sql/change_statistics.sql"),
            include_str!("../../sql/change_tallies.sql"),
        ] {
            sqlx::query(sql).bind(&taken).execute(&mut *connection).await.map_err(failure)?;
        }
        Ok(self.steps.iter().map(|(id, _)| changed.contains(id)).collect())
    }
}

/// See `cases.sql`.
#[derive(FromRow)]
struct CaseRow {
    #[sqlx(flatten)]
    ticket: TicketRow,
    version: u32,
    assignee: Option<String>,
    first_reply_at: Option<String>,
    first_response_at: Option<String>,
    /// JSON array.
    tags: String,
}

impl TryFrom<CaseRow> for Case {
    type Error = StoreError;

    fn try_from(row: CaseRow) -> Result<Self, StoreError> {
        let number = row.ticket.number().to_owned();
        let time = |column: &str, text: Option<String>| {
            text.map(|text| read("tickets", &number, column, &text)).transpose()
        };
        let tags: Vec<String> =
            serde_json::from_str(&row.tags).map_err(|_| corrupt("ticket_tags", &number, "tag"))?;
        let work = Work {
            version: row.version,
            assignee: row.assignee.map(Name::stored),
            tags: tags.into_iter().map(Tag::stored).collect(),
            first_reply_at: time("first_reply_at", row.first_reply_at)?,
            first_response_at: time("first_response_at", row.first_response_at)?,
        };
        Ok(Self { ticket: row.ticket.try_into()?, work })
    }
}

/// See `case_file.sql`.
#[derive(FromRow)]
struct FileRow {
    #[sqlx(flatten)]
    case: CaseRow,
    thread: String,
    trail: String,
}
