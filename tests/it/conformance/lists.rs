//! The promises of `common::ports::search` for lists.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use common::clock::SystemEntropy;
use common::domain::{
    Assignment, Between, Change, Filters, Message, Name, NewTicket, Place, PostKind, Priority,
    Search, Sort, Status, Subject, Tag, TicketQuery,
};
use common::ports::cases::{Author, Reference, Step};
use common::ports::search::{SearchWriter, TicketIndex};
use common::trace::Trace;

use super::installation::{Installation, ticket};
use super::on_both_backends;
use crate::bed::wait::until;

on_both_backends! {
    every_page_goes_on_where_the_last_one_ended,
    tickets_that_arrive_between_two_pages_move_nothing,
    every_filter_keeps_what_it_says_and_nothing_else,
}

pub const DEADLINE: Duration = Duration::from_secs(20);
const SORTS: [Sort; 4] =
    [Sort::NewestFirst, Sort::OldestFirst, Sort::LatestChangeFirst, Sort::EarliestChangeFirst];

fn at(second: i64) -> DateTime<Utc> {
    "2026-06-01T12:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(second)
}

/// The `number`-th ticket, submitted at that second; three share each second.
pub fn made(number: u32) -> NewTicket {
    let mut made = ticket(number);
    made.submission.submitted_at = at(i64::from(number / 3));
    made
}

pub fn query(sort: Sort) -> TicketQuery {
    TicketQuery { filters: Filters::default(), search: None, sort, after: None, limit: 100 }
}

pub fn looking_for(text: &str) -> TicketQuery {
    TicketQuery { search: Search::parse(text).unwrap(), ..query(Sort::Rank) }
}

/// The numbers of the tickets of a page, and where it goes on.
pub async fn page(index: &dyn TicketIndex, query: &TicketQuery) -> (Vec<u32>, Option<Place>) {
    let page = index.page(query).await.unwrap();
    let number = |text: String| text.rsplit('-').next().unwrap().parse().unwrap();
    let numbers = page.cases.iter().map(|case| number(case.ticket.number.to_string())).collect();
    (numbers, page.next)
}

pub async fn numbers(index: &dyn TicketIndex, query: &TicketQuery) -> Vec<u32> {
    page(index, query).await.0
}

/// All pages of so many tickets, one after the other.
pub async fn pages(index: &dyn TicketIndex, mut query: TicketQuery, limit: u32) -> Vec<u32> {
    let mut all = Vec::new();
    query.limit = limit;
    loop {
        let (numbers, next) = page(index, &query).await;
        assert!(numbers.len() <= limit as usize && (next.is_none() || !numbers.is_empty()));
        all.extend(numbers);
        let Some(next) = next else { return all };
        query.after = Some(next);
    }
}

/// Takes in all that there is. Others' transactions on the same server may hold entries back for a
/// moment.
pub async fn take_in(writer: &dyn SearchWriter, index: &dyn TicketIndex, newest: &NewTicket) {
    let newest = looking_for(&newest.number.to_string());
    until(DEADLINE, "the newest is taken in", async || {
        while writer.take_in(3).await.unwrap() > Some(0) {}
        !numbers(index, &newest).await.is_empty()
    })
    .await;
}

/// Stores tickets, and makes them ready to be searched.
pub async fn stored(it: &Installation, tickets: &[NewTicket]) -> Arc<dyn TicketIndex> {
    let worker = it.backend.worker().await;
    let index = it.backend.desk().await.index;
    worker.tickets.insert(tickets).await.unwrap();
    take_in(&*worker.search, &*index, tickets.last().unwrap()).await;
    index
}

/// Changes a ticket at a second.
pub async fn change(it: &Installation, number: u32, second: i64, change: &Change) {
    let cases = it.backend.desk().await.cases;
    let name = format!("SUP-2026-{number:06}").parse().unwrap();
    let before = cases.find(&[Reference::Number(name)]).await.unwrap().remove(0).unwrap();
    let author = Author {
        actor: "admin-key".to_owned(),
        name: None,
        address: None,
        trace: Trace::of_request(None, None, &SystemEntropy),
    };
    let outcome = before.after(change, at(second), None).unwrap();
    let step = Step { before, outcome, author };
    assert_eq!(cases.commit(&[step], true).await.unwrap(), [true]);
}

pub fn to(status: Status) -> Change {
    Change { status: Some(status), ..Change::default() }
}

fn filed(tag: &str) -> Change {
    Change { tags_added: [Tag::parse(tag).unwrap()].into(), ..Change::default() }
}

