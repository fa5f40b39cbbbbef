use std::sync::Mutex;

use chrono::{DateTime, Utc};

use super::*;
use crate::ports::{
    dead_letters::{Censor, See},
    ledger::{Balance, Entry},
};

/// What was done, in its order.
type Story = Arc<Mutex<Vec<String>>>;

fn tell(story: &Story, line: impl Into<String>) {
    story.lock().unwrap().push(line.into());
}

/// Letters by number, handled two at a time.
struct Letters(Story);

impl Letters {
    fn held(number: u8) -> HeldLetter {
        let letter = BuriedLetter {
            body: vec![number].into(),
            code: "unreadable".to_owned(),
            detail: String::new(),
            first_seen_at: DateTime::UNIX_EPOCH,
            attempts: 1,
        };
        HeldLetter { id: LetterId::new(number.to_string()), letter }
    }

    async fn handle(&self, overseer: &dyn Overseer) -> Result<Vec<LetterId>, Interrupted> {
        let mut handled = Vec::new();
        for first in [1, 3] {
            let Some(_) = overseer.admit().await else { break };
            let letters = [Self::held(first), Self::held(first + 1)];
            let foreseen = overseer.foresee(&letters).await;
            foreseen.map_err(|cause| Interrupted { handled: handled.len(), cause })?;
            tell(&self.0, format!("handled {first}"));
            handled.extend(letters.map(|held| held.id));
            overseer.handled(2);
        }
        Ok(handled)
    }
}

#[async_trait]
impl DeadLetters for Letters {
    async fn list(&self, _filter: &Filter, _limit: u32) -> Result<Listing, ConsumeError> {
        Ok(Listing::default())
    }

    async fn find(&self, id: &LetterId) -> Result<Option<FoundLetter>, ConsumeError> {
        let HeldLetter { letter, .. } = Self::held(1);
        Ok(Some(FoundLetter { id: id.clone(), letter, properties: Vec::new() }))
    }

    async fn requeue(
        &self,
        _which: &Selection,
        overseer: &dyn Overseer,
    ) -> Result<Vec<LetterId>, Interrupted> {
        self.handle(overseer).await
    }

    async fn discard(
        &self,
        _which: &Selection,
        overseer: &dyn Overseer,
    ) -> Result<Vec<LetterId>, Interrupted> {
        self.handle(overseer).await
    }

    async fn read(&self, see: &See<'_>) -> Result<bool, ConsumeError> {
        see(&Self::held(1));
        Ok(false)
    }

    async fn redact(
        &self,
        _censor: &dyn Censor,
        overseer: &dyn Overseer,
    ) -> Result<Vec<LetterId>, Interrupted> {
        self.handle(overseer).await
    }
}

/// A record, and a ledger, with room for so many calls.
struct Store {
    story: Story,
    room: Mutex<usize>,
}

#[async_trait]
impl ActionLog for Store {
    async fn record(&self, actions: &[OperatorAction]) -> Result<(), StoreError> {
        let mut room = self.room.lock().unwrap();
        *room = room.checked_sub(1).ok_or_else(|| StoreError::Unavailable("away".into()))?;
        for it in actions {
            let OperatorAction { actor, action, subject, details, .. } = it;
            tell(&self.story, format!("{actor} {action} {subject} {details}"));
        }
        Ok(())
    }

