use async_trait::async_trait;
use common::{
    keys::NumberKey,
    ports::{
        actions::RecordedAction,
        records::{Content, TicketNames},
    },
};

use super::*;

const AT: &str = "2026-11-22T10:30:00Z";

/// A record of actions and its seals, which were set on it when it was whole.
struct Book {
    entries: Vec<RecordEntry>,
    seals: Vec<Seal>,
}

fn key() -> SealKey {
    SealKey::new(&NumberKey::from_hex(&"42".repeat(32)).unwrap())
}

fn action(position: u64) -> RecordEntry {
    let action = RecordedAction {
        acted_at: AT.parse().unwrap(),
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

/// So many entries, and a seal on every two of them that there are.
fn book(entries: u64) -> Book {
    let entries: Vec<_> = (1..=entries).map(action).collect();
    let (key, mut seals) = (key(), Vec::<Seal>::new());
    for pair in entries.chunks_exact(2) {
        let mut chain = Chain::behind(&key, Record::Actions, seals.last());
        for entry in pair {
            chain.pass(&entry.content);
        }
        seals.push(chain.seal(pair[1].place, AT.parse().unwrap()));
    }
    Book { entries, seals }
}

#[async_trait]
impl Records for Book {
    async fn entries(
        &self,
        _: Record,
        after: Cursor,
        limit: u32,
    ) -> Result<Vec<RecordEntry>, StoreError> {
        let later = self.entries.iter().filter(|entry| entry.place > after);
        Ok(later.take(limit as usize).cloned().collect())
    }

    async fn entries_of(
        &self,
        _: Record,
        _: &TicketNames,
        _: Cursor,
        _: u32,
    ) -> Result<Vec<RecordEntry>, StoreError> {
        unreachable!("an audit asks for all of them")
    }

    async fn seals(&self, _: Record, after: u64, limit: u32) -> Result<Vec<Seal>, StoreError> {
        let later = self.seals.iter().filter(|seal| seal.number > after);
        Ok(later.take(limit as usize).cloned().collect())
    }

    async fn last_seal(&self, _: Record) -> Result<Option<Seal>, StoreError> {
        Ok(self.seals.last().cloned())
    }
}

/// What is done to a book, and how what is told of it begins.
type Harm = (fn(&mut Book), &'static str);

/// What is told of it.
async fn told(book: &Book) -> String {
    let finding = check(book, &key(), Record::Actions).await;
    finding.unwrap().to_string()
}

#[tokio::test]
async fn what_is_whole_holds_and_says_what_is_not_sealed_yet() {
    assert_eq!(told(&book(0)).await, "ok     0 actions of operators are as they were sealed");
    let whole = told(&book(3_001)).await;
    assert!(
        whole.starts_with("ok     3,000 actions of operators are as they were sealed (seal 1500: "),
        "{whole}"
    );
    assert!(whole.ends_with("), and 1 more are not sealed yet"), "{whole}");
}

#[tokio::test]
async fn whatever_is_done_to_entries_is_told_with_its_place() {
    let harms: [Harm; 7] = [
        (
            |it| {
                let Content::Action(action) = &mut it.entries[3].content else { unreachable!() };
                action.actor = "user:nobody".to_owned();
            },
            "what seal 2 closed between 2026-11-22T10:30:00.000Z and 2026-11-22T10:30:00.000Z is not \
             what was sealed",
        ),
        (
            |it| drop(it.entries.remove(0)),
            "what seal 1 closed at 2026-11-22T10:30:00.000Z has 1 entries and not 2",
        ),
        (|it| it.entries.truncate(9), "what seal 5 closed between"),
        (|it| it.entries.clear(), "what seal 1 closed at"),
        (
            |it| {
                let (one, other) = (it.entries[4].content.clone(), it.entries[5].content.clone());
                (it.entries[4].content, it.entries[5].content) = (other, one);
            },
            "what seal 3 closed between",
        ),
        (
            |it| {
                let added = RecordEntry { place: it.entries[6].place, ..action(99) };
                it.entries.insert(6, added);
            },
            "what seal 4 closed between",
        ),
        (
            |it| {
                let (one, other) = (it.entries[1].content.clone(), it.entries[8].content.clone());
                (it.entries[1].content, it.entries[8].content) = (other, one);
            },
            "what seal 1 closed at 2026-11-22T10:30:00.000Z is not what was sealed; what seal 5 closed",
        ),
    ];
    for (harm, expected) in harms {
        let mut book = book(10);
        harm(&mut book);
        let told = told(&book).await;
        let (count, place) = told.split_once(": ").unwrap();
        assert!(count.starts_with("FAILED ") && place.starts_with(expected), "{expected}: {told}");
    }
}

#[tokio::test]
async fn whatever_is_done_to_seals_is_told_as_well() {
    let harms: [Harm; 5] = [
        (|it| it.seals.retain(|seal| seal.number != 2), "seal 2 is missing"),
        (|it| it.seals.retain(|seal| seal.number != 1), "seal 1 is missing"),
        (|it| it.seals[1].digest[0] ^= 1, "what seal 2 closed between"),
        (|it| it.seals[1].sealed_at += chrono::TimeDelta::hours(1), "what seal 2 closed between"),
        (|it| it.seals[4].place.position = 1_000, "what seal 5 closed between"),
    ];
    for (harm, expected) in harms {
        let mut book = book(11);
        harm(&mut book);
        let told = told(&book).await;
        let (count, place) = told.split_once(": ").unwrap();
        assert!(count.starts_with("FAILED ") && place.starts_with(expected), "{expected}: {told}");
    }
    // The last ones are what nothing here misses: their entries count as not sealed yet.
    let mut cut = book(10);
    cut.seals.truncate(3);
    assert!(told(&cut).await.ends_with("and 4 more are not sealed yet"));
    cut.entries.truncate(6);
    assert!(told(&cut).await.starts_with("ok "));
}
