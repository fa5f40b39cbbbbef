//! How often a client may ask: what is counted for each route, and the headers that tell it
//! (`RateLimit-Policy` and `RateLimit`, of the IETF's httpapi working group).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
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
    body,
    client::{Clients, Peer, Walk},
    edge::Edge,
    finishing::Finishing,
    guesses::Looked,
    problem::Problem,
    standing::{measure, tell, whole_seconds},
};

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
            // Counted by other means.
            Policy::Attempts | Policy::Guesses => None,
        };
        quota.map(|quota| Rule { policy, quota, cost })
    }

    /// Where the client stands with every policy that is on, and who has counted.
    pub async fn standings(&self, key: PartitionKey) -> (Vec<Standing>, Tally) {
        let policies = [Policy::Create, Policy::Lookup, Policy::Stats];
        let rules: Vec<_> = policies.iter().filter_map(|it| self.rule(*it, 0)).collect();
        let Decision { mut standings, tally, .. } =
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
    /// A slot that was taken for what is not known to be accepted.
    not_kept: Arc<Mutex<Option<Uuid>>>,
}

/// What was said of a slot; nothing where there is no limit.
pub struct Told(Option<(Policy, Option<Problem>, Tally)>);

impl Told {
    /// Takes it for said.
    pub fn stands(self) -> Result<(), Problem> {
        let Some((policy, problem, tally)) = self.0 else { return Ok(()) };
        measure(policy, problem.is_none(), tally.as_str());
        problem.map_or(Ok(()), Err)
    }
}

impl Account {
    fn of(limits: &Arc<Limits>, request: &Request) -> Self {
        let key = limits.clients.partition_key(limits.walk(request).address);
        Self { limits: Arc::clone(limits), key, told: Arc::default(), not_kept: Arc::default() }
    }

    /// Takes a slot, or says that there is none left. One that was free before is this request's to
    /// [keep](Account::keep).
    pub async fn take(&self, policy: Policy, slot: Uuid) -> Result<(), Problem> {
        self.ask(policy, slot).await.stands()
    }

    /// The same of a slot that may turn out not to be the one: what was said counts once it stands.
    pub async fn ask(&self, policy: Policy, slot: Uuid) -> Told {
        self.ask_beside(policy, slot, None).await.0
    }

    /// The same, with a look at the guesses' limit in the same call, if one is wanted.
    async fn ask_beside(
        &self,
        policy: Policy,
        slot: Uuid,
        look: Option<Rule>,
    ) -> (Told, Option<Looked>) {
        let Some(rule) = self.limits.rule(policy, 1) else { return (Told(None), None) };
        let rules: Vec<_> = [rule].into_iter().chain(look).collect();
        let decision = self.limits.limiter.take(self.key, &rules, Slot(slot)).await;
        let looked = decision.standings.get(1).map(|it| Looked(*it, decision.tally));
        let (problem, tally) = (Problem::rate_limited(&decision.standings), decision.tally);
        if decision.has_changed {
            *self.not_kept() = Some(slot);
        }
        self.note(decision);
        (Told(Some((policy, problem, tally))), looked)
    }

    /// Keeps the slot. One that another request took may be given back by it in the meantime.
    pub async fn keep(&self, policy: Policy, slot: Uuid) {
        if self.not_kept().take().is_none() {
            self.charge(policy, slot, 1).await;
        }
    }

    /// Leaves the slot to another request, which needs it.
    pub fn leave(&self) {
        *self.not_kept() = None;
    }

    /// Raises what the slot costs, as far as there is room.
    async fn charge(&self, policy: Policy, slot: Uuid, cost: u32) {
        if let Some(rule) = self.limits.rule(policy, cost) {
            self.note(self.limits.limiter.charge(self.key, &[rule], Slot(slot)).await);
        }
    }

    /// Frees the slot that was taken and not kept, whatever became of who took it.
    pub async fn give_back(&self, policy: Policy) {
        let slot = self.not_kept().take();
        if let (Some(slot), Some(rule)) = (slot, self.limits.rule(policy, 1)) {
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
        // Nothing panics under these locks.
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) =
            decision.standings.into_iter().next();
    }

