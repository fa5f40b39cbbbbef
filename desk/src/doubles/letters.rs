//! Dead letters in memory.

use std::{sync::Mutex, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use common::ports::{
    dead_letters::{
        Censor, DeadLetters, Filter, FoundLetter, HeldLetter, Interrupted, LetterId, ListedLetter,
        Listing, Overseer, See, Selection, Verdict,
    },
    queue::{BuriedLetter, ConsumeError},
};
use tokio::time::sleep;

use super::NOW;

/// Five of them, the oldest first: given up five hours ago, four, … The broker may be away.
pub struct ScriptedLetters {
    there: Mutex<Vec<HeldLetter>>,
    pub is_away: Mutex<bool>,
    /// Whether somebody else has some in hand.
    pub are_some_held: Mutex<bool>,
    /// How long it takes to do something with one.
    pub takes: Mutex<Duration>,
    /// What was done: the word and the id.
    pub done: Mutex<Vec<String>>,
}

impl Default for ScriptedLetters {
    fn default() -> Self {
        let now: DateTime<Utc> = NOW.parse().unwrap();
        let letter = |number: u8| HeldLetter {
            id: LetterId::new(format!("000000000000000{number}")),
            letter: BuriedLetter {
                body: format!("{{\"name\":\"canary {number}\"}}").into(),
                code: if number < 3 { "rejected" } else { "conflict" }.to_owned(),
                detail: "as told".to_owned(),
                first_seen_at: now - TimeDelta::hours(i64::from(6 - number)),
                attempts: 1,
            },
        };
        let there = Mutex::new((1..=5).map(letter).collect());
        let (is_away, are_some_held) = (Mutex::default(), Mutex::default());
        let (takes, done) = (Mutex::default(), Mutex::default());
        Self { there, is_away, are_some_held, takes, done }
    }
}

impl ScriptedLetters {
    fn reached(&self) -> Result<(), ConsumeError> {
        let is_away = *self.is_away.lock().unwrap();
        (!is_away).then_some(()).ok_or_else(|| ConsumeError("internal: away".into()))
    }

    /// Puts one more there.
    pub fn add(&self, body: &'static str) {
        let mut there = self.there.lock().unwrap();
        let mut held = there[0].clone();
        held.id = LetterId::new(format!("{:016}", there.len() + 1));
        held.letter.body = body.into();
        there.push(held);
    }

    /// One letter after the other.
    async fn each(
        &self,
        word: &str,
        which: &Selection,
        overseer: &dyn Overseer,
    ) -> Result<Vec<LetterId>, Interrupted> {
        self.reached().map_err(|error| Interrupted { handled: 0, cause: error.into() })?;
        let all = self.there.lock().unwrap().clone();
        let chosen = all
            .into_iter()
            .filter(|held| which.contains(&held.id, &held.letter.code, held.letter.first_seen_at));
        let mut handled = Vec::new();
        for held in chosen {
            if overseer.admit().await.is_none() {
                break;
            }
            let foreseen = overseer.foresee(std::slice::from_ref(&held)).await;
            foreseen.map_err(|cause| Interrupted { handled: handled.len(), cause })?;
            let takes = *self.takes.lock().unwrap();
            sleep(takes).await;
            self.there.lock().unwrap().retain(|it| it.id != held.id);
            self.done.lock().unwrap().push(format!("{word} {}", held.id));
            overseer.handled(1);
            handled.push(held.id);
        }
        Ok(handled)
    }
}

#[async_trait]
impl DeadLetters for ScriptedLetters {
    async fn list(&self, filter: &Filter, limit: u32) -> Result<Listing, ConsumeError> {
        self.reached()?;
        let there = self.there.lock().unwrap();
        let listed = there.iter().map(|HeldLetter { id, letter }| ListedLetter {
            id: id.clone(),
            code: letter.code.clone(),
            detail: letter.detail.clone(),
            first_seen_at: letter.first_seen_at,
            attempts: letter.attempts,
            body_bytes: letter.body.len(),
        });
        Ok(Listing::of(listed.collect(), filter, limit))
    }

    async fn find(&self, id: &LetterId) -> Result<Option<FoundLetter>, ConsumeError> {
        self.reached()?;
        let there = self.there.lock().unwrap();
        let found = there.iter().find(|held| held.id == *id).cloned();
        Ok(found.map(|HeldLetter { id, letter }| FoundLetter { id, letter, properties: vec![] }))
    }

    async fn requeue(
        &self,
        which: &Selection,
        overseer: &dyn Overseer,
    ) -> Result<Vec<LetterId>, Interrupted> {
        self.each("requeued", which, overseer).await
    }

    async fn discard(
        &self,
        which: &Selection,
        overseer: &dyn Overseer,
    ) -> Result<Vec<LetterId>, Interrupted> {
        self.each("discarded", which, overseer).await
    }

    async fn read(&self, see: &See<'_>) -> Result<bool, ConsumeError> {
        self.reached()?;
        self.there.lock().unwrap().iter().for_each(see);
        Ok(*self.are_some_held.lock().unwrap())
    }

    async fn redact(
        &self,
        censor: &dyn Censor,
        overseer: &dyn Overseer,
    ) -> Result<Vec<LetterId>, Interrupted> {
        let all = self.there.lock().unwrap().clone();
        let concerned = all.into_iter().filter(|it| censor.judge(&it.letter) != Verdict::Keep);
        let ids = concerned.map(|held| held.id).collect();
        self.each("redacted", &Selection::These(ids), overseer).await
    }
}
