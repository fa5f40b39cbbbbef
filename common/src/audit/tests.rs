use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use chrono::TimeDelta;
use serde_json::Value;

use super::*;
use crate::{
    clock::SKEW_MAX,
    ports::{actions::RecordedAction, records::RecordedChange},
    seals::Seal,
};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn id(number: u64) -> SubmissionId {
    Uuid::from_u128(number.into()).into()
}

/// The `position`-th change, of one of three tickets, every second second.
fn change(position: u64) -> RecordEntry {
    let change = RecordedChange {
        ticket_id: id(position % 3).to_string(),
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
        subject: "SUP-2026-000001".to_owned(),
        details: r#"{"z":1,"a":2}"#.to_owned(),
        address: Some("192.0.2.1".to_owned()),
        request_id: None,
    };
    let place = Cursor { transaction: 9, position };
    RecordEntry { place, content: Content::Action(action) }
}

/// So many of each, the first of them sealed two at a time.
#[derive(Default)]
struct Book {
    entries: u64,
    seals: u64,
    /// How many entries or seals each answer held.
    answers: Mutex<Vec<usize>>,
    is_away: AtomicBool,
}

impl Book {
    fn of(entries: u64) -> Self {
        Self { entries, ..Self::default() }
    }

    /// So many of those that a filter lets pass.
    fn answer(
        &self,
        record: Record,
        after: Cursor,
        limit: u32,
        passes: impl Fn(&Content) -> bool,
    ) -> Result<Vec<RecordEntry>, StoreError> {
        if self.is_away.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("away".into()));
        }
        let entry = if record == Record::Tickets { change } else { action };
        let later = (after.position + 1..=self.entries).map(entry);
        let page: Vec<_> = later.filter(|it| passes(&it.content)).take(limit as usize).collect();
        self.answers.lock().unwrap().push(page.len());
        Ok(page)
    }

    fn seal(number: u64) -> Seal {
        Seal {
            number,
            place: change(2 * number).place,
            entries: 2 * number,
            digest: [0; 32],
            sealed_at: at(i64::try_from(4 * number).unwrap() + 2),
        }
    }
}

#[async_trait]
impl Records for Book {
    async fn entries(
        &self,
        record: Record,
        after: Cursor,
        limit: u32,
    ) -> Result<Vec<RecordEntry>, StoreError> {
        self.answer(record, after, limit, |_| true)
    }

    async fn entries_of(
        &self,
        record: Record,
        ticket: &TicketNames,
        after: Cursor,
        limit: u32,
    ) -> Result<Vec<RecordEntry>, StoreError> {
        self.answer(record, after, limit, |content| match content {
            Content::Change(it) => ticket.id.is_some_and(|id| it.ticket_id == id.to_string()),
            Content::Action(it) => {
                ticket.number.as_ref().is_some_and(|number| it.subject == number.to_string())
            }
        })
    }

    async fn seals(&self, _: Record, after: u64, limit: u32) -> Result<Vec<Seal>, StoreError> {
        let end = self.seals.min(after + u64::from(limit));
        self.answers.lock().unwrap().push(limit as usize);
        Ok((after + 1..=end).map(Self::seal).collect())
    }

    async fn last_seal(&self, _: Record) -> Result<Option<Seal>, StoreError> {
        self.answers.lock().unwrap().push(1);
        Ok((self.seals > 0).then(|| Self::seal(self.seals)))
    }
}