    fn told(&self) -> Option<Standing> {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn not_kept(&self) -> MutexGuard<'_, Option<Uuid>> {
        self.not_kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_into(&self, headers: &mut HeaderMap) {
        let Some(standing) = self.told() else { return };
        tell(headers, &standing);
        let reset_s = whole_seconds(standing.reset);
        let after = headers.get(header::RETRY_AFTER).and_then(|after| after.to_str().ok());
        // Whoever comes back as told, after whatever problem, is to find room.
        if standing.remaining == 0
            && after.is_some_and(|it| it.parse().is_ok_and(|it: u64| it < reset_s))
        {
            headers.insert(header::RETRY_AFTER, reset_s.into());
        }
    }
}

/// Around every route: counts for it what its policy says.
pub async fn limited<F: Future<Output = Response> + Send + 'static>(
    policy: Option<Policy>,
    edge: &Arc<Edge>,
    request: Request,
    next: impl FnOnce(Request) -> F + Send + 'static,
) -> Response {
    match policy {
        None | Some(Policy::Guesses) => next(request).await,
        Some(Policy::Create | Policy::Attempts) => submissions(edge, request, next).await,
        Some(Policy::Lookup) => look_ups(edge, request, next).await,
        Some(Policy::Stats) => statistics(edge, request, next).await,
    }
}

/// Around `POST`: counts the attempt before the body is read, in this process alone, so that a
/// flood costs nothing beyond it. Submissions are counted by their handler, once they are valid.
async fn submissions<F: Future<Output = Response> + Send + 'static>(
    edge: &Edge,
    mut request: Request,
    next: impl FnOnce(Request) -> F + Send + 'static,
) -> Response {
    let account = Account::of(&edge.limits, &request);
    let refused = edge.limits.attempts.as_ref().and_then(|guard| {
        let taken = guard.take(account.key, 1);
        measure(Policy::Attempts, taken.is_ok(), "guard");
        Some(refusal(guard.standing(account.key, Some(taken.err()?))))
    });
    let mut response = if let Some(refusal) = refused {
        let (head, body) = request.into_parts();
        body::decline(&head.headers, body, refusal).await
    } else {
        request.extensions_mut().insert(account.clone());
        // Goes to its end also when the sender hangs up: a place is taken for what becomes a ticket, and
        // given back for what does not.
        Finishing::of(async move {
            let mut response = next(request).await;
            account.give_back(Policy::Create).await;
            account.look(Policy::Create).await;
            account.write_into(response.headers_mut());
            response
        })
        .await
    };
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Prefer"));
    response
}

/// Around look-ups, live ones included. What finds nothing is charged more, afterwards: before, it
/// is not known.
async fn look_ups<F: Future<Output = Response>>(
    edge: &Edge,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let (account, slot) = (Account::of(&edge.limits, &request), edge.limits.slot());
    let mut response = match account.take(Policy::Lookup, slot).await {
        Ok(()) => next(request).await,
        Err(problem) => problem.into_response(),
    };
    if response.status() == StatusCode::NOT_FOUND {
        account.charge(Policy::Lookup, slot, MISS_COST).await;
    }
    account.write_into(response.headers_mut());
    response
}

/// Around the statistics, whoever asks: it limits guesses at the token, too. How many of those a client has
/// left is asked along with it.
async fn statistics<F: Future<Output = Response>>(
    edge: &Edge,
    mut request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let account = Account::of(&edge.limits, &request);
    let look = edge.access.question(request.headers());
    let (told, looked) = account.ask_beside(Policy::Stats, edge.limits.slot(), look).await;
    if let Some(looked) = looked {
        request.extensions_mut().insert(looked);
    }
    let mut response = match told.stands() {
        Ok(()) => next(request).await,
        Err(problem) => problem.into_response(),
    };
    account.write_into(response.headers_mut());
    response
}

/// 429 of a policy that is not the route's own.
fn refusal(standing: Standing) -> Response {
    Problem::rate_limited(&[standing]).unwrap_or(Problem::Internal).into_response()
}

#[cfg(test)]
mod tests;
