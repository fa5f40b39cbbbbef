//! The dead letter office: dead letters in the hands of somebody who has a name.
//!
//! What the port does, this does on record. A row for each letter is durable before anything is done
//! to it, so there is no effect without a row; a row without an effect is possible, where whoever
//! wrote it died or the letter was gone. While the store is away nothing is done at all.

mod view;

use std::{iter, sync::Arc};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use thiserror::Error;
use uuid::Uuid;

use crate::{
    Cause,
    clock::Clock,
    domain::{ActionKind, Actor, Because, OperatorAction, Origin, SubmissionId},
    envelope::{BODY_BYTES_MAX, SUBMISSIONS_MAX},
    ports::{
        actions::{ActionLog, RecordedAction},
        backend::OperatorPorts,
        dead_letters::{
            DeadLetters, Filter, FoundLetter, HeldLetter, Interrupted, LetterId, Listing, Overseer,
            Selection,
        },
        ledger::{Entry, Ledger},
        queue::{BuriedLetter, ConsumeError},
        store::StoreError,
    },
};

pub use view::{BodyView, LetterView, code, detail};

/// Why something was not done, or not all of it.
#[derive(Debug, Error)]
pub enum LetterError {
    /// Nothing is done that is not on record.
    #[error("it cannot be put on record, so it is not done; {handled} letters were handled before")]
    Unrecorded {
        /// How many are certain.
        handled: usize,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The letters went out of reach half-way.
    #[error(transparent)]
    Interrupted(Interrupted),
    /// The letters are out of reach.
    #[error(transparent)]
    Unavailable(#[from] ConsumeError),
}

impl From<Interrupted> for LetterError {
    fn from(interrupted: Interrupted) -> Self {
        let Interrupted { handled, cause } = interrupted;
        match cause.downcast::<Unrecorded>() {
            Ok(unrecorded) => Self::Unrecorded { handled, source: unrecorded.0 },
            Err(cause) => Self::Interrupted(Interrupted { handled, cause }),
        }
    }
}

/// How the recorder objects.
#[derive(Debug, Error)]
#[error(transparent)]
struct Unrecorded(StoreError);

/// Who wants something done, and why, if they say so.
#[derive(Debug, Clone)]
pub struct Order {
    /// Who.
    pub actor: Actor,
    /// From where.
    pub origin: Origin,
    /// Why.
    pub because: Option<Because>,
}

/// How fast letters are handled, and until when.
#[async_trait]
pub trait Pace: Send + Sync {
    /// Waits until it is time for more, and says for how many at most: see [`Overseer::admit`].
    async fn admit(&self) -> Option<usize>;

    /// Is told how many of them were handled.
    fn handled(&self, letters: usize);
}

/// As fast as it goes, to the end.
#[derive(Debug, Clone, Copy)]
pub struct AtOnce;

#[async_trait]
impl Pace for AtOnce {
    async fn admit(&self) -> Option<usize> {
        Some(usize::MAX)
    }

    fn handled(&self, _letters: usize) {}
}

/// Handles dead letters on record.
pub struct LetterOffice {
    letters: Arc<dyn DeadLetters>,
    actions: Arc<dyn ActionLog>,
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
}

impl LetterOffice {
    /// Of an installation.
    #[must_use]
    pub fn new(ports: &OperatorPorts, clock: Arc<dyn Clock>) -> Self {
        Self {
            letters: Arc::clone(&ports.dead_letters),
            actions: Arc::clone(&ports.actions),
            ledger: Arc::clone(&ports.ledger),
            clock,
        }
    }

    /// Up to `limit` letters that match, the oldest first, and how many there are.
    pub async fn list(&self, filter: &Filter, limit: u32) -> Result<Listing, LetterError> {
        Ok(self.letters.list(filter, limit).await?)
    }

    /// One letter, with all that may be personal masked.
    pub async fn show(&self, id: &LetterId) -> Result<Option<LetterView>, LetterError> {
        Ok(self.letters.find(id).await?.as_ref().map(LetterView::of))
    }

    /// One letter as it is. That it was shown is on record.
    pub async fn reveal(
        &self,
        id: &LetterId,
        order: &Order,
    ) -> Result<Option<FoundLetter>, LetterError> {
        let Some(found) = self.letters.find(id).await? else { return Ok(None) };
        let held = HeldLetter { id: found.id.clone(), letter: found.letter.clone() };
        let done = self.recorder(ActionKind::Reveal, order, &AtOnce).record(&[held]).await;
        done.map_err(|source| LetterError::Unrecorded { handled: 0, source })?;
        Ok(Some(found))
    }

    /// Puts letters back into the queue; tells which. Their submissions are entered into the ledger
    /// once more.
    pub async fn requeue(
        &self,
        which: &Selection,
        order: &Order,
        pace: &dyn Pace,
    ) -> Result<Vec<LetterId>, LetterError> {
        let recorder = self.recorder(ActionKind::Requeue, order, pace);
        Ok(self.letters.requeue(which, &recorder).await?)
    }

    /// Deletes letters for good; tells which. What the ledger has of them is struck out: somebody
    /// has said what became of it.
    pub async fn discard(
        &self,
        which: &Selection,
        actor: Actor,
        origin: Origin,
        because: Because,
        pace: &dyn Pace,
    ) -> Result<Vec<LetterId>, LetterError> {
        let order = Order { actor, origin, because: Some(because) };
        let recorder = self.recorder(ActionKind::Discard, &order, pace);
        Ok(self.letters.discard(which, &recorder).await?)
    }

    /// Up to `limit` actions on record, the latest first.
    pub async fn log(&self, limit: u32) -> Result<Vec<RecordedAction>, StoreError> {
        self.actions.latest(limit).await
    }

    fn recorder<'a>(
        &'a self,
        action: ActionKind,
        order: &'a Order,
        pace: &'a dyn Pace,
    ) -> Recorder<'a> {
        Recorder { office: self, action, order, pace }
    }
}

