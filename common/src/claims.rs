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

/// The most claims remembered by an installation that has them nowhere else, in less than 60 megabytes:
/// seven eighths of a power of two, beyond which the table doubles. Beyond it the oldest are forgotten: a
/// form that is sent twice is two tickets then, and a key is known by the store alone.
pub const CLAIMS_MAX: usize = 229_376;

/// The same of one that only stands in, in a quarter of that.
pub const STAND_IN_CLAIMS_MAX: usize = 57_344;

/// Before so many claims were written, sweeping is not worth while.
const SWEEP_MIN: usize = 1_024;

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
    /// At which length of `written` to sweep it.
    sweep_at: usize,
}

/// Whose a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// It is this id's,
    pub id: SubmissionId,
    /// and as certainly as this,
    pub hold: Hold,
    /// until then.
    pub ends_at: Instant,
}

/// How certainly a name is its id's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Nobody but its first claimant knows of it, who may give it back.
    Sole,
    /// Others were told of it and go by it.
    Shared,
    /// What was sent under it was accepted.
    Accepted,
}

impl Claim {
    /// The same when another is told of it.
    #[must_use]
    pub const fn shared(self) -> Self {
        match self.hold {
            Hold::Sole => Self { hold: Hold::Shared, ..self },
            Hold::Shared | Hold::Accepted => self,
        }
    }

    /// As a claimant is told of it.
    #[must_use]
    pub const fn told(&self) -> Claimed {
        match self.hold {
            Hold::Sole | Hold::Shared => Claimed::Taken(self.id),
            Hold::Accepted => Claimed::Accepted(self.id),
        }
    }
}

impl Default for LocalClaims {
    fn default() -> Self {
        Self { kept: Mutex::default(), claims_max: CLAIMS_MAX }
    }
}

impl LocalClaims {
    /// Remembers what others remember too, for when they are away.
    #[must_use]
    pub fn standing_in() -> Self {
        Self { claims_max: STAND_IN_CLAIMS_MAX, ..Self::default() }
    }

    /// Claims a name for an id unless it is taken.
    pub fn claim(&self, name: ClaimName, id: SubmissionId, ttl: Duration) -> Claimed {
        let now = Instant::now();
        let mut kept = self.kept();
        if let Some(claim) = kept.find(name, now) {
            kept.claims.insert(name, claim.shared());
            return claim.told();
        }
        let claim = Claim { id, hold: Hold::Sole, ends_at: now + ttl };
        kept.write(name, claim, now, self.claims_max);
        Claimed::First
    }

    /// Whose a name is.
    #[must_use]
    pub fn find(&self, name: ClaimName) -> Option<Claim> {
        self.kept().find(name, Instant::now())
    }

    /// Notes whose a name is by a better authority's word.
    pub fn note(&self, name: ClaimName, claim: Claim) {
        self.kept().write(name, claim, Instant::now(), self.claims_max);
    }

    /// Marks a name as accepted, if it is this id's.
    pub fn accept(&self, name: ClaimName, id: SubmissionId) {
        if let Some(claim) = self.kept().claims.get_mut(&name).filter(|claim| claim.id == id) {
            claim.hold = Hold::Accepted;
        }
    }

    /// Gives a name back, if it is this id's and nobody else was told so; and whether that was done.
    pub fn release(&self, name: ClaimName, id: SubmissionId) -> bool {
        let claims = &mut self.kept().claims;
        let is_sole =
            claims.get(&name).is_some_and(|claim| claim.id == id && claim.hold == Hold::Sole);
        is_sole && claims.remove(&name).is_some()
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
        self.claims.insert(name, claim);
        self.written.push_back((name, claim.ends_at));
        if self.written.len() >= self.sweep_at {
            self.sweep(now);
        }
        while self.claims.len() > claims_max
            && let Some((oldest, ends_at)) = self.written.pop_front()
        {
            if self.claims.get(&oldest).is_some_and(|claim| claim.ends_at == ends_at) {
                self.claims.remove(&oldest);
            }
        }
    }

