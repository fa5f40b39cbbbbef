//! The limiter: how often a client may do something, counted across all instances together.
//!
//! Guarantees:
//! - `at_most_the_quota_in_any_window`, wherever the window begins: the log slides, and is exact;
//! - `the_next_one_is_admitted_once_the_first_is_a_window_old`, and not a moment later;
//! - `all_rules_of_a_request_are_taken_or_none`: what is refused is charged to nobody;
//! - `the_same_slot_counts_once`, however often it is taken, and the first time says so;
//! - `a_slot_given_back_is_free_again`;
//! - `a_charge_takes_what_is_left_and_refuses_nobody`;
//! - `a_rule_without_cost_only_looks`;
//! - `keys_and_policies_do_not_share_a_budget`.
//!
//! They hold while [`Decision::tally`] says [`Tally::Exact`]. A limiter whose memory is away goes on
//! by itself: it neither fails nor waits, it just counts less well, and says so.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use uuid::Uuid;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// Submissions that were accepted.
    Create,
    /// Look-ups of tickets; one that finds nothing costs more.
    Lookup,
    /// Reads of the statistics.
    Stats,
    /// Tries to submit, whatever becomes of them.
    Attempts,
    /// Tokens that were presented and admitted nobody.
    Guesses,
}

impl Policy {
    /// Its name in headers, problems, keys and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Lookup => "lookup",
            Self::Stats => "stats",
            Self::Attempts => "attempts",
            Self::Guesses => "guesses",
        }
    }
}

/// So much in any stretch of time that is so long. Both are at least one (of a second).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    /// How much.
    pub count: u32,
    /// How long.
    pub window: Duration,
}

/// Who is counted: 16 bytes of a keyed hash, so that no memory of a limiter holds an address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PartitionKey([u8; 16]);

impl PartitionKey {
    /// Of bytes that are a keyed hash.
    #[must_use]
    pub const fn new(hash: [u8; 16]) -> Self {
        Self(hash)
    }

    /// Half of it, which is a keyed hash as well. That two of 65,536 clients have the same comes once in
    /// some billions of times, and then they share what is left to one.
    #[must_use]
    pub const fn half(&self) -> u64 {
        match self.0.first_chunk() {
            Some(half) => u64::from_be_bytes(*half),
            None => 0,
        }
    }

    /// One of 4,096 keys that all others share among them. A memory that is full counts by these,
    /// so that it stays bounded however many come, and nobody goes uncounted.
    #[must_use]
    pub const fn folded(&self) -> Self {
        let mut folded = [0xFF; 16];
        folded[0] = self.0[0];
        folded[1] = self.0[1] & 0x0F;
        Self(folded)
    }
}

/// Lower-case hexadecimal digits.
impl fmt::Display for PartitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PartitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartitionKey({self})")
    }
}

/// Names what is counted, such as a submission by its id: under one name it counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot(pub Uuid);

/// A policy with its quota, and what a request costs under it. Zero only looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Which policy.
    pub policy: Policy,
    /// Its quota.
    pub quota: Quota,
    /// How much of the quota the slot stands for, at most all of it.
    pub cost: u32,
}

/// Where a client stands with a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Which policy.
    pub policy: Policy,
    /// Its quota.
    pub quota: Quota,
    /// What is left of the quota.
    pub remaining: u32,
    /// In how long what was counted first is a window old, and more is left; zero when nothing is
    /// counted.
    pub reset: Duration,
    /// In how long there is room for the cost; zero where there is.
    pub retry_after: Duration,
}

impl Standing {
    /// Whether this policy refuses the request.
    #[must_use]
    pub const fn is_violated(&self) -> bool {
        !self.retry_after.is_zero()
    }
}

/// Who has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tally {
    /// All instances together, exactly.
    Exact,
    /// This instance alone, while the common memory is away.
    StandIn,
}

impl Tally {
    /// As metrics name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "all",
            Self::StandIn => "stand_in",
        }
    }
}

/// What the limiter says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// One for each rule, in their order.
    pub standings: Vec<Standing>,
    /// Whether anything was taken, raised or freed: not what is refused, and not what the slot had
    /// before.
    pub has_changed: bool,
    /// Who has counted.
    pub tally: Tally,
}

impl Decision {
    /// Whether no policy refuses the request.
    #[must_use]
    pub fn is_admitted(&self) -> bool {
        !self.standings.iter().any(Standing::is_violated)
    }
}

/// Counts.
#[async_trait]
pub trait Limiter: Send + Sync {
    /// Takes the slot under every rule if there is room under all of them, else under none.
    async fn take(&self, key: PartitionKey, rules: &[Rule], slot: Slot) -> Decision;

    /// Raises what the slot costs to the rules' costs, as far as there is room: for what turned out
    /// to be dearer than it looked. Refuses nothing.
    async fn charge(&self, key: PartitionKey, rules: &[Rule], slot: Slot) -> Decision;

    /// Frees what the slot has taken under the rules.
    async fn give_back(&self, key: PartitionKey, rules: &[Rule], slot: Slot) -> Decision;
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn folding_leaves_4096_keys() {
        let all = (0..=u16::MAX).map(|number| {
            let mut hash = [7; 16];
            hash[..2].copy_from_slice(&number.to_be_bytes());
            PartitionKey::new(hash).folded()
        });
        let all: HashSet<_> = all.collect();
        assert_eq!(all.len(), 4_096);
        assert_eq!(all.iter().map(PartitionKey::half).collect::<HashSet<_>>().len(), 4_096);
        assert_eq!(PartitionKey::new([0xAB; 16]).to_string(), "ab".repeat(16));
    }
}
