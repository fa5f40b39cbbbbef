//! Who may see what only staff may: the bootstrap key of role admin, which needs no store, and the
//! tokens that an operator made.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use common::{
    domain::{Role, Standing, TokenDigest, TokenId},
    ports::{store::StoreError, tokens::TokenReader},
};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::time::timeout;

use crate::{
    condition::{Condition, NoAnswer},
    edge::Edge,
    lookup::STORE_WAIT,
    problem::Problem,
};

/// Who was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// What it admits to.
    pub role: Role,
    /// By which token; the bootstrap key has no id.
    pub token: Option<TokenId>,
}

/// Knows whom to let in.
pub struct Access {
    /// The bootstrap key as a digest: of equal length whatever the key's, so that comparing takes
    /// the same time for any guess, and useless to whoever reads it in a core dump.
    admin: Option<[u8; 32]>,
    tokens: Arc<dyn TokenReader>,
    look_ups: Condition,
}

impl Access {
    /// Without a bootstrap key, or with an empty one, only tokens are admitted.
    pub fn new(admin: Option<&SecretString>, tokens: Arc<dyn TokenReader>) -> Self {
        let admin = admin.map(SecretString::expose_secret).filter(|key| !key.is_empty());
        let admin = admin.map(|key| Sha256::digest(key.as_bytes()).into());
        Self { admin, tokens, look_ups: Condition::new("token look-up") }
    }

    fn is_admin(&self, presented: &[u8]) -> bool {
        let presented: [u8; 32] = Sha256::digest(presented).into();
        self.admin.is_some_and(|admin| admin.ct_eq(&presented).into())
    }
}

/// Admits a request with exactly one `Authorization: Bearer` header that holds the bootstrap key or
/// a token of one of the roles.
///
/// Whoever is not admitted gets the same answer, with or without a token, and an unknown, a revoked
/// and an expired one take the same look into the store, which is taken every time: a token ends
/// with its revocation, not with some copy. Only who holds a valid token of another role is told so.
pub async fn authorize(
    edge: &Edge,
    headers: &HeaderMap,
    roles: &[Role],
) -> Result<Principal, Problem> {
    let presented = bearer_token(headers).unwrap_or_default();
    let principal = if edge.access.is_admin(presented) {
        Principal { role: Role::Admin, token: None }
    } else {
        let digest = TokenDigest::of(presented).ok_or(Problem::Unauthorized)?;
        look_up(edge, digest).await?
    };
    tracing::debug!(role = %principal.role, token = ?principal.token, "authenticated");
    if roles.contains(&principal.role) { Ok(principal) } else { Err(Problem::Forbidden) }
}

async fn look_up(edge: &Edge, digest: TokenDigest) -> Result<Principal, Problem> {
    let (access, id) = (&edge.access, digest.id());
    let found = timeout(STORE_WAIT, access.tokens.find(&id)).await;
    let found = found.unwrap_or_else(|_| Err(StoreError::Unavailable(NoAnswer.into())));
    let found = access.look_ups.note(found).map_err(|_| Problem::Unavailable)?;
    let now = edge.clock.now();
    let token = found
        .filter(|token| token.digest == digest && token.standing(now) == Standing::Active)
        .ok_or(Problem::Unauthorized)?;
    Ok(Principal { role: token.role, token: Some(id) })
}

