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
use sqlx::{
    FromRow, Postgres,
    postgres::PgArguments,
    query::{QueryAs, QueryScalar},
};
use uuid::Uuid;

use super::{Store, bounded};

/// Of the newest 300 tickets so many match a common word.
const COMMON: i64 = 6;

/// A statement that goes on behind the tickets that pass the filters.
macro_rules! behind_listed {
    ($($file:literal),+) => {
        concat!(include_str!("../../sql/listed.sql"), $(include_str!($file)),+)
    };
}

#[async_trait]
impl TicketIndex for Store {
    async fn page(&self, query: &TicketQuery) -> Result<TicketPage, StoreError> {
        let rows = match (&query.search, &query.filters.tag) {
            (Some(search), _) if search.phrases.is_empty() => return Ok(TicketPage::default()),
            (Some(search), _) => bounded(self.matching(query, search)).await?,
            (None, Some(_)) => self.listed(tagged(query)).await?,
            (None, None) => self.listed(walk(query)?).await?,
        };
        let (ids, next) = query.cut(rows.into_iter().map(Place::from).collect());
        let ids: Vec<_> = ids.into_iter().map(Reference::Id).collect();
        let cases = self.find(&ids).await?;
        // One may have been erased between the two.
        Ok(TicketPage { cases: cases.into_iter().flatten().collect(), next })
    }
}

#[async_trait]
impl SearchWriter for Store {
    async fn take_in(&self, entries_max: u32) -> Result<Option<u32>, StoreError> {
        let query = sqlx::query_scalar::<_, Option<i32>>(include_str!("../../sql/take_in.sql"));
        // Planned each time: how the tickets are looked up depends on how many entries there can be.
        let query = query.bind(i64::from(entries_max)).persistent(false);
        let entries = bounded(async { query.fetch_one(&mut *self.lend().await?).await }).await?;
        let entries = entries.map(u32::try_from).transpose();
        entries.map_err(|_| StoreError::Corrupt("take_in.count".to_owned()))
    }
}

impl Store {
    async fn listed(&self, statement: Statement) -> Result<Vec<PlaceRow>, StoreError> {
        bounded(async { statement.fetch_all(&mut *self.lend().await?).await }).await
    }

    /// Those of the number or address that is searched for; if there are none, whatever the filters and the
    /// page, those that match.
    async fn matching(
        &self,
        query: &TicketQuery,
        search: &Search,
    ) -> Result<Vec<PlaceRow>, sqlx::Error> {
        let mut connection = self.lend().await?;
        if search.number.is_some() || search.email.is_some() {
            let rows = exact(query, search).fetch_all(&mut *connection).await?;
            if !rows.is_empty() || has_exact(query, search).fetch_one(&mut *connection).await? {
                return Ok(rows);
            }
        }
        let hits: i64 = sqlx::query_scalar(include_str!("../../sql/probe_words.sql"))
            .bind(tsquery(search))
            .bind(query.start().horizon)
            .fetch_one(&mut *connection)
            .await?;
        // What most ask needs nothing of the tickets themselves, and its plan is always the same.
        let is_plain = query.filters == Filters::default() && query.sort == Sort::Rank;
        let sql = match (is_plain, hits < COMMON) {
            (true, true) => {
                behind_listed!("../../sql/named_matches.sql", "../../sql/search_tickets.sql")
            }
            (true, false) => {
                behind_listed!("../../sql/newest_matches.sql", "../../sql/search_tickets.sql")
            }
            (false, true) => {
                behind_listed!("../../sql/rare_matches.sql", "../../sql/search_tickets.sql")
            }
            (false, false) => {
                behind_listed!("../../sql/common_matches.sql", "../../sql/search_tickets.sql")
            }
        };
        chosen(sql, query, search).persistent(is_plain).fetch_all(&mut *connection).await
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

/// Planned once: whatever the filters are, these few are found by themselves, and a plan would take longer.
fn exact(query: &TicketQuery, search: &Search) -> Statement {
    let sql = behind_listed!("../../sql/exact_matches.sql", "../../sql/search_tickets.sql");
    let (number, address) = whole(search);
    chosen(sql, query, search).bind(number).bind(address).persistent(true)
}

/// Whether there are any, which a filter or an earlier page may have kept from being told.
fn has_exact(
    query: &TicketQuery,
    search: &Search,
) -> QueryScalar<'static, Postgres, bool, PgArguments> {
    let (number, address) = whole(search);
    sqlx::query_scalar(include_str!("../../sql/has_exact_match.sql"))
        .bind(number)
        .bind(address)
        .bind(query.start().horizon)
}

/// The number or address that is searched for, as it is stored.
fn whole(search: &Search) -> (Option<String>, Option<String>) {
    let address = search.email.as_ref().map(|email| Email::as_str(email).to_ascii_lowercase());
    (search.number.as_ref().map(TicketNumber::to_string), address)
}

fn chosen(sql: &'static str, query: &TicketQuery, search: &Search) -> Statement {
    let start = query.start();
    listed(sql, &query.filters)
        .bind(start.key)
        .bind(start.id.as_uuid())
        .bind(one_more(query))
        .bind(query.sort.as_str())
        .bind(tsquery(search))
        .bind(start.horizon)
        .bind(i64::from(SEARCH_WINDOW))
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
