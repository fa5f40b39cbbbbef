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

/// The most claims remembered by an installation that has them nowhere else, in less than 20 megabytes: as
/// many as half a table of 2^19 places can hold. With more, and with what was removed having left its marks,
/// it would double. Beyond it the oldest are forgotten: a form that is sent twice is two tickets then, and a
/// key is known by the store alone.
pub const CLAIMS_MAX: usize = 229_376;

/// The same of one that only stands in, in a quarter of that.
pub const STAND_IN_CLAIMS_MAX: usize = 57_344;

/// Before so many claims were written, sweeping is not worth while.
const SWEEP_MIN: usize = 1_024;

/// Remembers names, each with the id it belongs to, until their time is over.
pub struct LocalClaims {
    kept: Mutex<Kept>,
    claims_max: usize,
    /// Since when times are counted.
    start: Instant,
}

/// There are many, so they are small: a claim lies in one place only, and the table knows no more than
/// which.
#[derive(Default)]
struct Kept {
    /// In the order in which they were written.
    written: VecDeque<Written>,
    /// How many were written before the first of those. Like every place it begins anew at some time.
    before: u32,
    /// Where the claim of a name is, by the half of it: how many were written before. Names are keyed
    /// hashes, so that two with the same half do not come; the later would take the earlier one's place.
    places: HashMap<u64, u32>,
    /// At which length of `written` to sweep it.
    sweep_at: usize,
}

struct Written {
    name: ClaimName,
    id: SubmissionId,
    /// How certainly, in the lowest two bits, and until how many nanoseconds after the start; zero where
    /// there is no claim any more.
    hold_until: u64,
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
    Sole = 1,
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
        Self::up_to(CLAIMS_MAX)
    }
}

impl LocalClaims {
    /// Remembers what others remember too, for when they are away.
    #[must_use]
    pub fn standing_in() -> Self {
        Self::up_to(STAND_IN_CLAIMS_MAX)
    }

    fn up_to(claims_max: usize) -> Self {
        Self { kept: Mutex::default(), claims_max, start: Instant::now() }
    }

    /// Claims a name for an id unless it is taken.
    pub fn claim(&self, name: ClaimName, id: SubmissionId, ttl: Duration) -> Claimed {
        let now = Instant::now();
        let mut kept = self.kept();
        if let Some(written) = kept.find(name, self.since_start(now)) {
            let claim = self.claim_of(written).shared();
            written.hold_until = self.hold_until(&claim);
            return claim.told();
        }
        let claim = Claim { id, hold: Hold::Sole, ends_at: now + ttl };
        self.write(&mut kept, name, &claim, now);
        Claimed::First
    }

    /// Whose a name is.
    #[must_use]
    pub fn find(&self, name: ClaimName) -> Option<Claim> {
        let now = self.since_start(Instant::now());
        self.kept().find(name, now).map(|written| self.claim_of(written))
    }

    /// Notes whose a name is by a better authority's word.
    pub fn note(&self, name: ClaimName, claim: Claim) {
        self.write(&mut self.kept(), name, &claim, Instant::now());
    }

    /// Marks a name as accepted, if it is this id's.
    pub fn accept(&self, name: ClaimName, id: SubmissionId) {
        if let Some(written) = self.kept().of(name).filter(|written| written.id == id) {
            written.hold_until |= Hold::Accepted as u64;
        }
    }

    /// Gives a name back, if it is this id's and nobody else was told so; and whether that was done.
    pub fn release(&self, name: ClaimName, id: SubmissionId) -> bool {
        let mut kept = self.kept();
        let sole = kept.of(name).filter(|it| it.id == id && it.hold() == Hold::Sole);
        let Some(written) = sole else { return false };
        written.hold_until = 0;
        kept.places.remove(&half(name));
        true
    }

    fn write(&self, kept: &mut Kept, name: ClaimName, claim: &Claim, now: Instant) {
        let hold_until = self.hold_until(claim);
        let written = Written { name, id: claim.id, hold_until };
        kept.write(written, self.since_start(now), self.claims_max);
    }

    fn since_start(&self, time: Instant) -> u64 {
        nanoseconds(time.saturating_duration_since(self.start))
    }

    fn hold_until(&self, claim: &Claim) -> u64 {
        self.since_start(claim.ends_at) << HOLD_BITS | claim.hold as u64
    }

