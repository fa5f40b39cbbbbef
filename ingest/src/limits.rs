//! How often a client may ask: what is counted for each route, and the headers that tell it
//! (`RateLimit-Policy` and `RateLimit`, of the IETF's httpapi working group).

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use common::{
    clock::Entropy,
    config,
    guard::Guard,
    keys::NumberKey,
    ports::limits::{Decision, Limiter, PartitionKey, Policy, Quota, Rule, Slot, Standing, Tally},
};
use uuid::Uuid;

use crate::{
    client::{Clients, Peer, Walk},
    edge::Edge,
    problem::Problem,
};

const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// What a look-up costs that finds nothing. Whoever tries numbers is out of look-ups after five;
/// whoever mistypes one is not.
pub const MISS_COST: u32 = 4;

/// What is counted, and by whom.
pub struct Limits {
    pub clients: Clients,
    limiter: Arc<dyn Limiter>,
    entropy: Arc<dyn Entropy>,
    create: Option<Quota>,
    lookup: Option<Quota>,
    stats: Option<Quota>,
    attempts: Option<Guard>,
}

impl Limits {
    pub fn new(
        limiter: Arc<dyn Limiter>,
        entropy: Arc<dyn Entropy>,
        settings: &config::Limits,
        number_key: &NumberKey,
    ) -> Self {
        Self {
            clients: Clients::new(settings, number_key),
            limiter,
            entropy,
            create: settings.create,
            lookup: settings.lookup,
            stats: settings.stats,
            attempts: settings.attempts.map(|quota| Guard::smooth(Policy::Attempts, quota)),
        }
    }

    /// The rule of a policy; none when it is off.
    fn rule(&self, policy: Policy, cost: u32) -> Option<Rule> {
        let quota = match policy {
            Policy::Create => self.create,
            Policy::Lookup => self.lookup,
            Policy::Stats => self.stats,
            Policy::Attempts => None,
        };
        quota.map(|quota| Rule { policy, quota, cost })
    }

    /// Where the client stands with every policy that is on, and who has counted.
    pub async fn standings(&self, key: PartitionKey) -> (Vec<Standing>, Tally) {
        let policies = [Policy::Create, Policy::Lookup, Policy::Stats];
        let rules: Vec<_> = policies.iter().filter_map(|it| self.rule(*it, 0)).collect();
        let Decision { mut standings, tally } =
            self.limiter.take(key, &rules, Slot(Uuid::nil())).await;
        standings.extend(self.attempts.as_ref().map(|guard| guard.standing(key, None)));
        (standings, tally)
    }

    /// Whose request this is.
    pub fn walk(&self, request: &Request) -> Walk {
        self.clients.walk(request.extensions().get::<Peer>(), request.headers())
    }

    fn slot(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes);
        Uuid::from_bytes(bytes)
    }
}

/// A client's account with the policies of one request. Handlers find it among the extensions.
#[derive(Clone)]
pub struct Account {
    limits: Arc<Limits>,
    key: PartitionKey,
    told: Arc<Mutex<Option<Standing>>>,
}

impl Account {
    fn of(limits: &Arc<Limits>, request: &Request) -> Self {
        let key = limits.clients.partition_key(limits.walk(request).address);
        Self { limits: Arc::clone(limits), key, told: Arc::default() }
    }

    /// Takes a slot, or says that there is none left.
    pub async fn take(&self, policy: Policy, slot: Uuid) -> Result<(), Problem> {
        let Some(rule) = self.limits.rule(policy, 1) else { return Ok(()) };
        let decision = self.limits.limiter.take(self.key, &[rule], Slot(slot)).await;
        let problem = Problem::rate_limited(&decision.standings);
        self.note(decision);
        problem.map_or(Ok(()), Err)
    }

    /// Raises what the slot costs, as far as there is room.
    async fn charge(&self, policy: Policy, slot: Uuid, cost: u32) {
        if let Some(rule) = self.limits.rule(policy, cost) {
            self.note(self.limits.limiter.charge(self.key, &[rule], Slot(slot)).await);
        }
    }

    /// Frees the slot.
    pub async fn give_back(&self, policy: Policy, slot: Uuid) {
        if let Some(rule) = self.limits.rule(policy, 1) {
            self.note(self.limits.limiter.give_back(self.key, &[rule], Slot(slot)).await);
        }
    }

    /// Looks where the client stands, unless it is known.
    async fn look(&self, policy: Policy) {
        let is_known = self.told().is_some();
        if let Some(rule) = self.limits.rule(policy, 0).filter(|_| !is_known) {
            self.note(self.limits.limiter.take(self.key, &[rule], Slot(Uuid::nil())).await);
        }
    }

    fn note(&self, decision: Decision) {
        // Nothing panics under this lock.
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) =
            decision.standings.into_iter().next();
    }

    fn told(&self) -> Option<Standing> {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_into(&self, headers: &mut HeaderMap) {
        if let Some(standing) = self.told() {
            tell(headers, &standing);
        }
    }
}

