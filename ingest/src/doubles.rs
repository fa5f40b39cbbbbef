//! Scripted ports, for timings that no real backend can be made to have, and a stage to play them
//! on. What the real backends do is proven elsewhere.

pub mod feed;
mod heard;
pub mod ledger;

mod cases;
mod claims;
mod limiter;
mod publisher;

use std::{
    collections::BTreeSet,
    ops::{Deref, Range},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::{Router, body::Body, http::Request};
use chrono::{DateTime, NaiveDate, Utc};
use common::{
    clock::{Clock, SystemEntropy},
    config::CorsOrigins,
    domain::{Event, KeyHash, Statistics, SubmissionId, Ticket, TicketNumber, Token, TokenId},
    keys::NumberKey,
    ports::{
        backend::EdgePorts,
        events::{Cursor, EventLog, Page},
        health::{Component, Figures, HealthProbe, Unhealthy},
        statistics::{CacheError, Days, StatisticsCache, StatisticsReader},
        store::{StoreError, TicketReader},
        tokens::TokenReader,
    },
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub use self::heard::Heard;
use self::{
    feed::ScriptedFeed,
    ledger::{ScriptedLedger, ScriptedQueue},
};
use crate::{
    Settings,
    client::Peer,
    edge::{self, Background, Edge},
    openapi, routes,
};
pub use claims::ScriptedClaims;
pub use limiter::{ScriptedLimiter, limits};
pub use publisher::ScriptedPublisher;

pub const ADMIN_TOKEN: &str = "s3cret";
pub const PEER: &str = "192.0.2.1:50000";
pub const NOW: &str = "2026-11-22T10:30:00.000Z";
pub const FORM: &str = r#"{"name":"Ada","email":"ada@example.org","subject":"technical","message":"It is stuck","timestamp":"2026-11-22T10:29:59Z"}"#;

/// Starts at [`NOW`] and goes with tokio's time, paused or not.
pub struct TestClock(pub Instant);

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        NOW.parse::<DateTime<Utc>>().unwrap() + self.0.elapsed()
    }
}

/// How a port behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Willing,
    Slow(Duration),
    Failing,
    /// Failing, after so long.
    Doomed(Duration),
    /// Failing, and nobody knows how far it went.
    Unsure,
    Silent,
}

impl Mood {
    async fn act(self) -> bool {
        match self {
            Self::Willing => true,
            Self::Slow(delay) => {
                sleep(delay).await;
                true
            }
            Self::Failing | Self::Unsure => false,
            Self::Doomed(delay) => {
                sleep(delay).await;
                false
            }
            Self::Silent => std::future::pending().await,
        }
    }
}

/// A store or a cache of statistics, or both.
pub struct ScriptedStore {
    pub mood: Mutex<Mood>,
    pub tickets: Mutex<Vec<Ticket>>,
    pub events: Mutex<Vec<Event>>,
    /// Keys of those tickets.
    pub keys: Mutex<Vec<(KeyHash, SubmissionId)>>,
    pub statistics: Mutex<Option<Statistics>>,
    pub days: Mutex<Days>,
    pub tokens: Mutex<Vec<Token>>,
    pub asked: AtomicUsize,
}

impl ScriptedStore {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            mood: Mutex::new(Mood::Willing),
            tickets: Mutex::default(),
            events: Mutex::default(),
            keys: Mutex::default(),
            statistics: Mutex::default(),
            days: Mutex::default(),
            tokens: Mutex::default(),
            asked: AtomicUsize::new(0),
        })
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    async fn act(&self) -> Result<(), StoreError> {
        self.act_for(1).await
    }

    /// Of what travels together each counts.
    async fn act_for(&self, asked: usize) -> Result<(), StoreError> {
        self.asked.fetch_add(asked, Ordering::Relaxed);
        let mood = *self.mood.lock().unwrap();
        let secret = || StoreError::Unavailable("postgres://internal:5432 refused".into());
        mood.act().await.then_some(()).ok_or_else(secret)
    }

    fn find(&self, is_it: impl Fn(&Ticket) -> bool) -> Option<Ticket> {
        self.tickets.lock().unwrap().iter().find(|ticket| is_it(ticket)).cloned()
    }
}

