//! Tickets listed, and searched.

use async_trait::async_trait;
use chrono::DateTime;
use common::{
    domain::{Email, Filters, Place, Search, Sort, Tag, TicketNumber, TicketPage, TicketQuery},
    ports::{
        cases::{Cases, Reference},
        search::{SEARCH_WINDOW, SearchWriter, TicketIndex},
        store::StoreError,
    },
};
use sqlx::{FromRow, Sqlite, SqliteConnection, query::QueryAs, sqlite::SqliteArguments};
use uuid::Uuid;

use super::{Store, corrupt, failure, json, time_text, writer::Work};

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
            (Some(search), _) => matching(query, search)?,
            (None, Some(_)) => tagged(query)?,
            (None, None) => walk(query)?,
        };
        let rows = statement.fetch_all(&self.readers).await.map_err(failure)?;
        let places = rows.into_iter().map(Place::try_from).collect::<Result<_, _>>()?;
        let (ids, next) = query.cut(places);
        let ids: Vec<_> = ids.into_iter().map(Reference::Id).collect();
        let cases = self.find(&ids).await?;
        // One may have been erased between the two.
        Ok(TicketPage { cases: cases.into_iter().flatten().collect(), next })
    }
}

#[async_trait]
impl SearchWriter for Store {
    async fn take_in(&self, entries_max: u32) -> Result<Option<u32>, StoreError> {
        let query = sqlx::query_as(include_str!("../../sql/entries_to_take_in.sql"));
        // By a reader: where there is nothing new, the writer is left alone.
        let next: NextEntries =
            query.bind(entries_max).fetch_one(&self.readers).await.map_err(failure)?;
        if let Some(position) = next.position {
            self.write(TakeIn { position }).await?;
        }
        Ok(Some(next.entries))
    }
}

/// See `entries_to_take_in.sql`.
#[derive(FromRow)]
struct NextEntries {
    entries: u32,
    position: Option<i64>,
}

/// What is on record up to this position. Doing it twice changes nothing.
struct TakeIn {
    position: i64,
}

impl Work for TakeIn {
    type Answer = ();

    async fn run(self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        for sql in [
            include_str!("../../sql/take_in.sql"),
            include_str!("../../sql/forget_erased.sql"),
            include_str!("../../sql/advance_search.sql"),
        ] {
            let query = sqlx::query(sql).bind(self.position);
            query.execute(&mut *connection).await.map_err(failure)?;
        }
        Ok(())
    }
}

type Statement = QueryAs<'static, Sqlite, PlaceRow, SqliteArguments>;

/// Along an index.
fn walk(query: &TicketQuery) -> Result<Statement, StoreError> {
    let sql = match query.sort {
        Sort::NewestFirst | Sort::Rank => behind_listed!("../../sql/newest_first.sql"),
        Sort::OldestFirst => behind_listed!("../../sql/oldest_first.sql"),
        Sort::LatestChangeFirst => behind_listed!("../../sql/latest_change_first.sql"),
        Sort::EarliestChangeFirst => behind_listed!("../../sql/earliest_change_first.sql"),
    };
    let start = query.start();
    let time = DateTime::from_timestamp_millis(start.key)
        .ok_or_else(|| StoreError::Rejected("no place of a list".into()))?;
    let statement = listed(sql, &query.filters)?;
    Ok(statement.bind(time_text(time)).bind(start.id.to_string()).bind(one_more(query)))
}

fn tagged(query: &TicketQuery) -> Result<Statement, StoreError> {
    let start = query.start();
    let statement = listed(behind_listed!("../../sql/tagged.sql"), &query.filters)?;
    let statement = statement.bind(start.key).bind(start.id.to_string()).bind(one_more(query));
    Ok(statement.bind(query.sort.as_str()))
}

fn matching(query: &TicketQuery, search: &Search) -> Result<Statement, StoreError> {
    let start = query.start();
    let statement = listed(behind_listed!("../../sql/search_tickets.sql"), &query.filters)?;
    Ok(statement
        .bind(start.key)
        .bind(start.id.to_string())
        .bind(one_more(query))
        .bind(query.sort.as_str())
        .bind(phrases(search).join(" AND "))
        .bind(start.horizon)
        .bind(SEARCH_WINDOW)
        .bind(search.number.as_ref().map(TicketNumber::to_string))
        .bind(search.email.as_ref().map(|email| Email::as_str(email).to_owned()))
        .bind(format!("{{number email}} : ({})", phrases(search).join(" OR ")))
        .bind(format!("{{name}} : ({})", phrases(search).join(" OR "))))
}

/// Each as what a word begins with. Between quotation marks nothing is an operator, and a phrase has
/// none of those.
fn phrases(search: &Search) -> Vec<String> {
    search.phrases.iter().map(|phrase| format!("\"{phrase}\" *")).collect()
}

fn one_more(query: &TicketQuery) -> i64 {
    i64::from(query.limit) + 1
}

/// With what `listed.sql` takes.
fn listed(sql: &'static str, filters: &Filters) -> Result<Statement, StoreError> {
    let (submitted, updated) = (filters.submitted.closed(), filters.updated.closed());
    Ok(sqlx::query_as(sql)
        .bind(json(&filters.status_words())?)
        .bind(json(&filters.priority_words())?)
        .bind(json(&filters.subject_words())?)
        .bind(filters.assignee().map(ToOwned::to_owned))
        .bind(filters.is_unassigned())
        .bind(filters.has_reply)
        .bind(time_text(submitted.0))
        .bind(time_text(submitted.1))
        .bind(time_text(updated.0))
        .bind(time_text(updated.1))
        .bind(filters.tag.as_ref().map(|tag| Tag::as_str(tag).to_owned())))
}

/// Where a list can go on.
#[derive(FromRow)]
struct PlaceRow {
    id: String,
    key: i64,
    #[sqlx(default)]
    horizon: Option<i64>,
}

impl TryFrom<PlaceRow> for Place {
    type Error = StoreError;

    fn try_from(PlaceRow { id, key, horizon }: PlaceRow) -> Result<Self, StoreError> {
        let id: Uuid = id.parse().map_err(|_| corrupt("tickets", "a list", "id"))?;
        Ok(Self { key, id: id.into(), horizon: horizon.unwrap_or(i64::MAX) })
    }
}
