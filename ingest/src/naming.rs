//! What a form's submission is called, and whether it came before.
//!
//! Under a key the id follows from key and form, so it is the same at every edge and for ever, and
//! the store keeps a second ticket out. Without a key the id is new, unless somebody claimed the same
//! email, subject and message a moment ago: then it is the first one's. Either way a repeat goes the
//! way of the first once more, under its name, as long as it is not known to be stored: whatever
//! became of the first, this one counts, and there is one ticket.

use std::time::Duration;

use common::{
    domain::{Form, KeyHash, SubmissionId, Ticket},
    keys::{NumberKey, keyed_hash},
    ports::{
        claims::{ClaimName, Claimed},
        store::StoreError,
    },
};
use tokio::time::timeout;

use crate::{condition::NoAnswer, edge::Edge, key::IdempotencyKey, problem::Problem};

/// How long the store may take to say whether it has a submission. It is asked for a better answer,
/// not for a right one: what is sent to the queue again is stored once all the same.
const STORE_WAIT: Duration = Duration::from_millis(100);

/// For how long the same email, subject and message are a duplicate.
const DUPLICATE_TTL: Duration = Duration::from_mins(10);

/// For how long another form under a key is known as such before the first one is stored. After that
/// the store knows.
const KEY_TTL: Duration = Duration::from_hours(1);

/// The keys of the hashes that name claims and keys.
pub struct NamingKeys {
    idempotency_key: [u8; 32],
    core: [u8; 32],
}

impl NamingKeys {
    /// Derived from the installation's.
    pub fn new(key: &NumberKey) -> Self {
        Self { idempotency_key: key.derive("idempotency-key"), core: key.derive("duplicate") }
    }

    fn hash_of(&self, key: &IdempotencyKey) -> KeyHash {
        KeyHash(sixteen(keyed_hash(&self.idempotency_key, &[key.as_bytes()])))
    }

    fn claim_of(&self, form: &Form) -> ClaimName {
        ClaimName(sixteen(keyed_hash(&self.core, &[&form.core_fingerprint().0])))
    }
}

fn sixteen(hash: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    half
}

/// What is known of a form.
pub enum Named {
    /// Its ticket is stored, so there is nothing left to do but answer.
    Stored(Box<Ticket>),
    /// It is to be offered under this name.
    Open(Name),
}

/// What a submission is called. One that is not accepted after all is to be
/// [withdrawn](Name::withdraw).
#[derive(Debug)]
pub struct Name {
    /// The same for every repeat.
    pub id: SubmissionId,
    /// The key it was sent under.
    pub key: Option<KeyHash>,
    /// Whether it was offered before, as far as is known.
    pub is_repeat: bool,
    claim: ClaimName,
}

impl Name {
    /// Gives the name back when nothing was queued under it, so that the next try is a first one.
    pub async fn withdraw(&self, edge: &Edge) {
        if !self.is_repeat {
            edge.claims.release(self.claim, self.id).await;
        }
    }
}

/// Names a form. [`Problem::IdempotencyKeyReused`] if its key is another form's.
pub async fn name(
    edge: &Edge,
    form: &Form,
    key: Option<&IdempotencyKey>,
) -> Result<Named, Problem> {
    match key {
        Some(key) => keyed(edge, form, edge.naming_keys.hash_of(key)).await,
        None => Ok(unkeyed(edge, form).await),
    }
}

async fn keyed(edge: &Edge, form: &Form, key: KeyHash) -> Result<Named, Problem> {
    let id = edge.ids.derive(key, form.fingerprint());
    match in_time(edge, edge.tickets.by_key(key)).await {
        Some(ticket) if ticket.id == id => return Ok(Named::Stored(Box::new(ticket))),
        Some(_) => return Err(Problem::IdempotencyKeyReused),
        None => {}
    }
    let claim = ClaimName(key.0);
    match edge.claims.claim(claim, id, KEY_TTL).await {
        Claimed::Taken(holder) if holder != id => Err(Problem::IdempotencyKeyReused),
        claimed => {
            let is_repeat = claimed != Claimed::First;
            Ok(Named::Open(Name { id, key: Some(key), is_repeat, claim }))
        }
    }
}

async fn unkeyed(edge: &Edge, form: &Form) -> Named {
    let new = edge.ids.issue(edge.clock.now(), &*edge.entropy);
    let claim = edge.naming_keys.claim_of(form);
    match edge.claims.claim(claim, new, DUPLICATE_TTL).await {
        Claimed::First => Named::Open(Name { id: new, key: None, is_repeat: false, claim }),
        Claimed::Taken(first) => match stored(edge, first).await {
            Some(ticket) => Named::Stored(Box::new(ticket)),
            None => Named::Open(Name { id: first, key: None, is_repeat: true, claim }),
        },
    }
}