#[async_trait]
impl TicketReader for ScriptedStore {
    async fn by_numbers(
        &self,
        numbers: &[TicketNumber],
    ) -> Result<Vec<Option<Ticket>>, StoreError> {
        self.act_for(numbers.len()).await?;
        Ok(numbers.iter().map(|number| self.find(|ticket| ticket.number == *number)).collect())
    }

    async fn by_ids(&self, ids: &[SubmissionId]) -> Result<Vec<Option<Ticket>>, StoreError> {
        self.act_for(ids.len()).await?;
        Ok(ids.iter().map(|id| self.find(|ticket| ticket.id == *id)).collect())
    }

    async fn by_key(&self, key: KeyHash) -> Result<Option<Ticket>, StoreError> {
        self.act().await?;
        let keys = self.keys.lock().unwrap().clone();
        Ok(self.find(|ticket| keys.contains(&(key, ticket.id))))
    }
}

#[async_trait]
impl EventLog for ScriptedStore {
    async fn after(&self, cursor: Cursor, limit: u32) -> Result<Page, StoreError> {
        self.act().await?;
        let events = self.events.lock().unwrap();
        let start = usize::try_from(cursor.position).unwrap().min(events.len());
        let end = (start + limit as usize).min(events.len());
        Ok(Page {
            events: events[start..end].to_vec(),
            next: Cursor { position: end as u64, ..cursor },
            has_more: end < events.len(),
        })
    }
}

#[async_trait]
impl TokenReader for ScriptedStore {
    async fn find(&self, id: &TokenId) -> Result<Option<Token>, StoreError> {
        self.act().await?;
        Ok(self.tokens.lock().unwrap().iter().find(|token| token.id() == *id).cloned())
    }
}

#[async_trait]
impl StatisticsReader for ScriptedStore {
    async fn statistics(&self, now: DateTime<Utc>) -> Result<Statistics, StoreError> {
        self.act().await?;
        let kept = self.statistics.lock().unwrap().clone();
        Ok(Statistics { generated_at: now, ..kept.unwrap_or_default() })
    }

    async fn days(&self, days: Range<NaiveDate>) -> Result<Days, StoreError> {
        self.act().await?;
        let all = self.days.lock().unwrap();
        Ok(all.range(days).map(|(date, tally)| (*date, Arc::clone(tally))).collect())
    }
}

#[async_trait]
impl StatisticsCache for ScriptedStore {
    async fn get(&self) -> Result<Option<Statistics>, CacheError> {
        self.act().await.map_err(|error| CacheError(error.into()))?;
        Ok(self.statistics.lock().unwrap().clone())
    }

    async fn put(&self, statistics: &Statistics) -> Result<(), CacheError> {
        *self.statistics.lock().unwrap() = Some(statistics.clone());
        Ok(())
    }

    async fn lease(&self, _holder: &str, _ttl: Duration) -> Result<bool, CacheError> {
        Ok(true)
    }
}

/// Components that are down, and ones that do not answer.
#[derive(Default)]
pub struct ScriptedProbe {
    pub down: Mutex<BTreeSet<Component>>,
    pub silent: Mutex<BTreeSet<Component>>,
}

#[async_trait]
impl HealthProbe for ScriptedProbe {
    async fn probe(&self, component: Component) -> Result<Figures, Unhealthy> {
        if self.silent.lock().unwrap().contains(&component) {
            std::future::pending::<()>().await;
        }
        if self.down.lock().unwrap().contains(&component) {
            return Err(Unhealthy("amqp://internal refused".into()));
        }
        Ok(vec![("figure", 7)])
    }
}

