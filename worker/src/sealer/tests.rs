use async_trait::async_trait;
use common::ports::{
    actions::RecordedAction,
    records::{Content, RecordEntry, Records, TicketNames},
};

use super::*;
use crate::doubles::TestClock;

/// A record of actions, and its seals.
#[derive(Default)]
struct Book {
    actions: Mutex<u64>,
    seals: Mutex<Vec<Seal>>,
}

fn action(position: u64) -> RecordEntry {
    let action = RecordedAction {
        acted_at: TestClock.now(),
        actor: "user:ada".to_owned(),
        action: "dead-letter.discard".to_owned(),
        subject: position.to_string(),
        details: "{}".to_owned(),
        address: None,
        request_id: None,
    };
    let place = Cursor { transaction: 0, position };
    RecordEntry { place, content: Content::Action(action) }
}

#[async_trait]
impl Records for Book {
    async fn entries(
        &self,
        record: Record,
        after: Cursor,
        limit: u32,
    ) -> Result<Vec<RecordEntry>, StoreError> {
        let there = if record == Record::Actions { *self.actions.lock().unwrap() } else { 0 };
        let end = there.min(after.position + u64::from(limit));
        Ok((after.position + 1..=end).map(action).collect())
    }

    async fn entries_of(
        &self,
        _: Record,
        _: &TicketNames,
        _: Cursor,
        _: u32,
    ) -> Result<Vec<RecordEntry>, StoreError> {
        unreachable!("a sealer asks for all of them")
    }

    async fn seals(&self, _: Record, _: u64, _: u32) -> Result<Vec<Seal>, StoreError> {
        unreachable!("a sealer asks for the last one")
    }

    async fn last_seal(&self, record: Record) -> Result<Option<Seal>, StoreError> {
        let seals = self.seals.lock().unwrap();
        Ok(seals.last().filter(|_| record == Record::Actions).cloned())
    }
}

#[async_trait]
impl SealSetter for Book {
    async fn set(&self, _: Record, seal: &Seal) -> Result<bool, StoreError> {
        let mut seals = self.seals.lock().unwrap();
        let is_next = seal.number == seals.len() as u64 + 1;
        seals.extend(is_next.then(|| seal.clone()));
        Ok(is_next)
    }
}

fn sealer(book: &Arc<Book>, is_relaying: bool) -> Arc<Sealer> {
    let key = NumberKey::from_hex(&"42".repeat(32)).unwrap();
    let is_relaying = Arc::new(AtomicBool::new(is_relaying));
    Arc::new(Sealer::new(book.clone(), &key, Arc::new(TestClock), is_relaying))
}

fn sealed(book: &Book) -> Vec<u64> {
    book.seals.lock().unwrap().iter().map(|seal| seal.entries).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_on_record_is_sealed_page_by_page_and_then_as_it_comes() {
    let book = Arc::<Book>::default();
    *book.actions.lock().unwrap() = 2_500;
    let stop = CancellationToken::new();
    let running = tokio::spawn(sealer(&book, true).run(stop.clone()));
    sleep(INTERVAL + INTERVAL / 2).await;
    assert_eq!(sealed(&book), [1_000, 2_000, 2_500]);
    *book.actions.lock().unwrap() = 2_507;
    sleep(2 * INTERVAL).await;
    assert_eq!(sealed(&book), [1_000, 2_000, 2_500, 2_507], "and nothing where nothing came");
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_does_not_relay_seals_nothing_before_its_end() {
    let book = Arc::<Book>::default();
    *book.actions.lock().unwrap() = 3;
    let (sealer, stop) = (sealer(&book, false), CancellationToken::new());
    let running = tokio::spawn(Arc::clone(&sealer).run(stop.clone()));
    sleep(5 * INTERVAL).await;
    assert_eq!(sealed(&book), [0; 0]);
    stop.cancel();
    running.await.unwrap();
    sealer.finish().await;
    assert_eq!(sealed(&book), [3]);
}

#[tokio::test(start_paused = true)]
async fn where_seals_are_gone_nothing_else_is_sealed_in_their_place() {
    let book = Arc::<Book>::default();
    *book.actions.lock().unwrap() = 1_500;
    let sealer = sealer(&book, true);
    sealer.seal_all().await.unwrap();
    book.seals.lock().unwrap().pop();
    let refused = sealer.seal_all().await.unwrap_err();
    assert!(matches!(refused, SealError::Rewound { number: 2, .. }), "{refused}");
    assert_eq!(sealed(&book), [1_000]);
    // Another process has seen nothing, and only `verify` and the logs tell.
    assert!(self::sealer(&book, true).seal_all().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn another_seal_of_the_same_number_is_noticed() {
    let book = Arc::<Book>::default();
    *book.actions.lock().unwrap() = 5;
    let sealer = sealer(&book, true);
    sealer.seal_all().await.unwrap();
    book.seals.lock().unwrap()[0].digest[31] ^= 1;
    assert!(sealer.seal_all().await.is_err());
}