/// The ticket of a submission, if the store has it and says so at once.
pub async fn stored(edge: &Edge, id: SubmissionId) -> Option<Ticket> {
    in_time(edge, edge.tickets.by_id(id)).await
}

async fn in_time(
    edge: &Edge,
    read: impl Future<Output = Result<Option<Ticket>, StoreError>>,
) -> Option<Ticket> {
    let read = timeout(STORE_WAIT, read).await;
    let read = read.unwrap_or_else(|_| Err(StoreError::Unavailable(NoAnswer.into())));
    edge.repeats.note(read).ok().flatten()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use common::domain::{Priority, Status};
    use serde_json::json;

    use super::*;
    use crate::doubles::{FORM, Heard, Mood, Stage};

    const KEY: (&str, &str) = ("idempotency-key", "\"order-66\"");
    const ASYNC: (&str, &str) = ("prefer", "respond-async");

    fn stage() -> Stage {
        let stage = Stage::new();
        stage.claims.remembers.store(true, Ordering::Relaxed);
        stage
    }

    fn other_form() -> String {
        FORM.replace("29:59Z", "29:58Z")
    }

    /// The ids under which something was published, in order.
    fn published(stage: &Stage) -> Vec<String> {
        let envelopes = stage.publisher.envelopes.lock().unwrap();
        envelopes.iter().flatten().map(|submission| submission.id.to_string()).collect()
    }

    /// Stores what was published first, which has been taken up since.
    fn store_first(stage: &Stage) {
        let first = stage.publisher.envelopes.lock().unwrap()[0][0].clone();
        let (id, at) = (first.id, first.submitted_at);
        stage.store.keys.lock().unwrap().extend(first.key.map(|key| (key, id)));
        stage.store.tickets.lock().unwrap().push(Ticket {
            id,
            number: "SUP-2026-483920".parse().unwrap(),
            form: first.form,
            status: Status::Resolved,
            priority: Priority::High,
            submitted_at: at,
            updated_at: at,
            resolved_at: None,
            history: vec![],
        });
    }

    fn told(heard: &Heard) -> (u16, &str, &str) {
        let id = heard.json["data"]["id"].as_str().unwrap();
        (heard.status, id, heard.header("idempotency-replayed"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_replay_gets_the_first_answer_without_being_queued_again() {
        let stage = stage();
        let first = stage.post(FORM, &[KEY]).await;
        assert_eq!(first.header("idempotency-replayed"), "");
        let id = first.json["data"]["id"].as_str().unwrap();
        store_first(&stage);
        tokio::time::advance(Duration::from_hours(30)).await;
        for spelling in ["order-66", "\"order-66\"", " \"order-66\" "] {
            let again = stage.post(FORM, &[("idempotency-key", spelling)]).await;
            assert_eq!(told(&again), (201, id, "true"));
            assert_eq!(again.json["data"], first.json["data"]);
            assert_eq!(again.json["message"], first.json["message"]);
            assert_eq!(again.header("location"), first.header("location"));
        }
        let hasty = stage.post(FORM, &[KEY, ASYNC]).await;
        assert_eq!(told(&hasty), (202, id, "true"));
        assert_eq!(hasty.header("preference-applied"), "respond-async");
        assert_eq!(stage.publisher.sizes(), [1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_replay_of_what_is_on_its_way_goes_the_same_way_under_the_same_id() {
        let stage = stage();
        *stage.publisher.receipts_after.lock().unwrap() = Some(Duration::from_secs(1));
        let (first, second) = tokio::join!(stage.post(FORM, &[KEY]), stage.post(FORM, &[KEY]));
        let id = first.json["data"]["id"].as_str().unwrap();
        assert_eq!(told(&first), (201, id, ""));
        assert_eq!(told(&second), (201, id, "true"));
        assert_eq!(published(&stage), [id, id]);
        assert_eq!(stage.edge.waiting.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn another_form_under_the_key_is_refused_and_told_nothing() {
        let stage = stage();
        let first = stage.post(FORM, &[KEY]).await;
        let id = first.json["data"]["id"].as_str().unwrap();
        for is_stored in [false, true] {
            if is_stored {
                store_first(&stage);
                // The store alone knows now.
                stage.claims.remembers.store(false, Ordering::Relaxed);
            }
            let other = stage.post(other_form(), &[KEY]).await;
            assert_eq!(other.code(), (422, "idempotency_key_reused"));
            assert!(
                !other.json.to_string().contains(id) && !other.headers.contains_key("location")
            );
        }
        assert_eq!(stage.publisher.sizes(), [1]);
        let own_key = stage.post(other_form(), &[("idempotency-key", "order-67")]).await;
        assert_eq!(own_key.status, 201);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_key_is_refused_and_what_is_no_form_takes_none() {
        let stage = stage();
        let bad = stage.post(FORM, &[("idempotency-key", "")]).await;
        assert_eq!(bad.code(), (400, "invalid_idempotency_key"));
        assert_eq!(stage.post("{}", &[KEY]).await.status, 422);
        assert_eq!(told(&stage.post(FORM, &[KEY]).await).2, "");
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_again_without_a_key_is_told_of_the_first() {
        let stage = stage();
        let first = stage.post(FORM, &[]).await;
        store_first(&stage);
        // Another name, time and page make no other submission.
        let again = other_form().replace("Ada", "Bob").replace('}', ",\"url\":\"https://x.io\"}");
        for headers in [&[][..], &[ASYNC], &[("prefer", "wait=0")]] {
            let heard = stage.post(again.clone(), headers).await;
            let mut expected = first.json["data"].clone();
            expected["duplicate"] = json!(true);
            expected["status"] = json!("resolved");
            assert_eq!((heard.status, &heard.json["data"]), (200, &expected));
            assert_eq!(heard.header("location"), first.header("location"));
            assert_eq!(heard.header("idempotency-replayed"), "");
        }
        assert_eq!(stage.publisher.sizes(), [1]);
        for (was, is) in [("ada@", "bob@"), ("technical", "billing"), ("stuck", "stuck!")] {
            assert_eq!(stage.post(FORM.replace(was, is), &[]).await.status, 201, "{is}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_duplicate_of_what_is_on_its_way_goes_the_same_way() {
        let stage = stage();
        *stage.publisher.receipts_after.lock().unwrap() = None;
        let first = stage.post(FORM, &[]).await;
        let id = first.json["data"]["id"].as_str().unwrap();
        let expected = json!({"id": id, "status": "queued", "duplicate": true});
        for headers in [&[][..], &[ASYNC]] {
            let again = stage.post(FORM, headers).await;
            assert_eq!((again.status, &again.json["data"]), (202, &expected));
        }
        *stage.publisher.receipts_after.lock().unwrap() = Some(Duration::from_secs(1));
        let publish = stage.post(FORM, &[]);
        let store = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            store_first(&stage);
        };
        let (numbered, ()) = tokio::join!(publish, store);
        assert_eq!((numbered.status, &numbered.json["data"]["id"]), (200, &json!(id)));
        assert_eq!(published(&stage), [id; 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_sets_a_submission_apart_from_those_without() {
        let stage = stage();
        let ids = [
            stage.post(FORM, &[]).await,
            stage.post(FORM, &[KEY]).await,
            stage.post(FORM, &[("idempotency-key", "order-67")]).await,
        ]
        .map(|heard| (heard.status, heard.json["data"]["id"].to_string()));
        assert!(ids.iter().all(|(status, _)| *status == 201));
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_refused_leaves_its_name_free_and_what_is_open_does_not() {
        for headers in [&[][..], &[KEY]] {
            let stage = stage();
            *stage.publisher.receipts_after.lock().unwrap() = None;
            stage.publisher.is_ready.store(false, Ordering::Relaxed);
            assert_eq!(stage.post(FORM, headers).await.code(), (503, "not_accepted"));
            stage.publisher.is_ready.store(true, Ordering::Relaxed);
            *stage.publisher.mood.lock().unwrap() = Mood::Failing;
            assert_eq!(stage.post(FORM, headers).await.code(), (503, "not_accepted"));
            // A first one, both times.
            *stage.publisher.mood.lock().unwrap() = Mood::Silent;
            assert_eq!(stage.post(FORM, headers).await.code(), (503, "not_accepted"));
            *stage.publisher.mood.lock().unwrap() = Mood::Willing;
            let again = stage.post(FORM, headers).await;
            assert_eq!(again.status, 202);
            let is_marked = again.json["data"]["duplicate"] == json!(true)
                || again.header("idempotency-replayed") == "true";
            assert!(is_marked, "{again:?}");
            let ids = published(&stage);
            assert!(ids[1] == ids[2], "an open one may have landed: {ids:?}");
            assert_eq!(ids[0] == ids[1], !headers.is_empty(), "{ids:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_away_or_silent_costs_little_and_refuses_nobody() {
        for (mood, tenths) in [(Mood::Failing, 0), (Mood::Silent, 2)] {
            let stage = stage();
            *stage.store.mood.lock().unwrap() = mood;
            for again in ["", "true"] {
                let heard = stage.post(FORM, &[KEY]).await;
                assert_eq!((heard.status, heard.header("idempotency-replayed")), (201, again));
                assert!(heard.after <= Duration::from_millis(tenths * 100), "{:?}", heard.after);
            }
            assert_eq!(stage.post(FORM, &[]).await.status, 201);
            let duplicate = stage.post(FORM, &[]).await;
            assert_eq!(
                (duplicate.status, &duplicate.json["data"]["duplicate"]),
                (202, &json!(true))
            );
        }
    }
}
