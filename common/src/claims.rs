//! Claims in one process's memory: all there are in an embedded installation, and in a distributed
//! one the stand-in for what the edges share.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    domain::SubmissionId,
    ports::claims::{ClaimName, Claimed},
};

/// The most claims remembered, about ten megabytes. Beyond it the oldest are forgotten: at that rate
/// the process has other worries than a form that is sent twice.
const CLAIMS_MAX: usize = 100_000;

/// Remembers names, each with the id it belongs to, until their time is over.
pub struct LocalClaims {
    kept: Mutex<Kept>,
    claims_max: usize,
}

#[derive(Default)]
struct Kept {
    claims: HashMap<ClaimName, Claim>,
    /// Names in the order in which they were written, with the time that tells a claim from a
    /// later one of the same name.
    written: VecDeque<(ClaimName, Instant)>,
}

#[derive(Clone, Copy)]
struct Claim {
    id: SubmissionId,
    ends_at: Instant,
}

impl Default for LocalClaims {
    fn default() -> Self {
        Self { kept: Mutex::default(), claims_max: CLAIMS_MAX }
    }
}

impl LocalClaims {
    /// Claims a name for an id unless it is taken.
    pub fn claim(&self, name: ClaimName, id: SubmissionId, ttl: Duration) -> Claimed {
        let now = Instant::now();
        let mut kept = self.kept();
        if let Some(claim) = kept.find(name, now) {
            return Claimed::Taken(claim.id);
        }
        kept.write(name, Claim { id, ends_at: now + ttl }, now, self.claims_max);
        Claimed::First
    }

    /// Whose a name is, and for how much longer.
    #[must_use]
    pub fn holder(&self, name: ClaimName) -> Option<(SubmissionId, Duration)> {
        let now = Instant::now();
        self.kept().find(name, now).map(|claim| (claim.id, claim.ends_at - now))
    }

    /// Notes whose a name is by a better authority's word.
    pub fn note(&self, name: ClaimName, id: SubmissionId, ttl: Duration) {
        let now = Instant::now();
        self.kept().write(name, Claim { id, ends_at: now + ttl }, now, self.claims_max);
    }

    /// Gives a name back, if it is this id's.
    pub fn release(&self, name: ClaimName, id: SubmissionId) {
        let claims = &mut self.kept().claims;
        if claims.get(&name).is_some_and(|claim| claim.id == id) {
            claims.remove(&name);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A change that broke off half-way could only forget a claim.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn find(&self, name: ClaimName, now: Instant) -> Option<Claim> {
        self.claims.get(&name).copied().filter(|claim| claim.ends_at > now)
    }

    fn write(&mut self, name: ClaimName, claim: Claim, now: Instant, claims_max: usize) {
        // What has had its time goes, and so does the oldest of too many.
        while let Some(&(oldest, ends_at)) = self.written.front()
            && (ends_at <= now || self.written.len() >= claims_max)
        {
            self.written.pop_front();
            if self.claims.get(&oldest).is_some_and(|claim| claim.ends_at == ends_at) {
                self.claims.remove(&oldest);
            }
        }
        self.claims.insert(name, claim);
        self.written.push_back((name, claim.ends_at));
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    fn name(number: u8) -> ClaimName {
        ClaimName([number; 16])
    }

    fn id(number: u128) -> SubmissionId {
        Uuid::from_u128(number).into()
    }

    #[test]
    fn the_first_claim_counts_until_its_time_is_over_or_it_is_released() {
        let claims = LocalClaims::default();
        assert_eq!(claims.claim(name(1), id(1), LONG), Claimed::First);
        assert_eq!(claims.claim(name(1), id(2), LONG), Claimed::Taken(id(1)));
        assert_eq!(claims.claim(name(1), id(1), LONG), Claimed::Taken(id(1)));
        assert_eq!(claims.claim(name(2), id(2), Duration::ZERO), Claimed::First);
        assert_eq!(claims.claim(name(2), id(3), LONG), Claimed::First);
        claims.release(name(1), id(2));
        assert_eq!(claims.claim(name(1), id(2), LONG), Claimed::Taken(id(1)));
        claims.release(name(1), id(1));
        assert_eq!(claims.claim(name(1), id(2), LONG), Claimed::First);
    }

    #[test]
    fn a_better_authoritys_word_replaces_ours() {
        let claims = LocalClaims::default();
        assert_eq!(claims.holder(name(1)), None);
        claims.note(name(1), id(7), LONG);
        assert_eq!(claims.claim(name(1), id(1), LONG), Claimed::Taken(id(7)));
        claims.note(name(1), id(8), LONG);
        let (holder, left) = claims.holder(name(1)).unwrap();
        assert!(holder == id(8) && left <= LONG && left > LONG / 2);
    }

    #[test]
    fn there_are_never_more_than_the_most_and_the_oldest_goes_first() {
        let claims = LocalClaims { kept: Mutex::default(), claims_max: 3 };
        for number in 1..=5 {
            claims.claim(name(number), id(number.into()), LONG);
        }
        let held = (1..=5).filter(|number| claims.holder(name(*number)).is_some());
        assert_eq!(held.collect::<Vec<_>>(), [3, 4, 5]);
        for _ in 0..10 {
            claims.release(name(3), id(3));
            claims.claim(name(3), id(3), LONG);
        }
        let kept = claims.kept();
        assert!(kept.written.len() <= 3 && kept.claims.len() <= 3);
    }

    #[test]
    fn what_has_had_its_time_takes_no_room() {
        let claims = LocalClaims::default();
        for number in 1..=5 {
            claims.claim(name(number), id(1), Duration::ZERO);
        }
        assert_eq!(claims.kept().claims.len(), 1);
    }
}
