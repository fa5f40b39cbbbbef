//! Who may see what only staff may: the bootstrap key of role admin, which needs no store, and the
//! tokens that an operator made.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::http::{HeaderMap, header, request::Parts};
use chrono::{DateTime, Utc};
use common::{
    clock::Clock,
    domain::{Name, Origin, Role, Standing, TokenDigest, TokenId},
    ports::{limits, tokens::TokenReader},
    trace::Trace,
};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::time::Instant;

use crate::{
    condition::{Condition, in_time},
    guesses::{Guesses, Looked},
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
    /// From when on the token admits nobody.
    pub expires_at: Option<DateTime<Utc>>,
    /// From where.
    pub origin: Origin,
}

/// Somebody who was let in and is served for long, and how long ago it was known that they may be.
pub struct Stay {
    token: Option<TokenId>,
    expires_at: Option<DateTime<Utc>>,
    /// When it was last asked.
    asked_at: Instant,
    /// When the answer was last known.
    confirmed_at: Instant,
}

impl Stay {
    /// Begins with having been let in.
    #[must_use]
    pub fn of(principal: &Principal) -> Self {
        let now = Instant::now();
        Self {
            token: principal.token.clone(),
            expires_at: principal.expires_at,
            asked_at: now,
            confirmed_at: now,
        }
    }

    /// When it was last asked whether they may stay.
    #[must_use]
    pub const fn asked_at(&self) -> Instant {
        self.asked_at
    }
}

/// How long somebody may stay while the store cannot say whether they may. A database that is started
/// anew or taken over is back by then, and its clients need not all come again; a token that was revoked
/// meanwhile hears and reads no longer than that.
pub const UNCONFIRMED_MAX: Duration = Duration::from_mins(1);

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
        self.guesses.look(client, head.extensions.get::<Looked>().copied()).await?;
        let known = self.known(bearer_token(&head.headers).unwrap_or_default()).await;
        if known == Err(Problem::Unauthorized) {
            self.guesses.count(client).await?;
        }
        known.map(|principal| Principal { origin: self.origin(head), ..principal })
    }

    /// What is asked of the limiter before what such a request presents is looked at. The answer may be left
    /// among the request's extensions, as [`Looked`], by whoever asks the limiter something anyway.
    #[must_use]
    pub fn question(&self, headers: &HeaderMap) -> Option<limits::Rule> {
        headers.contains_key(header::AUTHORIZATION).then(|| self.guesses.question())?
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
            Principal {
                role: Role::Admin,
                token: None,
                name: None,
                expires_at: None,
                origin: Origin::default(),
            }
        } else {
            let digest = TokenDigest::of(presented).ok_or(Problem::Unauthorized)?;
            self.look_up(digest).await?
        };
        tracing::debug!(role = %principal.role, token = ?principal.token, "authenticated");
        Ok(principal)
    }

    /// Whether somebody who stays would be let in now, as of a look into the store that is no older than
    /// `age_max`. That a token's time is over is known without one. While the store says nothing they
    /// would, for as long as [`UNCONFIRMED_MAX`].
    pub async fn still_admits(&self, stay: &mut Stay, age_max: Duration) -> bool {
        let Some(id) = &stay.token else {
            // The bootstrap key ends with the process. That was asked all the same: else the caller would
            // ask again at once, without end.
            stay.asked_at = Instant::now();
            return true;
        };
        if stay.expires_at.is_some_and(|expires_at| expires_at <= self.clock.now()) {
            return false;
        }
        if stay.asked_at.elapsed() < age_max {
            return true;
        }
        let answer = in_time(self.tokens.find(id)).await;
        stay.asked_at = Instant::now();
        let Ok(found) = answer else {
            return stay.confirmed_at.elapsed() < UNCONFIRMED_MAX;
        };
        stay.confirmed_at = stay.asked_at;
        let now = self.clock.now();
        let token = found.filter(|token| token.standing(now) == Standing::Active);
        // Its end may have come nearer.
        stay.expires_at = token.as_ref().and_then(|token| token.expires_at);
        token.is_some()
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
        let found = self
            .look_ups
            .note(in_time(self.tokens.find(&id)).await)
            .map_err(|_| Problem::Unavailable)?;
        let now = self.clock.now();
        let token = found
            .filter(|token| token.digest == digest && token.standing(now) == Standing::Active)
            .ok_or(Problem::Unauthorized)?;
        Ok(Principal {
            role: token.role,
            token: Some(id),
            name: token.name.map(Name::stored),
            expires_at: token.expires_at,
            origin: Origin::default(),
        })
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
