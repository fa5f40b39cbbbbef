//! Tickets in the hands of staff.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use common::{
    domain::{Case, Name, Tag, Work},
    ports::{
        cases::{CaseFile, Cases, Reference, Step, StepParameters, in_place},
        store::StoreError,
    },
};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Store, bounded, tickets::TicketRow};

/// What the server says where a commit was to be of all steps or none: see `commit_steps.sql`.
const STALE: &str = "SL001";

#[async_trait]
impl Cases for Store {
    async fn find(&self, which: &[Reference]) -> Result<Vec<Option<Case>>, StoreError> {
        let (mut ids, mut numbers) = (Vec::<Uuid>::new(), Vec::<String>::new());
        for reference in which {
            match reference {
                Reference::Id(id) => ids.push(id.as_uuid()),
                Reference::Number(number) => numbers.push(number.to_string()),
            }
        }
        let query = sqlx::query_as::<_, CaseRow>(include_str!("../../sql/cases.sql"));
        let query = query.bind(ids).bind(numbers);
        let rows = bounded(async { query.fetch_all(&mut *self.lend().await?).await }).await?;
        let cases = rows.into_iter().map(Case::try_from).collect::<Result<Vec<_>, _>>()?;
        Ok(in_place(which, &cases))
    }

    async fn file(&self, which: &Reference) -> Result<Option<CaseFile>, StoreError> {
        let (id, number) = match which {
            Reference::Id(id) => (Some(id.as_uuid()), None),
            Reference::Number(number) => (None, Some(number.to_string())),
        };
        let query = sqlx::query_as::<_, FileRow>(include_str!("../../sql/case_file.sql"));
        let query = query.bind(id).bind(number);
        let row = bounded(async { query.fetch_optional(&mut *self.lend().await?).await }).await?;
        row.map(|row| CaseFile::read(row.case.try_into()?, &row.thread, &row.trail)).transpose()
    }

    async fn commit(&self, steps: &[Step], together: bool) -> Result<Vec<bool>, StoreError> {
        let parameters: Vec<_> = steps.iter().map(StepParameters::from).collect();
        let parameters = serde_json::to_string(&parameters);
        let parameters = parameters.map_err(|error| StoreError::Rejected(error.into()))?;
        let query = sqlx::query_scalar::<_, i32>(include_str!("../../sql/commit_steps.sql"));
        let query = query.bind(parameters).bind(together);
        let places = bounded(async {
            match query.fetch_all(&mut *self.lend().await?).await {
                Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(STALE) => {
                    Ok(Vec::new())
                }
                other => other,
            }
        });
        let mut done = vec![false; steps.len()];
        for place in places.await? {
            let place = usize::try_from(place).ok().and_then(|place| done.get_mut(place));
            *place.ok_or_else(|| StoreError::Corrupt("commit_steps.place".to_owned()))? = true;
        }
        Ok(done)
    }
}

/// See `cases.sql`.
#[derive(FromRow)]
struct CaseRow {
    #[sqlx(flatten)]
    ticket: TicketRow,
    version: i32,
    assignee: Option<String>,
    first_reply_at: Option<DateTime<Utc>>,
    first_response_at: Option<DateTime<Utc>>,
    tags: Vec<String>,
}

impl TryFrom<CaseRow> for Case {
    type Error = StoreError;

    fn try_from(row: CaseRow) -> Result<Self, StoreError> {
        let version = row.version.try_into();
        let work = Work {
            version: version.map_err(|_| StoreError::Corrupt("tickets.version".to_owned()))?,
            assignee: row.assignee.map(Name::stored),
            tags: row.tags.into_iter().map(Tag::stored).collect(),
            first_reply_at: row.first_reply_at,
            first_response_at: row.first_response_at,
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
