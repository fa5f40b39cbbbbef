//! The promises of `common::ports::tokens`.

use chrono::TimeDelta;
use common::clock::{Clock, SystemClock, SystemEntropy};
use common::domain::{Role, Rotated, Token, TokenId, TokenSecret};

use super::installation::Installation;
use super::on_both_backends;

on_both_backends! {
    a_token_reads_back_as_it_was_registered,
    a_token_once_revoked_stays_revoked_since_then,
    a_token_ends_no_later_than_it_was_to,
    a_rotated_token_says_when_it_was_to_end,
    a_token_nobody_registered_is_not_found,
    tokens_are_listed_in_the_order_of_their_making,
}

/// One of a role, made that many seconds after the first.
fn token(role: Role, seconds: i64) -> Token {
    let created_at = SystemClock.now() + TimeDelta::seconds(seconds);
    Token {
        digest: TokenSecret::generate(&SystemEntropy).digest(),
        name: None,
        role,
        created_at,
        expires_at: None,
        revoked_at: None,
        rotated: None,
    }
}

async fn a_token_reads_back_as_it_was_registered(it: Installation) {
    let (operator, edge) = (it.backend.operator().await, it.backend.edge().await);
    for (seconds, role) in (0..).zip(Role::ALL.iter().copied()) {
        let plain = token(role, seconds);
        let full = Token {
            name: Some("Ada's «λ» 👩‍👩‍👧".to_owned()),
            expires_at: Some(plain.created_at + TimeDelta::days(3_650)),
            ..token(role, seconds)
        };
        for token in [plain, full] {
            operator.tokens.register(&token).await.unwrap();
            assert_eq!(edge.tokens.find(&token.id()).await.unwrap(), Some(token));
        }
    }
}

async fn a_token_once_revoked_stays_revoked_since_then(it: Installation) {
    let (operator, edge) = (it.backend.operator().await, it.backend.edge().await);
    let (revoked, other) = (token(Role::Admin, 0), token(Role::Admin, 1));
    for token in [&revoked, &other] {
        operator.tokens.register(token).await.unwrap();
    }
    let first = SystemClock.now();
    let expected = Token { revoked_at: Some(first), ..revoked.clone() };
    for seconds in [0, 60] {
        let now = first + TimeDelta::seconds(seconds);
        let told = operator.tokens.revoke(&revoked.id(), now).await.unwrap();
        assert_eq!(told.as_ref(), Some(&expected));
        assert_eq!(edge.tokens.find(&revoked.id()).await.unwrap().as_ref(), Some(&expected));
    }
    assert_eq!(edge.tokens.find(&other.id()).await.unwrap(), Some(other), "no other");
}

async fn a_token_ends_no_later_than_it_was_to(it: Installation) {
    let (operator, edge) = (it.backend.operator().await, it.backend.edge().await);
    let (rotated, other) = (token(Role::Agent, 0), token(Role::Agent, 1));
    for token in [&rotated, &other] {
        operator.tokens.register(token).await.unwrap();
    }
    for (days, ends_after) in [(9, 9), (10, 9), (2, 2), (3, 2)] {
        let at = rotated.created_at + TimeDelta::days(days);
        let expires_at = Some(rotated.created_at + TimeDelta::days(ends_after));
        let first = Rotated { at: rotated.created_at, was_to_end_at: None };
        let expected = Some(Token { expires_at, rotated: Some(first), ..rotated.clone() });
        let now = rotated.created_at;
        assert_eq!(operator.tokens.expire(&rotated.id(), at, now).await.unwrap(), expected);
        assert_eq!(edge.tokens.find(&rotated.id()).await.unwrap(), expected);
    }
    assert_eq!(edge.tokens.find(&other.id()).await.unwrap(), Some(other), "no other");
}

async fn a_rotated_token_says_when_it_was_to_end(it: Installation) {
    let operator = it.backend.operator().await;
    let day = TimeDelta::days(1);
    for was_to_end_after in [None, Some(day * 30)] {
        let plain = token(Role::Agent, 0);
        let was_to_end_at = was_to_end_after.map(|after| plain.created_at + after);
        let rotated = Token { expires_at: was_to_end_at, ..plain };
        operator.tokens.register(&rotated).await.unwrap();
        let first = rotated.created_at + day;
        for (round, ends_after) in [(0, 2), (1, 3), (2, 1)] {
            let (now, at) = (first + day * round, first + day * ends_after);
            let told = operator.tokens.expire(&rotated.id(), at, now).await.unwrap().unwrap();
            assert_eq!(told.rotated, Some(Rotated { at: first, was_to_end_at }));
            assert!(operator.tokens.list().await.unwrap().contains(&told));
            let secret = TokenSecret::generate(&SystemEntropy);
            assert_eq!(told.successor(&secret, now, None).expires_at, was_to_end_at);
        }
    }
}

async fn a_token_nobody_registered_is_not_found(it: Installation) {
    let (operator, edge) = (it.backend.operator().await, it.backend.edge().await);
    operator.tokens.register(&token(Role::Admin, 0)).await.unwrap();
    for id in ["", "0123456789ab", "' OR 1=1 --", "%", "👩‍👩‍👧"] {
        let id = TokenId::typed(id);
        assert_eq!(edge.tokens.find(&id).await.unwrap(), None);
        assert_eq!(operator.tokens.revoke(&id, SystemClock.now()).await.unwrap(), None);
        let now = SystemClock.now();
        assert_eq!(operator.tokens.expire(&id, now, now).await.unwrap(), None);
    }
}

async fn tokens_are_listed_in_the_order_of_their_making(it: Installation) {
    let operator = it.backend.operator().await;
    assert_eq!(operator.tokens.list().await.unwrap(), []);
    let mut tokens: Vec<_> = [3, 1, 2].map(|seconds| token(Role::Agent, seconds)).into();
    for token in &tokens {
        operator.tokens.register(token).await.unwrap();
    }
    let now = SystemClock.now();
    tokens[0] = operator.tokens.revoke(&tokens[0].id(), now).await.unwrap().unwrap();
    tokens.sort_by_key(|token| token.created_at);
    assert_eq!(operator.tokens.list().await.unwrap(), tokens, "with those that admit nobody");
}
