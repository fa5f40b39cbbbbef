//! The limit of guesses at tokens.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::http::request::Parts;
use common::{
    clock::Entropy,
    config::Limits,
    keys::NumberKey,
    ports::limits::{Limiter, PartitionKey, Policy, Quota, Rule, Slot, Standing, Tally},
};
use uuid::Uuid;

use crate::{
    client::{Clients, Peer},
    problem::Problem,
    standing::measure,
};

/// Where a client stood with this limit when its request came, and who has counted. Whoever counts the
/// request under a policy of its own asks for both at once, and leaves this among the request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looked(pub Standing, pub Tally);

/// Limits how often a client may present what admits nobody. A token has 256 bits, which nobody
/// guesses; a key that an operator chose may have fewer.
///
/// Between a look and a count others of the client's may be looked at as well: so many as it has
/// requests under way.
pub struct Guesses {
    clients: Clients,
    limiter: Arc<dyn Limiter>,
    entropy: Arc<dyn Entropy>,
    quota: Option<Quota>,
}

impl Guesses {
    /// As the settings say.
    #[must_use]
    pub fn new(
        limiter: Arc<dyn Limiter>,
        entropy: Arc<dyn Entropy>,
        settings: &Limits,
        number_key: &NumberKey,
    ) -> Self {
        let clients = Clients::new(settings, number_key);
        Self { clients, limiter, entropy, quota: settings.guesses }
    }

    /// Who asks.
    pub(crate) fn client(&self, head: &Parts) -> PartitionKey {
        self.clients.partition_key(self.address(head))
    }

    /// Where they ask from.
    pub(crate) fn address(&self, head: &Parts) -> IpAddr {
        self.clients.walk(head.extensions.get::<Peer>(), &head.headers).address
    }

    /// What a look asks the limiter, if there is a limit.
    pub(crate) fn question(&self) -> Option<Rule> {
        self.quota.map(|quota| Rule { policy: Policy::Guesses, quota, cost: 0 })
    }

    /// Where they stand, if there is a limit.
    pub(crate) async fn standing(&self, client: PartitionKey) -> Option<Standing> {
        Some(self.take(client, self.question()?).await.0)
    }

    /// Refuses who has no guess left, before what they present is looked at. The limiter is not asked again
    /// by whom it was asked already.
    pub(crate) async fn look(
        &self,
        client: PartitionKey,
        looked: Option<Looked>,
    ) -> Result<(), Problem> {
        let Some(rule) = self.question() else { return Ok(()) };
        let Looked(mut standing, tally) = match looked {
            Some(looked) => looked,
            None => self.take(client, rule).await,
        };
        if standing.remaining > 0 {
            return Ok(());
        }
        standing.retry_after = standing.reset;
        refusal(standing, tally)
    }

    /// Counts one that was wrong, or refuses it where others have used up the rest meanwhile.
    pub(crate) async fn count(&self, client: PartitionKey) -> Result<(), Problem> {
        let Some(rule) = self.question() else { return Ok(()) };
        let Looked(standing, tally) = self.take(client, Rule { cost: 1, ..rule }).await;
        refusal(standing, tally)
    }

    async fn take(&self, client: PartitionKey, rule: Rule) -> Looked {
        let mut slot = [0; 16];
        self.entropy.fill(&mut slot);
        let Rule { policy, quota, .. } = rule;
        let slot = Slot(Uuid::from_bytes(slot));
        let decision = self.limiter.take(client, &[rule], slot).await;
        let full = Standing {
            policy,
            quota,
            remaining: quota.count,
            reset: Duration::ZERO,
            retry_after: Duration::ZERO,
        };
        Looked(decision.standings.first().copied().unwrap_or(full), decision.tally)
    }
}

fn refusal(standing: Standing, tally: Tally) -> Result<(), Problem> {
    let problem = Problem::rate_limited(&[standing]);
    measure(Policy::Guesses, problem.is_none(), tally.as_str());
    problem.map_or(Ok(()), Err)
}