/// Writes down what is going to be done.
struct Recorder<'a> {
    office: &'a LetterOffice,
    action: ActionKind,
    order: &'a Order,
    pace: &'a dyn Pace,
}

impl Recorder<'_> {
    async fn record(&self, letters: &[HeldLetter]) -> Result<(), StoreError> {
        let actions: Vec<_> = letters.iter().map(|held| self.action_on(held)).collect();
        self.office.actions.record(&actions).await
    }

    fn action_on(&self, HeldLetter { id, letter }: &HeldLetter) -> OperatorAction {
        let submissions = submissions(letter).into_iter().map(|id| id.to_string());
        let mut details = json!({
            "code": code(&letter.code),
            "bodyBytes": letter.body.len(),
            "submissions": submissions.collect::<Vec<_>>(),
        });
        if let Some(because) = &self.order.because {
            details["because"] = Value::from(because.as_str());
        }
        OperatorAction {
            acted_at: self.office.clock.now(),
            actor: self.order.actor.clone(),
            origin: self.order.origin.clone(),
            action: self.action,
            subject: id.to_string(),
            details,
        }
    }
}

#[async_trait]
impl Overseer for Recorder<'_> {
    async fn admit(&self) -> Option<usize> {
        self.pace.admit().await
    }

    async fn foresee(&self, letters: &[HeldLetter]) -> Result<(), Cause> {
        self.record(letters).await.map_err(Unrecorded)?;
        let ids = letters.iter().flat_map(|held| submissions(&held.letter));
        let ledger = &self.office.ledger;
        match self.action {
            // While they lie there they are accounted for, so this may come first.
            ActionKind::Discard => {
                ledger.strike(&ids.collect::<Vec<_>>()).await.map_err(Unrecorded)?;
            }
            // From now on they are on their way, and would be missed by nobody.
            ActionKind::Requeue => {
                let accepted_at = self.office.clock.now();
                let entries: Vec<_> = ids.map(|id| Entry { id, accepted_at }).collect();
                if !entries.is_empty() {
                    ledger.enter(&entries).await.map_err(Unrecorded)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn handled(&self, letters: usize) {
        self.pace.handled(letters);
    }
}

/// Whose submissions a letter holds, as far as it can be told. Letters lie there because something
/// is wrong with them, or new, so nothing is asked of an envelope or a part of one but its ids.
#[must_use]
pub fn submissions(letter: &BuriedLetter) -> Vec<SubmissionId> {
    if letter.body.len() > BODY_BYTES_MAX {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&letter.body);
    let whole = Labelled::read(&text);
    let parts: Vec<&RawValue> =
        whole.submissions.and_then(|it| serde_json::from_str(it.get()).ok()).unwrap_or_default();
    let parts = parts.into_iter().take(SUBMISSIONS_MAX).map(|part| Labelled::read(part.get()));
    iter::once(whole).chain(parts).filter_map(|it| it.id()).collect()
}

/// What tells whose an envelope or one of its submissions is.
#[derive(Default, Deserialize)]
struct Labelled<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    submissions: Option<&'a RawValue>,
}

impl<'a> Labelled<'a> {
    /// Anything else has neither. serde reads lists as structs; these are objects.
    fn read(text: &'a str) -> Self {
        let object = text.starts_with('{').then(|| serde_json::from_str(text).ok());
        object.flatten().unwrap_or_default()
    }

    fn id(&self) -> Option<SubmissionId> {
        Some(serde_json::from_str::<Uuid>(self.id?.get()).ok()?.into())
    }
}

#[cfg(test)]
mod tests;
