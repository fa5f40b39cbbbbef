//! Who came first, among all edges: Redis says. While it is away each edge says so for itself, and
//! what an edge has learnt it does not forget when Redis does.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use common::{
    claims::{Claim, Hold, LocalClaims},
    domain::SubmissionId,
    keys::hex,
    ports::claims::{ClaimName, Claimed, Claims},
};
use deadpool_redis::redis;
use uuid::Uuid;

use crate::redis::Redis;

/// Sets a claim unless there is one, and tells the one there is and for how much longer. Whoever is
/// told goes by it, so from then on it is marked as shared.
const CLAIM: &str = r"
local claim = redis.call('GET', KEYS[1])
if not claim then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return false
end
if not string.find(claim, ' ') then
  claim = claim .. ' shared'
  redis.call('SET', KEYS[1], claim, 'KEEPTTL')
end
return {claim, redis.call('PTTL', KEYS[1])}
";

/// Between a look and a removal another may have claimed it, or been told of it.
const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
";

/// Whatever else it was marked with before.
const ACCEPT: &str = r"
local claim = redis.call('GET', KEYS[1])
if not claim or string.sub(claim, 1, #ARGV[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1] .. ' accepted', 'KEEPTTL')
return 1
";

pub(crate) struct SharedClaims {
    redis: Arc<Redis>,
    known: LocalClaims,
}

impl SharedClaims {
    pub(crate) fn new(redis: Arc<Redis>) -> Self {
        Self { redis, known: LocalClaims::standing_in() }
    }

    /// Whose the name is by Redis's word, `None` if it was nobody's before.
    async fn ask(&self, name: ClaimName, claim: &Claim) -> Option<Option<Claim>> {
        // All that is noted ends by this time and not by the answer's, a moment before it does in
        // Redis: later, and edges that ask in turn would hand a claim on to each other for ever.
        let asked_at = Instant::now();
        let left = claim.ends_at.saturating_duration_since(asked_at);
        // Redis refuses a time of zero.
        let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1);
        let (key, value) = (key(name), written(claim));
        // Most claims are the first, for which a command of the server's own does, at a fraction of the
        // script's price. Any other asks again, of what may have changed in between.
        let mut first = redis::cmd("SET");
        first.arg(&key).arg(&value).arg("NX").arg("PX").arg(left_ms);
        if self.redis.call::<Option<String>>(first).await.ok()?.is_some() {
            return Some(None);
        }
        let mut command = redis::cmd("EVAL");
        command.arg(CLAIM).arg(1).arg(key).arg(value).arg(left_ms);
        let told: Option<(String, u64)> = self.redis.call(command).await.ok()?;
        Some(told.and_then(|(text, left_ms)| {
            let (id, hold) = read(&text)?;
            Some(Claim { id, hold, ends_at: asked_at + Duration::from_millis(left_ms) })
        }))
    }
}

#[async_trait]
impl Claims for SharedClaims {
    async fn claim(&self, name: ClaimName, id: SubmissionId, ttl: Duration) -> Claimed {
        let known = self.known.find(name);
        // What is known here is claimed again: Redis may have been emptied, or away, since.
        let first = Claim { id, hold: Hold::Sole, ends_at: Instant::now() + ttl };
        let claim = known.map_or(first, Claim::shared);
        match self.ask(name, &claim).await {
            Some(Some(held)) => {
                self.known.note(name, held);
                held.told()
            }
            Some(None) => {
                self.known.note(name, claim);
                known.map_or(Claimed::First, |_| claim.told())
            }
            None => self.known.claim(name, id, ttl),
        }
    }

    async fn accept(&self, name: ClaimName, id: SubmissionId) {
        self.known.accept(name, id);
        let mut command = redis::cmd("EVAL");
        command.arg(ACCEPT).arg(1).arg(key(name)).arg(id.to_string());
        // One that is not marked costs a repeat a slot, which is the same slot as before.
        let _: Result<u64, _> = self.redis.call(command).await;
    }

    async fn release(&self, name: ClaimName, id: SubmissionId) -> bool {
        let was_known = self.known.release(name, id);
        let mut command = redis::cmd("EVAL");
        command.arg(RELEASE).arg(1).arg(key(name)).arg(id.to_string());
        // One that stays ends by itself, and until then leads a repeat to the same id.
        self.redis.call(command).await.map_or(was_known, |released: u64| released > 0)
    }
}

/// As Redis holds it: the id, and behind a space how certainly the name is its.
fn written(Claim { id, hold, .. }: &Claim) -> String {
    match hold {
        Hold::Sole => id.to_string(),
        Hold::Shared => format!("{id} shared"),
        Hold::Accepted => format!("{id} accepted"),
    }
}

fn read(text: &str) -> Option<(SubmissionId, Hold)> {
    let (id, hold) = match text.split_once(' ') {
        None => (text, Hold::Sole),
        Some((id, "accepted")) => (id, Hold::Accepted),
        Some((id, _)) => (id, Hold::Shared),
    };
    Some((Uuid::try_parse(id).ok()?.into(), hold))
}

fn key(name: ClaimName) -> String {
    format!("supportline:claim:{}", hex(&name.0))
}