/// The scripted ports of one edge.
pub struct Cast {
    pub publisher: Arc<ScriptedPublisher>,
    pub claims: Arc<ScriptedClaims>,
    pub store: Arc<ScriptedStore>,
    pub cache: Arc<ScriptedStore>,
    pub limiter: Arc<ScriptedLimiter>,
    pub probe: Arc<ScriptedProbe>,
    pub feed: Arc<ScriptedFeed>,
}

impl Cast {
    pub fn new() -> (Self, EdgePorts) {
        let (publisher, receipts) = ScriptedPublisher::new();
        let (store, cache) = (ScriptedStore::new(), ScriptedStore::new());
        let (probe, feed) = (Arc::<ScriptedProbe>::default(), Arc::<ScriptedFeed>::default());
        let claims = Arc::<ScriptedClaims>::default();
        let limiter = Arc::<ScriptedLimiter>::default();
        let ports = EdgePorts {
            publisher: publisher.clone(),
            receipts,
            claims: claims.clone(),
            tickets: store.clone(),
            cases: store.clone(),
            statistics: store.clone(),
            cache: cache.clone(),
            event_log: store.clone(),
            tokens: store.clone(),
            limiter: limiter.clone(),
            ledger: Arc::<ScriptedLedger>::default(),
            queue: Arc::<ScriptedQueue>::default(),
            health: probe.clone(),
            feed: feed.clone(),
        };
        (Self { publisher, claims, store, cache, limiter, probe, feed }, ports)
    }
}

pub fn number_key() -> NumberKey {
    NumberKey::from_hex(&"42".repeat(32)).unwrap()
}

pub fn settings(reply_wait: Duration) -> Settings {
    Settings {
        reply_wait,
        admin_token: Some(ADMIN_TOKEN.into()),
        limits: limits(),
        number_key: Arc::new(number_key()),
        version: "0.0.0-test",
        cors_origins: CorsOrigins::None,
        unaccounted_after: Duration::from_mins(1),
        spool: None,
        exposition: Arc::new(|| "exposed 1\n".to_owned()),
        document: openapi::document(),
        beside: None,
    }
}

/// An edge on scripted ports, asked without a network between.
pub struct Stage {
    pub edge: Arc<Edge>,
    pub router: Router,
    pub cast: Cast,
    pub stop: CancellationToken,
    pub background: Background,
}

impl Deref for Stage {
    type Target = Cast;

    fn deref(&self) -> &Cast {
        &self.cast
    }
}

impl Stage {
    pub fn new() -> Self {
        Self::with_reply_wait(Duration::from_secs(2))
    }

    pub fn with_reply_wait(reply_wait: Duration) -> Self {
        Self::with(&settings(reply_wait))
    }

    pub fn with(settings: &Settings) -> Self {
        let (cast, ports) = Cast::new();
        let (stop, clock) = (CancellationToken::new(), Arc::new(TestClock(Instant::now())));
        let entropy = Arc::new(SystemEntropy);
        let (edge, background) = edge::start(ports, clock, entropy, settings, stop.clone());
        let router = routes::router(edge.clone());
        Self { edge, router, cast, stop, background }
    }

    pub async fn post(&self, body: impl Into<Body>, headers: &[(&str, &str)]) -> Heard {
        let json = [("content-type", "application/json")];
        self.ask("POST", routes::TICKETS, body, [&json, headers].concat()).await
    }

    pub async fn get(&self, path: &str) -> Heard {
        self.ask("GET", path, Body::empty(), vec![]).await
    }

    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        body: impl Into<Body>,
        headers: Vec<(&str, &str)>,
    ) -> Heard {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let peer = Peer(PEER.parse().unwrap());
        let request = request.extension(peer).body(body.into()).unwrap();
        let asked_at = Instant::now();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let heard = Heard::of(answer, asked_at).await;
        heard.assert_is_described(method, path);
        heard
    }
}
