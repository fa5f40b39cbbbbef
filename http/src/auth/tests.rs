use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::http::{HeaderValue, Request};
use chrono::{DateTime, TimeDelta, Utc};
use common::{
    clock::SystemEntropy,
    config::{AddressHeader, Limits},
    domain::{Token, TokenSecret},
    keys::NumberKey,
    ports::limits::{Decision, Limiter, PartitionKey, Quota, Rule, Slot, Tally},
};
use tokio::time::Instant;

use common::ports::store::StoreError;

use super::*;
use crate::client::Peer;
use crate::condition::STORE_WAIT;

const EVERY_ROLE: &[Role] = Role::ALL;
const ADMIN_TOKEN: &str = "s3cret";

/// Goes with tokio's time, from the beginning of the era on.
struct TestClock(Instant);

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + self.0.elapsed()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Willing,
    Failing,
    Silent,
}

/// A store of tokens.
struct ScriptedStore {
    mood: Mutex<Mood>,
    tokens: Mutex<Vec<Token>>,
    asked: AtomicUsize,
}

#[async_trait]
impl TokenReader for ScriptedStore {
    async fn find(&self, id: &TokenId) -> Result<Option<Token>, StoreError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Willing => {}
            Mood::Failing => return Err(StoreError::Unavailable("away".into())),
            Mood::Silent => std::future::pending().await,
        }
        Ok(self.tokens.lock().unwrap().iter().find(|token| token.id() == *id).cloned())
    }
}

/// The most guesses, and how long they count, as the limiter here says.
const QUOTA: Quota = Quota { count: 3, window: Duration::from_mins(10) };

/// Counts for each client, and forgets nothing.
#[derive(Default)]
struct Tallies(Mutex<HashMap<PartitionKey, u32>>);

#[async_trait]
impl Limiter for Tallies {
    async fn take(&self, key: PartitionKey, rules: &[Rule], _: Slot) -> Decision {
        let (rule, mut all) = (rules[0], self.0.lock().unwrap());
        let taken = all.entry(key).or_default();
        let fits = *taken + rule.cost <= rule.quota.count;
        *taken += if fits { rule.cost } else { 0 };
        let standing = limits::Standing {
            policy: rule.policy,
            quota: rule.quota,
            remaining: rule.quota.count - *taken,
            reset: Duration::from_secs(431),
            retry_after: if fits { Duration::ZERO } else { Duration::from_secs(431) },
        };
        Decision { standings: vec![standing], has_changed: fits, tally: Tally::Exact }
    }

    async fn charge(&self, _: PartitionKey, _: &[Rule], _: Slot) -> Decision {
        unreachable!("a guess costs one")
    }

    async fn give_back(&self, _: PartitionKey, _: &[Rule], _: Slot) -> Decision {
        unreachable!("a guess is one")
    }
}

fn settings(guesses: Option<Quota>) -> Limits {
    Limits {
        trusted_proxies: vec![],
        address_header: AddressHeader::XForwardedFor,
        create: None,
        lookup: None,
        stats: None,
        attempts: None,
        guesses,
    }
}

struct Stage {
    access: Access,
    store: Arc<ScriptedStore>,
    clock: Arc<TestClock>,
}

impl Stage {
    fn with(key: Option<&str>, limit: Option<Quota>) -> Self {
        let store = Arc::new(ScriptedStore {
            mood: Mutex::new(Mood::Willing),
            tokens: Mutex::default(),
            asked: AtomicUsize::new(0),
        });
        let clock = Arc::new(TestClock(Instant::now()));
        let number_key = NumberKey::from_hex(&"42".repeat(32)).unwrap();
        let limiter = Arc::<Tallies>::default();
        let guesses = Guesses::new(limiter, Arc::new(SystemEntropy), &settings(limit), &number_key);
        let access = Access::new(
            key.map(SecretString::from).as_ref(),
            store.clone(),
            clock.clone(),
            guesses,
        );
        Self { access, store, clock }
    }

    fn new() -> Self {
        Self::with(Some(ADMIN_TOKEN), None)
    }

    fn asked(&self) -> usize {
        self.store.asked.load(Ordering::Relaxed)
    }
}

