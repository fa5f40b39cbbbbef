//! Scripted ports, and a stage to play them on. What the real backends do is proven elsewhere.

mod cases;
mod heard;
mod index;
mod letters;
mod people;
mod records;
mod transfers;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use axum::{Router, body::Body, http::Request, response::Response};
use chrono::{DateTime, Utc};
use common::{
    clock::{Clock, SystemEntropy},
    config::{AddressHeader, Limits},
    domain::{OperatorAction, Role, Rotated, SubmissionId, Token, TokenId, TokenSecret},
    keys::NumberKey,
    ports::{
        actions::{ActionLog, RecordedAction},
        backend::{DeskPorts, OperatorPorts},
        health::{Component, Figures, HealthProbe, Unhealthy},
        ledger::{Balance, Entry, Ledger},
        limits::{Decision, Limiter, PartitionKey, Rule, Slot, Tally},
        store::StoreError,
        tokens::{TokenReader, TokenRegistry},
    },
};
use http::client::Peer;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::{Settings, desk::Desk, routes};
pub use cases::{ScriptedCases, ScriptedFeed};
pub use heard::Heard;
pub use index::ScriptedIndex;
pub use letters::ScriptedLetters;
pub use people::ScriptedPeople;
pub use transfers::{ScriptedExports, ScriptedIntake, ScriptedIntakes};

pub const ADMIN_TOKEN: &str = "s3cret";
pub const NOW: &str = "2026-11-22T10:30:00.000Z";

struct TestClock;

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        NOW.parse().unwrap()
    }
}

/// A store of tokens, of the record and of the ledger. It can be away, as a whole or to be written to.
#[derive(Default)]
pub struct ScriptedStore {
    pub tokens: Mutex<Vec<Token>>,
    pub actions: Mutex<Vec<OperatorAction>>,
    pub is_away: Mutex<bool>,
    pub has_no_room_for_actions: Mutex<bool>,
    /// How long it takes to read some entries of a record.
    pub reading_takes: Mutex<Duration>,
    /// How often some were read.
    pub reads: Mutex<usize>,
}

impl ScriptedStore {
    fn reached(&self) -> Result<(), StoreError> {
        let is_away = *self.is_away.lock().unwrap();
        (!is_away).then_some(()).ok_or_else(|| StoreError::Unavailable("internal: away".into()))
    }

    /// What is on record: who, what, to what.
    pub fn on_record(&self) -> Vec<String> {
        let actions = self.actions.lock().unwrap();
        let told = |it: &OperatorAction| format!("{} {} {}", it.actor, it.action, it.subject);
        actions.iter().map(told).collect()
    }

    /// A token of this role, made at the beginning of time.
    pub fn add(&self, role: Role, change: impl FnOnce(&mut Token)) -> (String, TokenId) {
        let secret = TokenSecret::generate(&SystemEntropy);
        let mut token = Token {
            digest: secret.digest(),
            name: None,
            role,
            created_at: DateTime::UNIX_EPOCH,
            expires_at: None,
            revoked_at: None,
            rotated: None,
        };
        change(&mut token);
        self.tokens.lock().unwrap().push(token);
        (secret.expose().to_owned(), secret.digest().id())
    }
}

#[async_trait]
impl TokenReader for ScriptedStore {
    async fn find(&self, id: &TokenId) -> Result<Option<Token>, StoreError> {
        self.reached()?;
        Ok(self.tokens.lock().unwrap().iter().find(|token| token.id() == *id).cloned())
    }
}

