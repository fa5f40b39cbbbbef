//! Who may see what only staff may: the bootstrap key of role admin, which needs no store, and the
//! tokens that an operator made.

use std::{net::IpAddr, sync::Arc};

use axum::http::{HeaderMap, header, request::Parts};
use common::{
    clock::Clock,
    domain::{Name, Origin, Role, Standing, TokenDigest, TokenId},
    ports::{limits, store::StoreError, tokens::TokenReader},
    trace::Trace,
};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::time::timeout;

use crate::{
    condition::{Condition, NoAnswer, STORE_WAIT},
    guesses::Guesses,
    problem::Problem,
};

/// Who was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// What it admits to.
    pub role: Role,
    /// By which token; the bootstrap key has no id.
    pub token: Option<TokenId>,
    /// What the token's maker called it: a member of staff is known by that.
    pub name: Option<Name>,
    /// From where.
    pub origin: Origin,
}

/// Knows whom to let in.
pub struct Access {
    /// The bootstrap key as a digest: of equal length whatever the key's, so that comparing takes
    /// the same time for any guess, and useless to whoever reads it in a core dump.
    admin: Option<[u8; 32]>,
    tokens: Arc<dyn TokenReader>,
    look_ups: Condition,
    clock: Arc<dyn Clock>,
    guesses: Guesses,
}

impl Access {
    /// Without a bootstrap key, or with an empty one, only tokens are admitted.
    #[must_use]
    pub fn new(
        admin: Option<&SecretString>,
        tokens: Arc<dyn TokenReader>,
        clock: Arc<dyn Clock>,
        guesses: Guesses,
    ) -> Self {
        let admin = admin.map(SecretString::expose_secret).filter(|key| !key.is_empty());
        let admin = admin.map(|key| Sha256::digest(key.as_bytes()).into());
        Self { admin, tokens, look_ups: Condition::new("token look-up"), clock, guesses }
    }

    /// Admits a request with exactly one `Authorization: Bearer` header that holds the bootstrap key
    /// or a token of one of the roles.
    ///
    /// Whoever is not admitted gets the same answer, with or without a token, and an unknown, a
    /// revoked and an expired one take the same look into the store, which is taken every time: a
    /// token ends with its revocation, not with some copy. Only who holds a valid token of another
    /// role is told so, and whoever has presented too many that were none is heard no further.
    pub async fn authorize(&self, head: &Parts, roles: &[Role]) -> Result<Principal, Problem> {
        let principal = self.authenticate(head).await?;
        if roles.contains(&principal.role) { Ok(principal) } else { Err(Problem::Forbidden) }
    }

    /// Tells who asks, whatever they may.
    pub async fn authenticate(&self, head: &Parts) -> Result<Principal, Problem> {
        if !head.headers.contains_key(header::AUTHORIZATION) {
            return Err(Problem::Unauthorized);
        }
        let client = self.guesses.client(head);
        self.guesses.look(client).await?;
        let known = self.known(bearer_token(&head.headers).unwrap_or_default()).await;
        if known == Err(Problem::Unauthorized) {
            self.guesses.count(client).await?;
        }
        known.map(|principal| Principal { origin: self.origin(head), ..principal })
    }

    fn origin(&self, head: &Parts) -> Origin {
        let trace = head.extensions.get::<Trace>();
        Origin {
            address: Some(self.address(head).to_string()),
            request_id: trace.map(|trace| trace.request_id.clone()),
        }
    }

    async fn known(&self, presented: &[u8]) -> Result<Principal, Problem> {
        let principal = if self.is_admin(presented) {
            Principal { role: Role::Admin, token: None, name: None, origin: Origin::default() }
        } else {
            let digest = TokenDigest::of(presented).ok_or(Problem::Unauthorized)?;
            self.look_up(digest).await?
        };
        tracing::debug!(role = %principal.role, token = ?principal.token, "authenticated");
        Ok(principal)
    }

    /// Whether somebody who was let in would be so now; yes while nobody can tell.
    pub async fn still_admits(&self, principal: &Principal) -> bool {
        let Some(id) = &principal.token else { return true };
        let Ok(Ok(found)) = timeout(STORE_WAIT, self.tokens.find(id)).await else { return true };
        let now = self.clock.now();
        found.is_some_and(|token| token.standing(now) == Standing::Active)
    }

    /// Where whoever asks does so from.
    #[must_use]
    pub fn address(&self, head: &Parts) -> IpAddr {
        self.guesses.address(head)
    }

    /// Where whoever asks stands with the limit of guesses, if there is one.
    pub async fn standing(&self, head: &Parts) -> Option<limits::Standing> {
        self.guesses.standing(self.guesses.client(head)).await
    }

    fn is_admin(&self, presented: &[u8]) -> bool {
        let presented: [u8; 32] = Sha256::digest(presented).into();
        self.admin.is_some_and(|admin| admin.ct_eq(&presented).into())
    }

    async fn look_up(&self, digest: TokenDigest) -> Result<Principal, Problem> {
        let id = digest.id();
        let found = timeout(STORE_WAIT, self.tokens.find(&id)).await;
        let found = found.unwrap_or_else(|_| Err(StoreError::Unavailable(NoAnswer.into())));
        let found = self.look_ups.note(found).map_err(|_| Problem::Unavailable)?;
        let now = self.clock.now();
        let token = found
            .filter(|token| token.digest == digest && token.standing(now) == Standing::Active)
            .ok_or(Problem::Unauthorized)?;
        let name = token.name.map(Name::stored);
        Ok(Principal { role: token.role, token: Some(id), name, origin: Origin::default() })
    }
}

fn bearer_token(headers: &HeaderMap) -> Option<&[u8]> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(credentials), None) = (given.next(), given.next()) else { return None };
    let (scheme, rest) = credentials.as_bytes().split_at_checked("Bearer".len())?;
    // Any number of spaces, but one at least (RFC 9110, 11.4).
    let token = rest.trim_ascii_start();
    (scheme.eq_ignore_ascii_case(b"Bearer") && rest.starts_with(b" ")).then_some(token)
}

#[cfg(test)]
mod tests;
