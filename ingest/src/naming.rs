//! What a form's submission is called, and whether it came before.
//!
//! Under a key the id follows from key and form, so it is the same at every edge and for ever, and
//! the store keeps a second ticket out. Without a key the id is new, unless somebody claimed the same
//! email, subject and message a moment ago: then it is the first one's. Either way a repeat goes the
//! way of the first once more, under its name, as long as it is not known to be stored: whatever
//! became of the first, this one counts, and there is one ticket. Only a form without a key whose
//! first was accepted under one is not sent again: under that name the store knows another form.

use std::time::Duration;

use common::{
    domain::{Form, KeyHash, SubmissionId, Ticket},
    keys::{NumberKey, half, keyed_hash},
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

/// For how long a key is known to have come before, and to be its form's, where the store cannot
/// say so: it has not got the submission yet, or is away.
const KEY_TTL: Duration = Duration::from_hours(24);

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
        KeyHash(half(keyed_hash(&self.idempotency_key, &[key.as_bytes()])))
    }

    fn claim_of(&self, form: &Form) -> ClaimName {
        ClaimName(half(keyed_hash(&self.core, &[&form.core_fingerprint().0])))
    }
}

/// What is known of a form.
pub enum Named {
    /// Its ticket is stored, so there is nothing left to do but answer.
    Stored(Box<Ticket>),
    /// It has no key, and the same was accepted under one, by this id, and is on its way.
    Accepted(SubmissionId),
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
    /// Whether it was accepted before, as far as is known.
    pub is_accepted: bool,
    claim: ClaimName,
    /// What the same form claims without a key.
    core: ClaimName,
}

impl Name {
    fn of_key(id: SubmissionId, key: KeyHash, core: ClaimName, claimed: Claimed) -> Self {
        Self { key: Some(key), claim: ClaimName(key.0), ..Self::of_core(id, core, claimed) }
    }

    fn of_core(id: SubmissionId, core: ClaimName, claimed: Claimed) -> Self {
        let is_repeat = claimed != Claimed::First;
        let is_accepted = matches!(claimed, Claimed::Accepted(_));
        Self { id, key: None, is_repeat, is_accepted, claim: core, core }
    }

    /// Makes it known that what is sent again under this name was accepted before, and that the same
    /// without a key is a duplicate. Of a first one without a key nobody needs to know.
    pub async fn accept(&self, edge: &Edge) {
        if self.key.is_some() || self.is_repeat {
            edge.claims.accept(self.claim, self.id).await;
        }
        if self.key.is_some() {
            edge.claims.claim(self.core, self.id, DUPLICATE_TTL).await;
        }
    }

    /// Gives the name back when nothing was queued under it, so that the next try is a first one;
    /// unless another goes by it meanwhile, whose submission would no longer be met. Whether that
    /// was done.
    pub async fn withdraw(&self, edge: &Edge) -> bool {
        !self.is_repeat && edge.claims.release(self.claim, self.id).await
    }

    /// Whether one like it was accepted in the meantime. Not to be asked of what was withdrawn.
    pub async fn was_accepted(&self, edge: &Edge) -> bool {
        let claimed = edge.claims.claim(self.claim, self.id, DUPLICATE_TTL).await;
        claimed == Claimed::Accepted(self.id)
    }
}

/// Names a form that was sent under a key. [`Problem::IdempotencyKeyReused`] if that is another form's.
pub async fn keyed(edge: &Edge, form: &Form, key: &IdempotencyKey) -> Result<Named, Problem> {
    let key = edge.naming_keys.hash_of(key);
    let id = edge.ids.derive(key, form.fingerprint());
    match in_time(edge, edge.tickets.by_key(key)).await {
        // It goes the whole way again, and is told its number: what was in it is not there any more.
        Some(ticket) if ticket.id == id && ticket.is_erased() => {}
        Some(ticket) if ticket.id == id => return Ok(Named::Stored(Box::new(ticket))),
        Some(_) => return Err(Problem::IdempotencyKeyReused),
        None => {}
    }
    match edge.claims.claim(ClaimName(key.0), id, KEY_TTL).await {
        Claimed::Taken(holder) | Claimed::Accepted(holder) if holder != id => {
            Err(Problem::IdempotencyKeyReused)
        }
        claimed => {
            let core = edge.naming_keys.claim_of(form);
            Ok(Named::Open(Name::of_key(id, key, core, claimed)))
        }
    }
}

/// Names a form that was sent without one: by this new id, unless the same came before.
pub async fn unkeyed(edge: &Edge, form: &Form, new: SubmissionId) -> Named {
    let core = edge.naming_keys.claim_of(form);
    let claimed = edge.claims.claim(core, new, DUPLICATE_TTL).await;
    let (Claimed::Taken(first) | Claimed::Accepted(first)) = claimed else {
        return Named::Open(Name::of_core(new, core, claimed));
    };
    if first == new {
        // By ourselves, in a call whose answer was lost.
        return Named::Open(Name::of_core(new, core, Claimed::First));
    }
    match stored(edge, first).await {
        // Who was erased since asks anew.
        Some(ticket) if ticket.is_erased() => Named::Open(Name::of_core(new, core, Claimed::First)),
        Some(ticket) => Named::Stored(Box::new(ticket)),
        None if first.is_derived() => Named::Accepted(first),
        None => Named::Open(Name::of_core(first, core, claimed)),
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
mod tests;
