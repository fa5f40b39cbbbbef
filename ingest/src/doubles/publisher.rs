//! A queue with a mood, and a worker behind it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use common::{
    domain::Submission,
    ports::queue::{PublishError, Publisher, Receipt},
};
use tokio::{sync::mpsc, time::sleep};

use super::Mood;

/// Remembers what it was asked to publish, confirms in its mood, and plays the worker as well.
pub struct ScriptedPublisher {
    pub mood: Mutex<Mood>,
    pub is_ready: AtomicBool,
    /// In the middle of a request.
    pub panics: AtomicBool,
    pub envelopes: Mutex<Vec<Vec<Submission>>>,
    /// What it was asked to publish as it is, each after so many envelopes.
    pub bodies: Mutex<Vec<(usize, Bytes)>>,
    /// How long after the publish the receipts come, if they come.
    pub receipts_after: Mutex<Option<Duration>>,
    receipts: mpsc::Sender<Vec<Receipt>>,
}

impl ScriptedPublisher {
    pub fn new() -> (Arc<Self>, mpsc::Receiver<Vec<Receipt>>) {
        let (receipts, receiver) = mpsc::channel(16);
        let publisher = Self {
            mood: Mutex::new(Mood::Willing),
            is_ready: AtomicBool::new(true),
            panics: AtomicBool::new(false),
            envelopes: Mutex::default(),
            bodies: Mutex::default(),
            receipts_after: Mutex::new(Some(Duration::ZERO)),
            receipts,
        };
        (Arc::new(publisher), receiver)
    }

    pub fn sizes(&self) -> Vec<usize> {
        self.envelopes.lock().unwrap().iter().map(Vec::len).collect()
    }

    async fn word(&self) -> Result<(), PublishError> {
        let mood = *self.mood.lock().unwrap();
        if mood.act().await {
            Ok(())
        } else if mood == Mood::Unsure {
            Err(PublishError::Unconfirmed)
        } else {
            Err(PublishError::Rejected)
        }
    }
}

#[async_trait]
impl Publisher for ScriptedPublisher {
    async fn publish(&self, submissions: Vec<Submission>) -> Result<(), PublishError> {
        let receipt = |submission: &Submission| Receipt {
            id: submission.id,
            number: "SUP-2026-483920".parse().unwrap(),
            submitted_at: submission.submitted_at,
        };
        let receipts: Vec<_> = submissions.iter().map(receipt).collect();
        self.envelopes.lock().unwrap().push(submissions);
        if let Some(delay) = *self.receipts_after.lock().unwrap() {
            let sender = self.receipts.clone();
            tokio::spawn(async move {
                sleep(delay).await;
                let _ = sender.send(receipts).await;
            });
        }
        self.word().await
    }

    async fn publish_bytes(&self, body: Bytes) -> Result<(), PublishError> {
        let envelopes = self.envelopes.lock().unwrap().len();
        self.bodies.lock().unwrap().push((envelopes, body));
        self.word().await
    }

    fn is_ready(&self) -> bool {
        assert!(!self.panics.load(Ordering::Relaxed), "with a secret");
        self.is_ready.load(Ordering::Relaxed)
    }
}
