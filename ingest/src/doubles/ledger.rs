//! A ledger, a queue's depths and its dead letters.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use common::{
    domain::SubmissionId,
    ports::{
        audit::{Depths, QueueAudit},
        ledger::{Balance, Entry, Ledger},
        queue::{BuriedLetter, ConsumeError},
        store::StoreError,
    },
};

use super::Mood;

/// When an entry was accepted, and whether it is unaccounted for.
type Entered = (DateTime<Utc>, bool);

/// In memory what the store has on disk.
pub struct ScriptedLedger {
    pub mood: Mutex<Mood>,
    pub entries: Mutex<BTreeMap<SubmissionId, Entered>>,
    /// What is a ticket.
    pub tickets: Mutex<BTreeSet<SubmissionId>>,
}

impl Default for ScriptedLedger {
    fn default() -> Self {
        let mood = Mutex::new(Mood::Willing);
        Self { mood, entries: Mutex::default(), tickets: Mutex::default() }
    }
}

impl ScriptedLedger {
    async fn act(&self) -> Result<(), StoreError> {
        let mood = *self.mood.lock().unwrap();
        mood.act().await.then_some(()).ok_or_else(|| StoreError::Unavailable("away".into()))
    }
}

#[async_trait]
impl Ledger for ScriptedLedger {
    async fn enter(&self, entries: &[Entry]) -> Result<(), StoreError> {
        self.act().await?;
        let mut entered = self.entries.lock().unwrap();
        for entry in entries {
            entered.entry(entry.id).or_insert((entry.accepted_at, false));
        }
        Ok(())
    }

    async fn strike_stored(&self) -> Result<u64, StoreError> {
        let stored: Vec<_> = self.tickets.lock().unwrap().iter().copied().collect();
        self.strike(&stored).await
    }

    async fn strike(&self, ids: &[SubmissionId]) -> Result<u64, StoreError> {
        self.act().await?;
        let mut entered = self.entries.lock().unwrap();
        Ok(ids.iter().filter(|id| entered.remove(id).is_some()).count() as u64)
    }

    async fn mark(&self, horizon: DateTime<Utc>) -> Result<(), StoreError> {
        self.act().await?;
        let mut entered = self.entries.lock().unwrap();
        entered.values_mut().filter(|it| it.0 < horizon).for_each(|it| it.1 = true);
        Ok(())
    }

    async fn balance(&self) -> Result<Balance, StoreError> {
        self.act().await?;
        let (entered, tickets) = (self.entries.lock().unwrap(), self.tickets.lock().unwrap());
        let mut balance = Balance::default();
        for (id, (accepted_at, is_unaccounted)) in &*entered {
            let (count, oldest) = match (tickets.contains(id), is_unaccounted) {
                (true, _) => {
                    balance.stored += 1;
                    continue;
                }
                (_, true) => (&mut balance.unaccounted, &mut balance.oldest_unaccounted),
                (_, false) => (&mut balance.in_flight, &mut balance.oldest_in_flight),
            };
            *count += 1;
            *oldest = Some(oldest.map_or(*accepted_at, |it| it.min(*accepted_at)));
        }
        Ok(balance)
    }
}

/// What lies in the queue.
pub struct ScriptedQueue {
    pub mood: Mutex<Mood>,
    pub depths: Mutex<Depths>,
    /// The bodies of the dead letters.
    pub letters: Mutex<Vec<Bytes>>,
    /// After so many of them a look ends.
    pub seen_max: Mutex<usize>,
    /// What the depths are once letters were looked at.
    pub depths_then: Mutex<Option<Depths>>,
}

impl Default for ScriptedQueue {
    fn default() -> Self {
        let mood = Mutex::new(Mood::Willing);
        Self {
            mood,
            depths: Mutex::default(),
            letters: Mutex::default(),
            seen_max: Mutex::new(usize::MAX),
            depths_then: Mutex::default(),
        }
    }
}

#[async_trait]
impl QueueAudit for ScriptedQueue {
    async fn depths(&self) -> Result<Depths, ConsumeError> {
        let mood = *self.mood.lock().unwrap();
        if !mood.act().await {
            return Err(ConsumeError("away".into()));
        }
        let dead = self.letters.lock().unwrap().len() as u64;
        Ok(Depths { dead, ..*self.depths.lock().unwrap() })
    }

    async fn dead_letters(&self, limit: u32) -> Result<Vec<BuriedLetter>, ConsumeError> {
        if let Some(then) = self.depths_then.lock().unwrap().take() {
            *self.depths.lock().unwrap() = then;
        }
        let seen_max = (limit as usize).min(*self.seen_max.lock().unwrap());
        let letters = self.letters.lock().unwrap();
        let letter = |body: &Bytes| BuriedLetter {
            body: body.clone(),
            code: "conflict".to_owned(),
            detail: String::new(),
            first_seen_at: DateTime::UNIX_EPOCH,
            attempts: 1,
        };
        Ok(letters.iter().take(seen_max).map(letter).collect())
    }
}