/// A request's head from there, with these lines of `Authorization`.
fn head(address: &str, authorizations: &[&str]) -> Parts {
    let peer = Peer((address.parse::<std::net::IpAddr>().unwrap(), 50_000).into());
    let mut request = Request::new(());
    request.extensions_mut().insert(peer);
    for value in authorizations {
        let value = HeaderValue::from_str(value).unwrap();
        request.headers_mut().append(header::AUTHORIZATION, value);
    }
    request.into_parts().0
}

async fn admitted(stage: &Stage, headers: &[&str], roles: &[Role]) -> Result<Principal, Problem> {
    stage.access.authorize(&head("192.0.2.1", headers), roles).await
}

/// A token that the store knows.
fn registered(stage: &Stage, role: Role, change: impl FnOnce(&mut Token)) -> (String, TokenId) {
    let secret = TokenSecret::generate(&SystemEntropy);
    let mut token = Token {
        digest: secret.digest(),
        name: None,
        role,
        created_at: stage.clock.now(),
        expires_at: None,
        revoked_at: None,
        rotated: None,
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
        for value in ["Bearer ", "bearer ", "Bearer   "].map(|scheme| format!("{scheme}{token}")) {
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
        let origin = Origin { address: Some("192.0.2.1".to_owned()), request_id: None };
        let principal =
            Principal { role: *role, token: Some(id), name: None, expires_at: None, origin };
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
    let now = stage.clock.now();
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
        let before = stage.asked();
        let refused = admitted(&stage, &[&bearer], EVERY_ROLE).await;
        assert_eq!(refused, Err(Problem::Unauthorized));
        assert_eq!(stage.asked(), before + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_ends_at_its_time_to_the_millisecond() {
    let stage = Stage::new();
    let expires_at = stage.clock.now() + TimeDelta::seconds(1);
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

/// Somebody who was let in with a token.
async fn stay(stage: &Stage, bearer: &str) -> Stay {
    Stay::of(&admitted(stage, &[bearer], EVERY_ROLE).await.unwrap())
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn who_stays_does_so_until_the_token_ends_and_the_store_is_asked_only_so_often() {
    let stage = Stage::new();
    let expires_at = stage.clock.now() + TimeDelta::minutes(5);
    let (bearer, _) = registered(&stage, Role::Agent, |it| it.expires_at = Some(expires_at));
    let mut visitor = stay(&stage, &bearer).await;
    let asked = stage.asked();
    for _ in 0..3 {
        assert!(stage.access.still_admits(&mut visitor, SECOND).await);
    }
    assert_eq!(stage.asked(), asked, "it was known a moment ago");
    tokio::time::advance(SECOND).await;
    assert!(stage.access.still_admits(&mut visitor, SECOND).await);
    assert_eq!(stage.asked(), asked + 1);
    // It is rotated, and its end comes nearer.
    let sooner = stage.clock.now() + TimeDelta::seconds(30);
    stage.store.tokens.lock().unwrap()[0].expires_at = Some(sooner);
    tokio::time::advance(SECOND).await;
    assert!(stage.access.still_admits(&mut visitor, SECOND).await);
    // That its time is over needs no store.
    *stage.store.mood.lock().unwrap() = Mood::Failing;
    tokio::time::advance(28 * SECOND).await;
    assert!(stage.access.still_admits(&mut visitor, SECOND).await);
    let asked = stage.asked();
    tokio::time::advance(SECOND).await;
    assert!(!stage.access.still_admits(&mut visitor, SECOND).await);
    assert_eq!(stage.asked(), asked);
}

#[tokio::test(start_paused = true)]
async fn who_stays_while_nobody_can_tell_does_so_for_a_minute() {
    for mood in [Mood::Failing, Mood::Silent] {
        let stage = Stage::new();
        let (bearer, _) = registered(&stage, Role::Agent, |_| {});
        let mut visitor = stay(&stage, &bearer).await;
        tokio::time::advance(30 * SECOND).await;
        assert!(stage.access.still_admits(&mut visitor, SECOND).await);
        let confirmed_at = Instant::now();
        *stage.store.mood.lock().unwrap() = mood;
        while confirmed_at.elapsed() + STORE_WAIT < UNCONFIRMED_MAX {
            assert!(stage.access.still_admits(&mut visitor, SECOND).await);
            tokio::time::advance(SECOND).await;
        }
        tokio::time::advance(STORE_WAIT).await;
        assert!(!stage.access.still_admits(&mut visitor, SECOND).await, "{mood:?}");
        // The store is back in time for somebody else, and for the bootstrap key it need not be.
        *stage.store.mood.lock().unwrap() = Mood::Willing;
        assert!(stage.access.still_admits(&mut visitor, Duration::ZERO).await);
        let mut admin = stay(&stage, &format!("Bearer {ADMIN_TOKEN}")).await;
        *stage.store.mood.lock().unwrap() = mood;
        tokio::time::advance(2 * UNCONFIRMED_MAX).await;
        assert!(stage.access.still_admits(&mut admin, SECOND).await);
    }
}

#[tokio::test]
async fn without_a_bootstrap_key_nothing_is_taken_for_it() {
    for key in [None, Some("")] {
        let stage = Stage::with(key, None);
        for presented in [b"".as_slice(), b"x"] {
            assert!(!stage.access.is_admin(presented));
        }
    }
}
#[tokio::test(start_paused = true)]
async fn whoever_has_guessed_too_often_is_heard_no_further_and_nobody_else_is_affected() {
    let stage = Stage::with(Some(ADMIN_TOKEN), Some(QUOTA));
    let (bearer, _) = registered(&stage, Role::Admin, |_| {});
    let (revoked, _) = registered(&stage, Role::Admin, |it| it.revoked_at = Some(it.created_at));
    let unknown = format!("Bearer {}", TokenSecret::generate(&SystemEntropy).expose());
    for wrong in ["Basic x", &revoked, &unknown] {
        let refused = admitted(&stage, &[wrong], EVERY_ROLE).await;
        assert_eq!(refused, Err(Problem::Unauthorized), "{wrong}");
    }
    let asked = stage.asked();
    for bearer in ["Bearer wrong", &unknown, &bearer, &format!("Bearer {ADMIN_TOKEN}")] {
        let Err(Problem::RateLimited { violated, retry_after_s }) =
            admitted(&stage, &[bearer], EVERY_ROLE).await
        else {
            panic!("{bearer} was looked at")
        };
        assert_eq!((violated[0].policy.as_str(), retry_after_s), ("guesses", 431));
    }
    assert_eq!(stage.asked(), asked, "nor is the store asked");
    let other = stage.access.authorize(&head("192.0.2.2", &[&bearer]), EVERY_ROLE).await;
    assert!(other.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_admits_or_is_no_token_or_cannot_be_looked_up_is_no_guess() {
    let stage = Stage::with(Some(ADMIN_TOKEN), Some(QUOTA));
    let (bearer, _) = registered(&stage, Role::Stats, |_| {});
    for _ in 0..10 {
        assert!(admitted(&stage, &[&bearer], EVERY_ROLE).await.is_ok());
        assert_eq!(admitted(&stage, &[&bearer], &[]).await, Err(Problem::Forbidden));
        assert_eq!(admitted(&stage, &[], EVERY_ROLE).await, Err(Problem::Unauthorized));
        *stage.store.mood.lock().unwrap() = Mood::Failing;
        assert_eq!(admitted(&stage, &[&bearer], EVERY_ROLE).await, Err(Problem::Unavailable));
        *stage.store.mood.lock().unwrap() = Mood::Willing;
    }
}

/// All of them are looked at before the first is counted.
#[tokio::test(start_paused = true)]
async fn of_guesses_at_the_same_time_no_more_are_told_that_they_were_wrong() {
    let stage = Stage::with(None, Some(QUOTA));
    let unknown = format!("Bearer {}", TokenSecret::generate(&SystemEntropy).expose());
    let guess = || async { admitted(&stage, &[&unknown], EVERY_ROLE).await };
    let told = futures_util::future::join_all((0..10).map(|_| guess())).await;
    let wrong = told.iter().filter(|it| **it == Err(Problem::Unauthorized)).count();
    assert_eq!(wrong, 3);
}