#[async_trait]
impl TokenRegistry for ScriptedStore {
    async fn register(&self, token: &Token) -> Result<(), StoreError> {
        self.reached()?;
        self.tokens.lock().unwrap().push(token.clone());
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Token>, StoreError> {
        self.reached()?;
        Ok(self.tokens.lock().unwrap().clone())
    }

    async fn revoke(&self, id: &TokenId, now: DateTime<Utc>) -> Result<Option<Token>, StoreError> {
        self.reached()?;
        let mut tokens = self.tokens.lock().unwrap();
        let Some(token) = tokens.iter_mut().find(|token| token.id() == *id) else {
            return Ok(None);
        };
        token.revoked_at.get_or_insert(now);
        Ok(Some(token.clone()))
    }

    async fn expire(
        &self,
        id: &TokenId,
        at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Option<Token>, StoreError> {
        self.reached()?;
        let mut tokens = self.tokens.lock().unwrap();
        let Some(token) = tokens.iter_mut().find(|token| token.id() == *id) else {
            return Ok(None);
        };
        token.rotated.get_or_insert(Rotated { at: now, was_to_end_at: token.expires_at });
        token.expires_at = Some(token.expires_at.map_or(at, |before| before.min(at)));
        Ok(Some(token.clone()))
    }
}

#[async_trait]
impl ActionLog for ScriptedStore {
    async fn record(&self, actions: &[OperatorAction]) -> Result<(), StoreError> {
        self.reached()?;
        if *self.has_no_room_for_actions.lock().unwrap() {
            return Err(StoreError::Unavailable("internal: no room".into()));
        }
        self.actions.lock().unwrap().extend_from_slice(actions);
        Ok(())
    }

    async fn latest(&self, _limit: u32) -> Result<Vec<RecordedAction>, StoreError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Ledger for ScriptedStore {
    async fn enter(&self, _entries: &[Entry]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn strike_stored(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn strike(&self, _ids: &[SubmissionId]) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn mark(&self, _horizon: DateTime<Utc>) -> Result<(), StoreError> {
        Ok(())
    }

    async fn balance(&self) -> Result<Balance, StoreError> {
        Ok(Balance::default())
    }
}

/// Is not asked: no limit is set.
struct NoLimiter;

#[async_trait]
impl Limiter for NoLimiter {
    async fn take(&self, _: PartitionKey, _: &[Rule], _: Slot) -> Decision {
        Decision { standings: Vec::new(), has_changed: false, tally: Tally::Exact }
    }

    async fn charge(&self, key: PartitionKey, rules: &[Rule], slot: Slot) -> Decision {
        self.take(key, rules, slot).await
    }

    async fn give_back(&self, key: PartitionKey, rules: &[Rule], slot: Slot) -> Decision {
        self.take(key, rules, slot).await
    }
}

struct Well;

#[async_trait]
impl HealthProbe for Well {
    async fn probe(&self, _component: Component) -> Result<Figures, Unhealthy> {
        Ok(Vec::new())
    }
}

fn settings() -> Settings {
    Settings {
        admin_token: Some(ADMIN_TOKEN.into()),
        limits: Limits {
            trusted_proxies: vec![],
            address_header: AddressHeader::XForwardedFor,
            create: None,
            lookup: None,
            stats: None,
            attempts: None,
            guesses: None,
        },
        number_key: Arc::new(NumberKey::from_hex(&"42".repeat(32)).unwrap()),
        retention: None,
    }
}

/// A desk on scripted ports, asked without a network between.
pub struct Stage {
    router: Router,
    pub store: Arc<ScriptedStore>,
    pub letters: Arc<ScriptedLetters>,
    pub cases: Arc<ScriptedCases>,
    pub feed: Arc<ScriptedFeed>,
    pub people: Arc<ScriptedPeople>,
    pub exports: Arc<ScriptedExports>,
    pub intake: Arc<ScriptedIntake>,
    pub index: Arc<ScriptedIndex>,
    pub stop: CancellationToken,
}

impl Stage {
    pub fn new() -> Self {
        let (store, letters) = (Arc::<ScriptedStore>::default(), Arc::<ScriptedLetters>::default());
        let (cases, feed) = (Arc::<ScriptedCases>::default(), Arc::<ScriptedFeed>::default());
        let people = Arc::new(ScriptedPeople { cases: cases.clone(), ..ScriptedPeople::default() });
        let (exports, intake) =
            (Arc::<ScriptedExports>::default(), Arc::<ScriptedIntake>::default());
        let index = Arc::<ScriptedIndex>::default();
        let ports = DeskPorts {
            tokens: store.clone(),
            limiter: Arc::new(NoLimiter),
            cases: cases.clone(),
            index: index.clone(),
            feed: feed.clone(),
            operator: OperatorPorts {
                tokens: store.clone(),
                dead_letters: letters.clone(),
                ledger: store.clone(),
                actions: store.clone(),
                people: people.clone(),
                cases: cases.clone(),
                exports: exports.clone(),
                intakes: Arc::new(ScriptedIntakes(intake.clone())),
                records: store.clone(),
            },
            health: Arc::new(Well),
        };
        let (clock, entropy) = (Arc::new(TestClock), Arc::new(SystemEntropy));
        let stop = CancellationToken::new();
        let desk = Desk::new(ports, clock, entropy, &settings(), stop.clone());
        Self {
            router: routes::router(Arc::new(desk)),
            store,
            letters,
            cases,
            feed,
            exports,
            intake,
            people,
            index,
            stop,
        }
    }

    /// Asks with these lines of `Authorization` and, if there is one, this JSON body.
    pub async fn ask_with(
        &self,
        (method, path): (&str, &str),
        authorizations: &[&str],
        body: &str,
    ) -> Heard {
        let lines: Vec<_> = authorizations.iter().map(|it| ("authorization", *it)).collect();
        self.ask_with_headers((method, path), &lines, body).await
    }

    /// Changes a ticket as somebody who may, with these lines of `If-Match`.
    pub async fn ask_if_match(&self, path: &str, tags: &[&str], body: &str) -> Heard {
        let bearer = format!("Bearer {ADMIN_TOKEN}");
        let lines = tags.iter().map(|tag| ("if-match", *tag));
        let lines: Vec<_> = lines.chain([("authorization", bearer.as_str())]).collect();
        self.ask_with_headers(("PATCH", path), &lines, body).await
    }

    /// Opens a stream with this token.
    pub async fn open(&self, path: &str, token: &str) -> Response {
        let bearer = format!("Bearer {token}");
        self.answer(("GET", path), &[("authorization", &bearer)], "").await
    }

    pub async fn ask_with_headers(
        &self,
        (method, path): (&str, &str),
        lines: &[(&str, &str)],
        body: &str,
    ) -> Heard {
        let heard = Heard::of(self.answer((method, path), lines, body).await).await;
        heard.assert_is_described(method, path);
        heard
    }

    pub async fn answer(
        &self,
        (method, path): (&str, &str),
        lines: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        if !body.is_empty() && !lines.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        let request = request.extension(Peer("192.0.2.1:50000".parse().unwrap()));
        self.sent(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// Sends any request.
    pub async fn sent(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Asks as somebody who may.
    pub async fn ask(&self, method: &str, path: &str, body: &str) -> Heard {
        let bearer = format!("Bearer {ADMIN_TOKEN}");
        self.ask_with((method, path), &[&bearer], body).await
    }

    /// Asks with this token.
    pub async fn ask_as(&self, token: &str, method: &str, path: &str, body: &str) -> Heard {
        self.ask_with((method, path), &[&format!("Bearer {token}")], body).await
    }
}