/// Around `POST`: counts the attempt before the body is read, in this process alone, so that a
/// flood costs nothing beyond it. Submissions are counted by their handler, once they are valid.
pub async fn submissions(
    State(edge): State<Arc<Edge>>,
    mut request: Request,
    next: Next,
) -> Response {
    let account = Account::of(&edge.limits, &request);
    if let Some(guard) = &edge.limits.attempts
        && let Err(refused) = guard.take(account.key, 1)
    {
        return refusal(guard.standing(account.key, Some(refused)));
    }
    request.extensions_mut().insert(account.clone());
    let mut response = next.run(request).await;
    account.look(Policy::Create).await;
    account.write_into(response.headers_mut());
    response
}

/// Around look-ups, live ones included. What finds nothing is charged more, afterwards: before, it
/// is not known.
pub async fn look_ups(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let (account, slot) = (Account::of(&edge.limits, &request), edge.limits.slot());
    let mut response = match account.take(Policy::Lookup, slot).await {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    if response.status() == StatusCode::NOT_FOUND {
        account.charge(Policy::Lookup, slot, MISS_COST).await;
    }
    account.write_into(response.headers_mut());
    response
}

/// Around the statistics, whoever asks: it limits guesses at the token, too.
pub async fn statistics(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let account = Account::of(&edge.limits, &request);
    let mut response = match account.take(Policy::Stats, edge.limits.slot()).await {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    account.write_into(response.headers_mut());
    response
}

/// 429 of a policy that is not the route's own.
fn refusal(standing: Standing) -> Response {
    let problem = Problem::rate_limited(&[standing]).unwrap_or(Problem::Internal);
    let mut response = problem.into_response();
    tell(response.headers_mut(), &standing);
    response
}

/// `"create";q=3;w=600` and `"create";r=2;t=431`: in `t` seconds more is left, by which time a
/// little later is better than a little too early.
fn tell(headers: &mut HeaderMap, standing: &Standing) {
    let Standing { policy, quota, remaining, reset, .. } = standing;
    let (name, reset_s) = (policy.as_str(), whole_seconds(*reset));
    let limit = format!("\"{name}\";q={};w={}", quota.count, quota.window.as_secs());
    let state = format!("\"{name}\";r={remaining};t={reset_s}");
    for (header, text) in [(RATE_LIMIT_POLICY, limit), (RATE_LIMIT, state)] {
        headers.extend(HeaderValue::try_from(text).ok().map(|value| (header, value)));
    }
}

/// Rounded up.
pub fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        doubles::{ADMIN_TOKEN, FORM, Heard, Mood, Stage},
        routes::TICKETS,
    };

    /// What the limiter was asked: the verb and the first rule's policy and cost.
    fn asked(stage: &Stage) -> Vec<(&'static str, &'static str, u32)> {
        let mut asked = stage.limiter.asked.lock().unwrap();
        let told = |(verb, rules, _): (&'static str, Vec<Rule>, Slot)| {
            (verb, rules[0].policy.as_str(), rules[0].cost)
        };
        asked.drain(..).map(told).collect()
    }

    fn refuse_for(stage: &Stage, milliseconds: u64) {
        *stage.limiter.refuses_for.lock().unwrap() = Some(Duration::from_millis(milliseconds));
    }

    fn assert_told(heard: &Heard, policy: &str, state: &str) {
        assert_eq!(heard.header("ratelimit-policy"), policy, "{heard:?}");
        assert_eq!(heard.header("ratelimit"), state);
    }

    #[tokio::test(start_paused = true)]
    async fn every_limited_route_tells_its_limit_admitted_or_not() {
        let stage = Stage::new();
        let created = stage.post(FORM, &[]).await;
        assert_eq!(created.status, 201);
        assert_told(&created, "\"create\";q=3;w=600", "\"create\";r=2;t=431");
        let invalid = stage.post("{", &[]).await;
        assert_eq!(invalid.status, 400);
        assert_told(&invalid, "\"create\";q=3;w=600", "\"create\";r=3;t=431");
        let id = created.json["data"]["id"].as_str().unwrap();
        for path in [format!("{TICKETS}/{id}"), format!("{TICKETS}/{id}/events")] {
            stage.limiter.asked.lock().unwrap().clear();
            let request = Request::get(path).body(axum::body::Body::empty()).unwrap();
            let answer = tower::ServiceExt::oneshot(stage.router.clone(), request).await.unwrap();
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.headers()["ratelimit-policy"], "\"lookup\";q=20;w=300");
            assert_eq!(asked(&stage), [("take", "lookup", 1)]);
        }
        let statistics = stage.get("/api/support/stats").await;
        assert_eq!(statistics.code(), (401, "unauthorized"));
        assert_told(&statistics, "\"stats\";q=30;w=60", "\"stats\";r=29;t=431");
        for path in ["/livez", "/api/support/health", "/api/support/whoami", "/nowhere"] {
            assert!(!stage.get(path).await.headers.contains_key("ratelimit"), "{path}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_names_the_policy_and_comes_no_earlier_than_it_says() {
        let stage = Stage::new();
        refuse_for(&stage, 430_001);
        let refused = [
            (stage.post(FORM, &[]).await, "create"),
            (stage.get(&format!("{TICKETS}/x")).await, "lookup"),
            (stage.get(&format!("{TICKETS}/x/events")).await, "lookup"),
            (stage.get("/api/support/stats").await, "stats"),
        ];
        for (heard, policy) in refused {
            assert_eq!(heard.code(), (429, "rate_limited"));
            assert_eq!(heard.json["violated-policies"], json!([policy]));
            assert_eq!(heard.header("retry-after"), "431");
            assert!(heard.header("ratelimit").ends_with(";r=0;t=431"));
        }
        assert_eq!(stage.publisher.sizes(), [0; 0]);
        assert_eq!(stage.store.asked(), 0, "what is refused costs no more than that");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slot_is_taken_by_a_valid_form_and_given_back_when_it_is_not_accepted() {
        let stage = Stage::new();
        for body in ["", "[]", "{}", &FORM.replace("technical", "other")] {
            assert!([400, 422].contains(&stage.post(body.to_owned(), &[]).await.status));
            assert_eq!(asked(&stage), [("take", "create", 0)], "{body}");
        }
        assert_eq!(stage.post(FORM, &[]).await.status, 201);
        assert_eq!(asked(&stage), [("take", "create", 1)]);
        for mood in [Mood::Failing, Mood::Silent] {
            *stage.publisher.mood.lock().unwrap() = mood;
            *stage.publisher.receipts_after.lock().unwrap() = None;
            let form = FORM.replace("stuck", &format!("{mood:?}"));
            assert_eq!(stage.post(form, &[]).await.status, 503);
            let slots: Vec<_> = stage.limiter.asked.lock().unwrap().iter().map(|it| it.2).collect();
            assert_eq!(slots[0], slots[1]);
            assert_eq!(asked(&stage), [("take", "create", 1), ("give back", "create", 1)]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_submission_sent_again_is_counted_under_the_same_slot() {
        let stage = Stage::new();
        for _ in 0..2 {
            stage.post(FORM, &[("idempotency-key", "order-66")]).await;
        }
        let slots: Vec<_> = stage.limiter.asked.lock().unwrap().iter().map(|it| it.2).collect();
        let submission = stage.publisher.envelopes.lock().unwrap()[0][0].id;
        assert_eq!(slots, [Slot(submission.as_uuid()); 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_up_that_finds_nothing_costs_four() {
        let stage = Stage::new();
        for reference in ["SUP-2026-000001", "x", "01a202c3-c662-7aeb-85b5-ac7a63952b19"] {
            let heard = stage.get(&format!("{TICKETS}/{reference}")).await;
            assert_eq!(heard.status, 404);
            assert_told(&heard, "\"lookup\";q=20;w=300", "\"lookup\";r=16;t=431");
            assert_eq!(asked(&stage), [("take", "lookup", 1), ("charge", "lookup", 4)]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_refused_before_the_body_is_read() {
        let stage = Stage::new();
        for _ in 0..300 {
            assert_eq!(stage.post("", &[]).await.status, 400);
        }
        asked(&stage);
        let never = axum::body::Body::from_stream(futures_util::stream::pending::<
            Result<bytes::Bytes, std::io::Error>,
        >());
        let heard = stage.post(never, &[]).await;
        assert_eq!((heard.code(), heard.after), ((429, "rate_limited"), Duration::ZERO));
        assert_eq!(heard.json["violated-policies"], json!(["attempts"]));
        assert_eq!(heard.header("retry-after"), "2");
        assert_told(&heard, "\"attempts\";q=300;w=600", "\"attempts\";r=0;t=2");
        assert_eq!(asked(&stage), [], "nobody else is asked");
    }

    #[tokio::test(start_paused = true)]
    async fn whoami_shows_the_address_that_is_counted_and_why() {
        let stage = Stage::new();
        assert_eq!(stage.get("/api/support/whoami").await.code(), (401, "unauthorized"));
        let bearer = format!("Bearer {ADMIN_TOKEN}");
        let headers = vec![("authorization", &*bearer), ("x-forwarded-for", "6.6.6.6")];
        let heard = stage.ask("GET", "/api/support/whoami", "", headers).await;
        let data = &heard.json["data"];
        assert_eq!([&data["address"], &data["countedAs"], &data["peer"]], [&json!("192.0.2.1"); 3]);
        assert_eq!(data["header"], "x-forwarded-for");
        assert_eq!(data["trustedProxies"], json!(["10.0.0.0/8"]));
        assert_eq!(data["countedBy"], "all instances");
        let chain = data["chain"].as_array().unwrap();
        assert_eq!((&chain[1]["said"], &chain[1]["trusted"]), (&json!("6.6.6.6"), &json!(false)));
        let limits: Vec<_> = data["limits"].as_array().unwrap().iter().collect();
        let policies: Vec<_> = limits.iter().map(|it| it["policy"].as_str().unwrap()).collect();
        assert_eq!(policies, ["create", "lookup", "stats", "attempts"]);
        let create = json!({
            "policy": "create", "quota": 3, "windowSeconds": 600, "remaining": 3, "resetSeconds": 431
        });
        assert_eq!(*limits[0], create);
        assert_eq!(asked(&stage), [("take", "create", 0)]);
    }
}
