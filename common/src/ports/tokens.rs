//! Staff tokens, kept by the store as hashes.
//!
//! Guarantees:
//! - `a_token_reads_back_as_it_was_registered`;
//! - `a_token_once_revoked_stays_revoked_since_then`, for every reader from the moment that the
//!   registry says so;
//! - `a_token_ends_no_later_than_it_was_to`: a new end counts only where it is earlier;
//! - `a_rotated_token_says_when_it_was_to_end`, however often it is rotated;
//! - `a_token_nobody_registered_is_not_found`;
//! - `tokens_are_listed_in_the_order_of_their_making`.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::store::StoreError;
use crate::domain::{Token, TokenId};

/// The edge's half.
#[async_trait]
pub trait TokenReader: Send + Sync {
    /// The token of this name, in whatever standing. Who presents one is known by its whole hash,
    /// which the caller compares.
    async fn find(&self, id: &TokenId) -> Result<Option<Token>, StoreError>;
}

/// The operator's half.
#[async_trait]
pub trait TokenRegistry: Send + Sync {
    /// Keeps a new token.
    async fn register(&self, token: &Token) -> Result<(), StoreError>;

    /// Every token, those that admit nobody any more included.
    async fn list(&self) -> Result<Vec<Token>, StoreError>;

    /// Revokes a token at `now`, unless it was before; the token as it is then. `None` where there
    /// is none.
    async fn revoke(&self, id: &TokenId, now: DateTime<Utc>) -> Result<Option<Token>, StoreError>;

    /// Lets a token end at this time, unless it ends before, since another was made in its place at
    /// `now`; the token as it is then. `None` where there is none.
    async fn expire(
        &self,
        id: &TokenId,
        at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Option<Token>, StoreError>;
}