async fn every_page_goes_on_where_the_last_one_ended(it: Installation) {
    let index = stored(&it, &(0..20).map(made).collect::<Vec<_>>()).await;
    for (number, second) in [(4, 100), (9, 101), (14, 102), (19, 102)] {
        change(&it, number, second, &to(Status::InProgress)).await;
    }
    for number in 0..20 {
        change(&it, number, 200 + i64::from(number % 7), &filed("all")).await;
    }
    let tag = Some(Tag::parse("all").unwrap());
    let tagged = Filters { tag, ..Filters::default() };
    let search = Search::parse("ada").unwrap();
    for sort in SORTS.into_iter().chain([Sort::Rank]) {
        let plain = query(sort);
        let tagged = TicketQuery { filters: tagged.clone(), ..plain.clone() };
        let found = TicketQuery { search: search.clone(), ..plain.clone() };
        for asked in [plain, tagged, found] {
            let whole = numbers(&*index, &asked).await;
            let each: BTreeSet<_> = whole.iter().copied().collect();
            assert_eq!((whole.len(), each.len()), (20, 20), "{asked:?}");
            for limit in [1, 3, 19, 20] {
                assert_eq!(pages(&*index, asked.clone(), limit).await, whole, "{asked:?} {limit}");
            }
        }
    }
    let second = |number: &u32| number / 3;
    let newest: Vec<_> = numbers(&*index, &query(Sort::NewestFirst)).await;
    assert!(newest.iter().map(second).is_sorted_by(|a, b| a >= b), "{newest:?}");
    let oldest: Vec<_> = numbers(&*index, &query(Sort::OldestFirst)).await;
    assert!(oldest.iter().map(second).is_sorted(), "{oldest:?}");
    let changed: Vec<_> = numbers(&*index, &query(Sort::LatestChangeFirst)).await;
    assert!(changed.iter().map(|number| number % 7).is_sorted_by(|a, b| a >= b), "{changed:?}");
}

async fn tickets_that_arrive_between_two_pages_move_nothing(it: Installation) {
    let index = stored(&it, &(0..9).map(made).collect::<Vec<_>>()).await;
    let worker = it.backend.worker().await;
    let mut arriving = 9;
    for asked in [query(Sort::NewestFirst), query(Sort::LatestChangeFirst), looking_for("ada")] {
        let whole = numbers(&*index, &asked).await;
        let mut seen = Vec::new();
        let mut asked = TicketQuery { limit: 2, ..asked };
        loop {
            let (numbers, next) = page(&*index, &asked).await;
            seen.extend(numbers);
            let Some(next) = next else { break };
            asked.after = Some(next);
            let new = made(arriving);
            worker.tickets.insert(std::slice::from_ref(&new)).await.unwrap();
            take_in(&*worker.search, &*index, &new).await;
            arriving += 1;
        }
        assert_eq!(seen, whole, "{asked:?}");
    }
}

async fn every_filter_keeps_what_it_says_and_nothing_else(it: Installation) {
    let index = stored(&it, &(0..10).map(made).collect::<Vec<_>>()).await;
    let grace = Assignment::To(Name::parse("Grace").unwrap());
    let assign = Change { assignee: Some(grace.clone()), ..Change::default() };
    let reply = Message::parse("Done.").unwrap();
    let reply = Change { post: Some((PostKind::Reply, reply)), ..Change::default() };
    change(&it, 2, 100, &assign).await;
    change(&it, 5, 101, &reply).await;
    change(&it, 6, 102, &filed("engine")).await;
    change(&it, 8, 103, &filed("engine")).await;
    change(&it, 8, 104, &to(Status::InProgress)).await;
    let none = Filters::default;
    let tag = |tag: &str| Some(Tag::parse(tag).unwrap());
    let between = |from, to| Between { from: Some(at(from)), to: Some(at(to)) };
    for (filters, expected) in [
        (none(), vec![0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (Filters { statuses: [Status::InProgress].into(), ..none() }, vec![5, 8]),
        (
            Filters { statuses: [Status::Open, Status::Closed].into(), ..none() },
            vec![0, 1, 2, 3, 4, 6, 7, 9],
        ),
        (Filters { subjects: [Subject::ALL[0]].into(), ..none() }, vec![0, 5]),
        (Filters { priorities: [Priority::High].into(), ..none() }, vec![0, 5]),
        (Filters { assignee: Some(grace), ..none() }, vec![2]),
        (Filters { assignee: Some(Assignment::Nobody), ..none() }, vec![0, 1, 3, 4, 5, 6, 7, 8, 9]),
        (Filters { tag: tag("engine"), ..none() }, vec![6, 8]),
        (Filters { tag: tag("engin"), ..none() }, vec![]),
        (Filters { has_reply: Some(true), ..none() }, vec![5]),
        (Filters { has_reply: Some(false), ..none() }, vec![0, 1, 2, 3, 4, 6, 7, 8, 9]),
        (Filters { submitted: between(1, 3), ..none() }, vec![3, 4, 5, 6, 7, 8]),
        (Filters { updated: between(101, 104), ..none() }, vec![5, 6]),
        (
            Filters {
                tag: tag("engine"),
                statuses: [Status::InProgress].into(),
                submitted: between(2, 3),
                ..none()
            },
            vec![8],
        ),
    ] {
        for sort in SORTS {
            for search in [None, Search::parse("ada").unwrap()] {
                let asked = TicketQuery { filters: filters.clone(), search, ..query(sort) };
                let mut found = numbers(&*index, &asked).await;
                found.sort_unstable();
                assert_eq!(found, expected, "{asked:?}");
            }
        }
    }
}