fn bearer_token(headers: &HeaderMap) -> Option<&[u8]> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(credentials), None) = (given.next(), given.next()) else { return None };
    let (scheme, token) = credentials.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use chrono::TimeDelta;
    use common::{
        clock::SystemEntropy,
        domain::{Token, TokenSecret},
    };

    use super::*;
    use crate::doubles::{ADMIN_TOKEN, Mood, Stage};

    const EVERY_ROLE: &[Role] = Role::ALL;

    async fn admitted(
        stage: &Stage,
        headers: &[&str],
        roles: &[Role],
    ) -> Result<Principal, Problem> {
        let mut given = HeaderMap::new();
        for value in headers {
            given.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        authorize(&stage.edge, &given, roles).await
    }

    /// A token that the store knows.
    fn registered(stage: &Stage, role: Role, change: impl FnOnce(&mut Token)) -> (String, TokenId) {
        let secret = TokenSecret::generate(&SystemEntropy);
        let mut token = Token {
            digest: secret.digest(),
            name: None,
            role,
            created_at: stage.edge.clock.now(),
            expires_at: None,
            revoked_at: None,
        };
        change(&mut token);
        stage.store.tokens.lock().unwrap().push(token);
        (format!("Bearer {}", secret.expose()), secret.digest().id())
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_token_in_one_bearer_header_is_admitted() {
        let stage = Stage::new();
        let (bearer, _) = registered(&stage, Role::Admin, |_| {});
        for token in [ADMIN_TOKEN, &bearer["Bearer ".len()..]] {
            for value in [format!("Bearer {token}"), format!("bearer {token}")] {
                assert!(admitted(&stage, &[&value], EVERY_ROLE).await.is_ok(), "{value}");
            }
            let bearer = format!("Bearer {token}");
            let refused: &[&[&str]] = &[
                &[],
                &[""],
                &["Bearer"],
                &["Bearer "],
                &[&format!("Bearer{token}")],
                &[&bearer[..bearer.len() - 1]],
                &[&format!("{bearer}s")],
                &[&format!("Bearer {}", token.to_uppercase())],
                &[&format!("{bearer} ")],
                &[&format!("Bearer  {token}")],
                &[&format!("{bearer} {token}")],
                &[&format!("{bearer},")],
                &[&format!("Basic {token}")],
                &[token],
                &[&bearer, &bearer],
                &[&bearer, "Bearer wrong"],
            ];
            for headers in refused {
                let refused = admitted(&stage, headers, EVERY_ROLE).await;
                assert_eq!(refused, Err(Problem::Unauthorized), "{headers:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_admits_to_its_role_and_no_other() {
        let stage = Stage::new();
        for role in Role::ALL {
            let (bearer, id) = registered(&stage, *role, |_| {});
            let principal = Principal { role: *role, token: Some(id) };
            assert_eq!(admitted(&stage, &[&bearer], EVERY_ROLE).await, Ok(principal.clone()));
            assert_eq!(admitted(&stage, &[&bearer], &[*role]).await, Ok(principal));
            let others: Vec<_> = Role::ALL.iter().copied().filter(|other| other != role).collect();
            assert_eq!(admitted(&stage, &[&bearer], &others).await, Err(Problem::Forbidden));
        }
        let admin = format!("Bearer {ADMIN_TOKEN}");
        assert_eq!(admitted(&stage, &[&admin], &[Role::Stats]).await, Err(Problem::Forbidden));
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_revoked_and_expired_are_answered_alike_after_one_look() {
        let stage = Stage::new();
        let now = stage.edge.clock.now();
        let (expired, _) = registered(&stage, Role::Admin, |it| it.expires_at = Some(now));
        let (revoked, _) = registered(&stage, Role::Admin, |it| it.revoked_at = Some(now));
        // The store knows one of the same id, and it is not the one presented.
        let (twin, _) = registered(&stage, Role::Admin, |it| {
            let mut bytes = *it.digest.as_bytes();
            bytes[31] ^= 1;
            it.digest = TokenDigest::from_bytes(bytes);
        });
        let unknown = format!("Bearer {}", TokenSecret::generate(&SystemEntropy).expose());
        for bearer in [expired, revoked, twin, unknown] {
            let before = stage.store.asked();
            let refused = admitted(&stage, &[&bearer], EVERY_ROLE).await;
            assert_eq!(refused, Err(Problem::Unauthorized));
            assert_eq!(stage.store.asked(), before + 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_ends_at_its_time_to_the_millisecond() {
        let stage = Stage::new();
        let expires_at = stage.edge.clock.now() + TimeDelta::seconds(1);
        let (bearer, _) = registered(&stage, Role::Stats, |it| it.expires_at = Some(expires_at));
        tokio::time::advance(std::time::Duration::from_millis(999)).await;
        assert!(admitted(&stage, &[&bearer], EVERY_ROLE).await.is_ok());
        tokio::time::advance(std::time::Duration::from_millis(1)).await;
        assert!(admitted(&stage, &[&bearer], EVERY_ROLE).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn without_the_store_the_bootstrap_key_is_admitted_and_tokens_are_a_503() {
        let stage = Stage::new();
        let (bearer, _) = registered(&stage, Role::Admin, |_| {});
        let unknown = format!("Bearer {}", TokenSecret::generate(&SystemEntropy).expose());
        for mood in [Mood::Failing, Mood::Silent] {
            *stage.store.mood.lock().unwrap() = mood;
            let admin = format!("Bearer {ADMIN_TOKEN}");
            assert!(admitted(&stage, &[&admin], EVERY_ROLE).await.is_ok());
            for bearer in [&bearer, &unknown] {
                let refused = admitted(&stage, &[bearer], EVERY_ROLE).await;
                assert_eq!(refused, Err(Problem::Unavailable));
            }
            let refused = admitted(&stage, &["Bearer wrong"], EVERY_ROLE).await;
            assert_eq!(refused, Err(Problem::Unauthorized), "what is no token needs no look");
        }
    }

    #[test]
    fn without_a_bootstrap_key_nothing_is_taken_for_it() {
        let stage_tokens = || crate::doubles::ScriptedStore::new();
        for key in [None, Some(SecretString::from(""))] {
            let access = Access::new(key.as_ref(), stage_tokens());
            for presented in [b"".as_slice(), b"x"] {
                assert!(!access.is_admin(presented));
            }
        }
    }
}
