//! Who came first, among all edges: Redis says. While it is away each edge says so for itself, and
//! what an edge has learnt it does not forget when Redis does.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use common::{
    claims::LocalClaims,
    domain::SubmissionId,
    keys::hex,
    ports::claims::{ClaimName, Claimed, Claims},
};
use deadpool_redis::redis::{self, FromRedisValue};
use uuid::Uuid;

use crate::redis::{Away, Redis};

/// Sets a claim unless there is one, and tells the one there is. (`SET … NX GET` needs Redis 7.)
const CLAIM: &str = r"
local holder = redis.call('GET', KEYS[1])
if not holder then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return holder
";

/// Between a look and a removal another may have claimed it.
const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
";

pub(crate) struct SharedClaims {
    redis: Arc<Redis>,
    known: LocalClaims,
}

impl SharedClaims {
    pub(crate) fn new(redis: Arc<Redis>) -> Self {
        Self { redis, known: LocalClaims::default() }
    }

    /// Whose the name is by Redis's word, `None` if it was nobody's before.
    async fn ask(
        &self,
        name: ClaimName,
        id: SubmissionId,
        ttl: Duration,
    ) -> Option<Option<SubmissionId>> {
        // Redis refuses a time of zero.
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut command = redis::cmd("EVAL");
        command.arg(CLAIM).arg(1).arg(key(name)).arg(id.to_string()).arg(ttl_ms);
        let holder: Option<String> = self.call(&command).await.ok()?;
        Some(holder.and_then(|id| Uuid::try_parse(&id).ok()).map(SubmissionId::from))
    }

    async fn call<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, Away> {
        self.redis.call(async |mut connection| command.query_async(&mut connection).await).await
    }
}

#[async_trait]
impl Claims for SharedClaims {
    async fn claim(&self, name: ClaimName, id: SubmissionId, ttl: Duration) -> Claimed {
        // What is known here is claimed again: Redis may have been emptied, or away, since.
        let known = self.known.holder(name);
        let (claimant, ttl) = known.unwrap_or((id, ttl));
        let holder = match self.ask(name, claimant, ttl).await {
            Some(Some(holder)) => holder,
            Some(None) if known.is_none() => {
                self.known.note(name, id, ttl);
                return Claimed::First;
            }
            Some(None) => claimant,
            None => return self.known.claim(name, id, ttl),
        };
        self.known.note(name, holder, ttl);
        Claimed::Taken(holder)
    }

    async fn release(&self, name: ClaimName, id: SubmissionId) {
        self.known.release(name, id);
        let mut command = redis::cmd("EVAL");
        command.arg(RELEASE).arg(1).arg(key(name)).arg(id.to_string());
        // One that stays ends by itself, and until then leads a repeat to the same id.
        let _: Result<u64, _> = self.call(&command).await;
    }
}

fn key(name: ClaimName) -> String {
    format!("supportline:claim:{}", hex(&name.0))
}
