//! Which submissions are on their way, so that one that is sent again meets the first.
//!
//! Guarantees:
//! - `of_many_claims_at_a_time_one_is_the_first`, and all others are told its id;
//! - `a_claim_ends_with_its_time`, and not before;
//! - `a_claim_is_released_by_its_id_alone`;
//! - `a_claim_that_another_was_told_of_is_not_released`: they go by it;
//! - `a_claim_that_was_accepted_says_so_at_every_edge`, and is not released.
//!
//! They hold as long as what remembers the claims lives: a restart (embedded: of the process,
//! distributed: of Redis) may forget them, and while Redis is away each edge knows its own. That is
//! why nothing that must never happen twice hangs on a claim: the store decides on keys.

use std::time::Duration;

use async_trait::async_trait;

use crate::domain::SubmissionId;

/// What is claimed: a keyed hash, of a sender's key or of what makes two submissions the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClaimName(pub [u8; 16]);

/// How a claim went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// Nobody had the name. It is the id's now.
    First,
    /// It is this id's, which may be the one it was claimed for.
    Taken(SubmissionId),
    /// The same, and a submission of this id was accepted.
    Accepted(SubmissionId),
}

/// Remembers who came first. Answers within a quarter of a second, whatever is away, and within twice
/// that in the moment in which a process starts.
#[async_trait]
pub trait Claims: Send + Sync {
    /// Claims a name for an id, for `ttl` from now, unless it is taken.
    async fn claim(&self, name: ClaimName, id: SubmissionId, ttl: Duration) -> Claimed;

    /// Marks a name as accepted, if it is this id's.
    async fn accept(&self, name: ClaimName, id: SubmissionId);

    /// Gives a name back, if it is this id's and nobody else was told so; and whether that was done.
    async fn release(&self, name: ClaimName, id: SubmissionId) -> bool;
}
