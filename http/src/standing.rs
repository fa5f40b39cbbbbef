//! Where a client stands with a limit, in headers (`RateLimit-Policy` and `RateLimit`, of the IETF's
//! httpapi working group).

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use common::{
    metrics::LIMIT_DECISIONS,
    ports::limits::{Policy, Standing},
};

const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// `"create";q=3;w=600` and `"create";r=2;t=431`: in `t` seconds more is left, by which time a
/// little later is better than a little too early.
pub fn tell(headers: &mut HeaderMap, standing: &Standing) {
    let Standing { policy, quota, remaining, reset, .. } = standing;
    let (name, reset_s) = (policy.as_str(), whole_seconds(*reset));
    let limit = format!("\"{name}\";q={};w={}", quota.count, quota.window.as_secs());
    let state = format!("\"{name}\";r={remaining};t={reset_s}");
    for (header, text) in [(RATE_LIMIT_POLICY, limit), (RATE_LIMIT, state)] {
        // Told once: the refusal's own policy gives way to the route's, or is told again.
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(header, value);
        }
    }
}

/// Rounded up.
#[must_use]
pub fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// Counts what a limit decided, and who did: `all` instances, or which of one instance's own means.
pub fn measure(policy: Policy, is_admitted: bool, by: &'static str) {
    let outcome = if is_admitted { "admitted" } else { "refused" };
    LIMIT_DECISIONS.increment(&[("policy", policy.as_str()), ("outcome", outcome), ("by", by)]);
}
