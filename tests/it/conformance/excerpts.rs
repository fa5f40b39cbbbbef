//! What `common::audit` reads of what is on record, and how.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use common::audit::{Excerpt, Reading};
use common::clock::SKEW_MAX;
use common::domain::Record;
use common::ports::events::Cursor;
use common::ports::records::{RecordEntry, Records, TicketNames};
use common::ports::store::StoreError;
use common::seals::{Chain, Seal, SealKey};

use super::installation::{Installation, number_key, ticket};
use super::on_both_backends;
use crate::bed::wait::until;

const DEADLINE: Duration = Duration::from_secs(30);

on_both_backends! {
    a_long_record_is_read_a_page_at_a_time,
}

/// Tells how many entries or seals each answer held.
struct Counted {
    records: Arc<dyn Records>,
    answers: Mutex<Vec<usize>>,
}

impl Counted {
    fn count<T>(&self, answer: Vec<T>) -> Vec<T> {
        self.answers.lock().unwrap().push(answer.len());
        answer
    }

    /// The lines of an excerpt, and how often the store was asked. Each time it is asked for more that
    /// is once at most, for no more than fits in memory.
    async fn lines(records: &Arc<dyn Records>, excerpt: Excerpt) -> (Vec<String>, usize) {
        let counted = Arc::new(Self { records: Arc::clone(records), answers: Mutex::default() });
        let mut reading = Reading::new(counted.clone(), excerpt);
        let (mut lines, mut asked) = (Vec::new(), 0);
        loop {
            let page = reading.page().await.unwrap();
            let answers = counted.answers.lock().unwrap()[asked..].to_vec();
            assert!(answers.len() <= 1 && answers.iter().all(|it| *it <= 500), "{answers:?}");
            asked += answers.len();
            let Some(page) = page else { return (lines, asked) };
            lines.extend(page.lines().map(str::to_owned));
        }
    }
}

#[async_trait]
impl Records for Counted {
    async fn entries(
        &self,
        record: Record,
        after: Cursor,
        limit: u32,
    ) -> Result<Vec<RecordEntry>, StoreError> {
        Ok(self.count(self.records.entries(record, after, limit).await?))
    }

    async fn entries_of(
        &self,
        record: Record,
        ticket: &TicketNames,
        after: Cursor,
        limit: u32,
    ) -> Result<Vec<RecordEntry>, StoreError> {
        Ok(self.count(self.records.entries_of(record, ticket, after, limit).await?))
    }

    async fn seals(&self, record: Record, after: u64, limit: u32) -> Result<Vec<Seal>, StoreError> {
        Ok(self.count(self.records.seals(record, after, limit).await?))
    }

    async fn last_seal(&self, record: Record) -> Result<Option<Seal>, StoreError> {
        let seal = self.records.last_seal(record).await?;
        self.count(Vec::from_iter(&seal));
        Ok(seal)
    }
}

const MANY_CHANGES: &str = "INSERT INTO audit_entries \
     (ticket_id, version, kind, at, actor, request_id, traceparent) \
     WITH RECURSIVE many (number) AS \
     (SELECT 1 UNION ALL SELECT number + 1 FROM many WHERE number < 30000) \
     SELECT '019a2b3c-4d5e-7f60-8a7b-9c0d1e2f3a4b', 1, 'filler', '2026-11-22T10:30:00.000Z', 'x', 'r', 't' \
     FROM many";

/// The place of the entry that is the `count`-th and the last one, once it can be read.
async fn place(records: &dyn Records, count: usize) -> Cursor {
    let mut place = Cursor::START;
    until(DEADLINE, "they can be read", async || {
        let entries = records.entries(Record::Tickets, Cursor::START, u32::MAX).await.unwrap();
        place = entries.last().map_or(Cursor::START, |entry| entry.place);
        entries.len() == count
    })
    .await;
    place
}

async fn a_long_record_is_read_a_page_at_a_time(it: Installation) {
    let worker = it.backend.worker().await;
    it.tamper(MANY_CHANGES).await;
    let filled_to = place(&*worker.records, 30_000).await;
    let new = ticket(7);
    worker.tickets.insert(std::slice::from_ref(&new)).await.unwrap();
    place(&*worker.records, 30_001).await;
    let records: Arc<dyn Records> = it.backend.audit().await.records;
    let (id, at) = (new.submission.id, new.submission.submitted_at);
    let is_found = async |excerpt, asked_max| {
        let (lines, asked) = Counted::lines(&records, excerpt).await;
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains(&id.to_string()), "{lines:?}");
        assert!(asked <= asked_max, "asked {asked} times");
    };
    let all = Excerpt { record: Some(Record::Tickets), ..Excerpt::default() };
    let actor = Some("submitter".to_owned());
    is_found(Excerpt { actor: actor.clone(), ..all.clone() }, 61).await;
    let names = Some(TicketNames { id: Some(id), number: Some(new.number.clone()) });
    is_found(Excerpt { ticket: names, ..all.clone() }, 1).await;
    let key = SealKey::new(&number_key());
    let chain = Chain::behind(&key, Record::Tickets, None);
    let seal = chain.seal(filled_to, at - SKEW_MAX);
    assert!(worker.records.set(Record::Tickets, &seal).await.unwrap());
    is_found(Excerpt { from: Some(at), actor, ..all }, 3).await;
}