    async fn latest(&self, _limit: u32) -> Result<Vec<RecordedAction>, StoreError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Ledger for Store {
    async fn enter(&self, entries: &[Entry]) -> Result<(), StoreError> {
        tell(&self.story, format!("entered {}", entries.len()));
        Ok(())
    }

    async fn strike_stored(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn strike(&self, _ids: &[SubmissionId]) -> Result<u64, StoreError> {
        tell(&self.story, "struck out");
        Ok(0)
    }

    async fn mark(&self, _horizon: DateTime<Utc>) -> Result<(), StoreError> {
        Ok(())
    }

    async fn balance(&self) -> Result<Balance, StoreError> {
        Ok(Balance::default())
    }
}

struct Epoch;

impl Clock for Epoch {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }
}

/// An office whose record has room for so many batches, and what happens in it.
fn office(room: usize) -> (LetterOffice, Story) {
    let story = Story::default();
    let record = Arc::new(Store { story: Arc::clone(&story), room: Mutex::new(room) });
    let letters = Arc::new(Letters(Arc::clone(&story)));
    let office =
        LetterOffice { letters, actions: record.clone(), ledger: record, clock: Arc::new(Epoch) };
    (office, story)
}

fn ada() -> Order {
    Order { actor: Actor::User("ada".to_owned()), origin: Origin::default(), because: None }
}

fn row(action: &str, number: u8, because: &str) -> String {
    let details = "\"bodyBytes\":1,\"code\":\"unreadable\",\"submissions\":[]";
    format!("user:ada dead-letter.{action} {number} {{{because}{details}}}")
}

#[tokio::test]
async fn what_is_done_to_a_letter_is_on_record_before_it_is_done() {
    let (office, story) = office(9);
    assert_eq!(office.requeue(&Selection::All, &ada(), &AtOnce).await.unwrap().len(), 4);
    let row = |number| row("requeue", number, "");
    let expected = [row(1), row(2), "handled 1".to_owned(), row(3), row(4), "handled 3".to_owned()];
    assert_eq!(*story.lock().unwrap(), expected);
}

#[tokio::test]
async fn what_is_tried_again_is_entered_into_the_ledger_before() {
    let (office, story) = office(1);
    let order = ada();
    let mut held = Letters::held(1);
    held.letter.body = format!("{{\"id\":\"{}\"}}", Uuid::from_u128(7)).into();
    office.recorder(ActionKind::Requeue, &order, &AtOnce).foresee(&[held]).await.unwrap();
    assert_eq!(story.lock().unwrap()[1..], ["entered 1"]);
}

#[tokio::test]
async fn what_is_discarded_is_struck_out_of_the_ledger_and_says_why() {
    let (office, story) = office(1);
    let (actor, because) = (ada().actor, Because::parse("spam").unwrap());
    let error = office
        .discard(&Selection::All, actor, Origin::default(), because, &AtOnce)
        .await
        .unwrap_err();
    assert!(matches!(error, LetterError::Unrecorded { handled: 2, .. }), "{error}");
    let row = |number| row("discard", number, "\"because\":\"spam\",");
    let expected = [row(1), row(2), "struck out".to_owned(), "handled 1".to_owned()];
    assert_eq!(*story.lock().unwrap(), expected, "and nothing after the record had no room");
}

#[tokio::test]
async fn a_letter_is_revealed_once_that_is_on_record() {
    let id = LetterId::new("1");
    let (office_with_room, story) = office(1);
    let found = office_with_room.reveal(&id, &ada()).await.unwrap().unwrap();
    assert_eq!(found.letter.body, [1].as_slice());
    assert_eq!(*story.lock().unwrap(), [row("reveal", 1, "")]);
    let (office, story) = office(0);
    let error = office.reveal(&id, &ada()).await.unwrap_err();
    assert!(matches!(error, LetterError::Unrecorded { handled: 0, .. }), "{error}");
    let shown = office.show(&id).await.unwrap().unwrap();
    assert!(matches!(shown.body, BodyView::Unreadable { .. }), "a mask needs no record");
    assert!(story.lock().unwrap().is_empty());
}

/// Whose submissions a letter with this body holds, by the last digit of their ids.
fn held_in(code: &str, body: &str) -> Vec<u128> {
    let mut letter = Letters::held(1).letter;
    (letter.body, letter.code) = (body.to_owned().into(), code.to_owned());
    submissions(&letter).iter().map(|id| id.as_uuid().as_u128()).collect()
}

#[test]
fn whose_submissions_a_letter_holds_is_read_whatever_is_wrong_with_them() {
    let item = |number: u32, rest: &str| {
        format!("{{\"id\":\"00000000-0000-0000-0000-00000000000{number}\",{rest}\"name\":\"Ada\"}}")
    };
    let (one, two) = (item(1, ""), item(2, "\"mood\":[{\"v\":3}],"));
    // A part of an envelope, as a worker buries it.
    assert_eq!(held_in("invalid", &one), [1]);
    assert_eq!(held_in("rejected", &format!("{{\"v\":1,\"submissions\":[{one},{two}]}}")), [1, 2]);
    // Of a later release.
    let later = format!("{{\"v\":2,\"more\":{{}},\"submissions\":[{one},{two}],\"sum\":7}}");
    assert_eq!(held_in("unknown-version", &later), [1, 2]);
    // What has no id costs its neighbours nothing.
    let mixed =
        format!("{{\"submissions\":[7,{{\"id\":7}},{{\"id\":\"x\"}},[],{{}},{one},\"x\"]}}");
    assert_eq!(held_in("unreadable", &mixed), [1]);
    assert_eq!(held_in("invalid", &two.replace("Ada", "\\ud800")), [2], "no text, and yet an id");
    for nobodys in ["", "{", "[]", "7", "null", "{\"submissions\":{}}", "{\"id\":null}", "\u{0}"] {
        assert_eq!(held_in("unreadable", nobodys), [], "{nobodys}");
    }
    assert_eq!(held_in("invalid", &format!("[{one}]")), [], "serde reads a list as an object");
    let many = vec![&*one; SUBMISSIONS_MAX + 1].join(",");
    let many = held_in("unreadable", &format!("{{\"submissions\":[{many}]}}"));
    assert_eq!(many.len(), SUBMISSIONS_MAX);
    let large = format!("{{\"submissions\":[{one}]}}{}", " ".repeat(BODY_BYTES_MAX));
    assert_eq!(held_in("unreadable", &large), []);
}
