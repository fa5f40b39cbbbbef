//! Numbers that a seed gives, the same on every machine and for ever.

use std::ops::RangeInclusive;
use std::time::Duration;

/// `SplitMix64`. A library's generator would be as good until its next release draws other numbers
/// and every seed that is written down somewhere means something else.
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// The numbers of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Numbers for one part of what a seed decides. Each part has its own, so that drawing one
    /// number more in one of them changes none of the others.
    pub fn for_part(seed: u64, part: u64) -> Self {
        let mut parts = Self(seed);
        let of_seed = parts.draw();
        Self(of_seed ^ Self(part).draw())
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in a range.
    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        range.start() + self.draw() % (range.end() - range.start() + 1)
    }

    /// A place in something of that length.
    pub fn below(&mut self, length: usize) -> usize {
        usize::try_from(self.draw() % length as u64).expect("below a usize")
    }

    /// A time in a range of milliseconds.
    pub fn millis(&mut self, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.within(range))
    }

    /// Yes, so often of a hundred times.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.draw() % 100 < percent
    }

    /// One of several.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// One of several, each as often as its weight says.
    pub fn weighted<T: Copy>(&mut self, of: &[(u64, T)]) -> T {
        let mut drawn = self.draw() % of.iter().map(|(weight, _)| weight).sum::<u64>();
        for (weight, it) in of {
            match drawn.checked_sub(*weight) {
                Some(left) => drawn = left,
                None => return *it,
            }
        }
        unreachable!("less than the sum of the weights")
    }
}
