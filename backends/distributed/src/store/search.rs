//! Tickets listed, and searched.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use common::{
    domain::{Email, Filters, Place, Search, Sort, Tag, TicketNumber, TicketPage, TicketQuery},
    ports::{
        cases::{Cases, Reference},
        search::{SEARCH_WINDOW, SearchWriter, TicketIndex},
        store::StoreError,
    },
};
use sqlx::{FromRow, Postgres, postgres::PgArguments, query::QueryAs};
use uuid::Uuid;

use super::{Store, bounded};

/// A statement that goes on behind the tickets that pass the filters.
macro_rules! behind_listed {
    ($file:literal) => {
        concat!(include_str!("../../sql/listed.sql"), include_str!($file))
    };
}

#[async_trait]
impl TicketIndex for Store {
    async fn page(&self, query: &TicketQuery) -> Result<TicketPage, StoreError> {
        let statement = match (&query.search, &query.filters.tag) {
            (Some(search), _) if search.phrases.is_empty() => return Ok(TicketPage::default()),
            (Some(search), _) => matching(query, search),
            (None, Some(_)) => tagged(query),
            (None, None) => walk(query)?,
        };
        let rows = bounded(async { statement.fetch_all(&mut *self.lend().await?).await }).await?;
        let (ids, next) = query.cut(rows.into_iter().map(Place::from).collect());
        let ids: Vec<_> = ids.into_iter().map(Reference::Id).collect();
        let cases = self.find(&ids).await?;
        // One may have been erased between the two.
        Ok(TicketPage { cases: cases.into_iter().flatten().collect(), next })
    }
}

#[async_trait]
impl SearchWriter for Store {
    async fn take_in(&self, entries_max: u32) -> Result<u32, StoreError> {
        let query = sqlx::query_scalar::<_, i32>(include_str!("../../sql/take_in.sql"));
        // Planned each time: how the tickets are looked up depends on how many entries there can be.
        let query = query.bind(i64::from(entries_max)).persistent(false);
        let entries = bounded(async { query.fetch_one(&mut *self.lend().await?).await }).await?;
        u32::try_from(entries).map_err(|_| StoreError::Corrupt("take_in.count".to_owned()))
    }
}

type Statement = QueryAs<'static, Postgres, PlaceRow, PgArguments>;

/// Along an index.
fn walk(query: &TicketQuery) -> Result<Statement, StoreError> {
    let sql = match query.sort {
        Sort::NewestFirst | Sort::Rank => behind_listed!("../../sql/newest_first.sql"),
        Sort::OldestFirst => behind_listed!("../../sql/oldest_first.sql"),
        Sort::LatestChangeFirst => behind_listed!("../../sql/latest_change_first.sql"),
        Sort::EarliestChangeFirst => behind_listed!("../../sql/earliest_change_first.sql"),
    };
    let start = query.start();
    let time = DateTime::<Utc>::from_timestamp_millis(start.key)
        .ok_or_else(|| StoreError::Rejected("no place of a list".into()))?;
    Ok(listed(sql, &query.filters).bind(time).bind(start.id.as_uuid()).bind(one_more(query)))
}

fn tagged(query: &TicketQuery) -> Statement {
    let start = query.start();
    listed(behind_listed!("../../sql/tagged.sql"), &query.filters)
        .bind(start.key)
        .bind(start.id.as_uuid())
        .bind(one_more(query))
        .bind(query.sort.as_str())
}

fn matching(query: &TicketQuery, search: &Search) -> Statement {
    let start = query.start();
    listed(behind_listed!("../../sql/search_tickets.sql"), &query.filters)
        .bind(start.key)
        .bind(start.id.as_uuid())
        .bind(one_more(query))
        .bind(query.sort.as_str())
        .bind(tsquery(search))
        .bind(start.horizon)
        .bind(i64::from(SEARCH_WINDOW))
        .bind(search.number.as_ref().map(TicketNumber::to_string))
        .bind(search.email.as_ref().map(|email| Email::as_str(email).to_owned()))
}

/// All of them, each as what a word begins with. Between quotation marks nothing is an operator, and a
/// phrase has neither those nor backslashes.
fn tsquery(search: &Search) -> String {
    let phrases: Vec<_> = search.phrases.iter().map(|phrase| format!("'{phrase}':*")).collect();
    phrases.join(" & ")
}

fn one_more(query: &TicketQuery) -> i64 {
    i64::from(query.limit) + 1
}

/// With what `listed.sql` takes. Planned each time: which index is the best depends on the filters, and
/// a plan for any of them would be bad for most.
fn listed(sql: &'static str, filters: &Filters) -> Statement {
    let ((submitted_from, submitted_to), (updated_from, updated_to)) =
        (filters.submitted.closed(), filters.updated.closed());
    sqlx::query_as(sql)
        .bind(filters.status_words())
        .bind(filters.priority_words())
        .bind(filters.subject_words())
        .bind(filters.assignee().map(ToOwned::to_owned))
        .bind(filters.is_unassigned())
        .bind(filters.has_reply)
        .bind(submitted_from)
        .bind(submitted_to)
        .bind(updated_from)
        .bind(updated_to)
        .bind(filters.tag.as_ref().map(|tag| Tag::as_str(tag).to_owned()))
        .persistent(false)
}

/// Where a list can go on.
#[derive(FromRow)]
struct PlaceRow {
    id: Uuid,
    key: i64,
    #[sqlx(default)]
    horizon: Option<i64>,
}

impl From<PlaceRow> for Place {
    fn from(PlaceRow { id, key, horizon }: PlaceRow) -> Self {
        Self { key, id: id.into(), horizon: horizon.unwrap_or(i64::MAX) }
    }
}
