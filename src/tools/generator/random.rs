//! A small random number generator with a fixed stream: a seed printed by a failing test must give
//! the same mail on every machine and in every version.

/// SplitMix64 (Steele, Lea, Flood 2014): one addition and two multiplications per number.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The stream for message `index` of `seed`, independent of those of other messages.
    pub(super) fn new(seed: u64, index: u64) -> Random {
        let mut random = Random(seed);
        let mixed = random.next() ^ index;
        Random(Random(mixed).next())
    }

    /// The next 64 random bits.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `bound` - 1; 0 when `bound` is 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// True with a probability of `percent`.
    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of `choices`.
    pub(super) fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }
}
