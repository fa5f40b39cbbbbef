//! Who came first, in this process's memory: no other takes submissions.

use std::time::Duration;

use async_trait::async_trait;
use common::{
    claims::LocalClaims,
    domain::SubmissionId,
    ports::claims::{ClaimName, Claimed, Claims},
};

#[derive(Default)]
pub(crate) struct MemoryClaims(LocalClaims);

#[async_trait]
impl Claims for MemoryClaims {
    async fn claim(&self, name: ClaimName, id: SubmissionId, ttl: Duration) -> Claimed {
        self.0.claim(name, id, ttl)
    }

    async fn accept(&self, name: ClaimName, id: SubmissionId) {
        self.0.accept(name, id);
    }

    async fn release(&self, name: ClaimName, id: SubmissionId) -> bool {
        self.0.release(name, id)
    }
}