/// The lines of an excerpt. Each time it is asked for more the book is asked at most once, for no
/// more than a page.
async fn read_of(book: &Arc<Book>, excerpt: Excerpt) -> Vec<Value> {
    let mut reading = Reading::new(book.clone(), excerpt);
    let mut lines = Vec::new();
    loop {
        let asked = book.answers.lock().unwrap().len();
        let page = reading.page().await.unwrap();
        let answers = book.answers.lock().unwrap()[asked..].to_vec();
        assert!(answers.len() <= 1 && answers.iter().all(|it| *it <= PAGE as usize), "{answers:?}");
        let Some(page) = page else { return lines };
        assert!(page.is_empty() || page.ends_with('\n'));
        lines.extend(page.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }
}

async fn read(entries: u64, excerpt: Excerpt) -> Vec<Value> {
    read_of(&Arc::new(Book::of(entries)), excerpt).await
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
    let ticket = |id, number: &str| Some(TicketNames { id, number: number.parse().ok() });
    let of = |ticket| Excerpt { ticket, ..Excerpt::default() };
    assert_eq!(count(of(ticket(Some(id(1)), "SUP-2026-000002"))).await, 400);
    assert_eq!(count(of(ticket(None, "SUP-2026-000001"))).await, 1_200);
    assert_eq!(count(of(ticket(Some(id(1)), "SUP-2026-000001"))).await, 1_600);
    assert_eq!(count(Excerpt { from: Some(at(99)), to: Some(at(99)), ..all }).await, 0);
}

#[tokio::test]
async fn no_more_than_a_page_of_each_record_is_in_memory() {
    let mut reading = Reading::new(Arc::new(Book::of(5_000)), Excerpt::default());
    let mut lines = 0;
    while let Some(page) = reading.page().await.unwrap() {
        let count = page.lines().count();
        assert!(count <= 2 * PAGE as usize);
        lines += count;
    }
    assert_eq!(lines, 10_000);
}

/// How many entries were handed out by a book of so many for an excerpt of so many lines.
async fn handed_out(book: Book, excerpt: Excerpt, lines: usize) -> usize {
    let book = Arc::new(book);
    assert_eq!(read_of(&book, excerpt).await.len(), lines);
    let answers = book.answers.lock().unwrap();
    answers.iter().sum()
}

#[tokio::test]
async fn what_is_sealed_before_a_time_is_passed_over() {
    let day = SKEW_MAX.num_seconds();
    let entries = 50_000;
    let from = Some(at(2 * i64::try_from(entries).unwrap() - 7));
    let excerpt = Excerpt { from, ..Excerpt::default() };
    let half_a_day = usize::try_from(day).unwrap() / 2;
    for seals in [entries / 2, entries / 2 - 10] {
        let book = Book { seals, ..Book::of(entries) };
        let read = handed_out(book, excerpt.clone(), 9).await;
        assert!((2 * half_a_day..2 * half_a_day + 200).contains(&read), "{read}");
    }
    // What is not sealed is read.
    let book = Book { seals: 1, ..Book::of(entries) };
    assert!(handed_out(book, excerpt.clone(), 9).await >= 99_000);
    // Nothing is left out, wherever it begins.
    for seconds in [0, day, day + 5, day + 6, day + 7, day + 8] {
        let excerpt =
            Excerpt { from: Some(at(seconds)), to: Some(at(seconds + 12)), ..Excerpt::default() };
        let expected = (1..=entries).flat_map(|it| [change(it), action(it)]);
        let expected = expected.filter(|it| excerpt.holds(&it.content)).count();
        handed_out(Book { seals: 25_000, ..Book::of(entries) }, excerpt, expected).await;
    }
}

#[tokio::test]
async fn of_actions_nothing_is_read_far_behind_the_last_time_wanted() {
    let excerpt =
        Excerpt { record: Some(Record::Actions), to: Some(at(100)), ..Excerpt::default() };
    let read = handed_out(Book::of(90_000), excerpt.clone(), 49).await;
    assert!((43_200..44_000).contains(&read), "{read}");
    // A change may be on record long after what it tells of.
    let excerpt = Excerpt { record: Some(Record::Tickets), ..excerpt };
    assert_eq!(handed_out(Book::of(90_000), excerpt, 49).await, 90_000);
}

#[tokio::test]
async fn after_a_failure_it_goes_on_where_it_was() {
    let book = Arc::new(Book::of(1_200));
    let mut reading = Reading::new(book.clone(), Excerpt::default());
    let mut lines = 0;
    for round in 0.. {
        book.is_away.store(round % 2 == 0, Ordering::Relaxed);
        match reading.page().await {
            Ok(Some(page)) => lines += page.lines().count(),
            Ok(None) => break,
            Err(error) => assert!(matches!(error, StoreError::Unavailable(_)), "{error}"),
        }
    }
    assert_eq!(lines, 2_400);
}

#[test]
fn a_ticket_is_named_by_its_number_in_any_case_or_by_its_id() {
    let number = Some(Reference::Number("SUP-2026-483920".parse().unwrap()));
    assert_eq!(reference("SUP-2026-483920"), number);
    assert_eq!(reference("sup-2026-483920"), number);
    let text = "019a2b3c-4d5e-7f60-8a7b-9c0d1e2f3a4b";
    let id = Some(Reference::Id(text.parse::<Uuid>().unwrap().into()));
    assert_eq!(reference(text), id);
    assert_eq!(reference(&text.to_uppercase()), id);
    for text in ["", "7", "SUP-1", "SUP-2026-483920 ", "019a2b3c"] {
        assert_eq!(reference(text), None, "{text}");
    }
}
