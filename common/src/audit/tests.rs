use std::sync::Mutex;

use async_trait::async_trait;
use chrono::TimeDelta;
use serde_json::Value;

use super::*;
use crate::{
    ports::{actions::RecordedAction, records::RecordedChange},
    seals::Seal,
};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

/// The `position`-th change, of ticket a, b or c, every second second.
fn change(position: u64) -> RecordEntry {
    let ticket = ["a", "b", "c"][usize::try_from(position % 3).unwrap()];
    let change = RecordedChange {
        ticket_id: ticket.to_owned(),
        version: 1,
        kind: "ticket.created".to_owned(),
        status: Some("open".to_owned()),
        at: at(2 * i64::try_from(position).unwrap()),
        actor: "submitter".to_owned(),
        address: None,
        request_id: "r".to_owned(),
        traceparent: "00-1-2-01".to_owned(),
        changes: None,
    };
    let place = Cursor { transaction: 7, position };
    RecordEntry { place, content: Content::Change(change) }
}

/// The `position`-th action, in the seconds between.
fn action(position: u64) -> RecordEntry {
    let action = RecordedAction {
        acted_at: at(2 * i64::try_from(position).unwrap() + 1),
        actor: format!("user:{}", position % 2),
        action: "ticket.view".to_owned(),
        subject: "SUP-1".to_owned(),
        details: r#"{"z":1,"a":2}"#.to_owned(),
        address: Some("192.0.2.1".to_owned()),
        request_id: None,
    };
    let place = Cursor { transaction: 9, position };
    RecordEntry { place, content: Content::Action(action) }
}

/// So many of each; and how many are read at a time at most.
struct Book(u64, Mutex<usize>);

#[async_trait]
impl Records for Book {
    async fn entries(
        &self,
        record: Record,
        after: Cursor,
        limit: u32,
    ) -> Result<Vec<RecordEntry>, StoreError> {
        let entry = if record == Record::Tickets { change } else { action };
        let end = self.0.min(after.position + u64::from(limit));
        let page: Vec<_> = (after.position + 1..=end).map(entry).collect();
        let mut longest = self.1.lock().unwrap();
        *longest = page.len().max(*longest);
        Ok(page)
    }

    async fn seals(&self, _: Record, _: u64, _: u32) -> Result<Vec<Seal>, StoreError> {
        Ok(Vec::new())
    }

    async fn last_seal(&self, _: Record) -> Result<Option<Seal>, StoreError> {
        Ok(None)
    }
}

async fn read(entries: u64, excerpt: Excerpt) -> Vec<Value> {
    let mut reading = Reading::new(Arc::new(Book(entries, Mutex::default())), excerpt);
    let mut lines = Vec::new();
    while let Some(page) = reading.page().await.unwrap() {
        assert!(page.ends_with('\n'));
        lines.extend(page.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }
    lines
}

#[tokio::test]
async fn both_records_are_one_in_the_order_of_time() {
    let lines = read(1_200, Excerpt::default()).await;
    assert_eq!(lines.len(), 2_400);
    assert!(lines.is_sorted_by_key(|line| line["at"].as_str().unwrap().to_owned()));
    assert_eq!(lines[0]["record"], "tickets");
    assert_eq!(lines[1]["details"].to_string(), r#"{"a":2,"z":1}"#);
    for record in Record::ALL {
        let excerpt = Excerpt { record: Some(*record), ..Excerpt::default() };
        let alone = read(1_200, excerpt).await;
        assert_eq!(alone.len(), 1_200);
        assert!(alone.iter().all(|line| line["record"] == record.as_str()));
    }
    assert_eq!(read(0, Excerpt::default()).await, [Value::Null; 0]);
}

#[tokio::test]
async fn every_line_says_where_to_go_on() {
    let all = read(30, Excerpt::default()).await;
    for (number, line) in all.iter().enumerate() {
        let after = line["cursor"].as_str().unwrap().parse().unwrap();
        let rest = read(30, Excerpt { after, ..Excerpt::default() }).await;
        assert_eq!(rest, all[number + 1..], "after line {number}");
    }
    for text in ["", "0", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"é".repeat(32)] {
        assert_eq!(text.parse::<Places>(), Err(MalformedCursor), "{text}");
    }
}

#[tokio::test]
async fn an_excerpt_holds_what_fits_it_and_nothing_else() {
    let count = async |excerpt| read(1_200, excerpt).await.len();
    let all = Excerpt::default();
    assert_eq!(count(Excerpt { from: Some(at(2_399)), ..all.clone() }).await, 3);
    assert_eq!(count(Excerpt { to: Some(at(5)), ..all.clone() }).await, 3);
    assert_eq!(count(Excerpt { actor: Some("user:1".to_owned()), ..all.clone() }).await, 600);
    let ticket = |id: &str, number: &str| Some([id.to_owned(), number.to_owned()]);
    assert_eq!(count(Excerpt { ticket: ticket("b", "SUP-2"), ..all.clone() }).await, 400);
    assert_eq!(count(Excerpt { ticket: ticket("x", "SUP-1"), ..all.clone() }).await, 1_200);
    assert_eq!(count(Excerpt { from: Some(at(99)), to: Some(at(99)), ..all }).await, 0);
}

#[tokio::test]
async fn no_more_than_a_page_of_each_record_is_in_memory() {
    let book = Arc::new(Book(5_000, Mutex::default()));
    let mut reading = Reading::new(book.clone(), Excerpt::default());
    while reading.page().await.unwrap().is_some() {
        assert!(reading.tickets.waiting.len() + reading.actions.waiting.len() <= 2 * PAGE as usize);
    }
    assert_eq!(*book.1.lock().unwrap(), PAGE as usize);
}