    fn claim_of(&self, written: &Written) -> Claim {
        let ends_at = self.start + Duration::from_nanos(written.until());
        Claim { id: written.id, hold: written.hold(), ends_at }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A change that broke off half-way could only forget a claim.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const HOLD_BITS: u32 = 2;

/// A century and a half at most.
fn nanoseconds(duration: Duration) -> u64 {
    const MOST: u64 = u64::MAX >> HOLD_BITS;
    u64::try_from(duration.as_nanos()).map_or(MOST, |nanoseconds| nanoseconds.min(MOST))
}

fn half(ClaimName(name): ClaimName) -> u64 {
    name.first_chunk().map_or(0, |half| u64::from_le_bytes(*half))
}

impl Written {
    const fn until(&self) -> u64 {
        self.hold_until >> HOLD_BITS
    }

    const fn hold(&self) -> Hold {
        match self.hold_until & ((1 << HOLD_BITS) - 1) {
            0 | 1 => Hold::Sole,
            2 => Hold::Shared,
            _ => Hold::Accepted,
        }
    }
}

impl Kept {
    fn find(&mut self, name: ClaimName, now: u64) -> Option<&mut Written> {
        self.of(name).filter(|written| written.until() > now)
    }

    /// Whether its time is over or not.
    fn of(&mut self, name: ClaimName) -> Option<&mut Written> {
        let place = *self.places.get(&half(name))?;
        self.at(place).filter(|written| written.name == name)
    }

    fn at(&mut self, place: u32) -> Option<&mut Written> {
        self.written.get_mut(place.wrapping_sub(self.before) as usize)
    }

    fn write(&mut self, claim: Written, now: u64, claims_max: usize) {
        let half = half(claim.name);
        if let Some(earlier) = self.places.remove(&half).and_then(|place| self.at(place)) {
            earlier.hold_until = 0;
        }
        if self.written.len() >= self.sweep_at {
            self.sweep(now, claims_max);
        }
        // Before there is one more: the table must not grow for it.
        while self.places.len() >= claims_max
            && let Some(oldest) = self.written.pop_front()
        {
            self.before = self.before.wrapping_add(1);
            if oldest.hold_until > 0 {
                self.places.remove(&self::half(oldest.name));
            }
        }
        let written = u32::try_from(self.written.len()).unwrap_or(u32::MAX);
        self.places.insert(half, self.before.wrapping_add(written));
        self.written.push_back(claim);
    }

    /// Forgets what has had its time, or was released or written again. Done after as many writes
    /// as there are claims, or a seventh of the most, so that what it costs is a few steps a write.
    fn sweep(&mut self, now: u64, claims_max: usize) {
        self.written.retain(|written| written.until() > now);
        self.before = 0;
        self.places.clear();
        self.places.extend(self.written.iter().map(|it| half(it.name)).zip(0..));
        self.sweep_at = (2 * self.written.len()).min(claims_max / 7 * 8).max(SWEEP_MIN);
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

    fn numbered(number: u128) -> ClaimName {
        ClaimName(number.to_le_bytes())
    }

    fn id(number: u128) -> SubmissionId {
        Uuid::from_u128(number).into()
    }

    /// One claim more. Each third is released, and an earlier one is written again, and so the youngest.
    fn go_on(claims: &LocalClaims, number: u128) {
        claims.claim(numbered(number), id(number), LONG);
        if number.is_multiple_of(3) {
            claims.release(numbered(number), id(number));
        }
        if let Some(claim) = claims.find(numbered(number / 2)) {
            claims.note(numbered(number / 2), claim);
        }
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
        let claims = LocalClaims::up_to(3);
        for number in 1..=5 {
            claims.claim(name(number), id(number.into()), LONG);
        }
        let held = (1..=5).filter(|number| claims.find(name(*number)).is_some());
        assert_eq!(held.collect::<Vec<_>>(), [3, 4, 5]);
    }

    #[test]
    fn all_that_is_remembered_takes_less_than_20_megabytes() {
        let claims = LocalClaims::default();
        let is_first = |number| claims.claim(numbered(number), id(number), LONG) == Claimed::First;
        assert!((0..3 * CLAIMS_MAX as u128).all(is_first));
        assert_eq!(claims.kept().places.len(), CLAIMS_MAX);
        (0..6 * CLAIMS_MAX as u128).for_each(|number| go_on(&claims, number));
        let kept = claims.kept();
        // A table has a byte more for each place, and fills seven of eight.
        let place_bytes = size_of::<(u64, u32)>() + 1;
        let table_bytes = kept.places.capacity() * 8 / 7 * place_bytes;
        let bytes = table_bytes + kept.written.capacity() * size_of::<Written>();
        assert!(bytes < 20_000_000, "{bytes}");
    }

    #[test]
    fn a_claim_is_found_wherever_it_has_moved_to() {
        let claims = LocalClaims::up_to(1_000);
        for number in 0..10_000 {
            go_on(&claims, number);
            for earlier in [number, number.saturating_sub(1), number.saturating_sub(499)] {
                let expected = (earlier % 3 > 0).then_some(id(earlier));
                let found = claims.find(numbered(earlier)).map(|claim| claim.id);
                assert_eq!(found, expected, "{earlier}");
            }
        }
    }

    #[test]
    fn what_was_released_pushes_nobody_out_and_takes_no_room() {
        let claims = LocalClaims::up_to(3);
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
            claims.claim(numbered(number.into()), id(2), Duration::ZERO);
        }
        assert!(claims.find(name(1)).is_some());
        let kept = claims.kept();
        let lengths = (kept.places.len(), kept.written.len());
        assert!(lengths.0 <= SWEEP_MIN && lengths.1 <= SWEEP_MIN, "{lengths:?}");
    }
}