    /// Forgets what has had its time, or was released or written again. Done after as many writes
    /// as there are claims, so that what it costs is a few steps a write.
    fn sweep(&mut self, now: Instant) {
        self.claims.retain(|_, claim| claim.ends_at > now);
        let claims = &self.claims;
        self.written
            .retain(|(name, ends_at)| claims.get(name).is_some_and(|it| it.ends_at == *ends_at));
        self.sweep_at = (2 * self.written.len()).max(SWEEP_MIN);
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
        assert!(!claims.release(name(1), id(2)));
        assert_eq!(claims.find(name(1)).unwrap().id, id(1));
        assert!(claims.release(name(1), id(1)));
        assert_eq!(claims.claim(name(1), id(2), LONG), Claimed::First);
        assert_eq!(claims.claim(name(1), id(3), LONG), Claimed::Taken(id(2)));
        assert_eq!(claims.claim(name(1), id(2), LONG), Claimed::Taken(id(2)));
        assert_eq!(claims.claim(name(2), id(2), Duration::ZERO), Claimed::First);
        assert_eq!(claims.claim(name(2), id(3), LONG), Claimed::First);
    }

    #[test]
    fn what_another_was_told_of_is_not_released() {
        let claims = LocalClaims::default();
        assert_eq!(claims.claim(name(1), id(1), LONG), Claimed::First);
        assert_eq!(claims.claim(name(1), id(2), LONG), Claimed::Taken(id(1)));
        assert!(!claims.release(name(1), id(1)));
        assert_eq!(claims.claim(name(1), id(3), LONG), Claimed::Taken(id(1)));
    }

    #[test]
    fn what_was_accepted_says_so_and_is_not_released() {
        let claims = LocalClaims::default();
        claims.claim(name(1), id(1), LONG);
        claims.accept(name(1), id(2));
        assert_eq!(claims.find(name(1)).unwrap().hold, Hold::Sole);
        claims.accept(name(1), id(1));
        assert!(!claims.release(name(1), id(1)));
        assert_eq!(claims.claim(name(1), id(2), LONG), Claimed::Accepted(id(1)));
    }

    #[test]
    fn a_better_authoritys_word_replaces_ours() {
        let claims = LocalClaims::default();
        assert_eq!(claims.find(name(1)), None);
        let ends_at = Instant::now() + LONG;
        for number in [7, 8] {
            let claim = Claim { id: id(number), hold: Hold::Shared, ends_at };
            claims.note(name(1), claim);
            assert_eq!(claims.claim(name(1), id(1), LONG), Claimed::Taken(id(number)));
            assert_eq!(claims.find(name(1)), Some(claim));
        }
    }

    #[test]
    fn there_are_never_more_than_the_most_and_the_oldest_goes_first() {
        let claims = LocalClaims { kept: Mutex::default(), claims_max: 3 };
        for number in 1..=5 {
            claims.claim(name(number), id(number.into()), LONG);
        }
        let held = (1..=5).filter(|number| claims.find(name(*number)).is_some());
        assert_eq!(held.collect::<Vec<_>>(), [3, 4, 5]);
    }

    #[test]
    fn all_that_is_remembered_takes_less_than_60_megabytes() {
        let claims = LocalClaims::default();
        for number in 0..3 * CLAIMS_MAX as u128 {
            claims.claim(ClaimName(number.to_le_bytes()), id(number), LONG);
        }
        let kept = claims.kept();
        assert_eq!(kept.claims.len(), CLAIMS_MAX);
        // A table has a byte more for each place, and fills seven of eight.
        let place_bytes = size_of::<(ClaimName, Claim)>() + 1;
        let table_bytes = kept.claims.capacity() * 8 / 7 * place_bytes;
        let bytes = table_bytes + kept.written.capacity() * size_of::<(ClaimName, Instant)>();
        assert!(bytes < 60_000_000, "{bytes}");
    }

    #[test]
    fn what_was_released_pushes_nobody_out_and_takes_no_room() {
        let claims = LocalClaims { kept: Mutex::default(), claims_max: 3 };
        claims.claim(name(1), id(1), LONG);
        for _ in 0..10_000 {
            claims.claim(name(2), id(2), LONG);
            claims.release(name(2), id(2));
        }
        assert!(claims.find(name(1)).is_some());
        let kept = claims.kept();
        assert!(kept.written.len() <= SWEEP_MIN, "{}", kept.written.len());
    }

    #[test]
    fn what_has_had_its_time_takes_no_room_behind_what_has_not() {
        let claims = LocalClaims::default();
        claims.claim(name(1), id(1), LONG);
        for number in 0..10_000_u16 {
            let mut name = [2; 16];
            name[..2].copy_from_slice(&number.to_be_bytes());
            claims.claim(ClaimName(name), id(2), Duration::ZERO);
        }
        assert!(claims.find(name(1)).is_some());
        let kept = claims.kept();
        let lengths = (kept.claims.len(), kept.written.len());
        assert!(lengths.0 <= SWEEP_MIN && lengths.1 <= SWEEP_MIN, "{lengths:?}");
    }
}
