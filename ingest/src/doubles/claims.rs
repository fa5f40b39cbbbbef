//! Claims that are forgotten.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use common::{
    claims::LocalClaims,
    domain::SubmissionId,
    ports::claims::{ClaimName, Claimed, Claims},
};

/// Forgets at once whatever it is told, until it is to remember: most tests send one form often.
#[derive(Default)]
pub struct ScriptedClaims {
    pub remembers: AtomicBool,
    kept: LocalClaims,
}

#[async_trait]
impl Claims for ScriptedClaims {
    async fn claim(&self, name: ClaimName, id: SubmissionId, ttl: Duration) -> Claimed {
        let claimed = self.kept.claim(name, id, ttl);
        if self.remembers.load(Ordering::Relaxed) { claimed } else { Claimed::First }
    }

    async fn accept(&self, name: ClaimName, id: SubmissionId) {
        self.kept.accept(name, id);
    }

    async fn release(&self, name: ClaimName, id: SubmissionId) -> bool {
        self.kept.release(name, id)
    }
}
